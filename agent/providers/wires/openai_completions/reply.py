"""A completion as a message, whole or streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from treadle.agent.events import StreamDelta, TextDelta
from treadle.agent.messages import (
    AssistantMessage,
    Origin,
    State,
    StopReason,
    TextPart,
    TokenLogprob,
    Usage,
)
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import ModelInfo, StreamCutShort, Undecodable
from treadle.agent.providers.events_json import loads, sound
from treadle.agent.providers.rendering import dumps
from treadle.tools.contract import JsonObject

_STOPS: Final[dict[str, StopReason]] = {
    "stop": "end",
    "length": "length",
    "content_filter": "content_filter",
}
_BROKEN: Final = {"error", "abort"}
_LOGPROBS: Final = ("tokens", "token_logprobs", "top_logprobs")


class CompletionDecoder:
    """Takes the chunks of one reply."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._body: JsonObject = {}
        self._pieces: list[str] = []
        self._logprobs: dict[str, list[Any]] = {key: [] for key in _LOGPROBS}
        self._finish = ""
        self._shown = False
        self._held = ""
        """Space that is only shown when something follows it."""
        self._done = False

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one SSE event. What comes after `[DONE]` does not count."""
        if self._done or not data.strip():
            return ()
        if data.strip() == "[DONE]":
            self._done = True
            return ()
        chunk = _parsed(data)
        if event == "error" or _is_error(chunk):
            raise failure_in_stream(chunk)
        self._keep(chunk)
        choice = _choice(chunk)
        for key, kept in self._logprobs.items():
            kept += _list(_object(choice.get("logprobs")).get(key))
        self._finish = _text(choice.get("finish_reason")) or self._finish
        piece = _text(choice.get("text"))
        self._pieces.append(piece)
        return tuple(self._show(piece))

    def finish(self) -> AssistantMessage:
        """Return the whole reply. The end counts only if a `finish_reason` came, but for hosts that send none."""
        optional = self._model.dialect.get("finish_optional", False)
        if not self._finish and not (optional and self._body):
            raise StreamCutShort("the reply ended without a finish_reason")
        return _read(self._whole(), self._model)

    def partial(self) -> AssistantMessage:
        """Return what came."""
        return _read(self._whole(), self._model, "interrupted")

    def _whole(self) -> JsonObject:
        choice = {
            "text": "".join(self._pieces),
            "finish_reason": self._finish,
            "logprobs": self._logprobs,
        }
        return self._body | {"choices": [choice]}

    def _keep(self, chunk: JsonObject) -> None:
        """Keep what describes the reply. The first id counts, and the last usage: it is cumulative."""
        for key in ("id", "model"):
            self._body.setdefault(key, chunk.get(key))
        if chunk.get("usage"):
            self._body["usage"] = chunk["usage"]

    def _show(self, piece: str) -> Iterator[StreamDelta]:
        text = self._held + piece if self._shown else (self._held + piece).lstrip()
        shown = text.rstrip()
        self._held = text[len(shown) :]
        if shown:
            self._shown = True
            yield TextDelta(shown)


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came in one piece. Raises what an error under status 200 is."""
    if _is_error(body):
        raise failure_in_stream(body)
    if not isinstance(_choice(body).get("text"), str):
        raise Undecodable("the reply holds no text")
    return _read(sound(body), model)


def _read(body: JsonObject, model: ModelInfo, state: State = "complete") -> AssistantMessage:
    choice = _choice(body)
    text, finish = _text(choice.get("text")), _text(choice.get("finish_reason"))
    if state == "complete" and finish in _BROKEN:
        raise StreamCutShort(f"the provider broke off: {finish}", code=finish)
    shown = text.strip()
    stop = _STOPS.get(finish, "other") if finish else "end"
    return AssistantMessage(
        parts=(TextPart(text=shown, raw=dumps({"text": text})),) if shown else (),
        origin=Origin(
            wire=model.wire,
            vendor=model.vendor,
            endpoint=model.endpoint,
            model=model.id,
            served=_text(body.get("model")),
        ),
        stop=stop if state == "complete" else "interrupted",
        stop_raw=finish,
        state=state,
        usage=_usage(_object(body.get("usage"))),
        response_id=_text(body.get("id")),
        logprobs=tuple(_tokens(_object(choice.get("logprobs")))),
    )


def _parsed(data: str) -> JsonObject:
    try:
        chunk: object = loads(data)
    except ValueError as error:
        raise Undecodable(f"a chunk is not JSON: {data[:200]}") from error
    if not isinstance(chunk, dict):
        raise Undecodable(f"a chunk is not an object: {data[:200]}")
    return cast("JsonObject", chunk)


def _is_error(body: JsonObject) -> bool:
    bare = "choices" not in body and "message" in body
    return bool(body.get("error")) or body.get("object") == "error" or bare


def _choice(body: JsonObject) -> JsonObject:
    for choice in map(_object, _list(body.get("choices"))):
        if choice.get("index", 0) == 0:
            return choice
    return {}


def _usage(usage: JsonObject) -> Usage:
    prompt, hit = _count(usage, "prompt_tokens"), _object(usage.get("prompt_tokens_details"))
    read = min(prompt, _count(hit, "cached_tokens"))
    cost = usage.get("cost")
    return Usage(
        input=prompt - read,
        cache_read=read,
        output=_count(usage, "completion_tokens"),
        cost=float(cost) if isinstance(cost, int | float) else None,
    )


def _tokens(data: JsonObject) -> Iterator[TokenLogprob]:
    """Yield what stands in parallel arrays. The first token of a text has no likelihood: it is null."""
    tokens, values, tops = (_list(data.get(key)) for key in _LOGPROBS)
    for index, token in enumerate(tokens):
        value = values[index] if index < len(values) else None
        top = _object(tops[index]) if index < len(tops) else {}
        others = tuple((name, _number(likely)) for name, likely in top.items())
        yield TokenLogprob(token=_text(token), logprob=_number(value), top=others)


def _object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(data: JsonObject, key: str) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else 0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
