"""The parts of a Gemini reply, streamed or whole, as a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    TokenLogprob,
    Usage,
    Warned,
)
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.providers.rendering import derived_id, dumps
from treadle.agent.providers.wires.gemini.parts import CONTINUATION
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Inline, Json, JsonObject, Media, Text, ToolCall, Url

_STOPS: Final[Mapping[str, StopReason]] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}
_KINDS: Final[Mapping[str, str]] = {"GOOGLE_SEARCH_WEB": "web_search", "GOOGLE_SEARCH_IMAGE": "web_search"}
_DATA: Final = ("text", "functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult")
_HOSTED: Final = ("toolCall", "toolResponse")
_MediaKind: TypeAlias = Literal["image", "audio", "video", "document", "other"]


@dataclass(slots=True)
class Piece:
    """A part as it came, or a run of an unsigned text that came in several chunks."""

    body: JsonObject
    texts: list[str] = field(default_factory=list[str])
    """What was added to the text of `body`."""
    key: str = ""
    """Our id, of a call."""
    whole: bool = True

    @property
    def grows(self) -> bool:
        """Whether an unsigned text may go on in it."""
        return is_plain(self.body)

    def finished(self) -> JsonObject:
        """Return the part with all of its text."""
        if not self.texts:
            return self.body
        return self.body | {"text": "".join((string(self.body.get("text")), *self.texts))}


@frozen
class Reply:
    """What a message is made of."""

    about: JsonObject
    """The response but for its candidates."""
    candidate: JsonObject
    """But for its content."""
    pieces: Sequence[Piece]
    state: State = "complete"


def message_of(reply: Reply, model: ModelInfo) -> AssistantMessage:
    """Return the message that the parts and what is told of them are."""
    about, candidate = reply.about, reply.candidate
    parts = [part for piece in reply.pieces for part in _parts(piece)]
    parts += _grounds(candidate, told=any("toolCall" in piece.body for piece in reply.pieces))
    raw = string(candidate.get("finishReason"))
    stop = _stop(raw, parts)
    rest = string(candidate.get("continuationToken"))
    state = reply.state
    if stop == "pause" and state == "complete":
        state, stop = ("paused", stop) if rest else ("complete", "length")
        parts += [OpaquePart(kind=CONTINUATION, raw=dumps({"continuationToken": rest}))] if rest else []
    return AssistantMessage(
        parts=tuple(parts),
        origin=Origin(
            wire=model.wire,
            vendor=model.vendor,
            endpoint=model.endpoint,
            model=model.id,
            served=string(about.get("modelVersion")),
        ),
        stop="interrupted" if state == "interrupted" else stop,
        stop_raw="" if state == "interrupted" else raw,
        state=state,
        usage=_usage(json_object(about.get("usageMetadata"))),
        response_id=string(about.get("responseId")),
        warnings=_warnings(candidate),
        logprobs=tuple(_logprobs(json_object(candidate.get("logprobsResult")))),
    )


def is_plain(body: JsonObject) -> bool:
    """Tell whether a part is a text, or a thought, and nothing more: unsigned, so that it may be put together."""
    return "text" in body and body.keys() <= {"text", "thought"}


def kind_of(body: JsonObject) -> str:
    """Return the name of what a part holds."""
    found = next((name for name in (*_DATA, *_HOSTED) if name in body), "")
    return found or next((name for name in body if name not in {"thought", "thoughtSignature"}), "")


def hosted_kind(body: JsonObject) -> str:
    """Return our word for the tool of a hosted call or result, or the provider's where we have none."""
    kind = kind_of(body)
    if kind in {"executableCode", "codeExecutionResult"}:
        return "code_interpreter"
    told = string(json_object(body[kind]).get("toolType"))
    return _KINDS.get(told, told.lower() or "tool")


def written(body: JsonObject) -> str:
    """Return the arguments of a call as JSON; some come without any."""
    args = json_object(body.get("functionCall")).get("args")
    return dumps(args) if args else "{}"


def failed(body: JsonObject) -> bool:
    """Tell whether a part is the result of code that failed."""
    outcome = json_object(body.get("codeExecutionResult")).get("outcome", "OUTCOME_OK")
    return outcome != "OUTCOME_OK"


