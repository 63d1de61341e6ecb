"""A conversation as Chat Completions messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from treadle import prompts
from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CompactionPart,
    HostedCallPart,
    HostedResultPart,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    UserMessage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo, Rendered
from treadle.agent.providers.rendering import (
    MEDIA_FOLLOWS,
    Notes,
    content_text,
    derived_id,
    dumps,
    encoded,
    file_id,
    media_placeholder,
    media_url,
    members,
    result_text,
    sound_name,
)
from treadle.tools.contract import Content, Inline, JsonObject, Media, Text, ToolCall, ToolResult, Url

_CONTENT: Final = '{"content":'


def system_messages(texts: Sequence[str], model: ModelInfo) -> list[bytes]:
    """Return the messages that a system prompt is, one for each text."""
    role = model.dialect.get("system_role", "system")
    joined = ["\n\n".join(texts)] if texts and model.dialect.get("single_system") else texts
    return [encoded({"role": role, "content": _content([_text(text)], model)}) for text in joined]


def render(message: Message, model: ModelInfo) -> Rendered:
    """Return one message's bytes: none, one or several of the wire's messages."""
    notes: Notes = []
    match message:
        case UserMessage():
            items = [part for content in message.content for part in _parts(content, model, notes)]
            segments = [encoded({"role": "user", "content": _content(items, model)})]
        case AssistantMessage():
            segments = list(_assistant(message, model, notes))
        case _:
            segments = [encoded(item) for item in _results(message.results, model, notes)]
    return Rendered(tuple(segments), tuple(notes))


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _safe(text: str, model: ModelInfo) -> str:
    """Break what an open-weight host would take for a control token, with a zero-width joiner."""
    return text.replace("<|", "<\u200d|") if model.dialect.get("escape_tokens") else text


def _content(items: Sequence[JsonObject], model: ModelInfo) -> Any:
    """Return one string where only text is said; parts where a cache marker may have to stand, or media do."""
    if model.dialect.get("cache_marker") or any(item["type"] != "text" for item in items):
        return list(items)
    return "\n\n".join(item["text"] for item in items)


def _parts(content: Content, model: ModelInfo, notes: Notes) -> Iterator[JsonObject]:
    part = _media(content, model) if isinstance(content, Media) else None
    yield part or _text(_safe(content_text(content, notes), model))


def _media(media: Media, model: ModelInfo) -> JsonObject | None:
    """Return the part that shows media; None when this model cannot be shown them."""
    if media.kind not in model.dialect.get("media", ("image",)):
        return None
    key, url = file_id(media, model.vendor), media_url(media)
    match media.kind, media.source:
        case _ if key is not None:
            return {"type": "file", "file": {"file_id": key}}
        case "image" | "video" as kind, Inline() | Url():
            detail = {"detail": media.detail} if media.detail and kind == "image" else {}
            return {"type": f"{kind}_url", f"{kind}_url": {"url": url, **detail}}
        case "document", Inline():
            return {"type": "file", "file": {"filename": media.filename or "document", "file_data": url}}
        case "audio", Inline(data=data):
            kind = {"audio/mpeg": "mp3", "audio/mp3": "mp3"}.get(media.mime, "wav")
            return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
        case _:
            return None


def _results(results: Sequence[ToolResult], model: ModelInfo, notes: Notes) -> Iterator[JsonObject]:
    """Yield one tool message for each result, and then the media of all in one user message."""
    inside = bool(model.dialect.get("tool_media"))
    attached: list[JsonObject] = []
    for result in results:
        shown: list[JsonObject] = []
        content: list[Content] = []
        for item in result.content:
            part = _media(item, model) if isinstance(item, Media) else None
            if isinstance(item, Media) and part is None:
                item = Text(text=media_placeholder(item, notes))
            shown += [part] if part else []
            content.append(item)
        result = result.model_copy(update={"content": tuple(content)})
        text = result_text(result, notes, media_note="" if inside else MEDIA_FOLLOWS)
        said = [_text(_safe(text, model))] if text else []
        said += shown if inside else []
        key = wire_id(result.call_id, model)
        yield {"role": "tool", "tool_call_id": key, "content": _content(said, model)}
        if shown and not inside:
            attached += [_text(prompts.load("wires/attached", call=key)), *shown]
    if attached:
        yield {"role": "user", "content": attached}


def wire_id(key: str, model: ModelInfo) -> str:
    """Return a call's id as this model takes it: itself if it can be, else always the same other one."""
    exact, most = model.dialect.get("call_id_length", 0), model.dialect.get("call_id_max", 64)
    if exact:
        fits = len(key) == exact and key.isascii() and key.isalnum()
        return key if fits else derived_id(key, prefix="", length=exact)
    return key if len(key) <= most else derived_id(key)


