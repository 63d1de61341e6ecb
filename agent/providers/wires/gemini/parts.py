"""A conversation as Gemini contents, each a role and its parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal, TypeAlias, assert_never, cast

from treadle import prompts
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
    MEDIA_FOLLOWS,
    Notes,
    array,
    content_text,
    dumps,
    encoded,
    file_id,
    media_placeholder,
    result_text,
)
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Inline, JsonObject, Media, Text, ToolCall, ToolResult, Url

CONTINUATION: Final = "continuation"
"""The kind of the part that names where a long reply goes on. It is no part of the wire's."""

SKIPPED: Final = "skip_thought_signature_validator"
"""Stands for the signature of a call that this model did not make. WIRES §5.5."""

Kind: TypeAlias = Literal["user", "model", "results"]
"""Results are a user's content that holds nothing else."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_RESULT_MEDIA: Final = ("image/png", "image/jpeg", "image/webp", "application/pdf")
_ATTACHED: Final = "(see the attachment)"
_MEDIA: Final = ("image", "document", "audio", "video")


@frozen
class Turn:
    """A run of parts of one role. Without parts it is not sent."""

    kind: Kind
    parts: tuple[bytes, ...]


@frozen
class _Made:
    """A call as it is sent: what its result must repeat."""

    name: str
    id: str


def turns(messages: Iterable[Message], model: ModelInfo, kept: Renderings, notes: Notes) -> list[Turn]:
    """Return the turns that messages are, each message rendered once.

    A result whose call is not sent is left out: the API refuses one without the other.
    """
    found: list[Turn] = []
    called: Mapping[str, _Made] = {}
    for message in messages:
        if isinstance(message, ToolMessage):
            answers = _answers(message, called, notes)
            rendered = kept.of(answers, partial(_results, model=model, called=called))
            count = len(answers.results)
            found.append(Turn("results", rendered.segments[:count]))
            found.append(Turn("user", rendered.segments[count:]))
        else:
            rendered = kept.of(message, partial(_render, model=model))
            found.append(Turn("user" if isinstance(message, UserMessage) else "model", rendered.segments))
        if isinstance(message, AssistantMessage):
            called = _called(message, model)
        notes.extend(rendered.warnings)
    return found


def contents(found: Sequence[Turn]) -> list[bytes]:
    """Return the contents that turns are: roles take turns, but results stand alone."""
    joined: list[tuple[Kind, list[bytes]]] = []
    for turn in found:
        if not turn.parts:
            continue
        if joined and joined[-1][0] == turn.kind != "results":
            joined[-1][1].extend(turn.parts)
        else:
            joined.append((turn.kind, list(turn.parts)))
    return [
        b'{"role":"%s","parts":%s}' % (b"model" if kind == "model" else b"user", array(parts))
        for kind, parts in joined
    ]


def sendable(name: str) -> str:
    """Return a tool's name as the API takes it: what a model may have called need not exist."""
    sound = _NOT_IN_NAMES.sub("_", name)[:128] or "unknown"
    return sound if sound[0].isalpha() or sound[0] == "_" else f"_{sound}"[:128]


def is_home(message: AssistantMessage, model: ModelInfo) -> bool:
    """Tell whether a reply's parts go back as they came."""
    return message.origin.home == (model.wire, model.vendor, model.endpoint, model.id)


