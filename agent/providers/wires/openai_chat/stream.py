"""A streamed Chat Completions reply, put together into the body that it would have been as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from treadle.agent.events import CallDelta, HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import ModelInfo, StreamCutShort, Undecodable
from treadle.agent.providers.events_json import loads
from treadle.agent.providers.wires.openai_chat.hosted import FOUND, is_hosted
from treadle.agent.providers.wires.openai_chat.reply import (
    CLOSE,
    OPEN,
    REASONING,
    arguments,
    as_list,
    as_object,
    as_text,
    call_id,
    details_text,
    element_text,
    first_choice,
    is_error,
    read,
)
from treadle.tools.contract import JsonObject

_HANDLED: Final = {"role", "content", "tool_calls", "function_call"}


class ChatDecoder:
    """Takes the chunks of one reply."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._body: JsonObject = {}
        self._fields: JsonObject = {}
        self._strings: dict[str, list[str]] = {}
        """Pieces of the fields that are text."""
        self._logprobs: list[Any] = []
        self._finish = ""
        self._calls = _Calls(model)
        self._think = _ThinkTags(off=not model.dialect.get("think_tags", True))
        self._done = False

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one SSE event. What comes after `[DONE]` does not count."""
        text = data.strip()
        if self._done or not text:
            return ()
        if text == "[DONE]":
            self._done = True
            return tuple(self._think.rest())
        chunk = _parsed(text)
        if not event and self._is_under_way and (plain := _plain_text(chunk)):
            self._strings.setdefault("content", []).append(plain)
            return (TextDelta(plain),)
        if event == "error" or is_error(chunk):
            raise failure_in_stream(chunk)
        self._keep(chunk)
        choice = first_choice(chunk)
        self._logprobs += as_list(as_object(choice.get("logprobs")).get("content"))
        deltas = list(self._take(as_object(choice.get("delta") or choice.get("message"))))
        if as_text(choice.get("finish_reason")):
            self._finish = choice["finish_reason"]
            deltas += self._think.rest()
        return deltas

    @property
    def _is_under_way(self) -> bool:
        """Whether content is only text from here on, and all is known that is kept once."""
        return self._think.idle and self._body.keys() >= _ONCE and "content" not in self._fields

    def finish(self) -> AssistantMessage:
        """Return the whole reply. The end counts only if a `finish_reason` came, but for hosts that send none."""
        optional = self._model.dialect.get("finish_optional", False)
        if not self._finish and not (optional and self._body):
            raise StreamCutShort("the reply ended without a finish_reason")
        return read(self._whole(), self._model)

    def partial(self) -> AssistantMessage:
        """Return what came, without any call: none is known to be whole before the end."""
        return read(self._whole(), self._model, "interrupted")

    def _whole(self) -> JsonObject:
        texts = {key: "".join(pieces) for key, pieces in self._strings.items()}
        message = texts | self._fields | {"tool_calls": self._calls.whole()}
        choice = {"message": message, "finish_reason": self._finish, "logprobs": {"content": self._logprobs}}
        return self._body | {"choices": [choice]}

    def _keep(self, chunk: JsonObject) -> None:
        """Keep what describes the reply. The first id counts, and the last usage: it is cumulative."""
        for key in _ONCE:
            if chunk.get(key) and key not in self._body:
                self._body[key] = chunk[key]
        if chunk.get(FOUND):
            self._body[FOUND] = _merged(self._body.get(FOUND), chunk[FOUND])
        usage = (
            chunk.get("usage")
            or first_choice(chunk).get("usage")
            or as_object(chunk.get("x_groq")).get("usage")
        )
        if usage:
            self._body["usage"] = usage

    def _take(self, delta: JsonObject) -> Iterator[StreamDelta]:
        for key, value in delta.items():
            if key == _DETAILS:
                self._fields[key] = _details(self._fields, value)
            elif key not in _HANDLED and isinstance(value, str):
                self._strings.setdefault(key, []).append(value)
            elif key not in _HANDLED and value is not None:
                self._fields[key] = _merged(self._fields.get(key), value)
        reasoning = _reasoning_text(delta)
        if reasoning:
            yield ReasoningDelta(reasoning)
        yield from self._content(delta.get("content"))
        if as_text(delta.get("refusal")):
            yield TextDelta(delta["refusal"])
        yield from self._calls.take(delta, self._body)

    def _content(self, content: Any) -> Iterator[StreamDelta]:
        """Take content: text, or elements of an array, after which text is an element too."""
        if not content:
            return
        array: list[JsonObject] | None = self._fields.get("content")
        if isinstance(content, str) and array is None:
            self._strings.setdefault("content", []).append(content)
            yield from self._think.take(content)
            return
        if array is None:
            before = "".join(self._strings.pop("content", ()))
            array = self._fields["content"] = [{"type": "text", "text": before}] if before else []
        said = [{"type": "text", "text": content}] if isinstance(content, str) else as_list(content)
        for element in map(as_object, said):
            _extend(array, element)
            text = element_text(element)
            if text:
                yield ReasoningDelta(text) if element.get("type") == "thinking" else TextDelta(text)


_DETAILS: Final = "reasoning_details"
_ONCE: Final = {"id", "model", "created"}
"""What describes a reply and is kept from where it comes first."""
_PLAIN_CHUNK: Final = {
    *("id", "object", "created", "model", "choices"),
    *("usage", "service_tier", "system_fingerprint", "obfuscation"),
}
_PLAIN_CHOICE: Final = {"index", "delta", "finish_reason", "logprobs"}
_NOT_PLAIN: Final = ("finish_reason", "logprobs")


def _plain_text(chunk: JsonObject) -> str:
    """Return the text of a chunk that brings nothing else, as nearly all do; empty when there may be more to it.

    It takes the short way, so that a streamed token costs less than its way through the network.
    """
    choices = as_list(chunk.get("choices"))
    if len(choices) != 1 or chunk.keys() - _PLAIN_CHUNK or chunk.get("usage") or is_error(chunk):
        return ""
    choice = as_object(choices[0])
    if choice.keys() - _PLAIN_CHOICE or choice.get("index") or any(map(choice.get, _NOT_PLAIN)):
        return ""
    delta = as_object(choice.get("delta"))
    return as_text(delta.get("content")) if len(delta) == 1 else ""


def _parsed(text: str) -> JsonObject:
    try:
        chunk = loads(text)
    except ValueError as error:
        raise Undecodable(f"a chunk is not JSON: {text[:200]}") from error
    if not isinstance(chunk, dict):
        raise Undecodable(f"a chunk is not an object: {text[:200]}")
    return cast("JsonObject", chunk)


def _reasoning_text(delta: JsonObject) -> str:
    """Return the reasoning of one chunk once, though several fields may hold it."""
    texts = (details_text(as_list(delta.get(_DETAILS))), *(as_text(delta.get(key)) for key in REASONING))
    return next(filter(None, texts), "")


def _merged(held: Any, value: Any) -> Any:
    if isinstance(held, list) and isinstance(value, list):
        return [*cast("list[Any]", held), *cast("list[Any]", value)]
    return value


def _details(fields: JsonObject, value: Any) -> list[JsonObject]:
    """Join fragments of OpenRouter's reasoning details: those of one type, index and id that follow each other."""
    held: list[JsonObject] = [*fields.get(_DETAILS, ())]
    for item in map(as_object, as_list(value)):
        last = held[-1] if held else {}
        same = all(last.get(key) == item.get(key) for key in ("type", "index"))
        if last and same and item.get("id") in (None, last.get("id")):
            held[-1] = last | {
                key: as_text(last.get(key)) + as_text(new) if key in {"text", "summary", "data"} else new
                for key, new in item.items()
                if new is not None
            }
        else:
            held.append(item)
    return held


