"""An Anthropic reply, streamed or whole, as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from treadle.agent.events import CallDelta
from treadle.agent.messages import (
    AssistantMessage,
    CacheWrite,
    CallPart,
    CitationPart,
    CompactionPart,
    HostedCallPart,
    HostedResultPart,
    OpaquePart,
    Origin,
    Part,
    ReasoningPart,
    RefusalPart,
    StopReason,
    TextPart,
    Usage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.providers.rendering import dumps
from treadle.agent.providers.wires.anthropic.blocks import CONTAINER, clean, written_block
from treadle.tools.contract import Content, JsonObject, Resource, Text, ToolCall, ToolRef

_STOPS: Final[Mapping[str, StopReason]] = {
    "": "end",
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context_window",
    "compaction": "compaction",
}
_KINDS: Final[Mapping[str, str]] = {
    "code_execution": "code_interpreter",
    "bash_code_execution": "code_interpreter",
    "text_editor_code_execution": "code_interpreter",
    "tool_search_tool_bm25": "tool_search",
    "tool_search_tool_regex": "tool_search",
}
READ_IN_PART: Final = frozenset({"text", "thinking"})
"""The kinds of blocks of which a part says something too."""
_KNOWN: Final = frozenset({"text", "thinking", "tool_use", "server_tool_use", "mcp_tool_use"})
"""The kinds whose every field is known: one more would be refused when it is sent back."""
SERVER_CALLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})
_FIELDS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
# Iterations that are billed beside what the totals say.
_BESIDE: Final = frozenset({"compaction", "advisor_message"})


@dataclass(slots=True)
class Block:
    """A block as it grows."""

    index: int
    calls: int
    """How many calls stand before it."""
    body: JsonObject
    pieces: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    half: str = ""
    """The first half of a surrogate pair whose second is still to come."""
    whole: bool = False

    def add(self, delta: JsonObject) -> str:
        """Take one delta and return the new text of it, if it is one of text."""
        kind = string(delta.get("type"))
        name = _FIELDS.get(kind)
        if name is not None:
            given = delta.get(name)
            text = self.half + given if isinstance(given, str) else self.half
            cut = len(text) - ("\ud800" <= text[-1:] <= "\udbff")
            text, self.half = clean(text[:cut]), text[cut:]
            self.pieces.setdefault(name, []).append(text)
            return text
        match kind:
            case "citations_delta":
                self.body["citations"] = [*json_objects(self.body.get("citations")), delta.get("citation")]
            case "signature_delta":
                self.body["signature"] = delta.get("signature")
            case _ if self.kind not in _KNOWN:  # of a block that goes back as it came, nothing is lost
                self.body |= {
                    key: value for key, value in delta.items() if key != "type" and value is not None
                }
            case _:
                pass
        return ""

    def written(self) -> str | None:
        """Return the input as the model wrote it; None for a block without one. Deltas are more than the start."""
        if "input" not in self.body and self.kind != "tool_use":
            return None
        text = "".join(self.pieces.get("partial_json", ()))
        given = self.body.get("input")
        if text.strip() or not given:
            return text if text.strip() else "{}"
        return given if isinstance(given, str) else dumps(given)

    def finished(self) -> JsonObject:
        """Return the whole block."""
        body = dict(self.body)
        for name in ("text", "thinking"):
            if name in body or name in self.pieces:
                body[name] = string(body.get(name)) + "".join(self.pieces.get(name, ()))
        return body | {"input": None} if self.written() is not None else body

    def delta(self, arguments: str) -> CallDelta:
        """Return what is shown of a call when so much more of it came."""
        return CallDelta(self.calls, string(self.body.get("id")), string(self.body.get("name")), arguments)

    @property
    def wrote(self) -> bool:
        """Whether any input came in deltas."""
        return any(piece.strip() for piece in self.pieces.get("partial_json", ()))

    @property
    def kind(self) -> str:
        return string(self.body.get("type"))


def built_message(about: JsonObject, blocks: Sequence[Block], model: ModelInfo) -> AssistantMessage:
    """Return the message that these blocks are."""
    stop_raw = string(about.get("stop_reason"))
    parts = [part for block in blocks for part in _parts(block)]
    stop: StopReason = _STOPS.get(stop_raw, "other")
    notes = _notes(about)
    if stop == "end" and any(isinstance(part, CallPart) for part in parts):
        stop = "tool_use"
    if stop == "refusal":
        parts = [part for part in parts if not isinstance(part, CallPart)]
        why = refusal(about)
        parts += [RefusalPart(text=why)] if why else []
    elif stop in {"length", "context_window"} and blocks and _is_unwritten(blocks[-1]):
        parts.pop()
        notes.append(Warned(code="call_cut", field="tool_use", detail="no argument of the last call came"))
    container = json_object(about.get("container"))
    if container.get("id"):
        parts.append(OpaquePart(kind=CONTAINER, raw=dumps(container)))
    served = string(about.get("model"))
    return AssistantMessage(
        parts=tuple(parts),
        origin=Origin(
            wire=model.wire, vendor=model.vendor, endpoint=model.endpoint, model=model.id, served=served
        ),
        stop=stop,
        stop_raw=stop_raw,
        state="paused" if stop == "pause" else "complete",
        usage=_usage(json_object(about.get("usage"))),
        response_id=string(about.get("id")),
        diagnosis=_diagnosis(about),
        warnings=tuple(notes),
    )


def refusal(about: JsonObject) -> str:
    """Return why a reply was refused, in the provider's words; empty where it was not, or nothing is said."""
    if about.get("stop_reason") != "refusal":
        return ""
    return string(json_object(about.get("stop_details")).get("explanation"))


