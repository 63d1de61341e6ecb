"""A request as a Chat Completions body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from treadle import prompts
from treadle.agent.messages import ToolMessage, Warned
from treadle.agent.providers.contract import (
    Breakpoint,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Rendered,
    Renderings,
)
from treadle.agent.providers.rendering import (
    Notes,
    array,
    dumps,
    encoded,
    ends,
    holds_strictly,
    inlined,
    members,
    snap_effort,
    snap_ttl,
)
from treadle.agent.providers.wires.openai_chat.history import render, system_messages
from treadle.agent.providers.wires.openai_chat.hosted import hosted_tool
from treadle.agent.settings import Effort, Sampling
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Freeform, Function, Hosted, JsonObject, ToolSpec

_SAMPLING: Final = {
    name: name
    for name in (
        "temperature",
        "top_p",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "stop",
    )
}


@frozen
class _Knobs:
    """What a body holds beside tools and messages, while it is put together."""

    model: ModelInfo
    fields: JsonObject
    notes: Notes
    asked: list[str]
    """What no field can say: asked for in words, at the tail."""

    def takes(self, key: str, default: Any = False) -> Any:
        return self.model.dialect.get(key, default)

    def drop(self, name: str, why: str = "") -> None:
        """Note that something is not sent."""
        detail = f"{self.model.id} does not take {name}{why}"
        self.notes.append(Warned(code=f"{name.split('.')[0]}_dropped", field=name, detail=detail))

    def listed(self, key: str, value: str | None, accepted: Sequence[str]) -> None:
        """Send a value if it is an accepted one."""
        if value is not None and value in accepted:
            self.fields[key] = value
        elif value is not None:
            self.drop(key, f" {value!r}")

    def ask(self, name: str, key: str, **words: str) -> None:
        """Say in words what the model's API has no field for."""
        self.asked.append(prompts.load(f"wires/{key}", **words))
        detail = f"{self.model.id} has no field for it: asked for in words"
        self.notes.append(Warned(code=f"{name}_in_words", field=name, detail=detail))


