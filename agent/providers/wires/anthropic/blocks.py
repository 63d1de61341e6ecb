"""A conversation as Anthropic messages, each a role and its blocks."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final, assert_never

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
    NO_OUTPUT,
    Notes,
    array,
    content_text,
    derived_id,
    dumps,
    encoded,
    file_id,
    media_placeholder,
)
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Inline, JsonObject, Media, ToolRef, ToolResult, Url

CONTAINER: Final = "container"
"""The kind of the part that names the container in which a paused reply goes on. It is no block."""

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SERVER_TOOL: Final = re.compile(rb'\{"type":"(?:server_tool_use|mcp_tool_use|\w+_tool_result)"')
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")

_UNANSWERED: Final = Warned(code="results_dropped", field="messages", detail="their calls are not sent")


@frozen
class Turn:
    """What one message is on this wire. Without blocks it is not sent: the API joins what stands beside it."""

    role: str
    blocks: tuple[bytes, ...]

    def message(self, blocks: Iterable[bytes]) -> bytes:
        """Return the message with these blocks: its own, or its own with markers."""
        return b'{"role":"%s","content":%s}' % (self.role.encode(), array(blocks))

    @property
    def whole(self) -> bytes:
        """The message as it is, without markers."""
        return self.message(self.blocks)


def turns(messages: Sequence[Message], model: ModelInfo, kept: Renderings, notes: Notes) -> list[Turn]:
    """Return one turn for each message, each message rendered once."""
    found: list[Turn] = []
    before = Turn("", ())
    answers_nothing = False
    toolsets: Mapping[str, str] = {}
    for message in messages:
        rendered = kept.of(message, partial(_render, model, toolsets))
        if answers_nothing and isinstance(message, ToolMessage):
            rendered = Rendered((), (_UNANSWERED,))
        turn = Turn(_role(message, rendered.segments, before, model), rendered.segments)
        notes.extend(rendered.warnings)
        found.append(turn)
        before = turn if turn.blocks else before
        answers_nothing = isinstance(message, AssistantMessage) and _loses_calls(message)
        toolsets = _toolsets(message, model)
    return found


def _toolsets(message: Message, model: ModelInfo) -> dict[str, str]:
    """Return, by the ids of a reply's calls, the toolsets that its own API calls them members of."""
    if not isinstance(message, AssistantMessage) or not _is_home(message, model):
        return {}
    raws = ((part.call.id, part.raw) for part in message.parts if isinstance(part, CallPart))
    named = ((key, json.loads(raw).get("toolset_name")) for key, raw in raws if '"toolset_name"' in raw)
    return {key: name for key, name in named if name}


def _is_home(message: AssistantMessage, model: ModelInfo) -> bool:
    return message.origin.home == (model.wire, model.vendor, model.endpoint, model.id)


def text_block(text: str) -> JsonObject:
    """Return a text block."""
    return {"type": "text", "text": text}


def call_id(text: str) -> str:
    """Return an id that this API takes: the same, or one derived from it."""
    return text if _CALL_ID.fullmatch(text) else derived_id(text, prefix="toolu_")


def clean(text: str) -> str:
    """Return the text with halves of surrogate pairs joined, and lone ones replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def written_block(block: JsonObject, written: str | None) -> str:
    """Return the block's JSON, its type first; its input in the model's own words, where `written` are those."""
    members = ",".join(
        f"{dumps(key)}:{_input(written) if key == 'input' and written is not None else dumps(value)}"
        for key, value in {"type": block.get("type"), **block}.items()
    )
    return f"{{{members}}}"


def _role(message: Message, blocks: tuple[bytes, ...], before: Turn, model: ModelInfo) -> str:
    """Return the role. A system entry must follow a user's turn or a server tool, and hold only text."""
    if isinstance(message, AssistantMessage):
        return "assistant"
    noticed = isinstance(message, UserMessage) and message.author == "runtime"
    if not noticed or not model.dialect.get("mid_system"):
        return "user"
    follows = before.role == "user" or bool(before.blocks and _SERVER_TOOL.match(before.blocks[-1]))
    plain = all(block.startswith(b'{"type":"text"') for block in blocks)
    return "system" if follows and plain else "user"


def _loses_calls(message: AssistantMessage) -> bool:
    """Tell whether a reply's calls are not sent, and so their results neither."""
    return message.state in {"interrupted", "failed"} or _is_refused(message)


def _is_refused(message: AssistantMessage) -> bool:
    return message.stop == "refusal" and message.origin.wire == "anthropic"


def _render(model: ModelInfo, toolsets: Mapping[str, str], message: Message) -> Rendered:
    notes: Notes = []
    match message:
        case UserMessage(content=content):
            blocks = [encoded(block) for item in content if (block := _shown(item, model, notes))]
        case ToolMessage(results=results):
            blocks = [encoded(block) for block in _results(results, model, toolsets, notes)]
        case AssistantMessage():
            blocks = _reply_blocks(message, model, notes)
        case _:
            assert_never(message)
    return Rendered(tuple(blocks), tuple(notes))


