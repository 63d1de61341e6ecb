"""The steps of an interaction as a message: the one mapper for whole and for streamed replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, cast

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
    HostedCallPart,
    HostedResultPart,
    MediaPart,
    OpaquePart,
    Origin,
    Part,
    ReasoningPart,
    State,
    StopReason,
    TextPart,
    Usage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.providers.rendering import dumps
from treadle.agent.providers.wires.gemini_interactions.steps import CONTINUATION, as_args
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Inline, Json, JsonObject, Media, Text, ToolCall, Url

_STOPS: Final[Mapping[str, StopReason]] = {
    "completed": "end",
    "requires_action": "tool_use",
    "incomplete": "length",
    "requires_continuation": "pause",
}
_KINDS: Final[Mapping[str, str]] = {
    "google_search": "web_search",
    "code_execution": "code_interpreter",
    "mcp_server_tool": "mcp",
}
_MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]


@frozen
class Reply:
    """What a message is made of."""

    interaction: JsonObject
    """But for its steps."""
    steps: Sequence[tuple[JsonObject, str]]
    """Each with what the model wrote, where it is a call."""
    dropped: Sequence[str] = ()
    """Names of calls that are not whole."""
    state: State = "complete"


def message_of(reply: Reply, model: ModelInfo) -> AssistantMessage:
    """Return the message that steps and the interaction around them are."""
    interaction = reply.interaction
    parts = [part for step, written in reply.steps for part in _parts(step, written)]
    raw, state = string(interaction.get("status")), reply.state
    stop = _stop(raw, parts)
    rest = string(interaction.get("continuation_token"))
    if stop == "pause" and state == "complete":
        state, stop = ("paused", stop) if rest else ("complete", "length")
        parts += [OpaquePart(kind=CONTINUATION, raw=dumps({"continuation_token": rest}))] if rest else []
    detail = "the reply ended within the call"
    return AssistantMessage(
        parts=tuple(parts),
        origin=Origin(
            wire=model.wire,
            vendor=model.vendor,
            endpoint=model.endpoint,
            model=model.id,
            served=string(interaction.get("model")),
        ),
        stop="interrupted" if state == "interrupted" else stop,
        stop_raw="" if state == "interrupted" else raw,
        state=state,
        usage=_usage(json_object(interaction.get("usage"))),
        response_id=string(interaction.get("id")),
        warnings=tuple(Warned(code="call_dropped", field=name, detail=detail) for name in reply.dropped),
    )


def hosted_kind(step: JsonObject) -> str:
    """Return our word for the tool of a hosted call or result, or the provider's where we have none; else nothing."""
    kind = string(step.get("type"))
    if kind.startswith("function_"):
        return ""
    name = kind.removesuffix("_call").removesuffix("_result")
    return _KINDS.get(name, name) if name != kind else ""


def is_call(step: JsonObject) -> bool:
    """Tell whether a step is a call, of ours or of a hosted tool."""
    return string(step.get("type")).endswith("_call")


def json_object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def json_objects(value: Any) -> list[JsonObject]:
    """Return the objects of a list; none where it is no list."""
    return [json_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _parts(step: JsonObject, written: str) -> Iterator[Part]:
    kind, hosted = string(step.get("type")), hosted_kind(step)
    if kind == "function_call":
        raw = dumps({**step, "arguments": as_args(written)})
        call = ToolCall(id=string(step.get("id")), name=string(step.get("name")), arguments=written)
        yield CallPart(call=call, raw=raw)
        return
    raw = dumps(step)
    if kind == "model_output":
        yield from _output(step, raw)
    elif kind == "thought":
        summary = tuple(string(item.get("text")) for item in json_objects(step.get("summary")))
        yield ReasoningPart(summary=summary, signature=string(step.get("signature")) or None, raw=raw)
    elif hosted and is_call(step):
        arguments = dumps(step.get("arguments") or {})
        yield HostedCallPart(id=string(step.get("id")), kind=hosted, arguments=arguments, raw=raw)
    elif hosted:
        yield _hosted_result(step, hosted, raw)
    else:
        yield OpaquePart(kind=kind, raw=raw)


def _output(step: JsonObject, raw: str) -> Iterator[Part]:
    """Yield a part for each piece of content. The first one holds the step, for it goes back as one."""
    for piece in json_objects(step.get("content")) or [{"type": "text", "text": ""}]:
        match string(piece.get("type")):
            case "text":
                yield TextPart(text=string(piece.get("text")), raw=raw)
            case "image" | "audio" | "video" | "document" as kind:
                yield MediaPart(media=_media(kind, piece), raw=raw)
            case kind:
                yield OpaquePart(kind=kind, raw=raw)
        raw = ""
        for note in json_objects(piece.get("annotations")):
            url = string(note.get("url")) or string(note.get("document_uri"))
            title = string(note.get("title")) or string(note.get("file_name"))
            yield CitationPart(url=url, title=title)


def _media(kind: _MediaKind, piece: JsonObject) -> Media:
    mime, data = string(piece.get("mime_type")) or "application/octet-stream", string(piece.get("data"))
    source = Inline(data=data) if data else Url(url=string(piece.get("uri")))
    return Media(kind=kind, mime=mime, source=source)


def _hosted_result(step: JsonObject, kind: str, raw: str) -> HostedResultPart:
    found = step.get("result")
    content = (Text(text=found) if isinstance(found, str) else Json(value=found),) if found else ()
    key, failed = string(step.get("call_id")), step.get("is_error") is True
    return HostedResultPart(call_id=key, kind=kind, content=content, is_error=failed, raw=raw)


def _stop(status: str, parts: Sequence[Part]) -> StopReason:
    stop: StopReason = _STOPS.get(status, "other")
    return "tool_use" if stop == "end" and any(isinstance(part, CallPart) for part in parts) else stop


def _usage(counts: JsonObject) -> Usage:
    """Make Google's counts disjoint. Thoughts are counted beside the output, unless the total says otherwise."""
    given, cached = _count(counts, "total_input_tokens"), _count(counts, "total_cached_tokens")
    tools, thoughts = _count(counts, "total_tool_use_tokens"), _count(counts, "total_thought_tokens")
    taken, total = _count(counts, "total_output_tokens"), _count(counts, "total_tokens")
    within = 0 < total <= given + tools + taken
    return Usage(
        input=max(0, given - cached) + tools,
        cache_read=cached,
        output=taken if within else taken + thoughts,
        reasoning=thoughts,
    )


def _count(counts: JsonObject, key: str) -> int:
    value = counts.get(key)
    return value if isinstance(value, int) else 0
