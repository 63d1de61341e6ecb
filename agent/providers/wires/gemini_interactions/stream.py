"""An interaction from its events, or as it came whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from treadle.agent.events import CallDelta, HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import ModelInfo, StreamCutShort, Undecodable
from treadle.agent.providers.events_json import loads, sound
from treadle.agent.providers.rendering import derived_id, dumps
from treadle.agent.providers.wires.gemini_interactions.reply import (
    Reply,
    hosted_kind,
    is_call,
    json_object,
    json_objects,
    message_of,
    string,
)
from treadle.tools.contract import JsonObject

_ENDS: Final = frozenset({
    "completed",
    "requires_action",
    "incomplete",
    "budget_exceeded",
    "requires_continuation",
    "failed",
    "cancelled",
})


@dataclass(slots=True)
class _Step:
    """A step while it comes."""

    body: JsonObject
    ordinal: int = 0
    """Which call of the reply it is, from 0."""
    texts: list[str] = field(default_factory=list[str])
    """What was added to the text that is on, or to the arguments of a call."""
    whole: bool = False

    @property
    def kind(self) -> str:
        return string(self.body.get("type"))

    @property
    def written(self) -> str:
        """What the model wrote into a call: in pieces, or at once."""
        text = "".join(self.texts)
        given = self.body.get("arguments")
        return text or (given if isinstance(given, str) else dumps(given or {}))

    def settle(self) -> None:
        """Put the text that is on where it belongs."""
        text = "".join(self.texts)
        if self.kind in {"model_output", "thought"} and text:
            self._listed()[-1]["text"] = text
            self.texts.clear()

    def say(self, text: str) -> None:
        """Go on with the text that is on, or begin one."""
        listed = self._listed()
        if not self.texts:
            before = listed[-1] if listed and listed[-1].get("type") == "text" else None
            if before is None:
                listed.append({"type": "text", "text": ""})
            else:
                self.texts.append(string(before.get("text")))
        self.texts.append(text)

    def add(self, piece: JsonObject) -> None:
        """Add a piece that is no text."""
        self.settle()
        self._listed().append(piece)

    def note(self, annotations: Sequence[JsonObject]) -> None:
        """Add what the last text rests on."""
        self.settle()
        if listed := self.body.get("content"):
            listed[-1]["annotations"] = [*json_objects(listed[-1].get("annotations")), *annotations]

    def _listed(self) -> list[JsonObject]:
        return self.body.setdefault("summary" if self.kind == "thought" else "content", [])


class InteractionDecoder:
    """Puts a reply together, by the index of its steps."""

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._interaction: JsonObject = {}
        self._steps: dict[int, _Step] = {}
        self._ids: set[str] = set()
        self._ended = False

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one event. What is not known is passed over, as is all that follows the end."""
        if self._ended or not data or data.strip() == "[DONE]":
            return ()
        payload = _loaded(data)
        index = self._index(payload)
        match string(payload.get("event_type")) or event:
            case "step.start":
                return tuple(self.open(index, json_object(payload.get("step"))))
            case "step.delta":
                return tuple(self._grow(index, json_object(payload.get("delta"))))
            case "step.stop":
                return tuple(self.close(index))
            case "interaction.created" | "interaction.status_update":
                self.begin({**payload, **json_object(payload.get("interaction"))})
            case kind if kind.startswith("interaction."):
                return tuple(self.end(kind.partition(".")[2], json_object(payload.get("interaction"))))
            case _ if payload.get("error"):
                raise failure_in_stream(payload)
            case _:
                pass
        return ()

    def begin(self, interaction: JsonObject) -> None:
        """Take what is known of the interaction; its steps are told by themselves."""
        self._interaction |= {key: value for key, value in interaction.items() if key != "steps" and value}

    def open(self, index: int, body: JsonObject) -> Iterator[StreamDelta]:
        """Begin a step. A call's id and name are known from here on."""
        calls = sum(step.kind == "function_call" for step in self._steps.values())
        step = self._steps[index] = _Step({**body}, calls)
        for key in {"content", "summary"} & body.keys():
            step.body[key] = [{**piece} for piece in json_objects(body[key])]
        if step.kind == "function_call":
            step.body["id"] = self._call_id(string(body.get("id")), index)
            yield self._told(step, "")
        elif hosted_kind(body):
            failed = "failed" if body.get("is_error") else "done"
            yield HostedDelta(hosted_kind(body), "started" if is_call(body) else failed)
        for piece in (*json_objects(step.body.get("content")), *json_objects(step.body.get("summary"))):
            text = string(piece.get("text"))
            if text and step.kind in {"model_output", "thought"}:
                yield ReasoningDelta(text) if step.kind == "thought" else TextDelta(text)

    def close(self, index: int) -> Iterator[StreamDelta]:
        """End a step. A call whose arguments came with its start is told now, for no delta told it."""
        step = self._steps.get(index)
        if step is None or step.whole:
            return
        if step.kind == "function_call" and not step.texts:
            yield self._told(step, step.written)
        step.settle()
        step.whole = True

    def end(self, kind: str, interaction: JsonObject) -> Iterator[StreamDelta]:
        """Take the reply as ended. What was not told in events is taken from the interaction itself."""
        self.begin({"status": kind, **interaction})
        status = string(self._interaction.get("status"))
        if status not in _ENDS:
            return
        if status in {"failed", "cancelled"}:
            raise failure_in_stream({"error": _reason(self._interaction, self._bodies())})
        self._ended = True
        if not self._steps:
            for index, body in enumerate(json_objects(interaction.get("steps"))):
                yield from self.open(index, body)
                yield from self.close(index)
        if status not in {"incomplete", "budget_exceeded"}:
            for index in self._steps:
                yield from self.close(index)  # the event that ends a step may be missing

    def finish(self) -> AssistantMessage:
        """Return the whole reply. The end of the stream is not the end of the reply."""
        if not self._ended:
            raise StreamCutShort("the stream ended before the interaction did")
        half = [step for step in self._steps.values() if step.kind == "function_call" and not step.whole]
        names = [string(step.body.get("name")) for step in half]
        return message_of(Reply(self._interaction, self._told_steps(half), names), self._model)

    def partial(self) -> AssistantMessage:
        """Return what came, but for calls that are not whole and hosted ones that have no result."""
        answered = {step.body.get("call_id") for step in self._steps.values() if step.whole}
        left = [
            step
            for step in self._steps.values()
            if (is_call(step.body) or hosted_kind(step.body))
            and (not step.whole or (bool(hosted_kind(step.body)) and self._lacks(step, answered)))
        ]
        return message_of(Reply(self._interaction, self._told_steps(left), state="interrupted"), self._model)

    def _lacks(self, step: _Step, answered: set[Any]) -> bool:
        return is_call(step.body) and step.body.get("id") not in answered

    def _told_steps(self, left: Sequence[_Step]) -> list[tuple[JsonObject, str]]:
        """Return the steps in their order, but for some."""
        found: list[tuple[JsonObject, str]] = []
        for _, step in sorted(self._steps.items()):
            step.settle()
            if not any(step is other for other in left):
                found.append((step.body, step.written))
        return found

    def _bodies(self) -> list[JsonObject]:
        return [step.body for step in self._steps.values()]

    def _grow(self, index: int, delta: JsonObject) -> Iterator[StreamDelta]:
        kind, step = string(delta.get("type")), self._steps.get(index)
        if step is None:
            yield from self.open(index, {"type": "thought" if kind.startswith("thought") else "model_output"})
            step = self._steps[index]
        match step.kind:
            case "function_call":
                text = string(delta.get("arguments")) or string(delta.get("text"))
                step.texts.append(text)
                yield self._told(step, text)
            case "model_output":
                yield from _spoken(step, kind, delta)
            case "thought" if kind == "thought_signature":
                step.body["signature"] = string(delta.get("signature"))
            case "thought":
                text = string(json_object(delta.get("content")).get("text")) or string(delta.get("text"))
                step.say(text)
                yield ReasoningDelta(text)
            case _:
                step.body |= {key: value for key, value in delta.items() if key != "type"}

    def _told(self, step: _Step, text: str) -> StreamDelta:
        return CallDelta(step.ordinal, step.body["id"], string(step.body.get("name")), text)

    def _index(self, payload: JsonObject) -> int:
        """Return the event's index; where it has none, the one of the step that is on."""
        index = payload.get("index")
        return index if isinstance(index, int) else max(self._steps, default=0)

    def _call_id(self, told: str, index: int) -> str:
        """Return an id that no other call of the reply has."""
        key = told if told and told not in self._ids else derived_id(self._interaction.get("id"), index, told)
        self._ids.add(key)
        return key


