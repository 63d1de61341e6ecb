"""A request as a Responses body."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from treadle import prompts
from treadle.agent.messages import Warned
from treadle.agent.providers.contract import (
    Breakpoint,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Renderings,
)
from treadle.agent.providers.rendering import (
    McpServer,
    Notes,
    array,
    dumps,
    encoded,
    ends,
    holds_strictly,
    mcp_server,
    snap_effort,
    snap_ttl,
)
from treadle.agent.providers.wires.openai_responses.items import history, system_items, words
from treadle.agent.settings import Effort, Sampling
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Freeform, Function, Hosted, JsonObject, ToolSpec

HOSTED: Final[Mapping[str, JsonObject]] = {
    "web_search": {"type": "web_search"},
    "code_interpreter": {"type": "code_interpreter", "container": {"type": "auto"}},
    "file_search": {"type": "file_search"},
    "computer_use": {"type": "computer"},
    "image_generation": {"type": "image_generation"},
    "mcp": {"type": "mcp"},
    "tool_search": {"type": "tool_search"},
}
"""Hosted tools: what each is on the wire, before its own config."""

_NEEDED: Final = {"file_search": "vector_store_ids"}
"""Options without which a hosted tool is refused."""
_TOLD: Final[Mapping[str, str]] = {
    "web_search": "web_search_call.action.sources",
    "code_interpreter": "code_interpreter_call.outputs",
    "file_search": "file_search_call.results",
}
"""What must be asked for, so that a hosted call is whole when it is sent back."""

_SAMPLING: Final = ("temperature", "top_p", "top_logprobs")
_PLAIN: Final[JsonObject] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The parameters of the function that stands for a freeform tool."""


@frozen
class _Knobs:
    """What a body holds beside tools and items, while it is put together."""

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

    def listed(self, key: str, value: str | None, accepted: Collection[str]) -> str | None:
        """Return a value if it is an accepted one."""
        if value is None or value in accepted:
            return value
        self.drop(key, f" {value!r}")
        return None

    def ask(self, name: str, key: str, **told: str) -> None:
        """Say in words what the model's API has no field for."""
        self.asked.append(prompts.load(f"wires/{key}", **told))
        detail = f"{self.model.id} has no field for it: asked for in words"
        self.notes.append(Warned(code=f"{name}_in_words", field=name, detail=detail))


