"""Whether now is the time to make room: pure, from sizes, prices and what has just happened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from treadle.agent.cache.room import Growth, compaction_point, steps_to_pay
from treadle.agent.compaction.note import answered
from treadle.agent.compaction.size import Size
from treadle.agent.messages import Message, UserMessage
from treadle.agent.providers.contract import ModelInfo, Prices
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import ToolCall, ToolResult, as_object

At: TypeAlias = int | Literal["auto", "never"]
"""The prompt size, in tokens, at which to make room; `auto` goes by what it costs."""

NEAR = 0.8
"""Of the point: from here on a natural boundary will do."""
_RESERVE = 8_000
"""Tokens that must stay free beside the longest reply."""
_LEAST = 4
"""Replies that an epoch has before it is worth a note."""
_GAIN = 1 / 3
"""Of the prompt: a compaction that frees less is not worth its note."""
_CHECKS = re.compile(r"\b(tests?|pytest|unittest|tox|nox|jest|vitest|check|verify|ctest|rspec)\b")


@frozen
class Signs:
    """What the end of a conversation says of the work."""

    boundary: bool
    """Something has just come to an end: a check passed, an item of the plan is done, the user spoke."""
    left: float | None
    """Steps that are still to be expected; None when nothing tells."""


def signs(messages: Sequence[Message], steps_left: int | None) -> Signs:
    """Read the signs. `steps_left` is what the turn's limit still allows, None without one."""
    calls = list(answered(messages))
    plans = [_done(result) for call, result in calls if call.name == "plan" and not result.is_error]
    latest = _latest(messages)
    boundary = isinstance(messages[-1], UserMessage) if messages else False
    boundary |= any(call.name == "shell" and _is_passed_check(call, result) for call, result in latest)
    if latest and any(call.name == "plan" for call, _ in latest) and plans:
        done = plans[-1][0]
        boundary |= done > (plans[-2][0] if len(plans) > 1 else 0)
    left = [float(steps_left)] if steps_left is not None else []
    if plans and sum(plans[-1]):
        done, open_ = plans[-1]
        left.append(open_ * len(calls) / done if done else float("inf"))
    return Signs(boundary, min(left, default=None))


def due(size: Size, at: At, info: ModelInfo, found: Signs) -> Literal["no", "yes", "must"]:
    """Say whether room should be made before the next step. `must`: the next request may not fit otherwise."""
    window = info.context_window
    if at == "never":
        return "no"
    if window is not None and size.steps and size.prompt >= hard(window, info.max_output):
        return "must"
    growth = _growth(size, info.prices)
    jumps = [threshold for threshold, _ in info.prices.tiers] if info.prices else []
    point = compaction_point(growth, jumps, window) if at == "auto" else at
    if size.steps < _LEAST or size.prompt - size.kept < _GAIN * size.prompt or size.prompt < NEAR * point:
        return "no"
    if found.left is not None and found.left < steps_to_pay(growth, size.prompt):
        return "no"
    return "yes" if size.prompt >= point or found.boundary else "no"


def hard(window: int, max_output: int | None) -> float:
    """Return the prompt size beyond which a reply of full length may not fit any more."""
    return max(window - min(max_output or _RESERVE, window // 4) - min(_RESERVE, window // 10), window // 2)


def _growth(size: Size, prices: Prices | None) -> Growth:
    read, write, output = ratios(prices)
    return Growth(read, write, output, size.static, size.kept, size.step, size.output)


def ratios(prices: Prices | None) -> tuple[float, float, float]:
    """Return what reading from a cache, writing to one and output cost, in units of plain input."""
    if prices is None or not prices.input:
        return 0.1, 1.0, 5.0
    read = prices.input if prices.cache_read is None else prices.cache_read
    write = prices.cache_write.get("m5", prices.cache_write.get("unknown", prices.input))
    return max(read / prices.input, 0.01), write / prices.input, prices.output / prices.input


def _latest(messages: Sequence[Message]) -> list[tuple[ToolCall, ToolResult]]:
    """Return the calls of the last reply, when their results are the end of the conversation."""
    return list(answered(messages[-2:])) if len(messages) > 1 else []


def _is_passed_check(call: ToolCall, result: ToolResult) -> bool:
    return result.status == "ok" and bool(_CHECKS.search(call.arguments))


def _done(result: ToolResult) -> tuple[int, int]:
    """Return how many items of a plan are done, and how many are not."""
    items = [as_object(item) or {} for item in (result.details or {}).get("items") or ()]
    done = sum(item.get("status") == "done" for item in items)
    return done, len(items) - done