def _extend(held: list[JsonObject], element: JsonObject) -> None:
    """Add a fragment of a content element: to the last one, if that is of the same kind."""
    kind = element.get("type")
    if not held or held[-1].get("type") != kind or kind not in {"text", "thinking"}:
        held.append(element)
    elif kind == "text":
        held[-1] = held[-1] | {"text": element_text(held[-1]) + element_text(element)}
    else:
        text = element_text(held[-1]) + element_text(element)
        held[-1] = held[-1] | element | {"thinking": [{"type": "text", "text": text}]}


@dataclass(slots=True)
class _Call:
    """One call while it is written."""

    index: Any
    sent_id: str
    key: str = ""
    """Its id, once it is told to anyone."""
    fields: JsonObject = field(default_factory=dict[str, Any])
    name: str = ""
    custom: bool = False
    pieces: list[str] = field(default_factory=list[str])

    @property
    def written(self) -> str:
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        try:
            return isinstance(json.loads(self.written), dict)
        except ValueError:
            return False


class _Calls:
    """The calls of one reply, in the order in which they began."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._calls: list[_Call] = []
        self._taken: set[str] = set()
        self._hosted: dict[str, JsonObject] = {}

    def take(self, delta: JsonObject, body: JsonObject) -> Iterator[StreamDelta]:
        """Take the fragments of one chunk. A call is shown as soon as its name is known."""
        sent = [as_object(item) for item in as_list(delta.get("tool_calls"))]
        legacy = as_object(delta.get("function_call"))
        for item in (*sent, *([{"index": "legacy", "function": legacy}] if legacy else [])):
            if is_hosted(item):
                self._hosted[str(item.get("id") or item.get("index"))] = item
                yield HostedDelta(as_text(item["type"]), "completed")
                continue
            custom = as_object(item.get("custom"))
            inner = custom or as_object(item.get("function"))
            text = arguments(inner.get("input" if custom else "arguments"))
            name = as_text(inner.get("name"))
            position, call = self._find(item, name, text)
            call.custom = call.custom or bool(custom)
            call.name = call.name or name
            call.fields |= {key: value for key, value in item.items() if key not in _CALL_KEYS}
            call.pieces.append(text)
            if not call.name:
                continue
            first = not call.key
            if first:
                call.key = call_id(call.sent_id, self._taken, body, position, self._model)
            if first or text:
                yield CallDelta(position, call.key, call.name, call.written if first else text)

    def whole(self) -> list[JsonObject]:
        """Return the calls as a whole reply would hold them."""
        return [*self._hosted.values()] + [
            {"id": call.key, "type": "custom", "custom": {"name": call.name, "input": call.written}}
            | call.fields
            if call.custom
            else {
                "id": call.key,
                "type": "function",
                "function": {"name": call.name, "arguments": call.written},
            }
            | call.fields
            for call in self._calls
        ]

    def _find(self, item: JsonObject, name: str, text: str) -> tuple[int, _Call]:
        """Return the call that a fragment belongs to: by index, then by a change of id, then by a new beginning."""
        index, sent_id = item.get("index"), as_text(item.get("id"))
        for position, call in reversed(list(enumerate(self._calls))):
            same = call.index == index if index is not None else not sent_id or call.sent_id == sent_id
            if same and not _begins(call, sent_id, name, text):
                call.sent_id = call.sent_id or sent_id
                return position, call
            if same:
                break
        call = _Call(index, sent_id)
        self._calls.append(call)
        return len(self._calls) - 1, call


_CALL_KEYS: Final = {"index", "id", "type", "function", "custom"}


def _begins(call: _Call, sent_id: str, name: str, text: str) -> bool:
    """Tell whether a fragment under a known index begins another call: hosts that give all calls one index."""
    if not name or not call.name:
        return False
    if name != call.name or (sent_id and call.sent_id and sent_id != call.sent_id):
        return True
    return text.lstrip().startswith("{") and call.complete


class _ThinkTags:
    """Tells a leading `<think>…</think>` from the text after it, though tags come in pieces."""

    def __init__(self, *, off: bool) -> None:
        self._state = "text" if off else "start"
        self._held = ""

    @property
    def idle(self) -> bool:
        """Whether text is only text from here on."""
        return self._state == "text" and not self._held

    def take(self, text: str) -> Iterator[StreamDelta]:
        self._held += text
        if self._state == "start":
            self._start(self._held.lstrip())
        if self._state == "think":
            yield from self._reasoning()
        if self._state == "gap":
            self._held = self._held.lstrip()
            self._state = "text" if self._held else "gap"
        if self._state == "text" and self._held:
            yield TextDelta(self._held)
            self._held = ""

    def rest(self) -> Iterator[StreamDelta]:
        """Yield what was held back, when nothing more comes."""
        if self._held:
            yield ReasoningDelta(self._held) if self._state == "think" else TextDelta(self._held)
        self._held = ""

    def _start(self, begun: str) -> None:
        if begun.startswith(OPEN):
            self._state, self._held = "think", begun[len(OPEN) :]
        elif not OPEN.startswith(begun):
            self._state = "text"

    def _reasoning(self) -> Iterator[StreamDelta]:
        """Yield all but what may be the beginning of the closing tag."""
        text, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._state, self._held = "gap", rest
        else:
            kept = next((size for size in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:size])), 0)
            text, self._held = text[: len(text) - kept], text[len(text) - kept :]
        if text:
            yield ReasoningDelta(text)
