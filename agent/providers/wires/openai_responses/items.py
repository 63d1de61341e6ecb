"""A conversation as input items of the Responses API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

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
    ToolMessage,
    UserMessage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo, Rendered, Renderings
from treadle.agent.providers.rendering import (
    Notes,
    content_text,
    derived_id,
    dumps,
    encoded,
    file_id,
    media_placeholder,
    media_url,
    result_text,
)
from treadle.tools.contract import Content, Inline, JsonObject, Media, Text, ToolResult, Url

LONGEST_ID: Final = 64
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NOTHING_SEEN: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNgAAIAAAUAAen63NgAAAAASUVORK5CYII="
)
"""One clear dot: a call of the screen may be answered with nothing but a picture."""


def system_items(texts: Iterable[str], model: ModelInfo) -> list[bytes]:
    """Return the items that a system prompt is, one for each text."""
    return [encoded(spoken(_system_role(model), [_text(text)])) for text in texts]


def spoken(role: str, parts: Sequence[JsonObject]) -> JsonObject:
    """Return a message item that is no model's own. Azure's project endpoints want its type said."""
    return {"type": "message", "role": role, "content": list(parts)}


def words(text: str, model: ModelInfo) -> bytes:
    """Return the item that asks in words for what there is no field for."""
    return encoded(spoken(_system_role(model), [_text(text)]))


def history(
    messages: Iterable[Message], model: ModelInfo, kept: Renderings, notes: Notes
) -> list[tuple[bytes, ...]]:
    """Return each message's items, each message rendered once.

    A result whose call is not sent is left out: the API refuses one without the other.
    """
    turns: list[tuple[bytes, ...]] = []
    called: dict[str, _Sent] = {}
    for message in messages:
        if isinstance(message, AssistantMessage):
            called = _called(message, model)
        if isinstance(message, ToolMessage) and any(
            result.call_id not in called for result in message.results
        ):
            answers = tuple(result for result in message.results if result.call_id in called)
            notes.append(Warned(code="results_dropped", field="messages", detail="their calls are not sent"))
            item = _render(ToolMessage(results=answers), model, called)
        else:
            item = kept.of(message, partial(_render, model=model, called=called))
        notes.extend(item.warnings)
        turns.append(item.segments)
    return turns


def sendable(name: str) -> str:
    """Return a tool's name as the API takes it. Models write others too, such as `multi_tool_use.parallel`."""
    return _NOT_IN_NAMES.sub("_", name)[:64] or "unknown"


def _system_role(model: ModelInfo) -> str:
    return model.dialect.get("system_role", "developer")


def _is_home(message: AssistantMessage, model: ModelInfo) -> bool:
    """Tell whether a reply goes back as it came. One that was cut short holds items without their counterparts."""
    home = message.origin.home == (model.wire, model.vendor, model.endpoint, model.id)
    return home and message.state in {"complete", "paused"}


@dataclass(frozen=True, slots=True)
class _Sent:
    """How a call is sent: what its result must fit."""

    kind: Literal["function", "custom", "screen"]
    checks: Sequence[JsonObject] = ()
    """What the provider wants to be acknowledged of a call of the screen: that it ran says so."""


def _called(message: AssistantMessage, model: ModelInfo) -> dict[str, _Sent]:
    """Return the calls that are sent, by their ids."""
    if message.state in {"interrupted", "failed"}:
        return {}
    home = _is_home(message, model)
    return {
        part.call.id: _sent(part, model, home=home) for part in message.parts if isinstance(part, CallPart)
    }


def _sent(part: CallPart, model: ModelInfo, *, home: bool) -> _Sent:
    if home and part.call.input == "json" and '"computer_call"' in part.raw:
        item = json.loads(part.raw)
        if item["type"] == "computer_call":
            return _Sent("screen", item.get("pending_safety_checks") or ())
    return _Sent("custom" if _is_free(part, model, home=home) else "function")


def _is_free(part: CallPart, model: ModelInfo, *, home: bool) -> bool:
    return part.call.input == "text" and (home or bool(model.dialect.get("freeform")))


def _render(message: Message, model: ModelInfo, called: dict[str, _Sent]) -> Rendered:
    notes: Notes = []
    match message:
        case UserMessage():
            parts = [_part(content, model, notes) for content in message.content]
            noticed = message.author == "runtime" and all(part["type"] == "input_text" for part in parts)
            segments = [encoded(spoken(_system_role(model) if noticed else "user", parts))]
        case AssistantMessage() if _is_home(message, model):
            segments = list(_returned(message.parts, notes))
        case AssistantMessage():
            segments = [encoded(item) for item in _rebuilt(message, model, notes)]
        case _:
            results = [_result(result, model, notes, called[result.call_id]) for result in message.results]
            segments = [encoded(item) for items in results for item in items]
    return Rendered(tuple(segments), tuple(notes))


def _text(text: str) -> JsonObject:
    return {"type": "input_text", "text": text}


def _part(content: Content, model: ModelInfo, notes: Notes) -> JsonObject:
    part = _media(content, model) if isinstance(content, Media) else None
    return part or _text(content_text(content, notes))


