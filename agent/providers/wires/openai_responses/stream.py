"""A Responses reply from its events, or as it came whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from treadle.agent.events import CallDelta, HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import ModelInfo, StreamCutShort, Undecodable
from treadle.agent.providers.events_json import loads, sound
from treadle.agent.providers.rendering import derived_id
from treadle.agent.providers.wires.openai_responses.items import LONGEST_ID
from treadle.agent.providers.wires.openai_responses.reply import (
    CALLS,
    Reply,
    as_object,
    as_text,
    called,
    hosted_kind,
    message_of,
    objects,
    said,
    thought,
    written,
)
from treadle.tools.contract import JsonObject

_GROWS: Final = {
    "response.output_text.delta": ("message", "text", "content_index"),
    "response.refusal.delta": ("message", "refusal", "content_index"),
    "response.reasoning_text.delta": ("reasoning", "content", "content_index"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary", "summary_index"),
    "response.function_call_arguments.delta": ("function_call", "arguments", ""),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input", ""),
}
"""Events with more of an item: the item's type, what grows, and where it is told which piece of it."""

_SHAPES: Final[dict[str, tuple[str, JsonObject, str]]] = {
    "text": ("content", {"type": "output_text", "annotations": []}, "text"),
    "refusal": ("content", {"type": "refusal"}, "refusal"),
    "content": ("content", {"type": "reasoning_text"}, "text"),
    "summary": ("summary", {"type": "summary_text"}, "text"),
}
"""What grows: the array that it stands in, the piece, and the key of its text."""
_NOT_YET: Final = {"status", "encrypted_content"}
"""What holds only when an item is told whole: encrypted reasoning comes as a prefix at first."""

_PROGRESS: Final = re.compile(r"response\.(\w+_call)\.(\w+)")
_OWN_STATES: Final = {"in_progress", "completed", "failed"}
# Ids that only count, or are missing: unique in a reply at most.
_WEAK_ID: Final = re.compile(r"(?:call|tool|tool_?call|fc|func|function|id)?[_-]?\d{0,4}", re.IGNORECASE)


@dataclass(slots=True)
class _Item:
    """One output item while it comes."""

    body: JsonObject
    whole: bool = False
    key: str = ""
    """A call's id, once it is told."""
    ordinal: int = 0
    """Which call of the reply it is, from 0."""
    pieces: dict[tuple[str, int], list[str]] = field(default_factory=dict[tuple[str, int], list[str]])
    shown: list[str] = field(default_factory=list[str])
    """What was told of it."""

    @property
    def kind(self) -> str:
        return as_text(self.body.get("type"))

    def built(self) -> JsonObject:
        """Return what came of an item that never was told whole."""
        body = {key: value for key, value in self.body.items() if key not in _NOT_YET}
        if self.kind == "message":
            body["role"] = "assistant"
        for (grown, _), texts in sorted(self.pieces.items(), key=lambda entry: entry[0][1]):
            text = "".join(texts)
            if grown in _SHAPES:
                array, piece, key = _SHAPES[grown]
                body[array] = [*(body.get(array) or ()), {**piece, key: text}]
            else:
                body[grown] = text
        return body

    def rest(self) -> str:
        """Return what of a whole item was not told yet. What was told otherwise is not told again."""
        if self.kind == "reasoning":
            text, summary = thought(self.body)
            whole = text or "\n\n".join(summary)
        else:
            whole = said(self.body) if self.kind == "message" else written(self.body)
        told = "".join(self.shown)
        return whole[len(told) :] if whole.startswith(told) else ""


