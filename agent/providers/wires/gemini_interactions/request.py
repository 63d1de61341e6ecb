"""A request as an interaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from treadle import prompts
from treadle.agent.messages import AssistantMessage, Message, Warned
from treadle.agent.providers.contract import HttpCall, InvalidRequest, ModelInfo, ModelRequest, Renderings
from treadle.agent.providers.rendering import (
    Notes,
    array,
    dumps,
    encoded,
    ends,
    holds_strictly,
    mcp_server,
    snap_effort,
    sound_name,
)
from treadle.agent.providers.wires.gemini_interactions.steps import (
    history,
    is_home,
    names_rest,
    said,
    spoken,
)
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Freeform, Function, Hosted, JsonObject, ToolSpec

HOSTED: Final[Mapping[str, JsonObject]] = {
    "web_search": {"type": "google_search"},
    "code_interpreter": {"type": "code_execution"},
    "file_search": {"type": "file_search"},
    "computer_use": {"type": "computer_use"},
    "mcp": {"type": "mcp_server"},
    "tool_search": {"type": "tool_search", "execution": "server"},
}
"""Kinds of hosted tools: what each is on the wire, before its own config."""

_SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop_sequences",
}
_OURS: Final = frozenset({"deferred", "url_context"})
_PLAIN: Final[JsonObject] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The parameters of the function that stands for a freeform tool."""


@frozen
class _Knobs:
    """What a body holds beside tools and steps, while it is put together."""

    model: ModelInfo
    config: JsonObject
    """What goes into `generation_config`."""
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

    def ask(self, name: str, key: str, **told: str) -> None:
        """Say in words what the model's API has no field for."""
        self.asked.append(prompts.load(f"wires/{key}", **told))
        detail = f"{self.model.id} has no field for it: asked for in words"
        self.notes.append(Warned(code=f"{name}_in_words", field=name, detail=detail))


