"""How a step of a long session compares with one at its beginning: time and memory, without the provider's share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.cache.play import session_of
from tests.prefix.direct import Provider
from treadle.agent.messages import user
from treadle.agent.mock.anthropic import Anthropic
from treadle.agent.mock.billing_prompt import Prompt
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.play import Player
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.script import Call, Step
from treadle.agent.providers.contract import HttpCall, ModelInfo, ModelRequest

STEPS, EDGE = 400, 50
RESULT = 2_000
"""Bytes of what a step reads."""
MODELS = ("anthropic/claude-opus-5-5", "openai/gpt-6-sol", "mock/any")
FACES = {"anthropic": Anthropic, "openai_responses": Responses, "openai_chat": Chat}


@dataclass
class _Swift(Provider):
    """Answers without looking, so that what is measured is ours."""

    times: list[float] = field(default_factory=list[float])
    resident: list[int] = field(default_factory=list[int])
    _made: Player = field(default_factory=lambda: Player(None))

    def answer(self, info: ModelInfo, call: HttpCall, request: ModelRequest) -> Sequence[bytes]:
        """Return the events of the next reply."""
        number = len(self.times)
        self.times.append(perf_counter())
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.resident.append(pages * os.sysconf("SC_PAGE_SIZE"))
        asked = Asked({}, info.id, True, "", 0, None, (), False, None, None)
        return FACES[info.wire]().events(
            asked, self._made.reply(asked, _step(number), Prompt(0), number, 0.0)
        )


def _step(number: int) -> Step:
    if number == STEPS - 1:
        return Step(text="Done.")
    arguments = {"number": number, "size": RESULT}
    return Step(text="The next one.", calls=(Call(name="page", arguments={**arguments}, id=f"c{number}"),))


async def rows() -> list[str]:
    """Return a line of a table for each model."""
    return [await _row(spec) for spec in MODELS]


async def _row(spec: str) -> str:
    provider = _Swift(lambda asked: _step(0))
    client, session = session_of(spec, provider)
    await session.prompt(user("Read them all."))
    await client.aclose()
    steps = [
        (after - before) * 1e3 for before, after in zip(provider.times, provider.times[1:], strict=False)
    ]
    first, last = median(steps[:EDGE]), median(steps[-EDGE:])
    grown = (provider.resident[-1] - provider.resident[EDGE]) / (STEPS - EDGE) / 1e3
    return f"| {spec} | {first:.2f} | {last:.2f} | {grown:.1f} |"