def as_args(call: ToolCall) -> JsonObject:
    """Return a call's arguments as the object that the API wants: the model's own, where they are one."""
    if call.input == "text":
        return {"input": call.arguments}
    if call.arguments.strip() in {"", "null"}:
        return {}
    try:
        value = json.loads(call.arguments, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = None
    return cast("JsonObject", value) if isinstance(value, dict) else {"invalid_json": call.arguments}


def _called(message: AssistantMessage, model: ModelInfo) -> dict[str, _Made]:
    """Return the calls that are sent, by our ids. What came goes back with the id it came with, if any."""
    if message.state in {"interrupted", "failed"}:
        return {}
    home, made = is_home(message, model), dict[str, _Made]()
    for part in message.parts:
        if isinstance(part, CallPart) and home and part.raw:
            sent = json.loads(part.raw)["functionCall"]
            made[part.call.id] = _Made(str(sent.get("name", "")), str(sent.get("id") or ""))
        elif isinstance(part, CallPart):
            key = part.call.id if model.dialect.get("call_ids", True) else ""
            made[part.call.id] = _Made(sendable(part.call.name), key)
    return made


def _answers(message: ToolMessage, called: Mapping[str, _Made], notes: Notes) -> ToolMessage:
    """Return the results whose calls are sent; the very message where all are, so that it is rendered once."""
    answers = tuple(result for result in message.results if result.call_id in called)
    if len(answers) == len(message.results):
        return message
    notes.append(Warned(code="results_dropped", field="messages", detail="their calls are not sent"))
    return ToolMessage(results=answers)


def _render(message: Message, model: ModelInfo) -> Rendered:
    notes: Notes = []
    if isinstance(message, UserMessage):
        parts = [encoded(part) for item in message.content if (part := _shown(item, model, notes))]
    else:
        assert isinstance(message, AssistantMessage)
        parts = [part.encode() for part in _reply(message, model, notes)]
    return Rendered(tuple(parts), tuple(notes))


def _shown(content: Content, model: ModelInfo, notes: Notes) -> JsonObject | None:
    """Return the part for a piece of content; None for an empty text."""
    part = _media(content, model) if isinstance(content, Media) else None
    if part:
        return part
    text = content_text(content, notes)
    return {"text": text} if text else None


def _media(media: Media, model: ModelInfo) -> JsonObject | None:
    """Return the part that shows media; None when this model cannot be shown them."""
    if media.kind not in model.dialect.get("media", _MEDIA):
        return None
    key = file_id(media, model.vendor)
    match media.source:
        case _ if key:
            return {"fileData": {"mimeType": media.mime, "fileUri": key}}
        case Inline(data=data):
            return {"inlineData": {"mimeType": media.mime, "data": data}}
        case Url(url=url):
            return {"fileData": {"mimeType": media.mime, "fileUri": url}}
        case _:
            return None


def _fits(media: Media, model: ModelInfo) -> bool:
    """Tell whether a result itself may hold these media."""
    return media.mime in model.dialect.get("result_media", _RESULT_MEDIA)


def _results(message: Message, model: ModelInfo, called: Mapping[str, _Made]) -> Rendered:
    """Return the results, in the order of the calls, and after them the media that they may not hold."""
    assert isinstance(message, ToolMessage)
    notes: Notes = []
    order = list(called)
    ordered = sorted(message.results, key=lambda result: order.index(result.call_id))
    parts = [_result(result, model, called[result.call_id], notes) for result in ordered]
    for number, result in enumerate(ordered, 1):
        media = (item for item in result.content if isinstance(item, Media) and not _fits(item, model))
        aside = [part for item in media if (part := _media(item, model))]
        parts += [{"text": prompts.load("wires/attached", call=str(number))}, *aside] if aside else []
    return Rendered(tuple(map(encoded, parts)), tuple(notes))


def _result(result: ToolResult, model: ModelInfo, made: _Made, notes: Notes) -> JsonObject:
    held: list[JsonObject] = []
    content: list[Content] = []
    for item in result.content:
        part = _media(item, model) if isinstance(item, Media) else None
        if part and isinstance(item, Media) and _fits(item, model):
            held.append(part)
        elif isinstance(item, Media) and part is None:
            content.append(Text(text=media_placeholder(item, notes)))
            continue
        content.append(item)
    plain = result.model_copy(update={"content": tuple(content)})
    text = result_text(plain, notes, media_note=_ATTACHED if held else MEDIA_FOLLOWS)
    return {
        "functionResponse": {
            **({"id": made.id} if made.id else {}),
            "name": made.name,
            "response": {"error" if result.is_error else "output": text},
            **({"parts": held} if held else {}),
        }
    }


def _reply(message: AssistantMessage, model: ModelInfo, notes: Notes) -> Iterator[str]:
    """Yield the parts of a reply: as they came, or rebuilt, and what cannot be is noted."""
    if message.state == "failed":
        return
    home, signed = is_home(message, model), not model.dialect.get("signatures", True)
    for part in message.parts:
        if isinstance(part, CallPart) and message.state == "interrupted":
            continue
        if home and part.raw:
            if not names_rest(part):
                yield part.raw
        elif isinstance(part, CallPart):
            yield dumps(_call(part, model) | ({} if signed else {"thoughtSignature": SKIPPED}))
            signed = True
        elif not home:
            text = _words(part, model, notes)
            if text:
                yield dumps({"text": text})


def names_rest(part: Part) -> bool:
    """Tell whether a part only names where a reply goes on."""
    return isinstance(part, OpaquePart) and part.kind == CONTINUATION


def _call(part: CallPart, model: ModelInfo) -> JsonObject:
    key = {"id": part.call.id} if model.dialect.get("call_ids", True) else {}
    return {"functionCall": {**key, "name": sendable(part.call.name), "args": as_args(part.call)}}


def _words(part: Part, model: ModelInfo, notes: Notes) -> str:
    """Say in text what another origin's part said; nothing where there is nothing to say."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | CompactionPart(text=text) if text:
            return text
        case MediaPart(media=media):
            return media_placeholder(media, notes)
        case ReasoningPart():
            lost = Warned(
                code="reasoning_dropped",
                field="reasoning",
                detail=f"to {model.id}, reasoning of another model is not sent",
            )
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
