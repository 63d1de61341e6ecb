"""A Gemini reply from the responses that a stream is made of, or as it came whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from treadle.agent.events import CallDelta, HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage, Warned
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import (
    ContentBlocked,
    ModelInfo,
    StaleState,
    StreamCutShort,
    Undecodable,
)
from treadle.agent.providers.events_json import loads, sound
from treadle.agent.providers.rendering import derived_id, dumps
from treadle.agent.providers.wires.gemini.partial import put
from treadle.agent.providers.wires.gemini.reply import (
    Piece,
    Reply,
    failed,
    hosted_kind,
    is_plain,
    json_object,
    json_objects,
    kind_of,
    message_of,
    string,
    written,
)
from treadle.tools.contract import JsonObject

_BROKEN: Final = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"})
"""Why a reply holds nothing, though asking again may mend it."""

_CALLS: Final = frozenset({"executableCode", "toolCall"})
_ANSWERS: Final = frozenset({"codeExecutionResult", "toolResponse"})


class ContentDecoder:
    """Puts a reply together. Each event is a response whose parts are more of it."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._about: JsonObject = {}
        self._candidate: JsonObject = {}
        self._pieces: list[Piece] = []
        self._calls: dict[str, Piece] = {}
        self._ended = False

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one event: a response, or an array of such. What is not known is passed over."""
        if not data or data.strip() == "[DONE]":
            return ()
        value = _loaded(data)
        if isinstance(value, list):
            return [delta for item in cast("list[Any]", value) for delta in self.take(json_object(item))]
        if not isinstance(value, dict):
            raise Undecodable(f"an event is not an object: {data[:200]}")
        return self.take(cast("JsonObject", value))

    def take(self, response: JsonObject) -> list[StreamDelta]:
        """Take a response. Raises the error that it carries, if it does and the reply has not ended."""
        if response.get("error") and not self._ended:
            raise failure_in_stream(response)
        counts = {
            **json_object(self._about.get("usageMetadata")),
            **json_object(response.get("usageMetadata")),
        }
        told = {key: value for key, value in response.items() if key != "candidates" and value}
        self._about |= told | ({"usageMetadata": counts} if counts else {})
        self._admitted(json_object(response.get("promptFeedback")))
        candidate = next(
            (each for each in json_objects(response.get("candidates")) if _is_first(each)), JsonObject()
        )
        deltas: list[StreamDelta] = []
        last = self._pieces[-1] if self._pieces else None
        for body in json_objects(json_object(candidate.get("content")).get("parts")):
            deltas += self._call(body) if "functionCall" in body else self._add(body, last)
            last = None  # only the first part of an event goes on with what is there
        deltas += self._end({key: value for key, value in candidate.items() if key != "content" and value})
        return deltas

    def finish(self) -> AssistantMessage:
        """Return the whole reply. The end of the stream is not the end of the reply."""
        if not self._ended:
            raise StreamCutShort("the stream ended before the reply did")
        whole = [piece for piece in self._pieces if piece.whole]
        message = message_of(Reply(self._about, self._candidate, whole), self._model)
        if len(whole) == len(self._pieces):
            return message
        name = string(json_object(self._pieces[-1].body.get("functionCall")).get("name"))
        cut = Warned(code="call_dropped", field=name, detail="the reply ended within the call")
        return message.model_copy(update={"warnings": (*message.warnings, cut)})

    def partial(self) -> AssistantMessage:
        """Return what came, but for calls that are not whole and hosted ones that have no result."""
        answered = {piece.key for piece in self._pieces if kind_of(piece.body) in _ANSWERS}
        pieces = [
            piece
            for piece in self._pieces
            if piece.whole and (kind_of(piece.body) not in _CALLS or piece.key in answered)
        ]
        return message_of(Reply(self._about, self._candidate, pieces, "interrupted"), self._model)

    def _admitted(self, feedback: JsonObject) -> None:
        reason = string(feedback.get("blockReason"))
        if reason:
            told = string(feedback.get("blockReasonMessage"))
            raise ContentBlocked(f"the prompt was blocked: {told or reason}", status=400, code=reason)

    def _end(self, candidate: JsonObject) -> Iterator[StreamDelta]:
        """Take what is told of the reply beside its parts: above all why it ended, if it did."""
        logprobs = json_object(self._candidate.get("logprobsResult"))
        self._candidate |= candidate
        more = json_object(candidate.get("logprobsResult"))
        if logprobs and more:
            self._candidate["logprobsResult"] = {
                key: [*json_objects(logprobs.get(key)), *json_objects(more.get(key))]
                for key in ("chosenCandidates", "topCandidates")
            }
        reason, told = string(candidate.get("finishReason")), string(candidate.get("finishMessage"))
        if reason in _BROKEN:
            raise Undecodable(f"the model's reply was not sound: {told or reason}", code=reason)
        if reason == "MISSING_THOUGHT_SIGNATURE":
            raise StaleState(told or "a call lacks its thought signature", code=reason)
        self._ended = self._ended or bool(reason)
        if reason == "STOP":
            yield from self._close()  # the fragment that ends a call may be missing

    def _add(self, body: JsonObject, last: Piece | None) -> Iterator[StreamDelta]:
        """Take a part that is no call: more of the text that is on, or one of its own."""
        yield from self._close()
        text, kind, thought = string(body.get("text")), kind_of(body), body.get("thought")
        if last is not None and last.grows and is_plain(body) and last.body.get("thought") == thought:
            last.texts.append(text)
        elif body and (text or not is_plain(body)):
            self._pieces.append(Piece(body, key=self._hosted_id(body, kind)))
        if text:
            yield ReasoningDelta(text) if thought else TextDelta(text)
        if kind in _CALLS:
            yield HostedDelta(hosted_kind(body), "started")
        if kind in _ANSWERS:
            yield HostedDelta(hosted_kind(body), "failed" if failed(body) else "done")

    def _call(self, body: JsonObject) -> Iterator[StreamDelta]:
        """Take a call: whole, as nearly always, or a fragment of one."""
        told = json_object(body["functionCall"])
        if not told.get("name"):
            yield from self._go_on(told)
            return
        yield from self._close()
        key = string(told.get("id"))
        if not key or key in self._calls:
            key = derived_id(self._about.get("responseId"), len(self._calls), dumps(body))
        call = {key: value for key, value in told.items() if key not in {"partialArgs", "willContinue"}}
        piece = self._calls[key] = Piece({**body, "functionCall": call}, key=key, whole=False)
        self._pieces.append(piece)
        self._fill(piece, told)
        if not told.get("willContinue"):
            yield from self._close()

    def _go_on(self, told: JsonObject) -> Iterator[StreamDelta]:
        """Take more of the call that is on. Where none is, it is of nothing that could be run."""
        if self._pieces and not self._pieces[-1].whole:
            self._fill(self._pieces[-1], told)
            if not told.get("willContinue"):
                yield from self._close()

    def _fill(self, piece: Piece, told: JsonObject) -> None:
        """Put fragments of arguments into a call."""
        for fragment in json_objects(told.get("partialArgs")):
            put(piece.body["functionCall"].setdefault("args", {}), fragment)

    def _close(self) -> Iterator[StreamDelta]:
        """Take the last part as whole: if it is a call, it is told now."""
        piece = self._pieces[-1] if self._pieces else None
        if piece is not None and not piece.whole:
            piece.whole = True
            name = string(piece.body["functionCall"].get("name"))
            yield CallDelta(len(self._calls) - 1, piece.key, name, written(piece.body))

    def _hosted_id(self, body: JsonObject, kind: str) -> str:
        """Return the id of a hosted call, or the one that a result answers; where none is told, by their order."""
        told = string(json_object(body.get(kind)).get("id"))
        if told or kind not in _CALLS | _ANSWERS:
            return told
        if kind in _CALLS:
            return derived_id(self._about.get("responseId"), len(self._pieces), prefix="hosted_")
        return next((piece.key for piece in reversed(self._pieces) if kind_of(piece.body) in _CALLS), "")


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came whole, as if it had been streamed in one piece.

    Raises what an error under status 200 is, and `Undecodable` for what is no reply.
    """
    if not body.keys() & {"candidates", "error", "promptFeedback"}:
        raise Undecodable("the reply holds no candidate")
    decoder = ContentDecoder(model)
    decoder.take(json_object(sound(body)))
    return decoder.finish()


def _is_first(candidate: JsonObject) -> bool:
    return not candidate.get("index")


def _loaded(data: str) -> Any:
    try:
        return loads(data)
    except ValueError as error:
        raise Undecodable(f"an event is not JSON: {data[:200]}") from error