def _shown(content: Content, model: ModelInfo, notes: Notes) -> JsonObject | None:
    """Return the block for one piece of content; None for an empty text, which the API refuses."""
    if isinstance(content, Media):
        return _media(content, model) or text_block(media_placeholder(content, notes))
    text = content_text(content, notes)
    return text_block(text) if text.strip() else None


def _media(media: Media, model: ModelInfo) -> JsonObject | None:
    """Return an image or document block; None for what the API cannot be shown."""
    key, linked = file_id(media, model.vendor), model.dialect.get("media_urls", True)
    pdf, plain = media.mime == "application/pdf", media.mime.startswith("text/")
    match media.source:
        case _ if media.kind not in {"image", "document"}:
            return None
        case _ if key is not None:
            source = {"type": "file", "file_id": key}
        case Url(url=url) if linked and (media.kind == "image" or pdf):
            source = {"type": "url", "url": url}
        case Inline(data=data) if media.mime in _IMAGES or pdf:
            source = {"type": "base64", "media_type": media.mime, "data": data}
        case Inline(data=data) if plain:
            text = base64.b64decode(data).decode("utf-8", "replace")
            source = {"type": "text", "media_type": "text/plain", "data": text}
        case _:
            return None
    title = {"title": media.filename} if media.kind == "document" and media.filename else {}
    return {"type": media.kind, "source": source, **title}


def _results(
    results: Iterable[ToolResult], model: ModelInfo, toolsets: Mapping[str, str], notes: Notes
) -> list[JsonObject]:
    """Return the results of one reply, first. An error may hold text alone, so its media follow them all."""
    blocks: list[JsonObject] = []
    after: list[JsonObject] = []
    for result in results:
        shown: list[JsonObject] = []
        for item in result.content:
            block = _shown(item, model, notes)
            if isinstance(item, ToolRef) and not result.is_error:
                block = {"type": "tool_reference", "tool_name": item.name}
            if block:
                (after if result.is_error and block["type"] != "text" else shown).append(block)
        content = shown or [text_block(MEDIA_FOLLOWS if after else NO_OUTPUT)]
        answer: JsonObject = {
            "type": "tool_result",
            "tool_use_id": call_id(result.call_id),
            "content": content,
        }
        if result.call_id in toolsets:
            answer["toolset_name"] = toolsets[result.call_id]
        blocks.append(answer | {"is_error": True} if result.is_error else answer)
    return blocks + after


def _reply_blocks(message: AssistantMessage, model: ModelInfo, notes: Notes) -> list[bytes]:
    """Return a reply as it came, where it came from here; else rebuilt, and what cannot be is noted."""
    if message.state == "failed" or _is_refused(message):
        return []  # a refused turn that stays would have the next one refused too
    home = _is_home(message, model)
    cut = message.state == "interrupted"
    blocks: list[bytes] = []
    for part in message.parts:
        if (isinstance(part, TextPart) and not part.text.strip()) or is_container(part):
            continue  # the API refuses empty texts, even its own
        if cut and isinstance(part, CallPart):
            continue
        rebuilt = part.raw if home and part.raw else _rebuilt(part, home=home)
        if isinstance(rebuilt, Warned):
            notes.append(rebuilt)
        elif rebuilt:
            blocks.append(rebuilt.encode())
    return blocks


def is_container(part: Part) -> bool:
    """Tell whether a part names a container."""
    return isinstance(part, OpaquePart) and part.kind == CONTAINER


def _rebuilt(part: Part, *, home: bool) -> str | Warned | None:
    """Return a block made of what a part says. None where there is nothing to send and nothing to regret."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | CompactionPart(text=text) if text.strip():
            return dumps(text_block(text))
        case CallPart(call=call):
            name = _NOT_IN_NAMES.sub("_", call.name)[:128] or "unknown"
            block = {"type": "tool_use", "id": call_id(call.id), "name": name, "input": None}
            written = dumps({"input": call.arguments}) if call.input == "text" else call.arguments
            return written_block(block, written)
        case ReasoningPart():
            return _reasoning(part) if home else Warned(code="reasoning_dropped", field="reasoning")
        case MediaPart(media=media):
            return Warned(code="media_dropped", field=media.kind)
        case OpaquePart() | HostedCallPart() | HostedResultPart() | CompactionPart():
            detail = "a block that only its own provider understands"
            return Warned(code=f"{part.type}_dropped", field=part.type, detail=detail)
        case TextPart() | RefusalPart() | CitationPart():
            return None
        case _:
            assert_never(part)


def _reasoning(part: ReasoningPart) -> str | None:
    if part.redacted and part.encrypted:
        return dumps({"type": "redacted_thinking", "data": part.encrypted})
    if part.signature:
        return dumps({"type": "thinking", "thinking": part.text, "signature": part.signature})
    return None  # it was cut short, before its signature


def _input(written: str) -> str:
    """Return the JSON object that stands for what a model wrote: just that, where it is one."""
    if written.strip() in {"", "null"}:
        return "{}"
    text = clean(written)
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return dumps({"invalid_json": text})
    return dumps(value) if "\\u" in text else text  # escapes may hide half a surrogate pair, which is refused


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
