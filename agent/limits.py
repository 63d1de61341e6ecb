"""How far a turn may go: one pure check, one reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import Literal

from treadle.agent.events import Body, Compacted, KeptWarm, LimitName
from treadle.agent.messages import Usage
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import ToolCall, ToolResult


@frozen
class Limits:
    """What one turn may use. None means no limit."""

    steps: int | None = 200
    tool_calls: int | None = None
    tokens: int | None = None
    """Input, however it is billed, and output together."""
    cost: float | None = None
    """USD."""
    time: float | None = None
    """Seconds."""


@frozen
class Spent:
    """What a turn has used so far."""

    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    """USD; None once a reply was billed at a price that is not known."""

    request_bytes: int = 0

    def reply(self, usage: Usage, cost: float | None, request_bytes: int = 0) -> Spent:
        """Add one reply."""
        return replace(self.aside(usage, cost, request_bytes), steps=self.steps + 1)

    def aside(self, usage: Usage, cost: float | None, request_bytes: int) -> Spent:
        """Add a request that is no step, as the one for a note that makes room."""
        known = self.cost is not None and cost is not None
        return replace(
            self,
            usage=self.usage + usage,
            cost=(self.cost or 0.0) + (cost or 0.0) if known else None,
            request_bytes=self.request_bytes + request_bytes,
        )

    def room(self, bodies: Iterable[Body]) -> Spent:
        """Add what making room, or keeping a cache warm, has cost."""
        spent = self
        for body in bodies:
            if isinstance(body, Compacted):
                spent = spent.aside(body.usage, body.cost_usd, body.request_bytes)
            elif isinstance(body, KeptWarm):
                spent = spent.aside(body.usage, body.cost_usd, 0)
        return spent


def too_dear(limits: Limits, spent: Spent, expected: float) -> bool:
    """Say whether a step that is expected to cost so many USD would go beyond the limit."""
    return limits.cost is not None and spent.cost is not None and spent.cost + expected > limits.cost


def reached(limits: Limits, spent: Spent) -> LimitName | None:
    """Return the limit that forbids another step; None when there is none. Time is the loop's own clock."""
    tokens = spent.usage.input_total + spent.usage.output
    checks: tuple[tuple[LimitName, float | None, float | None], ...] = (
        ("steps", limits.steps, spent.steps),
        ("tokens", limits.tokens, tokens),
        ("cost", limits.cost, spent.cost),
    )
    for name, limit, used in checks:
        if limit is not None and used is not None and used >= limit:
            return name
    return None


_SECONDS = re.compile(r"\b\d+(\.\d+)? ?m?s\b")
"""Durations differ from run to run and say nothing about progress."""


class Repeats:
    """Notices a model that makes the same call with the same result again and again.

    A call not made before is taken as progress: counting starts anew for all others.
    """

    ALLOWED = 3

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str, int]] = {}
        self._warned = False

    def see(
        self, calls: Sequence[ToolCall], results: Sequence[ToolResult]
    ) -> Literal["fine", "nudge", "loop"]:
        """Take the calls of one step with their results. `nudge` comes once, `loop` when it did not help."""
        repeated = False
        for call, result in zip(calls, results, strict=True):
            key = (call.name, call.arguments)
            if key not in self._seen:
                self._seen = {other: (said, 1) for other, (said, _) in self._seen.items()}
            said = _SECONDS.sub("", "".join(part.model_dump_json() for part in result.content))
            before, count = self._seen.get(key, ("", 0))
            count = count + 1 if before == said else 1
            self._seen[key] = (said, count)
            repeated |= count >= self.ALLOWED
        if not repeated:
            return "fine"
        if self._warned:
            return "loop"
        self._warned = True
        return "nudge"


class Meter:
    """Counts the tool calls of one turn, those that tools make included."""

    def __init__(self, limit: int | None) -> None:
        """None counts without a limit."""
        self.made = 0
        self._limit = limit

    def take(self) -> bool:
        """Count one call. False when it must not be made."""
        if self._limit is not None and self.made >= self._limit:
            return False
        self.made += 1
        return True