def request_call(request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
    """Return the HTTP call for a request."""
    knobs = _Knobs(model, {}, [], [])
    tools = [encoded(tool) for tool in _offered(request.tools, knobs)]
    system = system_messages(request.system, model)
    turns = [item.segments for item in _history(request, model, kept, knobs.notes)]
    if not system and not any(turns):
        raise InvalidRequest("there is no message to send")
    for turn_knob in (_output, _format, _choice, _caching):
        turn_knob(request, knobs)
    _stream(knobs, stream=stream)
    messages = _marked(request.caching.breakpoints, [system, *turns], knobs)
    messages += [encoded({"role": "user", "content": text}) for text in knobs.asked]
    fields = [b'"model":' + encoded(model.id)]
    fields += [b'"tools":' + array(tools)] if tools else []
    fields += [b'"messages":' + array(messages)]
    fields += [encoded(key) + b":" + encoded(value) for key, value in knobs.fields.items()]
    return HttpCall(
        method="POST",
        path="/chat/completions",
        body=b"{" + b",".join(fields) + b"}",
        segments=(*tools, *system, *(segment for turn in turns for segment in turn)),
        ends=ends(len(tools), len(system), *map(len, turns)),
        headers=_routing(request, model),
        warnings=tuple(knobs.notes),
        stream=stream,
    )


def _history(request: ModelRequest, model: ModelInfo, kept: Renderings, notes: Notes) -> Iterator[Rendered]:
    """Render each message. A result whose call is not sent is left out: the API refuses one without the other."""
    called: frozenset[str] = frozenset()
    for message in request.messages:
        if message.role == "assistant":
            whole = message.state in {"complete", "paused"}
            called = frozenset(call.id for call in message.calls) if whole else frozenset()
        if message.role == "tool" and not all(result.call_id in called for result in message.results):
            answers = tuple(result for result in message.results if result.call_id in called)
            notes.append(Warned(code="results_dropped", field="messages", detail="their calls are not sent"))
            item = render(ToolMessage(results=answers), model)
        else:
            item = kept.of(message, lambda each: render(each, model))
        notes.extend(item.warnings)
        yield item


def _offered(tools: Sequence[ToolSpec], knobs: _Knobs) -> Iterator[JsonObject]:
    """Yield the tools. Where searching them is no tool but a field, those that it finds are marked as deferred."""
    search: JsonObject = knobs.takes("tool_search", {})
    deferred: set[str] = set()
    for spec in tools if search else ():
        if isinstance(spec, Hosted) and spec.kind == "tool_search":
            knobs.fields.update(search)
            deferred.update(spec.config.get("deferred", ()))
    for spec in tools:
        if not (search and isinstance(spec, Hosted) and spec.kind == "tool_search"):
            tool = _tool(spec, knobs.model)
            yield {**tool, "defer_loading": True} if spec.name in deferred else tool


def _tool(spec: ToolSpec, model: ModelInfo) -> JsonObject:
    match spec:
        case Function(name=name, description=description, parameters=parameters, strict=strict):
            schema = inlined(parameters) if model.dialect.get("inline_defs") else parameters
            function: JsonObject = {"name": name, "description": description, "parameters": schema}
            if strict and model.dialect.get("strict"):
                function["strict"] = True
            return {"type": "function", "function": function}
        case Freeform():
            return _custom(spec) if model.dialect.get("freeform") else _plain(spec)
        case _:
            return hosted_tool(spec, model)


def _custom(spec: Freeform) -> JsonObject:
    custom: JsonObject = {"name": spec.name, "description": spec.description}
    if spec.grammar is not None:
        grammar = {"definition": spec.grammar.definition, "syntax": spec.grammar.syntax}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": custom}


def _plain(spec: Freeform) -> JsonObject:
    """Return the function of one string that stands for a freeform tool."""
    parameters = {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": parameters},
    }


def _output(request: ModelRequest, knobs: _Knobs) -> None:
    output = request.output
    if output.max_tokens is not None:
        knobs.fields[knobs.takes("max_tokens_key", "max_tokens")] = output.max_tokens
    effort = _effort(output.effort, knobs) or knobs.takes("default_effort", "medium")
    _sampling(request.sampling, knobs, reasons=effort != "none")
    knobs.listed("verbosity", output.verbosity, ("low", "medium", "high") if knobs.takes("verbosity") else ())
    knobs.listed("service_tier", request.service_tier, knobs.takes("service_tiers", ()))


def _effort(wanted: Effort | None, knobs: _Knobs) -> str | None:
    """Send the nearest accepted effort, and return it."""
    if wanted is None:
        return None
    accepted: Sequence[str] | Mapping[str, JsonObject] = knobs.takes("efforts", ())
    snapped = snap_effort(wanted, tuple(accepted))
    if snapped is None:
        knobs.drop("effort", f" {wanted!r}")
        return None
    if snapped != wanted:
        detail = f"{knobs.model.id} does not take {wanted!r}: {snapped!r} is asked for"
        knobs.notes.append(Warned(code="effort_snapped", field="effort", detail=detail))
    knobs.fields.update(accepted[snapped] if isinstance(accepted, Mapping) else {"reasoning_effort": snapped})
    return snapped


def _sampling(sampling: Sampling, knobs: _Knobs, *, reasons: bool) -> None:
    keys: Mapping[str, str] = knobs.takes("sampling", _SAMPLING)
    refused: Sequence[str] = knobs.takes("sampling_unless_reasoning", ()) if reasons else ()
    zero: JsonObject = knobs.takes("zero_temperature", {})
    most: int = knobs.takes("max_stop", 4)
    for name, value in sampling.model_dump(exclude_none=True, exclude_defaults=True).items():
        if name not in keys or name in refused:
            knobs.drop(f"sampling.{name}", " while it reasons" if name in refused else "")
        elif name == "temperature" and value == 0 and zero:
            knobs.fields.update(zero)
        elif name == "stop":
            knobs.fields[keys[name]] = list(sampling.stop[:most])
            if len(sampling.stop) > most:
                knobs.drop("sampling.stop", f" beyond {most}")
        else:
            knobs.fields[keys[name]] = value
    if "top_logprobs" in knobs.fields:
        knobs.fields["logprobs"] = True


def _format(request: ModelRequest, knobs: _Knobs) -> None:
    """Ask for JSON as strictly as the model can: by schema, as an object, in words."""
    schema, mode = request.output.schema, knobs.takes("structured", "json_schema")
    if schema is None and not request.output.json_mode:
        return
    if schema is not None and mode == "json_schema":
        named = {"name": "reply", "schema": schema, "strict": holds_strictly(schema)}
        knobs.fields["response_format"] = {"type": "json_schema", "json_schema": named}
        return
    if mode != "prompt":
        knobs.fields["response_format"] = {"type": "json_object"}
    if schema is not None:
        knobs.ask("schema", "json_schema", schema=dumps(schema))
    elif mode == "prompt":
        knobs.ask("json_mode", "json")


def _choice(request: ModelRequest, knobs: _Knobs) -> None:
    """Say which tools may be called. The list itself never changes: it is what providers cache first."""
    if not request.tools:
        return
    if request.parallel is not None and knobs.takes("parallel", True):
        knobs.fields["parallel_tool_calls"] = request.parallel
    elif request.parallel is not None:
        knobs.drop("parallel_tool_calls")
    accepted: Sequence[str] = knobs.takes("tool_choices", ("none", "required"))
    match request.tool_choice or "none":
        case "auto":
            return
        case "none" | "required" as choice if choice in accepted:
            knobs.fields["tool_choice"] = choice
        case "none":
            knobs.ask("tool_choice", "no_tools")
        case "required":
            knobs.ask("tool_choice", "must_call")
        case names:
            _subset(names, request.tools, knobs, native="allowed_tools" in accepted)


def _subset(names: Sequence[str], tools: Sequence[ToolSpec], knobs: _Knobs, *, native: bool) -> None:
    unknown = set(names) - {spec.name for spec in tools}
    if unknown:
        raise InvalidRequest(
            f"tool_choice names tools that are not in the list: {', '.join(sorted(unknown))}"
        )
    if not native:
        knobs.ask("tool_choice", "only_tools", tools=", ".join(names))
        return
    shapes = {spec.name: _tool(spec, knobs.model) for spec in tools}
    allowed = [{"type": kind, kind: {"name": name}} for name in names for kind in [str(shapes[name]["type"])]]
    choice = {"mode": "auto", "tools": allowed}
    knobs.fields["tool_choice"] = {"type": "allowed_tools", "allowed_tools": choice}


def _caching(request: ModelRequest, knobs: _Knobs) -> None:
    caching, times = request.caching, knobs.takes("cache_options", ())
    field = knobs.takes("cache_key")
    if caching.key and field:
        knobs.fields["prompt_cache_key" if field is True else field] = caching.key
    if times and (caching.breakpoints or caching.retention):
        ttl = snap_ttl(caching.retention, times) if caching.retention else None
        knobs.fields["prompt_cache_options"] = {"mode": "implicit"} | ({"ttl": ttl} if ttl else {})
    elif caching.retention is not None:
        knobs.listed("prompt_cache_retention", caching.retention, knobs.takes("cache_retention", ()))


def _routing(request: ModelRequest, model: ModelInfo) -> dict[str, str]:
    """Return the header, if any, that brings a session to where its cache is."""
    header = model.dialect.get("cache_header", "")
    return {header: request.caching.key} if header and request.caching.key else {}


def _stream(knobs: _Knobs, *, stream: bool) -> None:
    if stream:
        knobs.fields["stream"] = True
    if stream and knobs.takes("stream_usage", True):
        knobs.fields["stream_options"] = {"include_usage": True}
    knobs.fields.update(knobs.takes("extra_body", {}))


def _marked(points: Sequence[Breakpoint], turns: Sequence[Sequence[bytes]], knobs: _Knobs) -> list[bytes]:
    """Return the messages' bytes with a marker in the last part before each breakpoint.

    `turns[0]` is the system's, `turns[1 + n]` those of message n. Only an array of parts can hold a marker, and
    never an assistant's.
    """
    marker: Mapping[str, JsonObject] = knobs.takes("cache_marker", {})
    marks: dict[int, bytes] = {}
    for point in points if marker else ():
        turn = {"tools": -1, "system": 0, "message": point.message + 1}[point.after]
        segment = turns[turn][-1] if 0 <= turn < len(turns) and turns[turn] else b""
        if segment.endswith(b"}]}") and not segment.startswith(b'{"role":"assistant"'):
            marks[turn] = _marker(marker, point, knobs)
        else:
            knobs.drop("breakpoint", f" after {point.after}" + (f" {point.message}" if turn > 0 else ""))
    messages: list[bytes] = []
    for turn, segments in enumerate(turns):
        messages += segments
        if turn in marks:
            messages[-1] = messages[-1][:-3] + b"," + marks[turn] + b"}]}"
    return messages


def _marker(marker: Mapping[str, JsonObject], point: Breakpoint, knobs: _Knobs) -> bytes:
    ttl = snap_ttl(point.ttl, knobs.takes("cache_ttls", ())) if point.ttl else None
    return members(
        dumps({key: value | ({"ttl": ttl} if ttl else {}) for key, value in marker.items()})
    ).encode()
