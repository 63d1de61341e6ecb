"""A Chat Completions reply as a message: the one mapper for whole and for streamed replies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

from treadle.agent.messages import (
    AssistantMessage,
    CacheWrite,
    CallPart,
    CitationPart,
    OpaquePart,
    Origin,
    Part,
    ReasoningPart,
    RefusalPart,
    State,
    StopReason,
    TextPart,
    TokenLogprob,
    Usage,
)
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import ModelInfo, StreamCutShort, Undecodable
from treadle.agent.providers.events_json import sound
from treadle.agent.providers.rendering import derived_id, dumps, sound_name
from treadle.agent.providers.wires.openai_chat.hosted import FIELDS, is_hosted, pictures, told
from treadle.tools.contract import JsonObject, ToolCall

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
REASONING: Final = ("reasoning_content", "reasoning")
"""Fields that hold reasoning as text, the preferred one first."""

_STOPS: Final[dict[str, StopReason]] = {
    "stop": "end",
    "eos": "end",
    "end_turn": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "model_context_window_exceeded": "context_window",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
}
_BROKEN: Final = {"error", "network_error", "abort", "insufficient_system_resource"}
# `reasoning` beside `reasoning_details` says the same again; the others a request may not hold.
_OURS: Final = {
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "reasoning_details",
}
# Ids that only count, or are missing: unique in a reply at most.
_WEAK_ID: Final = re.compile(r"(?:call|tool|tool_?call|func|function|id)?[_-]?\d{0,4}", re.IGNORECASE)


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came in one piece. Raises what an error under status 200 is."""
    if is_error(body):
        raise failure_in_stream(body)
    choice = first_choice(body)
    if not isinstance(choice.get("message"), dict):
        raise Undecodable("the reply holds no message")
    return read(sound(body), model)


def read(body: JsonObject, model: ModelInfo, state: State = "complete") -> AssistantMessage:
    """Return the message that a whole body holds, be it received or put together from a stream."""
    choice = first_choice(body)
    fields = as_object(choice.get("message"))
    finish = as_text(choice.get("finish_reason"))
    if state == "complete" and finish in _BROKEN:
        raise StreamCutShort(f"the provider broke off: {finish}", code=finish)
    calls = _calls(body, fields, model) if state == "complete" else ()
    parts = (*told(body, fields), *_said(fields, model), *calls)
    return AssistantMessage(
        parts=parts,
        origin=Origin(
            wire=model.wire,
            vendor=model.vendor,
            endpoint=model.endpoint,
            model=model.id,
            served=as_text(body.get("model")),
        ),
        stop=_stop(finish, parts) if state == "complete" else "interrupted",
        stop_raw=finish,
        state=state,
        usage=_usage(as_object(body.get("usage") or choice.get("usage")), model),
        response_id=as_text(body.get("id")),
        logprobs=tuple(_logprobs(as_object(choice.get("logprobs")))),
    )


def is_error(body: JsonObject) -> bool:
    """Tell whether a body under status 200 is an error, in any of the shapes in which hosts send one."""
    bare = "choices" not in body and ("message" in body or "msg" in body)
    return bool(body.get("error")) or body.get("object") == "error" or bare


def first_choice(body: JsonObject) -> JsonObject:
    """Return the choice with index 0. Hosts that answer with several were not asked to."""
    for choice in map(as_object, as_list(body.get("choices"))):
        if choice.get("index", 0) == 0:
            return choice
    return {}


def as_object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def details_text(details: list[Any]) -> str:
    """Return what of OpenRouter's reasoning details can be read."""
    return "".join(as_text(as_object(item).get(key)) for item in details for key in ("text", "summary"))


def element_text(element: JsonObject) -> str:
    """Return the text of a content element: of a text, or of a Mistral `thinking`."""
    inner = element.get("thinking", element.get("text"))
    if isinstance(inner, list):
        return "".join(element_text(as_object(item)) for item in cast("list[Any]", inner))
    return as_text(inner)


def call_id(sent: Any, taken: set[str], body: JsonObject, position: int, model: ModelInfo) -> str:
    """Return the id of a call, and take it: the host's own if it tells calls apart, else a derived one."""
    key = as_text(sent)
    if key in taken or _WEAK_ID.fullmatch(key):
        length = model.dialect.get("call_id_length", 0)
        seed = (body.get("id"), body.get("created"), position)
        key = derived_id(*seed, prefix="" if length else "call_", length=length or 24)
    taken.add(key)
    return key


def split_think(text: str) -> tuple[str, str]:
    """Return the reasoning in tags that a content begins with, and the rest."""
    start = text.lstrip()
    if not start.startswith(OPEN):
        return "", text
    reasoning, _, rest = start[len(OPEN) :].partition(CLOSE)
    return reasoning, rest.lstrip()


def _said(fields: JsonObject, model: ModelInfo) -> Iterator[Part]:
    yield from _reasoning(fields)
    yield from _content(fields.get("content"), model)
    refusal = fields.get("refusal")
    if refusal:
        told = isinstance(refusal, str)  # some hosts only say that it is one
        yield RefusalPart(text=as_text(refusal), raw=dumps({"refusal": refusal}) if told else "")
    for note in as_list(fields.get("annotations")):
        cited = as_object(as_object(note).get("url_citation"))
        if cited:
            yield CitationPart(
                url=as_text(cited.get("url")),
                title=as_text(cited.get("title")),
                quote=as_text(cited.get("content")),
            )
    yield from pictures(fields)
    for key, value in fields.items():
        if key not in _OURS | FIELDS and key not in REASONING and value not in (None, "", [], {}):
            yield OpaquePart(kind=key, raw=dumps({key: value}))


