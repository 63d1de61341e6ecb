"""How many tokens a request is: asked of the vendor where it counts, else estimated and corrected by what it billed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from treadle.agent.messages import AssistantMessage, Message
from treadle.agent.providers.contract import HttpCall, ModelInfo
from treadle.agent.providers.limits.sizes import Shown, Sizes
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, as_object

Known: TypeAlias = tuple[int, int]
_RATES: Final = (("*claude*", 3.2), ("*gpt*", 4.0), ("*gemini*", 3.8), ("*glm*", 3.8), ("*", 3.5))
"""Bytes of JSON that make a token, by family: of code and prose together, on the low side."""
_COUNTING: Final = frozenset({"anthropic", "openai", "gemini", "vertex", "mock"})
_SURE: Final = 0.85
"""What is only estimated may come to this much more: above this part of a window the vendor is asked."""
_LEAST, _MOST = 0.5, 2.0
_BELIEVED: Final = 0.25
"""A bill for less than this part of what was guessed leaves something out: some count only what no cache held."""
_IMAGE, _PAGE = 1600, 2000
"""Tokens of an image whose size is not known, and of a page of a document."""
# What generates is left out: the endpoints refuse it. WIRES §1, §4.10.
_RESPONSES: Final = (
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "previous_response_id",
    "conversation",
    "truncation",
)
_MESSAGES: Final = (
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "mcp_servers",
    "anthropic_version",
)


@frozen
class Estimate:
    """About how many tokens a request is."""

    counted: int
    """What a vendor has counted itself."""
    guessed: int
    """What came after."""

    @property
    def tokens(self) -> int:
        return self.counted + self.guessed

    @property
    def most(self) -> int:
        """What it may come to."""
        return self.counted + int(self.guessed / _SURE)


def estimate(
    info: ModelInfo,
    messages: Sequence[Message],
    sizes: Sizes,
    fixed: int,
    *,
    since: int = 0,
    known: Known = (0, 0),
) -> Estimate:
    """Estimate the tokens of a request.

    Args:
        info: Of the model that reads it.
        messages: What is sent.
        sizes: Of these messages.
        fixed: Bytes of the system prompt and the tools.
        since: How many of the messages were there when the epoch began: what replies before that were billed for
            is no longer what is sent.
        known: What the vendor counted when it was asked: of how many of these messages, and how much.
    """
    rate = _rate(info)
    if known[0]:
        since = max(since, known[0])
    for index in range(len(messages) - 1, since - 1, -1):
        message = messages[index]
        if not isinstance(message, AssistantMessage) or not (billed := message.usage.input_total):
            continue
        before = fixed / rate + _tokens(info, sizes, 0, index)
        if billed < before * _BELIEVED:
            break
        factor = min(max(billed / max(before, 1), _LEAST), _MOST)
        after = _tokens(info, sizes, index + 1, len(messages))
        return Estimate(billed + message.usage.output, int(after * factor))
    if known[0]:
        return Estimate(known[1], int(_tokens(info, sizes, known[0], len(messages))))
    return Estimate(0, int(fixed / rate + _tokens(info, sizes, 0, len(messages))))


def tokens_of(info: ModelInfo, one: Shown) -> int:
    """Return about how many tokens a picture or a document is."""
    if one.media.kind != "image":
        return one.pages * _PAGE or int(one.encoded * 3 / 4 / _rate(info))
    if not one.side:
        return _IMAGE
    if info.wire == "anthropic":
        return min(one.width * one.height // 750, 1600) + 4
    tiles = -(-min(one.width, 2048) // 512) * -(-min(one.height, 2048) // 512)
    return 85 + 170 * tiles


def _tokens(info: ModelInfo, sizes: Sizes, begin: int, end: int) -> float:
    text = sizes.text if (begin, end) == (0, len(sizes.texts)) else sum(sizes.texts[begin:end])
    media = sum(tokens_of(info, one) for one in sizes.media if begin <= one.message < end)
    return text / _rate(info) + media


def text_tokens(info: ModelInfo, size: int) -> int:
    """Return about how many tokens so many bytes of text are."""
    return int(size / _rate(info))


def _rate(info: ModelInfo) -> float:
    return next(rate for glob, rate in _RATES if fnmatchcase(info.id.lower(), glob))


def count_call(call: HttpCall, info: ModelInfo) -> HttpCall | None:
    """Return the call that has the vendor count what another call would send; None where it does not count.

    Sources: WIRES §1.1, §4.10, §5.6, §7.
    """
    if info.vendor not in _COUNTING:
        return None
    match info.wire:
        case "openai_responses":
            return _counting(call, "/responses/input_tokens", _picked(call, _RESPONSES))
        case "anthropic" if info.vendor == "vertex":
            body = {"model": info.id, **_picked(call, _MESSAGES)}
            return _counting(call, "/models/count-tokens:rawPredict", body)
        case "anthropic":
            return _counting(call, "/messages/count_tokens", _picked(call, _MESSAGES))
        case "gemini":
            path = call.path.rpartition(":")[0] + ":countTokens"
            body = _object(call)
            if info.vendor != "vertex":
                body = {"generateContentRequest": {"model": f"models/{info.id}", **body}}
            return _counting(call, path, body)
        case _:
            return None


def counted(body: Mapping[str, Any]) -> int | None:
    """Read what a vendor counted; None for what is no count."""
    found = body.get("input_tokens", body.get("totalTokens"))
    return found if isinstance(found, int) else None


def _counting(call: HttpCall, path: str, body: JsonObject) -> HttpCall:
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return replace(call, path=path, body=encoded, segments=(), query={}, stream=False)


def _picked(call: HttpCall, names: Sequence[str]) -> JsonObject:
    body = _object(call)
    return {name: body[name] for name in names if name in body}


def _object(call: HttpCall) -> JsonObject:
    return as_object(json.loads(call.body)) or {}
