"""Take steps until there is nothing left to do, or a limit says stop."""

from __future__ import annotations

from collections import Counter, deque
from functools import partial

import anyio

from treadle.agent.checks import Check
from treadle.agent.context import assemble
from treadle.agent.desk import Desk
from treadle.agent.events import (
    Body,
    Keep,
    LimitName,
    MessageAdded,
    ModelChanged,
    Noted,
    OutcomeName,
    Show,
    StepStarted,
    TurnEnded,
)
from treadle.agent.limits import Meter, Repeats, Spent, reached, too_dear
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, UserMessage, notice
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import (
    AuthFailed,
    ContextOverflow,
    Prices,
    ProviderError,
    RequestTooLarge,
    StaleState,
)
from treadle.agent.reply import ask, is_out_of_reach, stopped
from treadle.agent.warmth import Asked
from treadle.prompts import load


class Turn:
    """One turn under way: what it works with, what it has spent."""

    def __init__(
        self, desk: Desk, log: SessionLog, inbox: deque[UserMessage], keep: Keep, show: Show
    ) -> None:
        self._desk = desk
        self._log = log
        self._inbox = inbox
        self._keep = keep
        self._show = show
        self._spent = Spent()
        self._repeats = Repeats()
        self._reminded: set[str] = set()
        self._failed: Counter[Check] = Counter()
        self._asked: Asked | None = None
        desk.calls.begin(Meter(desk.limits.tool_calls))

    def ended(
        self, outcome: OutcomeName, *, limit: LimitName | None = None, error: str | None = None
    ) -> TurnEnded:
        """Say how the turn ended, with what it came to."""
        return TurnEnded(
            outcome=outcome,
            limit=limit,
            error=error,
            steps=self._spent.steps,
            tool_calls=self._desk.calls.meter.made,
            request_bytes=self._spent.request_bytes,
            usage=self._spent.usage,
            cost_usd=None if self._spent.cost is None else round(self._spent.cost, 6),
        )

    async def work(self) -> TurnEnded:
        """Take steps until the model calls nothing and nobody has said anything more."""
        with anyio.move_on_after(self._desk.limits.time):
            try:
                return await self._steps()
            except AuthFailed as error:
                return self.ended("usage", error=str(error))
            except ProviderError as error:
                return self.ended("failed", error=str(error))
        return self.ended("limit", limit="time")

    async def _steps(self) -> TurnEnded:
        ended = await self._left_over()
        while ended is None:
            ended = await self._step()
        return ended

    async def _left_over(self) -> TurnEnded | None:
        """Judge the last reply of a turn that was killed before it ended: it is not asked for again."""
        last = self._log.conversation.messages[-1:]
        if not self._inbox and last and isinstance(last[0], AssistantMessage) and last[0].state == "complete":
            return await self._without_calls(last[0])
        return None

    async def _step(self) -> TurnEnded | None:
        """Take one step. None when the turn goes on."""
        news = await self._desk.news(self._log.conversation)
        said = [MessageAdded(message=message) for message in self._inbox]
        self._inbox.clear()
        if news or said:
            # With one write: a prompt and what goes before it are lost together or not at all.
            await self._keep(*news, *said)
        if limit := reached(self._desk.limits, self._spent):
            return self.ended("limit", limit=limit)
        await self._show(StepStarted(number=self._spent.steps + 1))
        asked = await self._ask()
        if asked is None:
            return self.ended("limit", limit="cost")
        reply, prices = asked
        message = reply.message
        assert isinstance(message, AssistantMessage)
        if message.warnings:
            message = await self._warn(message)
            reply = reply.model_copy(update={"message": message})
        reply = await self._save(reply, message)
        self._spent = self._spent.reply(message.usage, cost(message.usage, prices), reply.request_bytes)
        if message.calls:
            return await self._run_calls(message, reply)
        await self._keep(reply)
        return await self._without_calls(message)

    async def _ask(self) -> tuple[MessageAdded, Prices | None] | None:
        """Ask the model, or the first after it that can be had. Returns the reply and what it is billed at.

        None when what it would cost goes beyond the limit.
        Raises `ProviderError` when none is left, and for what another model would not mend.
        """
        refused: ProviderError | None = None
        while True:
            conversation = self._log.conversation
            model = self._desk.answering(conversation.model)
            if room := await self._desk.make_room(conversation, model, refused):
                await self._keep(*room)
                self._spent = self._spent.room(room)
            request = assemble(conversation, self._desk.cache_key, self._desk.wanted.output)
            planned = self._desk.warmth.planner.plan(request, model, conversation)
            if too_dear(self._desk.limits, self._spent, planned.cost):
                return None
            try:
                reply = await ask(model, planned.request, self._desk.retries, self._keep, self._show)
            except (RequestTooLarge, ContextOverflow, StaleState) as error:
                if refused is not None:
                    raise
                refused = error
            except ProviderError as error:
                following = self._desk.after(conversation.model)
                if following is None or not is_out_of_reach(error):
                    raise
                told = f"{conversation.model} cannot be had ({error}); {following} goes on from here"
                await self._keep(ModelChanged(model=following, prefix=conversation.prefix))
                await self._show(Noted(text=told))
            else:
                self._asked = Asked(planned, model, lambda: self._log.conversation)
                return reply.model_copy(update={"forecast": planned.forecast}), model.info.prices

    async def _save(self, reply: MessageAdded, message: AssistantMessage) -> MessageAdded:
        """Save what the reply made. That it cannot be saved ends nothing: it is in the log all the same."""
        try:
            files, notes = await self._desk.save(message)
        except (OSError, ValueError) as error:
            files, notes = (), (f"what the model made could not be saved: {error}",)
        for note in notes:
            await self._show(Noted(text=note))
        return reply.model_copy(update={"artifacts": files}) if files else reply

    async def _warn(self, message: AssistantMessage) -> AssistantMessage:
        """Say what was lost, each loss once in a session. Returns the message with those that are new."""
        earlier = (known for known in self._log.conversation.messages if isinstance(known, AssistantMessage))
        said = {str(warning) for known in earlier for warning in known.warnings}
        new = {str(warning): warning for warning in message.warnings if str(warning) not in said}
        for text in new:
            await self._show(Noted(text=text))
        return message.model_copy(update={"warnings": tuple(new.values())})

    async def _run_calls(self, message: AssistantMessage, reply: MessageAdded) -> TurnEnded | None:
        run = partial(self._desk.calls.run, message.calls, reply)
        results = await self._desk.warmth.during(run, self._asked, self._keep_ping)
        pairs = zip(message.calls, results, strict=False)
        if len(results) < len(message.calls):
            return self.ended("limit", limit="tool_calls")
        repeated = self._repeats.see(message.calls, results)
        if repeated == "loop":
            return self.ended("limit", limit="loop")
        if repeated == "nudge":
            await self._keep(MessageAdded(message=notice(load("notices/repeating"))))
        for call, result in pairs:
            if call.name == self._desk.wanted.answer and not result.is_error:
                return await self._check(call.arguments)
        return None

    async def _keep_ping(self, *pings: Body) -> None:
        self._spent = self._spent.room(pings)
        await self._keep(*pings)

    async def _without_calls(self, message: AssistantMessage) -> TurnEnded | None:
        """Decide what a reply that calls nothing means."""
        if message.stop in {"pause", "compaction"}:
            return None
        if message.stop == "length":
            return self.ended("limit", limit="output_length")
        if error := stopped(message):
            return self.ended("failed", error=error)
        return None if self._inbox else await self._finish(message.text)

    async def _finish(self, text: str) -> TurnEnded | None:
        if not text.strip():
            return await self._remind("notices/empty_reply", "failed", "the model answered nothing, twice")
        if self._desk.wanted.answer is not None:
            return await self._remind(
                "notices/answer", "denied", "the model did not answer in the form asked for"
            )
        return await self._check(text)

    async def _check(self, text: str) -> TurnEnded | None:
        """End the turn when everything holds that must; else send the model back, as often as a check allows."""
        for check in self._desk.wanted.checks:
            wrong = await check.judge(text)
            if wrong is None:
                continue
            self._failed[check] += 1
            if self._failed[check] >= check.tries:
                return self.ended("denied", error=check.failed)
            await self._keep(MessageAdded(message=notice(wrong)))
            return None
        return self.ended("denied" if self._desk.calls.denied else "done")

    async def _remind(self, name: str, outcome: OutcomeName, error: str) -> TurnEnded | None:
        """Remind the model once; end the turn when it did not help."""
        if name in self._reminded:
            return self.ended(outcome, error=error)
        self._reminded.add(name)
        await self._keep(MessageAdded(message=notice(load(name))))
        return None
