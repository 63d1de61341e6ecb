"""Requests as their bytes tell: cut into what a provider caches, in its order, by these lines alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

Object = dict[str, Any]
_MARKERS = frozenset({"cache_control", "prompt_cache_breakpoint"})


def segments(path: str, body: bytes | str) -> list[str]:
    """Return the pieces of a request, without markers. Numbers stay as they were written, keys in their order."""
    sent = json.loads(
        body, object_hook=_unmarked, parse_float=lambda text: f"~{text}", parse_int=lambda text: f"~{text}"
    )
    return [json.dumps(piece) for piece in _pieces(path, sent)]


def knobs(body: bytes | str) -> Object:
    """Return what stands beside the prompt."""
    prompt = {
        *("tools", "system", "messages", "input", "instructions", "prompt"),
        *("systemInstruction", "contents", "system_instruction"),
    }
    return {name: value for name, value in json.loads(body).items() if name not in prompt}


def begins(after: Sequence[str], before: Sequence[str]) -> str | None:
    """Say where a request does not begin with an earlier one; None when it does."""
    for index, old in enumerate(before):
        new = after[index] if index < len(after) else "nothing"
        if new != old:
            at = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
            near = max(0, at - 60)
            return f"piece {index} of {len(before)}: {old[near : at + 60]!r} became {new[near : at + 60]!r}"
    return None


def _unmarked(value: Object) -> Object:
    return {name: each for name, each in value.items() if name not in _MARKERS}


def _pieces(path: str, sent: Object) -> Iterator[Any]:
    if path.endswith("/messages") or "rawPredict" in path.lower():
        yield from sent.get("tools", ())
        yield from sent.get("system", ())
        for message in sent["messages"]:
            for block in message["content"]:
                yield [message["role"], block]
    elif path.endswith("/chat/completions"):
        yield from sent.get("tools", ())
        yield from sent["messages"]
    elif path.endswith("/responses"):
        yield from sent.get("tools", ())
        yield from sent["input"]
    elif path.endswith("/interactions"):
        yield from sent.get("tools", ())
        yield sent.get("system_instruction")
        yield from sent["input"]
    elif "enerateContent" in path:
        yield from sent.get("tools", ())
        yield sent.get("systemInstruction")
        for content in sent["contents"]:
            for part in content["parts"]:
                yield [content["role"], part]
    else:
        assert path.endswith("/completions"), path
        yield from sent["prompt"].removesuffix("Assistant:").splitlines(keepends=True)
