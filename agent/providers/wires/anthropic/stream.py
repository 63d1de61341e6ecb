"""Anthropic's events, put together to a reply."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, cast

from treadle.agent.events import HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage, HostedCallPart, HostedResultPart
from treadle.agent.providers.classify import failure, failure_in_stream
from treadle.agent.providers.contract import ModelInfo, ProviderError, StreamCutShort, Undecodable
from treadle.agent.providers.rendering import derived_id, dumps
from treadle.agent.providers.wires.anthropic.blocks import call_id
from treadle.agent.providers.wires.anthropic.reply import (
    READ_IN_PART,
    SERVER_CALLS,
    Block,
    built_message,
    hosted_content,
    hosted_kind,
    json_object,
    refusal,
    string,
)
from treadle.tools.contract import JsonObject

_STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class MessageDecoder:
    """Puts a reply together from its events."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._message: JsonObject = {}
        self._blocks: list[Block] = []
        self._at: dict[int, Block] = {}
        self._ended = False

    def feed(self, event: str, data: str) -> Iterable[StreamDelta]:
        """Take one event. What is not known is passed over, as is all that follows the end."""
        if self._ended or data.strip() in {"", "[DONE]"}:
            return ()
        payload = _loaded(data)
        match payload.get("type") or event:
            case "content_block_delta":
                return self._grow(payload)
            case "content_block_start":
                return self.open(self._index(payload, new=True), json_object(payload.get("content_block")))
            case "content_block_stop":
                return self.close(self._index(payload))
            case "message_start":
                self.begin(json_object(payload.get("message")))
            case "message_delta":
                self._amend(payload)
            case "message_stop":
                return self.end()
            case "error":
                raise _failure_within(payload)
            case _ if payload.get("error"):
                raise _failure_within(payload)
            case _:
                pass
        return ()

    def begin(self, message: JsonObject) -> None:
        """Take what is known of the message. A second one, of a fallback, stands in its place; blocks stay."""
        self._message = {key: value for key, value in message.items() if key != "content"}

    def open(self, index: int, body: JsonObject) -> Iterable[StreamDelta]:
        """Begin a block. A call at this index that was never ended was given up."""
        before = self._at.get(index)
        if before is not None and not before.whole and before.kind not in READ_IN_PART:
            self._blocks.remove(before)
        calls = sum(block.kind == "tool_use" for block in self._blocks)
        block = self._at[index] = Block(index, calls, dict(body))
        if block.kind == "tool_use":
            block.body["id"] = self._call_id(block)
        self._blocks.append(block)
        match block.kind:
            case "text" if body.get("text"):
                return (TextDelta(string(body["text"])),)
            case "thinking" if body.get("thinking"):
                return (ReasoningDelta(string(body["thinking"])),)
            case "tool_use":
                return (block.delta(""),)
            case kind if kind in SERVER_CALLS:
                return (HostedDelta(hosted_kind(block.body), "started"),)
            case kind if kind.endswith("_tool_result"):
                failed = hosted_content(block.body)[1]
                return (HostedDelta(hosted_kind(block.body), "failed" if failed else "done"),)
            case _:
                return ()

    def close(self, index: int) -> Iterable[StreamDelta]:
        """End a block. A call whose input came with its start is told now, for no delta told it."""
        block = self._at.get(index)
        if block is None or block.whole:
            return ()
        block.whole = True
        if block.kind == "tool_use" and not block.wrote:
            return (block.delta(block.written() or ""),)
        return ()

    def end(self) -> Iterable[StreamDelta]:
        """Take the reply as whole. Why it was refused, if it was, is told now."""
        self._ended = True
        for block in self._at.values():
            block.whole = True
        why = refusal(self._message)
        return (TextDelta(why),) if why else ()

    def finish(self) -> AssistantMessage:
        """Return the whole message."""
        if not self._ended:
            raise StreamCutShort("the stream ended before the message did")
        return built_message(self._message, self._blocks, self._model)

    def partial(self) -> AssistantMessage:
        """Return what came: texts, thinking, and calls that are whole."""
        kept = [block for block in self._blocks if block.whole or block.kind in READ_IN_PART]
        message = built_message(self._message, kept, self._model)
        answered = {part.call_id for part in message.parts if isinstance(part, HostedResultPart)}
        parts = tuple(
            part for part in message.parts if not isinstance(part, HostedCallPart) or part.id in answered
        )
        return message.model_copy(update={"parts": parts, "stop": "interrupted", "state": "interrupted"})

    def _index(self, payload: JsonObject, *, new: bool = False) -> int:
        """Return the event's index; where it has none, the one of the block that is on."""
        index = payload.get("index")
        if isinstance(index, int):
            return index
        last = self._blocks[-1].index if self._blocks else -1
        return last + 1 if new else last

    def _grow(self, payload: JsonObject) -> Iterable[StreamDelta]:
        index, delta = self._index(payload), json_object(payload.get("delta"))
        block = self._at.get(index)
        if block is None:
            name = {"text_delta": "text", "thinking_delta": "thinking"}.get(string(delta.get("type")))
            if name is None:
                return ()
            self.open(index, {"type": name, name: ""})
            block = self._at[index]
        text = block.add(delta)
        match delta.get("type"):
            case "text_delta" if text:
                return (TextDelta(text),)
            case "thinking_delta" if text:
                return (ReasoningDelta(text),)
            case "input_json_delta" if text and block.kind == "tool_use":
                return (block.delta(text),)
            case _:
                return ()

    def _amend(self, payload: JsonObject) -> None:
        """Take a message delta: its counts are totals; the last word that says something holds."""
        known = json_object(self._message.get("usage"))
        usage = known | {key: value for key, value in json_object(payload.get("usage")).items() if value}
        said = {
            **json_object(payload.get("delta")),
            "input_transformations": payload.get("input_transformations"),
        }
        self._message |= {key: value for key, value in said.items() if value is not None} | {"usage": usage}

    def _call_id(self, block: Block) -> str:
        """Return an id that can be sent back, and that no other call of the reply has."""
        told = string(block.body.get("id"))
        taken = {string(other.body.get("id")) for other in self._blocks}
        if told and told not in taken:
            return call_id(told)
        return derived_id(told, dumps(self._message), block.index, prefix="toolu_")


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came whole, as if it had been streamed in one piece.

    Raises a `ProviderError` for an error under status 200, `Undecodable` for what is no message.
    """
    if body.get("type") == "error" or body.get("error"):
        raise _failure_within(body)
    content = body.get("content")
    if not isinstance(content, list):
        raise Undecodable("the reply is no message: it has no content")
    decoder = MessageDecoder(model)
    decoder.begin(body)
    for index, block in enumerate(cast("list[Any]", content)):
        decoder.open(index, json_object(block))
        decoder.close(index)
    decoder.end()
    return decoder.finish()


def _failure_within(payload: JsonObject) -> ProviderError:
    """Return the error under status 200, judged by the status that it would have had."""
    kind = string(json_object(payload.get("error")).get("type"))
    if kind not in _STATUSES:
        return failure_in_stream(payload)
    request = string(payload.get("request_id"))
    return failure(_STATUSES[kind], {"request-id": request}, dumps(payload).encode())


def _loaded(data: str) -> JsonObject:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"an event is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise Undecodable("an event is no JSON object")
    return cast("JsonObject", payload)