class ResponseDecoder:
    """Puts a reply together, by the index of its items: some proxies change their ids between two events."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._response: JsonObject = {}
        self._items: dict[int, _Item] = {}
        self._calls: set[str] = set()
        self._ended = False

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one event. What is not known is passed over, as is all that follows the end."""
        if self._ended or not data or data.strip() == "[DONE]":
            return ()
        payload = _loaded(data)
        kind = as_text(payload.get("type")) or event
        grows = _GROWS.get(kind)
        return self._grow(payload, *grows) if grows else self._move(kind, payload)

    def begin(self, response: JsonObject) -> None:
        """Take what is known of the response; its output is told by its items."""
        self._response |= {key: value for key, value in response.items() if key != "output"}

    def open(self, index: int, body: JsonObject) -> Sequence[StreamDelta]:
        """Begin an item. A call's id and name are known from here on."""
        item = self._items.get(index)
        if item is None or item.kind != body.get("type"):
            item = self._items[index] = _Item(body)
        elif item.whole:
            return ()
        item.body = body
        if hosted_kind(body):
            return (HostedDelta(hosted_kind(body), "started"),)
        if item.kind not in CALLS or item.key:
            return ()
        item.key, item.ordinal = self._call_id(body, index), len(self._calls)
        self._calls.add(item.key)
        return (_told(item, ""),)

    def close(self, index: int, body: JsonObject) -> Iterator[StreamDelta]:
        """Take an item as it is in the end: encrypted reasoning, phase and arguments hold only now."""
        item = self._items.get(index)
        if item is None or item.kind != body.get("type") or (item.kind in CALLS and not item.key):
            yield from self.open(index, body)
            item = self._items[index]
        item.body, item.whole = body | ({"call_id": item.key} if item.key else {}), True
        if hosted_kind(body):
            yield HostedDelta(hosted_kind(body), "failed" if body.get("status") == "failed" else "done")
        elif item.kind in {"message", "reasoning", *CALLS}:
            rest = item.rest()
            if rest:
                yield _told(item, rest)

    def end(self, response: JsonObject) -> Iterator[StreamDelta]:
        """Take the reply as whole. What was not told in events is taken from the response itself."""
        self._ended = True
        self.begin(response)
        output = list(objects(response.get("output")))
        if not self._items:
            for index, body in enumerate(output):
                yield from self.close(index, body)
        for index, item in self._items.items():
            if not item.whole:
                last = output[index] if index < len(output) else {}
                yield from self.close(index, last if last.get("type") == item.kind else item.built())

    def finish(self) -> AssistantMessage:
        """Return the whole reply. The end of the stream is not the end of the reply."""
        if not self._ended:
            raise StreamCutShort("the stream ended before the response did")
        items = [self._items[index].body for index in sorted(self._items)]
        return message_of(Reply(self._response, items), self._model)

    def partial(self) -> AssistantMessage:
        """Return what came: whole items, and texts and reasoning that were on."""
        items = [
            item.body if item.whole else item.built()
            for _, item in sorted(self._items.items())
            if item.whole or item.kind in {"message", "reasoning"}
        ]
        return message_of(Reply(self._response, items, "interrupted"), self._model)

    def _move(self, kind: str, payload: JsonObject) -> Sequence[StreamDelta]:
        match kind:
            case "response.output_item.added":
                return self.open(self._index(payload, new=True), as_object(payload.get("item")))
            case "response.output_item.done":
                return tuple(self.close(self._index(payload), as_object(payload.get("item"))))
            case "response.completed" | "response.incomplete":
                response = as_object(payload.get("response"))
                status = as_text(response.get("status")) or kind.removeprefix("response.")
                return tuple(self.end(response | {"status": status}))
            case "response.created" | "response.queued" | "response.in_progress":
                self.begin(as_object(payload.get("response")))
            case "response.failed":
                raise failure_in_stream({"error": as_object(payload.get("response")).get("error") or {}})
            case _ if kind == "error" or (not kind and payload.get("error")):
                raise failure_in_stream(payload)
            case _:
                return _progress(kind)
        return ()

    def _grow(self, payload: JsonObject, kind: str, grown: str, place: str) -> Sequence[StreamDelta]:
        index = self._index(payload)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Item({"type": kind})
        text = as_text(payload.get("delta"))
        if item.whole or not text:
            return ()
        key = (grown, payload.get(place, 0) if place else 0)
        pieces = item.pieces.get(key)
        lead = ""
        if pieces is None:
            pieces = item.pieces[key] = []
            lead = "\n\n" if grown == "summary" and len(item.pieces) > 1 else ""
        pieces.append(text)
        if item.kind == "reasoning" and next(iter(item.pieces))[0] != grown:
            return ()
        if item.kind in CALLS and not item.key:
            return ()
        item.shown.append(lead + text)
        return (_told(item, lead + text),)

    def _index(self, payload: JsonObject, *, new: bool = False) -> int:
        """Return the event's index; where it has none, the one of the item that is on."""
        index = payload.get("output_index")
        return index if isinstance(index, int) else max(self._items, default=-1) + new

    def _call_id(self, body: JsonObject, index: int) -> str:
        """Return the id of a call: the host's own if it tells calls apart, else a derived one."""
        key = as_text(body.get("call_id"))
        if key in self._calls or len(key) > LONGEST_ID or _WEAK_ID.fullmatch(key):
            return derived_id(self._response.get("id"), index, key)
        return key


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came whole, as if its items had been streamed in one piece each.

    Raises what an error under status 200 is, `StreamCutShort` for a reply that is not finished, and `Undecodable`
    for what is no reply.
    """
    if body.get("error") or body.get("status") == "failed":
        raise failure_in_stream({"error": body.get("error") or {}})
    if not isinstance(body.get("output"), list):
        raise Undecodable("the reply holds no output")
    status = as_text(body.get("status")) or "completed"
    if status not in {"completed", "incomplete"}:
        raise StreamCutShort(f"the response is {status}", code=status)
    decoder = ResponseDecoder(model)
    for _ in decoder.end(sound(body)):
        pass
    return decoder.finish()


def _told(item: _Item, text: str) -> StreamDelta:
    if item.kind == "message":
        return TextDelta(text)
    if item.kind == "reasoning":
        return ReasoningDelta(text)
    return CallDelta(item.ordinal, item.key, called(item.body), text)


def _progress(kind: str) -> Sequence[StreamDelta]:
    """Return how a hosted tool moves on. That it began or ended is told by its item."""
    found = _PROGRESS.fullmatch(kind)
    hosted = hosted_kind({"type": found[1]}) if found else ""
    return (HostedDelta(hosted, found[2]),) if found and hosted and found[2] not in _OWN_STATES else ()


def _loaded(data: str) -> JsonObject:
    try:
        payload = loads(data)
    except ValueError as error:
        raise Undecodable(f"an event is not JSON: {data[:200]}") from error
    if not isinstance(payload, dict):
        raise Undecodable(f"an event is not an object: {data[:200]}")
    return cast("JsonObject", payload)