def json_object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def json_objects(value: Any) -> list[JsonObject]:
    """Return the objects of a list; none where it is no list."""
    return [json_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _parts(piece: Piece) -> Iterator[Part]:
    """Yield the parts that one of the wire's is: the one mapper of streamed and whole replies."""
    body = piece.finished()
    raw, kind = dumps(body), kind_of(body)
    held = json_object(body.get(kind))
    match kind:
        case "functionCall":
            call = ToolCall(id=piece.key, name=string(held.get("name")), arguments=written(body))
            yield CallPart(call=call, raw=raw)
        case "text" | "":
            text, signature = string(body.get("text")), string(body.get("thoughtSignature")) or None
            if body.get("thought") or not text:
                yield ReasoningPart(text=text, signature=signature, raw=raw)
            else:
                yield TextPart(text=text, raw=raw)
        case "inlineData" | "fileData":
            yield MediaPart(media=_media(held), raw=raw)
        case "executableCode":
            key, kind = piece.key, hosted_kind(body)
            yield HostedCallPart(id=key, kind=kind, arguments=string(held.get("code")), raw=raw)
        case "toolCall":
            arguments = dumps(held.get("args") or {})
            yield HostedCallPart(id=piece.key, kind=hosted_kind(body), arguments=arguments, raw=raw)
        case "codeExecutionResult" | "toolResponse":
            yield _hosted_result(piece, held, raw)
        case _:
            yield OpaquePart(kind=kind, raw=raw)


def _media(held: JsonObject) -> Media:
    mime = string(held.get("mimeType")) or "application/octet-stream"
    family = mime.partition("/")[0]
    kind = cast("_MediaKind", family) if family in {"image", "audio", "video"} else "document"
    data = string(held.get("data"))
    source = Inline(data=data) if "data" in held else Url(url=string(held.get("fileUri")))
    return Media(kind=kind, mime=mime, source=source)


def _hosted_result(piece: Piece, held: JsonObject, raw: str) -> HostedResultPart:
    output = string(held.get("output"))
    content: list[Content] = [Text(text=output)] if output else []
    if held.get("response"):
        content.append(Json(value=held["response"]))
    return HostedResultPart(
        call_id=piece.key,
        kind=hosted_kind(piece.body),
        content=tuple(content),
        is_error=failed(piece.body),
        raw=raw,
    )


def _grounds(candidate: JsonObject, *, told: bool) -> Iterator[Part]:
    """Yield what a reply rests on: searches that no part tells of, and citations."""
    grounds = json_object(candidate.get("groundingMetadata"))
    queries = grounds.get("webSearchQueries")
    if queries and not told:
        arguments = dumps({"queries": queries})
        yield HostedCallPart(id=derived_id(arguments), kind="web_search", arguments=arguments)
    quotes: dict[int, str] = {}
    for support in json_objects(grounds.get("groundingSupports")):
        for index in _numbers(support.get("groundingChunkIndices")):
            quotes.setdefault(index, string(json_object(support.get("segment")).get("text")))
    for index, chunk in enumerate(json_objects(grounds.get("groundingChunks"))):
        source = next((json_object(value) for value in chunk.values()), JsonObject())
        yield CitationPart(
            url=string(source.get("uri")), title=string(source.get("title")), quote=quotes.get(index, "")
        )
    for cited in json_objects(json_object(candidate.get("citationMetadata")).get("citations")):
        yield CitationPart(url=string(cited.get("uri")), title=string(cited.get("title")))
    pages = json_object(candidate.get("urlContextMetadata")).get("urlMetadata")
    for page in json_objects(pages):
        yield CitationPart(url=string(page.get("retrievedUrl")))


def _numbers(value: Any) -> list[int]:
    return (
        [item for item in cast("list[Any]", value) if isinstance(item, int)]
        if isinstance(value, list)
        else []
    )


def _stop(reason: str, parts: Sequence[Part]) -> StopReason:
    """Say why a reply ended. The API has no word for calls: they are told by being there."""
    stop = _STOPS.get(reason, "other")
    return "tool_use" if stop == "end" and any(isinstance(part, CallPart) for part in parts) else stop


def _warnings(candidate: JsonObject) -> tuple[Warned, ...]:
    """Return the provider's own words on how a reply ended."""
    told, reason = string(candidate.get("finishMessage")), string(candidate.get("finishReason"))
    return (Warned(code="finish", field=reason, detail=told),) if told else ()


def _usage(counts: JsonObject) -> Usage:
    """Make Google's counts disjoint: the prompt holds what was cached; the candidates do not hold the thoughts."""
    cached, thoughts = _count(counts, "cachedContentTokenCount"), _count(counts, "thoughtsTokenCount")
    return Usage(
        input=max(0, _count(counts, "promptTokenCount") - cached) + _count(counts, "toolUsePromptTokenCount"),
        cache_read=cached,
        output=_count(counts, "candidatesTokenCount") + thoughts,
        reasoning=thoughts,
    )


def _count(counts: JsonObject, key: str) -> int:
    value = counts.get(key)
    return value if isinstance(value, int) else 0


def _logprobs(result: JsonObject) -> Iterator[TokenLogprob]:
    steps = json_objects(result.get("topCandidates"))
    for index, token in enumerate(json_objects(result.get("chosenCandidates"))):
        others = json_objects(steps[index].get("candidates")) if index < len(steps) else ()
        yield TokenLogprob(
            token=string(token.get("token")),
            logprob=_likelihood(token),
            top=tuple((string(other.get("token")), _likelihood(other)) for other in others),
        )


def _likelihood(token: JsonObject) -> float:
    value = token.get("logProbability", 0)
    return float(value) if isinstance(value, int | float) else 0.0