def _reasoning(fields: JsonObject) -> Iterator[ReasoningPart]:
    """Yield the reasoning once, though several fields may hold it: the one that can be sent back best."""
    key = next((key for key in REASONING if as_text(fields.get(key)).strip()), "")
    text = as_text(fields.get(key))
    details = as_list(fields.get("reasoning_details"))
    if details:
        items = [as_object(item) for item in details]
        yield ReasoningPart(
            text=details_text(details) or text,
            summary=tuple(as_text(item["summary"]) for item in items if item.get("summary")),
            signature=next((as_text(item["signature"]) for item in items if item.get("signature")), None),
            encrypted=next((as_text(item["data"]) for item in items if item.get("data")), None),
            raw=dumps({"reasoning_details": details}),
        )
    elif key:
        yield ReasoningPart(text=text, raw=dumps({key: text}))


def _content(content: Any, model: ModelInfo) -> Iterator[Part]:
    if isinstance(content, str) and content:
        reasoning, text = split_think(content) if model.dialect.get("think_tags", True) else ("", content)
        raw = dumps({"content": content})
        if reasoning.strip():
            yield ReasoningPart(text=reasoning, raw="" if text else raw)
        if text:
            yield TextPart(text=text, raw=raw)
    for element in map(as_object, as_list(content)):
        kind, raw = as_text(element.get("type")), dumps({"content": [element]})
        match kind:
            case "text":
                yield TextPart(text=element_text(element), raw=raw)
            case "thinking":
                yield ReasoningPart(text=element_text(element), raw=raw)
            case "refusal":
                yield RefusalPart(text=as_text(element.get("refusal")), raw=raw)
            case _:
                yield OpaquePart(kind=kind, raw=raw)


def _calls(body: JsonObject, fields: JsonObject, model: ModelInfo) -> Iterator[CallPart]:
    sent = [item for item in map(as_object, as_list(fields.get("tool_calls"))) if not is_hosted(item)]
    legacy = as_object(fields.get("function_call"))
    if legacy and not sent:
        sent = [{"id": "", "type": "function", "function": legacy}]
    taken: set[str] = set()
    for position, item in enumerate(sent):
        key = call_id(item.get("id"), taken, body, position, model)
        free = as_object(item.get("custom"))
        inner = free or as_object(item.get("function"))
        name, text = as_text(inner.get("name")), arguments(inner.get("input" if free else "arguments"))
        if free:
            raw = {**item, "id": key, "custom": {**free, "name": sound_name(name)}}
        else:
            named = {**inner, "name": sound_name(name), "arguments": text if text.strip() else "{}"}
            raw = {**item, "id": key, "type": "function", "function": named}
        raw.pop("index", None)
        call = ToolCall(id=key, name=name, arguments=text, input="text" if free else "json")
        yield CallPart(call=call, raw=dumps(raw))


def arguments(value: Any) -> str:
    """Return arguments as text. Some hosts send an object where the format wants a string."""
    return value if isinstance(value, str) else "" if value is None else dumps(value)


def _stop(finish: str, parts: tuple[Part, ...]) -> StopReason:
    stop = _STOPS.get(finish, "other") if finish else "end"
    calls = any(isinstance(part, CallPart) for part in parts)
    if stop in {"end", "stop_sequence", "tool_use"} and calls:
        return "tool_use"
    if stop == "tool_use":
        return "other"
    if stop == "end" and any(isinstance(part, RefusalPart) for part in parts):
        return "refusal"
    return stop


def _usage(usage: JsonObject, model: ModelInfo) -> Usage:
    """Make OpenAI's totals disjoint. Some hosts count reasoning beside the completion, not in it."""
    read_, written = (
        as_object(usage.get("prompt_tokens_details")),
        model.dialect.get("cache_write", "unknown"),
    )
    details = as_object(usage.get("completion_tokens_details"))
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _count(details, "reasoning_tokens")
    if reasoning and _count(usage, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    hit = _count(read_, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens", "cached_tokens")
    wrote = _count(read_, "cache_write_tokens")
    cost = usage.get("cost")
    return Usage(
        input=max(0, prompt - hit - wrote),
        cache_read=hit,
        cache_write=CacheWrite.model_validate({written: wrote}),
        output=completion,
        reasoning=reasoning,
        cost=_number(cost) if isinstance(cost, int | float) else None,
    )


def _count(data: JsonObject, *keys: str) -> int:
    return next((value for key in keys if isinstance(value := data.get(key), int)), 0)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _logprobs(data: JsonObject) -> Iterator[TokenLogprob]:
    for item in map(as_object, as_list(data.get("content"))):
        others = tuple(
            (as_text(other.get("token")), _number(other.get("logprob")))
            for other in map(as_object, as_list(item.get("top_logprobs")))
        )
        yield TokenLogprob(token=as_text(item.get("token")), logprob=_number(item.get("logprob")), top=others)