def request_call(request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
    """Return the call to `/responses`. Raises `InvalidRequest` for what this wire cannot say."""
    knobs = _Knobs(model, {}, [], [])
    tools = [encoded(tool) for tool in _tools(request.tools, model)]
    system = system_items(request.system, model)
    turns = history(request.messages, model, kept, knobs.notes)
    if not system and not any(turns):
        raise InvalidRequest("there is no message to send")
    _output(request, knobs)
    _choice(request, knobs)
    _caching(request, knobs)
    items = _marked(request, [tuple(system), *turns], knobs)[_known(request, [tuple(system), *turns]) :]
    items += [words(text, model) for text in knobs.asked]
    fields = [b'"model":' + encoded(model.id)]
    fields += [b'"tools":' + array(tools)] if tools else []
    fields += [b'"input":' + array(items)]
    last = _stored(request) | ({"stream": True} if stream else {}) | knobs.takes("extra_body", {})
    fields += [encoded(key) + b":" + encoded(value) for key, value in (knobs.fields | last).items()]
    return HttpCall(
        method="POST",
        path="/responses",
        body=b"{" + b",".join(fields) + b"}",
        segments=(*tools, *system, *(segment for turn in turns for segment in turn)),
        ends=ends(len(tools), len(system), *map(len, turns)),
        warnings=tuple(knobs.notes),
        stream=stream,
    )


def _known(request: ModelRequest, turns: Sequence[tuple[bytes, ...]]) -> int:
    """Return how many items the provider has already."""
    known = request.stored.known if request.stored else 0
    return sum(map(len, turns[: known + 1])) if known else 0


def _stored(request: ModelRequest) -> JsonObject:
    """Return what says what is kept, and what this request goes on from."""
    stored = request.stored
    if stored is None:
        return {"store": False}
    name = "conversation" if stored.within == "conversation" else "previous_response_id"
    told: JsonObject = {name: stored.id} if stored.id else {}
    return {**told, "store": True} | ({"background": True} if stored.background else {})


def _tools(tools: Sequence[ToolSpec], model: ModelInfo) -> list[JsonObject]:
    deferred = {
        name
        for tool in tools
        if isinstance(tool, Hosted) and tool.kind == "tool_search"
        for name in tool.config.get("deferred", ())
    }
    return [_tool(tool, model) | ({"defer_loading": True} if tool.name in deferred else {}) for tool in tools]


def _tool(tool: ToolSpec, model: ModelInfo) -> JsonObject:
    match tool:
        case Function(name=name, description=description, parameters=parameters, strict=strict):
            return _function(name, description, parameters, model, strict=strict)
        case Freeform(name=name, description=description) if not model.dialect.get("freeform"):
            return _function(name, description, _PLAIN, model, strict=True)
        case Freeform(name=name, description=description, grammar=grammar):
            custom: JsonObject = {"type": "custom", "name": name, "description": description}
            if grammar is not None:
                held = {"type": "grammar", "syntax": grammar.syntax, "definition": grammar.definition}
                custom["format"] = held
            return custom
        case _:
            return _hosted(tool, model)


def _hosted(tool: Hosted, model: ModelInfo) -> JsonObject:
    known: Collection[str] = model.dialect.get("hosted", ())
    if tool.kind not in HOSTED or tool.kind not in known:
        raise InvalidRequest(f"{model.vendor} does not run {tool.kind} for {model.id} over Responses")
    if tool.config.get("execution") == "client":
        raise InvalidRequest(f"{tool.kind} is only known as run by the provider")
    needed = _NEEDED.get(tool.kind)
    if needed and needed not in tool.config:
        raise InvalidRequest(f"hosted.{tool.kind} needs {needed}")
    server = mcp_server(tool.config) if tool.kind == "mcp" else None
    options = _mcp(server) if server else tool.config
    named: JsonObject = model.dialect.get("hosted_types", {}).get(tool.kind, {})
    return HOSTED[tool.kind] | named | {key: value for key, value in options.items() if key != "deferred"}


def _mcp(server: McpServer) -> JsonObject:
    """Return the options of a server. Nobody is there to approve its calls: whoever turned it on has."""
    told: JsonObject = {"server_label": server.name, "server_url": server.url, "require_approval": "never"}
    if server.token:
        told["authorization"] = server.token
    if server.tools:
        told["allowed_tools"] = list(server.tools)
    return told | server.rest


def _function(
    name: str, description: str, parameters: JsonObject, model: ModelInfo, *, strict: bool
) -> JsonObject:
    """Return a function. The wire takes an absent `strict` for true where it can, so it is always said."""
    held = strict and bool(model.dialect.get("strict")) and holds_strictly(parameters)
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": parameters,
        "strict": held,
    }


def _output(request: ModelRequest, knobs: _Knobs) -> None:
    output = request.output
    if output.max_tokens is not None:
        knobs.fields["max_output_tokens"] = output.max_tokens
    effort = _effort(output.effort, knobs)
    reasoning: JsonObject = {"effort": effort} if effort else {}
    if output.reasoning_summary and knobs.takes("efforts", ()):
        reasoning["summary"] = "auto"
    verbosity = knobs.listed(
        "verbosity", output.verbosity, ("low", "medium", "high") if knobs.takes("verbosity") else ()
    )
    text = _format(request, knobs) | ({"verbosity": verbosity} if verbosity else {})
    tier = knobs.listed("service_tier", request.service_tier, knobs.takes("service_tiers", ()))
    given = {"reasoning": reasoning, "text": text, "service_tier": tier}
    knobs.fields.update({key: value for key, value in given.items() if value})
    _sampling(request.sampling, knobs, reasons=(effort or knobs.takes("default_effort", "medium")) != "none")
    _include(request, knobs)


def _effort(wanted: Effort | None, knobs: _Knobs) -> str | None:
    """Return the nearest accepted effort."""
    if wanted is None:
        return None
    snapped = snap_effort(wanted, knobs.takes("efforts", ()))
    if snapped is None:
        knobs.drop("effort", f" {wanted!r}")
    elif snapped != wanted:
        detail = f"{knobs.model.id} does not take {wanted!r}: {snapped!r} is asked for"
        knobs.notes.append(Warned(code="effort_snapped", field="effort", detail=detail))
    return snapped