@dataclass(slots=True)
class _Pieces:
    """What an assistant message is put together from, as JSON text."""

    elements: list[str] = field(default_factory=list[str])
    """Of a content that came as an array."""
    strings: list[str] = field(default_factory=list[str])
    """Of a content that is one string, without the quotes: so they can be put together as they are."""
    fields: list[str] = field(default_factory=list[str])
    calls: list[str] = field(default_factory=list[str])
    said: bool = False
    """Whether there is anything that a model said: reasoning alone is not sent."""


def _assistant(message: AssistantMessage, model: ModelInfo, notes: Notes) -> Iterator[bytes]:
    """Yield the message, if anything of it is left. To where it came from it goes back as it came."""
    if message.state == "failed":
        return
    whole = message.state in {"complete", "paused"}
    home = whole and message.origin.home == (model.wire, model.vendor, model.endpoint, model.id)
    pieces, before = _Pieces(), ""
    for part in message.parts:
        match part:
            case CallPart():
                pieces.calls += [_call(part, model, home=home)] if whole else []
            case ReasoningPart():
                _reasoning(part, pieces, model, notes, home=home)
            case TextPart() if home and part.raw and model.dialect.get("reasoning_echo", "field") != "none":
                _splice(part.raw, pieces)
            case OpaquePart(kind=kind) if home and kind in model.dialect.get("reply_only", ()):
                pass
            case RefusalPart() | OpaquePart() | MediaPart() if home and part.raw:
                _splice(part.raw, pieces)
            case HostedCallPart() | HostedResultPart() | MediaPart() if home:
                pass
            case _:
                _rebuild(part, pieces, notes, apart=not {before, part.type} <= {"text", "citation"})
        before = part.type
    if pieces.said or pieces.calls:
        yield b'{"role":"assistant",' + _joined(pieces, model).encode() + b"}"


def _joined(pieces: _Pieces, model: ModelInfo) -> str:
    """Return the message's members but for its role."""
    content, required = "null", model.dialect.get("reasoning_required", "")
    if pieces.elements:
        texts = [f'{{"type":"text","text":"{text}"}}' for text in pieces.strings]
        content = f"[{','.join((*pieces.elements, *texts))}]"
    elif pieces.strings:
        content = f'"{"".join(pieces.strings)}"'
    fields = [_CONTENT[1:] + content, *pieces.fields]
    if pieces.calls:
        if required and not any(member.startswith(f'"{required}":') for member in pieces.fields):
            fields.append(f'"{required}":""')
        fields.append(f'"tool_calls":[{",".join(pieces.calls)}]')
    return ",".join(fields)


def _splice(raw: str, pieces: _Pieces) -> None:
    """Put what a part was into the message, byte for byte."""
    if raw.startswith(_CONTENT + "["):
        pieces.elements.append(raw[len(_CONTENT) + 1 : -2])
    elif raw.startswith(_CONTENT + '"'):
        pieces.strings.append(raw[len(_CONTENT) + 1 : -2])
    else:
        pieces.fields.append(members(raw))
    pieces.said = pieces.said or raw.startswith((_CONTENT, '{"refusal":'))


def _reasoning(part: ReasoningPart, pieces: _Pieces, model: ModelInfo, notes: Notes, *, home: bool) -> None:
    if home:
        said = pieces.said
        if part.raw and model.dialect.get("reasoning_echo", "field") != "none":
            _splice(part.raw, pieces)
        pieces.said = said
    elif not any(note.code == "reasoning_dropped" for note in notes):
        detail = f"reasoning of another model or of a reply cut short is not sent to {model.id}"
        notes.append(Warned(code="reasoning_dropped", field="reasoning", detail=detail))


def _rebuild(part: Part, pieces: _Pieces, notes: Notes, *, apart: bool) -> None:
    """Say in text what another wire's part said, where text can."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | CompactionPart(text=text) if text:
            pass
        case MediaPart(media=media):
            text = media_placeholder(media, notes)
        case OpaquePart() | HostedCallPart() | HostedResultPart() | CompactionPart():
            detail = "a block that only its own provider understands"
            notes.append(Warned(code=f"{part.type}_dropped", field=part.type, detail=detail))
            return
        case _:
            return
    pieces.strings.append(("\\n\\n" if apart and pieces.strings else "") + dumps(text)[1:-1])
    pieces.said = True


def _call(part: CallPart, model: ModelInfo, *, home: bool) -> str:
    call, key, name = part.call, wire_id(part.call.id, model), sound_name(part.call.name)
    if home and part.raw and key == call.id:
        return part.raw
    if call.input == "text" and model.dialect.get("freeform"):
        return dumps({"id": key, "type": "custom", "custom": {"name": name, "input": call.arguments}})
    return dumps({
        "id": key,
        "type": "function",
        "function": {"name": name, "arguments": _arguments(call)},
    })


def _arguments(call: ToolCall) -> str:
    if call.input == "text":
        return dumps({"input": call.arguments})
    return call.arguments if call.arguments.strip() else "{}"