def _is_unwritten(block: Block) -> bool:
    """Tell whether a call has no arguments: a reply that was cut there may have meant to write some."""
    return block.kind == "tool_use" and block.written() == "{}"


def _parts(block: Block) -> list[Part]:
    """Return the parts that one block is: the one mapper of streamed and whole replies."""
    body, written = block.finished(), block.written()
    raw, key = written_block(body, written), string(body.get("id"))
    parts: list[Part]
    match block.kind:
        case "text":
            cited = json_objects(body.get("citations"))
            parts = [TextPart(text=string(body.get("text")), raw=raw), *map(_citation, cited)]
        case "thinking":
            parts = _thinking(block, body, raw)
        case "redacted_thinking":
            parts = [ReasoningPart(redacted=True, encrypted=string(body.get("data")), raw=raw)]
        case "tool_use":
            call = ToolCall(id=key, name=string(body.get("name")), arguments=clean(written or ""))
            parts = [CallPart(call=call, raw=raw)]
        case kind if kind in SERVER_CALLS:
            parts = [HostedCallPart(id=key, kind=hosted_kind(body), arguments=clean(written or ""), raw=raw)]
        case kind if kind.endswith("_tool_result"):
            parts = [_hosted_result(body, raw)]
        case "compaction":
            parts = [CompactionPart(text=string(body.get("content")), raw=raw)]
        case kind:
            parts = [OpaquePart(kind=kind, raw=raw)]
    return parts


def _thinking(block: Block, body: JsonObject, raw: str) -> list[Part]:
    """Return the thinking; without its own JSON where it was cut before its signature."""
    text, signature = string(body.get("thinking")), string(body.get("signature")) or None
    if block.whole or signature:
        return [ReasoningPart(text=text, signature=signature, raw=raw)]
    return [ReasoningPart(text=text)] if text else []


def _citation(cited: JsonObject) -> CitationPart:
    names = (string(cited.get(key)) for key in ("title", "document_title"))
    return CitationPart(
        url=string(cited.get("url") or cited.get("source")),
        title=next(filter(None, names), ""),
        quote=string(cited.get("cited_text")),
    )


def hosted_kind(body: JsonObject) -> str:
    """Return our word for a hosted tool, or the provider's where we have none."""
    kind = string(body.get("type"))
    if kind.startswith("mcp_"):
        return "mcp"
    name = string(body.get("name")) if kind in SERVER_CALLS else kind.removesuffix("_tool_result")
    return _KINDS.get(name, name)


def _hosted_result(body: JsonObject, raw: str) -> HostedResultPart:
    content, failed = hosted_content(body)
    key, kind = string(body.get("tool_use_id")), hosted_kind(body)
    return HostedResultPart(call_id=key, kind=kind, content=content, is_error=failed, raw=raw)


def hosted_content(body: JsonObject) -> tuple[tuple[Content, ...], bool]:
    """Return what of a hosted tool's result can be read, and whether it is an error."""
    content, found = body.get("content"), list[Content]()
    failed = body.get("is_error") is True
    for item in cast("list[Any]", content) if isinstance(content, list) else [content]:
        held = json_object(item)
        if string(held.get("type")).endswith("error"):
            failed = True
            found.append(Text(text=string(held.get("error_code"))))
        elif held.get("url"):
            found.append(Resource(uri=string(held["url"]), text=string(held.get("title")) or None))
        texts = (string(held.get(key)) for key in ("text", "stdout", "stderr"))
        found += [Text(text=text) for text in (item if isinstance(item, str) else "", *texts) if text]
        names = (string(ref.get("tool_name")) for ref in json_objects(held.get("tool_references")))
        found += [ToolRef(name=name) for name in names]
    return tuple(found), failed


def _notes(about: JsonObject) -> list[Warned]:
    notes = [
        Warned(
            code=string(change.get("type")),
            field=string(change.get("path")),
            detail=string(change.get("reason")),
        )
        for change in json_objects(about.get("input_transformations"))
    ]
    details = json_object(about.get("stop_details"))
    if details:
        category, explanation = string(details.get("category")), string(details.get("explanation"))
        notes.append(Warned(code="refusal", field=category, detail=explanation))
    return notes


def _usage(counts: JsonObject) -> Usage:
    """Return the counts. What ran beside the totals, a compaction say, is added: it is paid for."""
    beside = json_objects(counts.get("iterations"))
    return sum((_counted(item) for item in beside if item.get("type") in _BESIDE), start=_counted(counts))


def _counted(counts: JsonObject) -> Usage:
    split = json_object(counts.get("cache_creation"))
    m5, h1 = _number(split.get("ephemeral_5m_input_tokens")), _number(split.get("ephemeral_1h_input_tokens"))
    written = _number(counts.get("cache_creation_input_tokens"))
    return Usage(
        input=_number(counts.get("input_tokens")),
        cache_read=_number(counts.get("cache_read_input_tokens")),
        cache_write=CacheWrite(m5=m5, h1=h1, unknown=max(0, written - m5 - h1)),
        output=_number(counts.get("output_tokens")),
        reasoning=_number(json_object(counts.get("output_tokens_details")).get("thinking_tokens")),
    )


def json_object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def json_objects(value: Any) -> list[JsonObject]:
    """Return the objects of a list; none where it is no list."""
    return [json_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def string(value: Any) -> str:
    return clean(value) if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _diagnosis(about: JsonObject) -> str | None:
    """Read why the cache did not hold the request before."""
    told = json_object(about.get("diagnostics"))
    return string(json_object(told.get("cache_miss_reason")).get("type")) or None