def request_call(request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
    """Return the call to `/interactions`. Raises `InvalidRequest` for what this wire cannot say."""
    knobs = _Knobs(model, {}, {}, [], [])
    tools = [encoded(shape) for shape in _tools(request.tools, knobs)]
    system = encoded("\n\n".join(text for text in request.system if text))
    messages, token = _continued(request.messages, model)
    turns = history(messages, model, kept, knobs.notes)
    steps = [segment for turn in turns for segment in turn]
    if system == b'""' and not steps:
        raise InvalidRequest("there is no message to send")
    _output(request, knobs)
    _choice(request, knobs)
    words = [encoded(said(spoken(text))) for text in knobs.asked]
    last = {"generation_config": knobs.config} if knobs.config else {}
    last |= {**knobs.fields, **token, **_stored(request), **({"stream": True} if stream else {})}
    known = sum(map(len, turns[: request.stored.known])) if request.stored else 0
    fields = [
        b'"model":' + encoded(model.id),
        *([b'"system_instruction":' + system] if system != b'""' else []),
        *([b'"tools":' + array(tools)] if tools else []),
        b'"input":' + array([*steps[known:], *words]),
        encoded(last | knobs.takes("extra_body", {}))[1:-1],
    ]
    return HttpCall(
        method="POST",
        path="/interactions",
        body=b"{" + b",".join(fields) + b"}",
        segments=(*tools, *([system] if system != b'""' else []), *steps),
        ends=ends(len(tools), int(system != b'""'), *map(len, turns)),
        headers={"api-revision": knobs.takes("api_revision", "2026-05-20")},
        warnings=tuple(dict.fromkeys(knobs.notes)),
        stream=stream,
    )


def _stored(request: ModelRequest) -> JsonObject:
    """Return what says what is kept, and what this request goes on from."""
    stored = request.stored
    if stored is None:
        return {"store": False}
    told: JsonObject = {"previous_interaction_id": stored.id} if stored.id else {}
    return {**told, "store": True} | ({"background": True} if stored.background else {})


def _continued(messages: Sequence[Message], model: ModelInfo) -> tuple[Sequence[Message], JsonObject]:
    """Return the messages to send, and where a reply goes on that was too long for one: it is not sent itself."""
    end, token = len(messages), JsonObject()
    while end and (rest := _rest(messages[end - 1], model)):
        token = token or rest
        end -= 1
    return messages[:end], token


def _rest(message: Message, model: ModelInfo) -> JsonObject:
    """Return what names the rest of a reply that was too long for one; nothing for others."""
    if not isinstance(message, AssistantMessage) or message.state != "paused" or not is_home(message, model):
        return {}
    return next((json.loads(part.raw) for part in message.parts if names_rest(part)), JsonObject())


def _tools(tools: Sequence[ToolSpec], knobs: _Knobs) -> list[JsonObject]:
    deferred = {
        name
        for tool in tools
        if isinstance(tool, Hosted) and tool.kind == "tool_search"
        for name in tool.config.get("deferred", ())
    }
    shapes: list[JsonObject] = []
    for tool in tools:
        shape = _tool(tool, knobs)
        shapes.append(shape | {"defer_loading": True} if tool.name in deferred else shape)
        if isinstance(tool, Hosted) and tool.config.get("url_context"):
            shapes.append({"type": "url_context"})
    return shapes


def _tool(tool: ToolSpec, knobs: _Knobs) -> JsonObject:
    if isinstance(tool, Hosted):
        return _hosted(tool, knobs)
    if isinstance(tool, Freeform) and tool.grammar is not None:
        knobs.drop(f"grammar.{tool.name}")
    parameters = tool.parameters if isinstance(tool, Function) else _PLAIN
    named = {"type": "function", "name": sound_name(tool.name), "description": tool.description}
    return {**named, "parameters": parameters}


def _hosted(tool: Hosted, knobs: _Knobs) -> JsonObject:
    if tool.kind not in HOSTED or tool.kind not in knobs.takes("hosted", ()):
        raise InvalidRequest(f"{knobs.model.vendor} does not run {tool.kind} for {knobs.model.id}")
    config = _mcp(tool.config) if tool.kind == "mcp" else tool.config
    return HOSTED[tool.kind] | {key: value for key, value in config.items() if key not in _OURS}


def _mcp(config: JsonObject) -> JsonObject:
    """Return a server as the API names it."""
    server = mcp_server(config)
    if server is None:
        return config
    named: JsonObject = {"name": server.name, "url": server.url}
    if server.token:
        named["headers"] = {"Authorization": f"Bearer {server.token}"}
    if server.tools:
        named["allowed_tools"] = [{"mode": "auto", "tools": [*server.tools]}]
    return {**named, **server.rest}


def _output(request: ModelRequest, knobs: _Knobs) -> None:
    output = request.output
    _sampling(request, knobs)
    if output.max_tokens is not None:
        knobs.config["max_output_tokens"] = output.max_tokens
    efforts: Sequence[str] = knobs.takes("efforts", ("low", "high"))
    level = snap_effort(output.effort, efforts) if output.effort else None
    if level:
        knobs.config["thinking_level"] = level
    if output.effort and level is None:
        knobs.drop("effort", f" {output.effort!r}")
    elif output.effort != level:
        detail = f"{knobs.model.id} does not take {output.effort!r}: {level!r} is asked for"
        knobs.notes.append(Warned(code="effort_snapped", field="effort", detail=detail))
    if output.reasoning_summary and efforts:
        knobs.config["thinking_summaries"] = "auto"
    _format(request, knobs)
    if output.verbosity is not None:
        knobs.drop("verbosity")
    if request.service_tier in knobs.takes("service_tiers", ()):
        knobs.fields["service_tier"] = request.service_tier
    elif request.service_tier is not None:
        knobs.drop("service_tier", f" {request.service_tier!r}")


def _sampling(request: ModelRequest, knobs: _Knobs) -> None:
    accepted: Collection[str] = knobs.takes("sampling", _SAMPLING)
    for name, value in request.sampling.model_dump(exclude_none=True, exclude_defaults=True).items():
        if name in _SAMPLING and name in accepted:
            knobs.config[_SAMPLING[name]] = value
        else:
            knobs.drop(f"sampling.{name}")


def _format(request: ModelRequest, knobs: _Knobs) -> None:
    """Ask for JSON as strictly as the model can: by schema, as a type, in words."""
    schema, mode = request.output.schema, knobs.takes("structured", "json_schema")
    if schema is None and not request.output.json_mode:
        return
    form: JsonObject = {"type": "text", "mime_type": "application/json"}
    if schema is not None and mode == "json_schema":
        form["schema"] = schema
    elif schema is not None:
        knobs.ask("schema", "json_schema", schema=dumps(schema))
    elif mode == "prompt":
        knobs.ask("json_mode", "json")
    if mode != "prompt":
        knobs.fields["response_format"] = [form]


def _choice(request: ModelRequest, knobs: _Knobs) -> None:
    """Say which tools may be called. The list itself never changes: it is what is cached first."""
    if not request.tools:
        return
    if request.parallel is False:
        knobs.drop("parallel", ": it may call several tools at once")
    accepted: Collection[str] = knobs.takes("tool_choices", ("none", "any", "allowed_tools"))
    choice: object = None
    match request.tool_choice or "none":
        case "auto":
            choice = "validated" if knobs.takes("strict") and _held(request.tools) else None
        case "none" if "none" in accepted:
            choice = "none"
        case "none":
            knobs.ask("tool_choice", "no_tools")
        case "required" if "any" in accepted:
            choice = "any"
        case "required":
            knobs.ask("tool_choice", "must_call")
        case names:
            choice = _subset(names, request.tools, knobs, native="allowed_tools" in accepted)
    if choice is not None:
        knobs.config["tool_choice"] = choice


def _held(tools: Sequence[ToolSpec]) -> bool:
    """Tell whether a model that may call these should be held to their schemas."""
    return any(
        isinstance(tool, Function) and tool.strict and holds_strictly(tool.parameters) for tool in tools
    )


def _subset(names: Sequence[str], tools: Sequence[ToolSpec], knobs: _Knobs, *, native: bool) -> object:
    unknown = sorted(set(names) - {tool.name for tool in tools})
    if unknown:
        raise InvalidRequest(f"tool_choice names tools that are not in the list: {', '.join(unknown)}")
    functions = [
        sound_name(tool.name) for tool in tools if tool.name in names and not isinstance(tool, Hosted)
    ]
    if not native or len(functions) < len(names):
        knobs.ask("tool_choice", "only_tools", tools=", ".join(names))
        return None
    return {"allowed_tools": {"mode": "auto", "tools": functions}}
