"""A conversation as steps of the Interactions API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final, assert_never, cast

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
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
    ToolMessage,
    UserMessage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo, Rendered, Renderings
from treadle.agent.providers.rendering import (
    Notes,
    content_text,
    dumps,
    file_id,
    media_placeholder,
    result_text,
    sound_name,
)
from treadle.tools.contract import Content, Inline, JsonObject, Media, Text, ToolCall, ToolResult, Url

CONTINUATION: Final = "continuation"
"""The kind of the part that names where a long reply goes on. It is no step."""

_MEDIA: Final = ("image", "document", "audio", "video")


def history(
    messages: Iterable[Message], model: ModelInfo, kept: Renderings, notes: Notes
) -> list[tuple[bytes, ...]]:
    """Return each message's steps, each message rendered once.

    A result whose call is not sent is left out: the API refuses one without the other.
    """
    turns: list[tuple[bytes, ...]] = []
    called: Mapping[str, str] = {}
    for message in messages:
        if isinstance(message, AssistantMessage):
            called = _called(message)
        if isinstance(message, ToolMessage):
            message = _answers(message, called, notes)
        item = kept.of(message, partial(_render, model=model, called=called))
        notes.extend(item.warnings)
        turns.append(item.segments)
    return turns


def is_home(message: AssistantMessage, model: ModelInfo) -> bool:
    """Tell whether a reply's steps go back as they came."""
    return message.origin.home == (model.wire, model.vendor, model.endpoint, model.id)


def names_rest(part: Part) -> bool:
    """Tell whether a part only names where a reply goes on."""
    return isinstance(part, OpaquePart) and part.kind == CONTINUATION


def spoken(text: str) -> JsonObject:
    """Return a content of text."""
    return {"type": "text", "text": text}


def said(*content: JsonObject) -> JsonObject:
    """Return a step of the user's."""
    return {"type": "user_input", "content": [*content]}


def as_args(written: str) -> JsonObject:
    """Return arguments as the object that the API wants: the model's own, where they are one."""
    if written.strip() in {"", "null"}:
        return {}
    try:
        value = json.loads(written, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = None
    return cast("JsonObject", value) if isinstance(value, dict) else {"invalid_json": written}


def _called(message: AssistantMessage) -> dict[str, str]:
    """Return the names of the calls that are sent, by their ids."""
    if message.state in {"interrupted", "failed"}:
        return {}
    return {call.id: sound_name(call.name) for call in message.calls}


def _answers(message: ToolMessage, called: Mapping[str, str], notes: Notes) -> ToolMessage:
    """Return the results whose calls are sent; the very message where all are, so that it is rendered once."""
    answers = tuple(result for result in message.results if result.call_id in called)
    if len(answers) == len(message.results):
        return message
    notes.append(Warned(code="results_dropped", field="messages", detail="their calls are not sent"))
    return ToolMessage(results=answers)


def _render(message: Message, model: ModelInfo, called: Mapping[str, str]) -> Rendered:
    notes: Notes = []
    match message:
        case UserMessage():
            content = [part for item in message.content if (part := _content(item, model, notes))]
            steps = [dumps(said(*content))] if content else []
        case ToolMessage():
            steps = [
                dumps(_result(result, model, called[result.call_id], notes)) for result in message.results
            ]
        case _:
            steps = list(_reply(message, model, notes))
    return Rendered(tuple(step.encode() for step in steps), tuple(notes))


def _content(item: Content, model: ModelInfo, notes: Notes) -> JsonObject | None:
    """Return one piece of content; None for an empty text."""
    shown = _media(item, model) if isinstance(item, Media) else None
    text = "" if shown else content_text(item, notes)
    return shown or (spoken(text) if text else None)


def _media(media: Media, model: ModelInfo) -> JsonObject | None:
    """Return the content that shows media; None when this model cannot be shown them."""
    if media.kind not in model.dialect.get("media", _MEDIA):
        return None
    key = file_id(media, model.vendor)
    match media.source:
        case _ if key:
            return {"type": media.kind, "uri": key, "mime_type": media.mime}
        case Inline(data=data):
            return {"type": media.kind, "data": data, "mime_type": media.mime}
        case Url(url=url):
            return {"type": media.kind, "uri": url, "mime_type": media.mime}
        case _:
            return None


def _result(result: ToolResult, model: ModelInfo, name: str, notes: Notes) -> JsonObject:
    """Return what a call came to: a string where only text is said."""
    shown: list[JsonObject] = []
    content: list[Content] = []
    for item in result.content:
        part = _media(item, model) if isinstance(item, Media) else None
        shown += [part] if part else []
        if isinstance(item, Media) and part is None:
            item = Text(text=media_placeholder(item, notes))
        content.append(item)
    plain = result.model_copy(update={"content": tuple(content)})
    text = result_text(plain, notes, media_note="")
    told: object = [*([spoken(text)] if text else []), *shown] if shown else text
    failed = {"is_error": True} if result.is_error else {}
    return {"type": "function_result", "call_id": result.call_id, "name": name, "result": told, **failed}


def _reply(message: AssistantMessage, model: ModelInfo, notes: Notes) -> Iterator[str]:
    """Yield the steps of a reply: as they came, or rebuilt, and what cannot be is noted."""
    if message.state == "failed":
        return
    home = is_home(message, model)
    texts: list[str] = []
    for part in message.parts:
        if home or isinstance(part, CallPart):
            yield from _own(texts)
            yield from _again(part, message, home=home)
        else:
            text = _words(part, model, notes)
            texts += [text] if text else []
    yield from _own(texts)


def _again(part: Part, message: AssistantMessage, *, home: bool) -> Iterator[str]:
    """Yield a step as it came, or a call rebuilt; none of a reply's calls that was cut short."""
    if names_rest(part) or (isinstance(part, CallPart) and message.state == "interrupted"):
        return
    if home and part.raw:
        yield part.raw
    elif isinstance(part, CallPart):
        yield dumps(_call(part.call))


def _own(texts: list[str]) -> Iterator[str]:
    """Yield the step for what was said so far, if anything was."""
    text = "".join(texts)
    texts.clear()
    if text:
        yield dumps({"type": "model_output", "content": [spoken(text)]})


def _call(call: ToolCall) -> JsonObject:
    written = dumps({"input": call.arguments}) if call.input == "text" else call.arguments
    name = sound_name(call.name)
    return {"type": "function_call", "id": call.id, "name": name, "arguments": as_args(written)}


def _words(part: Part, model: ModelInfo, notes: Notes) -> str:
    """Say in text what another origin's part said; nothing where there is nothing to say."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | CompactionPart(text=text) if text:
            return text
        case MediaPart(media=media):
            return media_placeholder(media, notes)
        case ReasoningPart():
            detail = f"to {model.id}, reasoning of another model is not sent"
            lost = Warned(code="reasoning_dropped", field="reasoning", detail=detail)
            notes.extend(() if lost in notes else (lost,))
        case OpaquePart() | HostedCallPart() | HostedResultPart() | CompactionPart():
            detail = "a block that only its own provider understands"
            notes.append(Warned(code=f"{part.type}_dropped", field=part.type, detail=detail))
        case TextPart() | RefusalPart() | CitationPart() | CallPart():
            pass
        case _:
            assert_never(part)
    return ""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