def read_whole(body: JsonObject, model: ModelInfo) -> AssistantMessage:
    """Read a reply that came whole, as if its steps had been streamed in one piece each.

    Raises what an error under status 200 is, `StreamCutShort` for an interaction that goes on, and `Undecodable` for
    what is no reply.
    """
    if body.get("error"):
        raise failure_in_stream(body)
    if not isinstance(body.get("steps"), list) and string(body.get("status")) not in _ENDS:
        raise Undecodable("the reply holds no steps")
    decoder = InteractionDecoder(model)
    for _ in decoder.end("completed", cast("JsonObject", sound(body))):
        pass
    return decoder.finish()


def _spoken(step: _Step, kind: str, delta: JsonObject) -> Iterator[StreamDelta]:
    """Take more of what a model says."""
    match kind:
        case "text":
            text = string(delta.get("text"))
            step.say(text)
            yield TextDelta(text)
        case "text_annotation_delta":
            step.note(json_objects(delta.get("annotations")))
        case _:
            step.add(delta)


def _reason(interaction: JsonObject, steps: Sequence[JsonObject]) -> JsonObject:
    """Return why an interaction failed, wherever that is told."""
    told = [*json_objects(interaction.get("errors")), *(json_object(step.get("error")) for step in steps)]
    return next(
        (error for error in told if error), {"status": "INTERNAL", "message": "the interaction failed"}
    )


def _loaded(data: str) -> JsonObject:
    try:
        payload = loads(data)
    except ValueError as error:
        raise Undecodable(f"an event is not JSON: {data[:200]}") from error
    if not isinstance(payload, dict):
        raise Undecodable(f"an event is not an object: {data[:200]}")
    return cast("JsonObject", payload)
