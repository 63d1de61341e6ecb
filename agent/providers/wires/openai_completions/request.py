"""A conversation as one text for a model to continue, and the body around it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from treadle import prompts
from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CompactionPart,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    UserMessage,
    Warned,
)
from treadle.agent.providers.contract import (
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Rendered,
    Renderings,
)
from treadle.agent.providers.rendering import (
    Notes,
    content_text,
    dumps,
    encoded,
    media_placeholder,
    result_text,
)
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, Media

_TEXT: Final = "{text}"
_GAP: Final = "\n\n"
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "top_logprobs": "logprobs",
    "stop": "stop",
}


@frozen
class _Knobs:
    """What a body holds beside the prompt, while it is put together."""

    model: ModelInfo
    fields: JsonObject
    notes: Notes
    asked: list[str]
    """What no field can say: asked for in words, at the tail."""

    def takes(self, key: str, default: Any) -> Any:
        return self.model.dialect.get(key, default)

    def drop(self, name: str, why: str = "") -> None:
        """Note that something is not sent."""
        detail = f"{self.model.id} does not take {name}{why}"
        self.notes.append(Warned(code=f"{name.split('.')[0]}_dropped", field=name, detail=detail))

    def ask(self, name: str, key: str, **words: str) -> None:
        """Say in words what the API has no field for."""
        self.asked.append(prompts.load(f"wires/{key}", **words))
        detail = f"{self.model.id} has no field for it: asked for in words"
        self.notes.append(Warned(code=f"{name}_in_words", field=name, detail=detail))


def request_call(request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
    """Return the HTTP call for a request. Raises `InvalidRequest` for one with tools."""
    if request.tools:
        raise InvalidRequest(
            f"{model.id} is asked over legacy Completions, which knows no tools: run with --tools none"
        )
    knobs = _Knobs(model, {}, [], [])
    segments = [_segment("system", text, model) for text in request.system]
    bounds = [0, len(segments)]
    for message in request.messages:
        rendered = kept.of(message, lambda each: _render(each, model))
        segments += rendered.segments
        bounds.append(len(segments))
        knobs.notes.extend(rendered.warnings)
    if not segments:
        raise InvalidRequest("there is no message to send")
    _output(request, knobs)
    _sampling(request, knobs)
    _rest(request, knobs, stream=stream)
    tail = [_segment("user", text, model) for text in knobs.asked]
    prompt = b"".join((*segments, *tail, _escaped(_template("assistant", model).partition(_TEXT)[0])))
    fields = [encoded(key) + b":" + encoded(value) for key, value in knobs.fields.items()]
    return HttpCall(
        method="POST",
        path="/completions",
        body=b'{"model":' + encoded(model.id) + b',"prompt":"' + prompt + b'",' + b",".join(fields) + b"}",
        segments=tuple(segments),
        ends=tuple(bounds),
        warnings=tuple(dict.fromkeys(knobs.notes)),
        stream=stream,
    )


def _template(role: str, model: ModelInfo) -> str:
    own: Mapping[str, str] = model.dialect.get("turns", {})
    return own[role] if role in own else prompts.load(f"wires/turn_{role}", text=_TEXT) + _GAP


def _segment(role: str, text: str, model: ModelInfo) -> bytes:
    return _escaped(_template(role, model).replace(_TEXT, text))


def _escaped(text: str) -> bytes:
    """Return text as it stands in a JSON string, without the quotes: so pieces can be put together."""
    return dumps(text)[1:-1].encode()


def _render(message: Message, model: ModelInfo) -> Rendered:
    notes: Notes = []
    match message:
        case UserMessage():
            turns = [("user", _GAP.join(content_text(content, notes) for content in message.content))]
        case AssistantMessage():
            turns = [("assistant", text) for text in _said(message, model, notes)]
        case _:
            turns = [("result", text) for text in _results(message.results, notes)]
    return Rendered(tuple(_segment(role, text, model) for role, text in turns), tuple(notes))


def _results(results: Sequence[Any], notes: Notes) -> Iterator[str]:
    for result in results:
        media = [media_placeholder(item, notes) for item in result.content if isinstance(item, Media)]
        yield "\n".join((result_text(result, notes, media_note=""), *media)).strip()


def _said(message: AssistantMessage, model: ModelInfo, notes: Notes) -> Iterator[str]:
    """Yield what a model said, if anything. To where it came from it goes back with the spaces that it had."""
    if message.state == "failed":
        return
    home = message.state == "complete" and message.origin.home == (
        model.wire,
        model.vendor,
        model.endpoint,
        model.id,
    )
    if home:
        yield from (json.loads(part.raw)["text"] for part in message.parts if part.raw)
        return
    whole = message.state in {"complete", "paused"}
    parts = (part for part in message.parts if whole or not isinstance(part, CallPart))
    pieces = [_piece(part, notes) for part in parts]
    text = "".join(piece for piece in pieces if piece).strip()
    if text:
        opening = _template("assistant", model).partition(_TEXT)[0]
        yield text if not opening or opening[-1].isspace() else f" {text}"


def _piece(part: Part, notes: Notes) -> str:
    match part:
        case TextPart(text=text) | RefusalPart(text=text):
            return text
        case CompactionPart(text=text) if text:
            return text + _GAP
        case CallPart(call=call):
            return "\n" + prompts.load("wires/turn_call", tool=call.name, arguments=call.arguments)
        case MediaPart(media=media):
            return media_placeholder(media, notes)
        case ReasoningPart():
            detail = "legacy Completions has no place for reasoning"
            note = Warned(code="reasoning_dropped", field="reasoning", detail=detail)
        case _:
            note = Warned(code=f"{part.type}_dropped", field=part.type, detail="a block of another API")
    if note not in notes:
        notes.append(note)
    return ""


def _output(request: ModelRequest, knobs: _Knobs) -> None:
    output, model = request.output, knobs.model
    knobs.fields["max_tokens"] = output.max_tokens or model.max_output or knobs.takes("max_tokens", 1024)
    if output.schema is not None:
        knobs.ask("schema", "json_schema", schema=dumps(output.schema))
    elif output.json_mode:
        knobs.ask("json_mode", "json")
    unsaid = {
        "effort": output.effort not in {None, "none"},
        "verbosity": output.verbosity,
        "service_tier": request.service_tier,
    }
    for name, given in unsaid.items():
        if given:
            knobs.drop(name)


def _sampling(request: ModelRequest, knobs: _Knobs) -> None:
    keys: Mapping[str, str] = knobs.takes("sampling", _SAMPLING)
    for name, value in request.sampling.model_dump(exclude_none=True, exclude={"stop"}).items():
        most = knobs.takes("max_logprobs", 5) if name == "top_logprobs" else value
        if name not in keys:
            knobs.drop(f"sampling.{name}")
            continue
        knobs.fields[keys[name]] = min(value, most)
        if value > most:
            knobs.drop(f"sampling.{name}", f" above {most}")
    stops, most = (
        (*knobs.takes("turn_stops", ("\nUser:",)), *request.sampling.stop),
        knobs.takes("max_stop", 4),
    )
    if stops and "stop" in keys:
        knobs.fields[keys["stop"]] = list(stops[:most])
    if "stop" not in keys and request.sampling.stop:
        knobs.drop("sampling.stop")
    elif len(stops) > most:
        knobs.drop("sampling.stop", f" beyond {most}")


def _rest(request: ModelRequest, knobs: _Knobs, *, stream: bool) -> None:
    if request.caching.retention is not None:
        knobs.drop("prompt_cache_retention")
    if stream:
        knobs.fields["stream"] = True
    if stream and knobs.takes("stream_usage", True):
        knobs.fields["stream_options"] = {"include_usage": True}
    knobs.fields.update(knobs.takes("extra_body", {}))