def _media(media: Media, model: ModelInfo) -> JsonObject | None:
    """Return the part that shows media; None when this model cannot be shown them."""
    if media.kind not in model.dialect.get("media", ("image", "document")):
        return None
    key, url = file_id(media, model.vendor), media_url(media)
    match media.kind, media.source:
        case "image", _ if key or url:
            where = {"file_id": key} if key else {"image_url": url}
            return {"type": "input_image", **where, "detail": media.detail or "auto"}
        case "document", _ if key:
            return {"type": "input_file", "file_id": key}
        case "document", Inline():
            return {"type": "input_file", "filename": media.filename or "document", "file_data": url}
        case "document", Url():
            return {"type": "input_file", "file_url": url}
        case _:
            return None


def _result(result: ToolResult, model: ModelInfo, notes: Notes, sent: _Sent) -> Iterator[JsonObject]:
    """Yield what a call came to: one string where only text is said and no cache marker may have to stand.

    A call of the screen is answered with a picture, and what there is to say beside it follows.
    """
    shown: list[JsonObject] = []
    content: list[Content] = []
    for item in result.content:
        part = _media(item, model) if isinstance(item, Media) else None
        if part:
            shown.append(part)
        if isinstance(item, Media) and part is None:
            item = Text(text=media_placeholder(item, notes))
        content.append(item)
    plain = result.model_copy(update={"content": tuple(content)})
    text = result_text(plain, notes, media_note="")
    if sent.kind == "screen":
        yield _screenshot(result, shown, sent)
        if text:
            yield spoken("user", [_text(text)])
        return
    output: object = text
    if shown or model.dialect.get("cache_marks"):
        output = [*([_text(text)] if text else []), *shown]
    kind = "custom_tool_call_output" if sent.kind == "custom" else "function_call_output"
    yield {"type": kind, "call_id": _wire_id(result.call_id), "output": output}


def _screenshot(result: ToolResult, shown: Sequence[JsonObject], sent: _Sent) -> JsonObject:
    pictures = (part for part in shown if part["type"] == "input_image")
    picture = next(pictures, {"image_url": _NOTHING_SEEN})
    seen = {key: picture[key] for key in ("image_url", "file_id") if key in picture}
    answer: JsonObject = {"type": "computer_call_output", "call_id": result.call_id}
    answer["output"] = {"type": "computer_screenshot", **seen}
    return answer | ({"acknowledged_safety_checks": list(sent.checks)} if sent.checks else {})


def _wire_id(key: str) -> str:
    return key if len(key) <= LONGEST_ID else derived_id(key)


def _returned(parts: Sequence[Part], notes: Notes) -> Iterator[bytes]:
    """Yield the items of a reply as they came.

    But for reasoning that the provider cannot read back: what came without its encrypted form, and what nothing
    follows, for the API refuses it so.
    """
    own = [part for part in parts if part.raw]
    last = max((at for at, part in enumerate(own) if not isinstance(part, ReasoningPart)), default=-1)
    for at, part in enumerate(own):
        if isinstance(part, ReasoningPart) and (part.encrypted is None or at > last):
            _lost_reasoning(notes, "reasoning without its encrypted form, or without what it led to")
        else:
            yield part.raw.encode()


def _lost_reasoning(notes: Notes, detail: str) -> None:
    if not any(note.code == "reasoning_dropped" for note in notes):
        notes.append(Warned(code="reasoning_dropped", field="reasoning", detail=f"{detail} is not sent"))


def _rebuilt(message: AssistantMessage, model: ModelInfo, notes: Notes) -> Iterator[JsonObject]:
    """Yield items made of what a reply says, but for calls of one that was cut short, which may be half."""
    if message.state == "failed":
        return
    said: list[str] = []
    phase: str | None = None
    for part in message.parts:
        match part:
            case TextPart() if part.phase == phase or not said:
                phase = part.phase
                said.append(part.text)
                continue
            case CallPart() if message.state != "interrupted":
                yield from _own(said, phase, model)
                yield _call(part, model)
            case _:
                text = _words(part, model, notes)
                if text is None:
                    continue
                yield from _own(said, phase, model)
                phase = part.phase if isinstance(part, TextPart) else None
                said.append(text)
    yield from _own(said, phase, model)


def _own(said: list[str], phase: str | None, model: ModelInfo) -> Iterator[JsonObject]:
    """Yield the assistant message for what was said so far, if anything was."""
    text = "".join(said)
    said.clear()
    if text:
        known = {"phase": phase} if phase and model.dialect.get("phase") else {}
        yield {"type": "message", "role": "assistant", "content": text, **known}


def _words(part: Part, model: ModelInfo, notes: Notes) -> str | None:
    """Say in text what another origin's part said; None where there is nothing to say."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | CompactionPart(text=text) if text:
            return text
        case MediaPart(media=media):
            return media_placeholder(media, notes)
        case ReasoningPart():
            _lost_reasoning(notes, f"to {model.id}, reasoning of another model or of a reply cut short")
        case OpaquePart() | HostedCallPart() | HostedResultPart() | CompactionPart():
            detail = "a block that only its own provider understands"
            notes.append(Warned(code=f"{part.type}_dropped", field=part.type, detail=detail))
        case _:
            pass
    return None


def _call(part: CallPart, model: ModelInfo) -> JsonObject:
    call = part.call
    named = {"call_id": _wire_id(call.id), "name": sendable(call.name)}
    if _is_free(part, model, home=False):
        return {"type": "custom_tool_call", **named, "input": call.arguments}
    if call.input == "text":
        return {"type": "function_call", **named, "arguments": dumps({"input": call.arguments})}
    return {"type": "function_call", **named, "arguments": call.arguments if call.arguments.strip() else "{}"}