def _sampling(sampling: Sampling, knobs: _Knobs, *, reasons: bool) -> None:
    accepted: Sequence[str] = knobs.takes("sampling", _SAMPLING)
    refused: Sequence[str] = knobs.takes("sampling_unless_reasoning", ()) if reasons else ()
    for name, value in sampling.model_dump(exclude_none=True, exclude_defaults=True).items():
        if name not in accepted or name in refused:
            knobs.drop(f"sampling.{name}", " while it reasons" if name in refused else "")
        else:
            knobs.fields[name] = value


def _include(request: ModelRequest, knobs: _Knobs) -> None:
    told = [*knobs.takes("include", ("reasoning.encrypted_content",))]
    told += ["message.output_text.logprobs"] if "top_logprobs" in knobs.fields else []
    told += [_TOLD[tool.name] for tool in request.tools if isinstance(tool, Hosted) and tool.name in _TOLD]
    if told:
        knobs.fields["include"] = told


def _format(request: ModelRequest, knobs: _Knobs) -> JsonObject:
    """Ask for JSON as strictly as the model can: by schema, as an object, in words."""
    schema, mode = request.output.schema, knobs.takes("structured", "json_schema")
    if schema is None and not request.output.json_mode:
        return {}
    if schema is not None and mode == "json_schema":
        named = {"type": "json_schema", "name": "reply", "schema": schema, "strict": holds_strictly(schema)}
        return {"format": named}
    if schema is not None:
        knobs.ask("schema", "json_schema", schema=dumps(schema))
    elif mode == "prompt":
        knobs.ask("json_mode", "json")
    else:
        knobs.asked.append(prompts.load("wires/json"))  # the API refuses the format if no item speaks of JSON
    return {} if mode == "prompt" else {"format": {"type": "json_object"}}


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
    shapes = [_tool(spec, knobs.model) for spec in tools if spec.name in names]
    allowed = [
        {key: shape[key] for key in ("type", "name", "server_label") if key in shape} for shape in shapes
    ]
    knobs.fields["tool_choice"] = {"type": "allowed_tools", "mode": "auto", "tools": allowed}


def _caching(request: ModelRequest, knobs: _Knobs) -> None:
    caching, times = request.caching, knobs.takes("cache_options", ())
    if caching.key and knobs.takes("cache_key"):
        knobs.fields["prompt_cache_key"] = caching.key
    if times and (caching.breakpoints or caching.retention):
        ttl = snap_ttl(caching.retention, times) if caching.retention else None
        knobs.fields["prompt_cache_options"] = (
            {"mode": "implicit"}
            | ({"ttl": ttl} if ttl else {})
            | ({"prewarm": True} if caching.warm else {})
            | ({"comparison_response_id": caching.previous} if caching.previous and request.stored else {})
        )
    elif not times:
        kept = knobs.listed("prompt_cache_retention", caching.retention, knobs.takes("cache_retention", ()))
        knobs.fields.update({"prompt_cache_retention": kept} if kept else {})


def _marked(request: ModelRequest, turns: Sequence[tuple[bytes, ...]], knobs: _Knobs) -> list[bytes]:
    """Return the items with a marker in the last part before each breakpoint.

    `turns[0]` is the system's, `turns[1 + n]` those of message n. Neither tools nor what a model said can hold one.
    """
    times: Sequence[str] = knobs.takes("cache_marks", ())
    marks: dict[int, bytes] = {}
    for point in request.caching.breakpoints if times else ():
        turn = {"tools": -1, "system": 0, "message": point.message + 1}[point.after]
        held = turns[turn][-1:] if 0 <= turn < len(turns) else ()
        ours = turn == 0 or (bool(held) and request.messages[turn - 1].role != "assistant")
        if ours and any(segment.endswith(b"}]}") for segment in held):
            marks[turn] = _marker(point, times)
        else:
            knobs.drop("breakpoint", f" after {point.after}" + (f" {point.message}" if turn > 0 else ""))
    items: list[bytes] = []
    for turn, segments in enumerate(turns):
        items += segments
        if turn in marks:
            items[-1] = items[-1][:-3] + b"," + marks[turn] + b"}]}"
    return items


def _marker(point: Breakpoint, times: Sequence[str]) -> bytes:
    ttl = snap_ttl(point.ttl, times) if point.ttl else None
    marker = {"mode": "explicit"} | ({"ttl": ttl} if ttl else {})
    return b'"prompt_cache_breakpoint":' + encoded(marker)
