"""Output items of the Responses API as parts: the one mapper for whole and for streamed replies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from treadle.agent.messages import (
    AssistantMessage,
    CacheWrite,
    CallPart,
    CitationPart,
    CompactionPart,
    HostedCallPart,
    HostedResultPart,
    MediaPart,
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
    Warned,
)
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.providers.rendering import dumps
from treadle.agent.providers.wires.openai_responses.items import sendable
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Inline, Json, JsonObject, Media, Text, ToolCall, ToolRef, Url

SCREEN: Final = "computer_use"
"""Our name for what a call of the screen calls: the API has none."""
CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input", "computer_call": "actions"}
"""Items that are calls for us to run, and the key of what the model wrote."""
_ACTS: Final = ("actions", "action", "pending_safety_checks")

_HOSTED: Final[dict[str, tuple[str, str]]] = {
    "web_search_call": ("web_search", "action"),
    "file_search_call": ("file_search", "queries"),
    "code_interpreter_call": ("code_interpreter", "code"),
    "image_generation_call": ("image_generation", "revised_prompt"),
    "mcp_call": ("mcp", "arguments"),
    "tool_search_call": ("tool_search", "arguments"),
}
"""Items that are calls of hosted tools: our name, and the key of what the model asked for."""

_STOPS: Final[dict[str, StopReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "completed": "end",
}
# What the provider adds for readers, or refuses to be told.
_TOLD_ONLY: Final = {"created_by", "logprobs"}


@frozen
class Reply:
    """What a message is made of."""

    response: JsonObject
    """The response object, but for its output."""
    items: Sequence[JsonObject]
    state: State = "complete"


def message_of(reply: Reply, model: ModelInfo) -> AssistantMessage:
    """Return the message that items and the object around them are."""
    response, status = reply.response, as_text(reply.response.get("status")) or "completed"
    reason = as_text(as_object(response.get("incomplete_details")).get("reason")) or status
    cut = status == "incomplete"
    halves = [item for item in reply.items if cut and _is_half(item)]
    parts = tuple(part for item in reply.items if item not in halves for part in _parts(item))
    return AssistantMessage(
        parts=parts,
        origin=Origin(
            wire=model.wire,
            vendor=model.vendor,
            endpoint=model.endpoint,
            model=model.id,
            served=as_text(response.get("model")),
        ),
        stop=_stop(reason, parts) if reply.state == "complete" else "interrupted",
        stop_raw=reason if reply.state == "complete" else "",
        state=reply.state,
        usage=_usage(as_object(response.get("usage")), model),
        response_id=as_text(response.get("id")),
        diagnosis=_diagnosis(response.get("prompt_cache_diagnostics")),
        warnings=tuple(dict.fromkeys((*_transformed(response), *map(_half_call, halves)))),
        logprobs=tuple(_logprobs(reply.items)),
    )


def as_object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def objects(value: Any) -> Iterator[JsonObject]:
    """Yield the elements of an array of objects."""
    yield from map(as_object, as_list(value))


def hosted_kind(item: JsonObject) -> str:
    """Return our name for the hosted tool that an item is a call of; empty for other items."""
    return _HOSTED.get(as_text(item.get("type")), ("", ""))[0]


def said(item: JsonObject) -> str:
    """Return what a message item shows."""
    return "".join(
        as_text(part.get("text")) + as_text(part.get("refusal")) for part in objects(item.get("content"))
    )


def thought(item: JsonObject) -> tuple[str, tuple[str, ...]]:
    """Return the text of a reasoning item, and its summaries."""
    text = "".join(as_text(part.get("text")) for part in objects(item.get("content")))
    return text, tuple(as_text(part.get("text")) for part in objects(item.get("summary")))


def called(item: JsonObject) -> str:
    """Return the name of what a call calls."""
    return SCREEN if item.get("type") == "computer_call" else as_text(item.get("name"))


def written(item: JsonObject) -> str:
    """Return what a model wrote into a call. Some hosts send an object where the format wants a string."""
    if item.get("type") == "computer_call":
        return dumps({key: item[key] for key in _ACTS if item.get(key)})
    value = item.get(CALLS[as_text(item.get("type"))])
    return value if isinstance(value, str) else "" if value is None else dumps(value)


def _parts(item: JsonObject) -> Iterator[Part]:
    kind, raw = as_text(item.get("type")), dumps(_kept(item))
    match kind:
        case "message":
            yield from _message(item, raw)
        case "reasoning":
            text, summary = thought(item)
            sealed = as_text(item.get("encrypted_content")) or None
            yield ReasoningPart(text=text, summary=summary, encrypted=sealed, raw=raw)
        case "function_call" | "custom_tool_call":
            text, free = written(item), kind == "custom_tool_call"
            key, name = as_text(item.get("call_id")), as_text(item.get("name"))
            sent = text if free or text.strip() else "{}"
            raw = dumps(_kept(item) | {"name": sendable(name), CALLS[kind]: sent})
            call = ToolCall(id=key, name=name, arguments=text, input="text" if free else "json")
            yield CallPart(call=call, raw=raw)
        case "computer_call":
            call = ToolCall(id=as_text(item.get("call_id")), name=SCREEN, arguments=written(item))
            yield CallPart(call=call, raw=raw)
        case "tool_search_output":
            names = tuple(ToolRef(name=as_text(tool.get("name"))) for tool in objects(item.get("tools")))
            key = as_text(item.get("call_id"))
            yield HostedResultPart(call_id=key, kind="tool_search", content=names, raw=raw)
        case _ if kind in _HOSTED:
            yield from _hosted(item, raw)
        case "compaction":
            yield CompactionPart(raw=raw)
        case _:
            yield OpaquePart(kind=kind, raw=raw)


def _kept(item: JsonObject) -> JsonObject:
    """Return an item as it goes back: what came, but for what is told only, and for fields that may not be null."""
    dropped = _TOLD_ONLY | {key for key in ("status", "content") if item.get(key) is None}
    if item.get("type") == "custom_tool_call":
        dropped |= {"status"}
    kept = {key: value for key, value in item.items() if key not in dropped}
    if item.get("type") == "reasoning":
        kept.setdefault("summary", [])
    if item.get("type") == "message":
        kept["content"] = [
            {key: value for key, value in part.items() if key not in _TOLD_ONLY}
            for part in objects(item.get("content"))
        ]
    return kept


def _message(item: JsonObject, raw: str) -> Iterator[Part]:
    """Yield a part for each piece of content. The first one holds the item, for it goes back as one.

    Of a message without content nothing is left: the API refuses it.
    """
    phase = as_text(item.get("phase")) or None
    for piece in objects(item.get("content")):
        match as_text(piece.get("type")):
            case "output_text" | "text":
                yield TextPart(text=as_text(piece.get("text")), phase=phase, raw=raw)
            case "refusal":
                yield RefusalPart(text=as_text(piece.get("refusal")), raw=raw)
            case kind:
                yield OpaquePart(kind=kind, raw=raw)
        raw = ""
        for note in objects(piece.get("annotations")):
            title = as_text(note.get("title")) or as_text(note.get("filename"))
            yield CitationPart(url=as_text(note.get("url")), title=title)


def _hosted(item: JsonObject, raw: str) -> Iterator[Part]:
    """Yield a call of a hosted tool, and what came of it, if that is told."""
    kind, wrote = _HOSTED[as_text(item.get("type"))]
    asked, key = item.get(wrote), as_text(item.get("call_id")) or as_text(item.get("id"))
    arguments = asked if isinstance(asked, str) else "" if asked is None else dumps(asked)
    yield HostedCallPart(id=key, kind=kind, arguments=arguments, raw=raw)
    picture = as_text(item.get("result"))
    if picture:
        form = as_text(item.get("output_format")) or "png"
        yield MediaPart(media=Media(kind="image", mime=f"image/{form}", source=Inline(data=picture)))
    content, failed = tuple(_outcome(item)), bool(item.get("error")) or item.get("status") == "failed"
    if content or failed:
        yield HostedResultPart(call_id=key, kind=kind, content=content, is_error=failed)


def _outcome(item: JsonObject) -> Iterator[Content]:
    if item.get("output"):
        yield Text(text=as_text(item["output"]))
    if item.get("error"):
        yield Json(value=item["error"])
    found = as_list(item.get("results")) or as_list(as_object(item.get("action")).get("sources"))
    if found:
        yield Json(value=found)
    for output in objects(item.get("outputs")):
        if output.get("type") == "image":
            yield Media(kind="image", mime="image/png", source=Url(url=as_text(output.get("url"))))
        else:
            yield Text(text=as_text(output.get("logs")))


def _is_half(item: JsonObject) -> bool:
    """Tell whether a call of a reply that was cut is not written to its end: it must never run."""
    return item.get("type") in CALLS and item.get("status") != "completed"


def _half_call(item: JsonObject) -> Warned:
    return Warned(
        code="call_dropped", field=as_text(item.get("name")), detail="the reply ended within the call"
    )


def _stop(reason: str, parts: Sequence[Part]) -> StopReason:
    """Say why a reply ended. The API has no word for calls: they are told by being there."""
    stop = _STOPS.get(reason, "other")
    if stop == "end" and any(isinstance(part, CallPart) for part in parts):
        return "tool_use"
    if stop == "end" and any(isinstance(part, RefusalPart) for part in parts):
        return "refusal"
    return stop


def _usage(usage: JsonObject, model: ModelInfo) -> Usage:
    """Make OpenAI's totals disjoint."""
    given, taken = as_object(usage.get("input_tokens_details")), as_object(usage.get("output_tokens_details"))
    timed = as_object(given.get("cache_write_tokens_details"))
    m30, h12 = _count(timed, "ttl_30m_tokens"), _count(timed, "ttl_12h_tokens")
    wrote, hit = max(_count(given, "cache_write_tokens"), m30 + h12), _count(given, "cached_tokens")
    other = CacheWrite.model_validate({model.dialect.get("cache_write", "unknown"): wrote - m30 - h12})
    return Usage(
        input=max(0, _count(usage, "input_tokens") - hit - wrote),
        cache_read=hit,
        cache_write=CacheWrite(m30=m30, h12=h12) + other,
        output=_count(usage, "output_tokens"),
        reasoning=_count(taken, "reasoning_tokens"),
    )


def _count(data: JsonObject, key: str) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else 0


def _transformed(response: JsonObject) -> Iterator[Warned]:
    """Say which reasoning of earlier turns the provider did not take back."""
    for change in objects(response.get("input_transformations")):
        detail = (
            f"the provider left out what it was sent: {as_text(change.get('reason')) or 'no reason given'}"
        )
        yield Warned(code="reasoning_dropped", field=as_text(change.get("type")), detail=detail)


def _logprobs(items: Iterable[JsonObject]) -> Iterator[TokenLogprob]:
    for item in items:
        for piece in objects(item.get("content")):
            for token in objects(piece.get("logprobs")):
                top = tuple(
                    (as_text(other.get("token")), float(other.get("logprob", 0)))
                    for other in objects(token.get("top_logprobs"))
                )
                yield TokenLogprob(
                    token=as_text(token.get("token")), logprob=float(token.get("logprob", 0)), top=top
                )


def _diagnosis(told: object) -> str | None:
    """Read why the cache did not hold: the reason, or that there was nothing to compare with."""
    known = as_object(told) or {}
    return as_text(known.get("reason") or known.get("type")) or None
