"""Which step answers a request, which fault it fails with, and what the model then says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from treadle.agent.mock.billing_prompt import Prompt, tokens
from treadle.agent.mock.check import Refused
from treadle.agent.mock.clock import Clock
from treadle.agent.mock.contract import Asked, Reply, Said, Usage
from treadle.agent.mock.jsontext import size
from treadle.agent.mock.sample import sample
from treadle.agent.mock.script import Billed, Call, Fault, Pace, Script, Step
from treadle.sandbox.frozen import frozen

END = Step(text="Done.")
GREETING = "This is treadle's mock provider: it says this to every request without tools."


@frozen
class Turn:
    """A step about to be served."""

    step: Step
    fault: Fault | None
    pace: Pace


@dataclass(slots=True)
class Player:
    """Follows a script for any number of conversations; without one, it improvises."""

    script: Script | None
    clock: Clock = field(default_factory=Clock)
    _attempts: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def turn(self, asked: Asked) -> Turn:
        """The step for this request. Raises Refused where the script and the request disagree."""
        if asked.warms is not None:
            return Turn(Step(finish=asked.warms), None, Pace())
        if self.script is None:
            return Turn(_improvise(asked), None, Pace())
        step = _scripted(self.script, asked.replies)
        if step.when is not None:
            _expect(step.when.last_result, asked)
        _offers(step, asked)
        at = (asked.key, min(asked.replies, len(self.script.steps) - 1))
        attempt = self._attempts.get(at, 0)
        fault = step.faults[attempt] if attempt < len(step.faults) else None
        self._attempts[at] = attempt + 1
        if attempt == 0:
            self.clock.advance(step.gap)
        return Turn(step, fault, step.pace or self.script.pace)

    def reply(self, asked: Asked, step: Step, prompt: Prompt, number: int, now: float) -> Reply:
        """What the model says; `number` is this server's request, `now` seconds since 1970."""
        calls = tuple(_call(asked, call, position) for position, call in enumerate(step.calls))
        model = self.script.model if self.script is not None else None
        return Reply(
            id=f"{number:012x}",
            created=int(now),
            model=model or asked.model,
            reasoning=step.reasoning,
            text=step.text,
            calls=calls,
            finish=step.finish or ("tool_calls" if calls else "stop"),
            usage=_usage(step, calls, prompt),
            hosted=step.hosted,
            miss=prompt.miss,
        )


def _scripted(script: Script, number: int) -> Step:
    if number < len(script.steps):
        return script.steps[number]
    match script.then:
        case "end":
            return END
        case "repeat":
            return script.steps[-1]
        case "error":
            told = f"the script has {len(script.steps)} steps, and the conversation holds {number} replies"
            raise Refused(told, code="script_exhausted")


def _expect(expected: str, asked: Asked) -> None:
    seen = asked.last_result
    if seen is None or expected not in seen:
        saw = "there is no tool result" if seen is None else f"it is {seen[-400:]!r}"
        told = f"step {asked.replies}: the newest tool result should contain {expected!r}, but {saw}"
        raise Refused(told, code="script_mismatch")


def _offers(step: Step, asked: Asked) -> None:
    """Refuse to run what was not offered. Raises Refused."""
    for ran in step.hosted:
        if ran.kind not in asked.hosted:
            offered = ", ".join(sorted(asked.hosted)) or "none"
            told = f"step {asked.replies} runs {ran.kind}, but the hosted tools of the request are: {offered}"
            raise Refused(told, code="script_mismatch")


def _improvise(asked: Asked) -> Step:
    tool = next((tool for tool in asked.tools if asked.forced in {None, tool.name}), None)
    if tool is not None and asked.wants_call:
        arguments = sample(tool.schema)
        raw = "mock" if tool.freeform else json.dumps(arguments)
        return Step(calls=(Call.model_construct(name=tool.name, raw=raw, id=None),))
    if asked.schema is not None:
        return Step(text=json.dumps(sample(asked.schema)))
    return END if asked.last_result is not None else Step(text=GREETING)


def _call(asked: Asked, call: Call, position: int) -> Said:
    freeform = any(tool.freeform and tool.name == call.name for tool in asked.tools)
    return Said(call.id or f"call_{asked.replies}_{position}", call.name, call.text, freeform)


def _usage(step: Step, calls: tuple[Said, ...], prompt: Prompt) -> Usage:
    billed: Billed = step.usage
    thought = tokens(size(step.reasoning))
    spoken = tokens(size(step.text)) + sum(tokens(size(call.name) + size(call.arguments)) for call in calls)
    reasoning = thought if billed.reasoning is None else billed.reasoning
    input_ = prompt.input if billed.input is None else billed.input
    cached = min(input_, prompt.cached if billed.cached is None else billed.cached)
    written = min(input_ - cached, prompt.written if billed.written is None else billed.written)
    return Usage(
        input=input_,
        cached=cached,
        written=written,
        written_long=min(written, prompt.written_long),
        output=spoken + reasoning if billed.output is None else billed.output,
        reasoning=reasoning,
    )
