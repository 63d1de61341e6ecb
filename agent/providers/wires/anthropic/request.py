"""A request as an Anthropic body: tools, system, messages, and what is asked beside them."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, assert_never, cast
from urllib.parse import quote

from treadle import prompts
from treadle.agent.messages import AssistantMessage, Message, Warned
from treadle.agent.providers.contract import (
    Breakpoint,
    Dialect,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Renderings,
)
from treadle.agent.providers.rendering import (
    Notes,
    array,
    dumps,
    encoded,
    ends,
    mcp_server,
    snap_effort,
    snap_ttl,
)
from treadle.agent.providers.wires.anthropic.blocks import Turn, is_container, text_block, turns
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Freeform, Function, Hosted, JsonObject, ToolSpec

VERSION: Final = "2026-10-21"
SAMPLING_VERSION: Final = "2023-06-01"
"""The newer version refuses temperature, top_p and top_k, even at their defaults."""
DEFAULT_MAX_TOKENS: Final = 8192
"""The field is required; this holds where neither the request nor the model's row says more."""
MCP_BETA: Final = "mcp-client-2025-11-20"
BINDING_BETA: Final = "thinking-binding-controls-2026-08-01"
_HOSTED: Final[Mapping[str, str]] = {
    "web_search": "web_search_20250305",
    "code_interpreter": "code_execution_20250825",
    "computer_use": "computer_toolset_20260801",
    "tool_search": "tool_search_tool_bm25_20251119",
}
_SCREENS: Final = {"computer_20250124": "2025-01-24", "computer_20251124": "2025-11-24"}
"""Older tools that act on a screen, with the dates of the betas that know them."""
_SIZE: Final[JsonObject] = {"display_width_px": 1280, "display_height_px": 800}
"""What these are told of the screen when nobody says more."""
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}
_LEAST_BUDGET: Final = 1024
# Where a cache marker may stand. A tool begins with its name, but for a deferred one, which takes none.
_MARKABLE: Final = re.compile(
    rb'\{"name":|\{"type":"(?:text|image|document|tool_use|server_tool_use|mcp_tool_use|(?!advisor)(?:\w+_)?tool_result)"'
)
_SAMPLED: Final = ("temperature", "top_p", "top_k")
_LITERALS: Final = frozenset({"enum", "const", "default", "examples"})
_NAMED_SCHEMAS: Final = frozenset({"properties", "$defs", "definitions"})
_UNSUPPORTED: Final = re.compile(
    r"minimum|maximum|exclusiveM(?:in|ax)imum|multipleOf|(?:min|max)(?:Length|Properties)|maxItems|uniqueItems"
)


@frozen
class _Losses:
    """What a model takes otherwise than asked, or not at all."""

    model: ModelInfo
    notes: Notes
    words: list[str]
    """What no field can say: asked for in words, at the tail."""

    def takes(self, key: str, default: Any) -> Any:
        return self.model.dialect.get(key, default)

    def drop(self, name: str, why: str = "") -> None:
        """Note that something is not sent."""
        detail = f"{self.model.id} does not take {name}{why}"
        self.notes.append(Warned(code=f"{name.split('.')[0]}_dropped", field=name, detail=detail))

    def ask(self, name: str, key: str, **words: str) -> None:
        """Say in words what there is no field for."""
        self.words.append(prompts.load(f"wires/{key}", **words))
        detail = f"{self.model.id} has no field for it: asked for in words"
        self.notes.append(Warned(code=f"{name}_in_words", field=name, detail=detail))


def request_call(request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
    """Return the call to `/messages`. Raises `InvalidRequest` for what this wire cannot say."""
    losses = _Losses(model, [], [])
    stream = stream and not request.caching.warm  # there is nothing to stream
    tools = _tools(request.tools, losses)
    system = [encoded(text_block(text)) for text in request.system if text.strip()]
    conversation = turns(request.messages, model, kept, losses.notes)
    if not system and not any(turn.blocks for turn in conversation):
        raise InvalidRequest("there is no message to send")
    knobs = _knobs(request, losses) | ({"stream": True} if stream else {})
    blocks = [*tools, *system, *(block for turn in conversation for block in turn.blocks)]
    starts = [*accumulate((len(turn.blocks) for turn in conversation), initial=len(tools) + len(system))]
    places = _places(request.caching.breakpoints, len(tools), starts)
    segments = [turn.whole for turn in conversation]
    messages = list(segments)
    for index in _mark(blocks, places, losses):
        number = bisect_right(starts, index) - 1
        if number >= 0:
            messages[number] = conversation[number].message(blocks[starts[number] : starts[number + 1]])
    words = [Turn("user", (encoded(text_block(text)),)).whole for text in losses.words]
    if _is_paused(request.messages):
        words = []  # what goes on may have nothing after it
    sent = [message for message, turn in zip(messages, conversation, strict=True) if turn.blocks]
    fields = [
        encoded(knobs)[:-1],
        *([b'"tools":' + array(blocks[: len(tools)])] if tools else []),
        *([b'"system":' + array(blocks[len(tools) : starts[0]])] if system else []),
        b'"messages":' + array((*sent, *words)) + b"}",
    ]
    kept_segments = (segment for segment, turn in zip(segments, conversation, strict=True) if turn.blocks)
    whole, streamed = losses.takes("paths", ("/messages", "/messages"))
    return HttpCall(
        method="POST",
        path=(streamed if stream else whole).replace("{model}", quote(model.id, safe="@")),
        body=b",".join(fields),
        segments=(*tools, *system, *kept_segments),
        ends=ends(len(tools), len(system), *(int(bool(turn.blocks)) for turn in conversation)),
        headers=_headers(knobs, model.dialect, tools),
        warnings=tuple(dict.fromkeys(losses.notes)),
        stream=stream,
    )


def _tools(tools: Sequence[ToolSpec], losses: _Losses) -> list[bytes]:
    deferred = {
        name
        for tool in tools
        if isinstance(tool, Hosted) and tool.kind == "tool_search"
        for name in tool.config.get("deferred", ())
    }
    return [_tool(tool, losses, deferred=tool.name in deferred) for tool in tools]


def _tool(tool: ToolSpec, losses: _Losses, *, deferred: bool) -> bytes:
    match tool:
        case Function(name=name, description=description, parameters=parameters, strict=strict):
            schema: JsonObject = {"type": "object", **parameters}
            described: JsonObject = {"name": name, "description": description}
            described["input_schema"] = _closed(schema) if strict else schema
            described |= {"strict": True} if strict else {}
        case Freeform(name=name, description=description, grammar=grammar):
            if grammar is not None:
                losses.drop(f"grammar.{name}")
            schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
            described = {"name": name, "description": description, "input_schema": schema}
        case Hosted(kind="mcp", config=config):
            return encoded(_toolset(config, losses))
        case Hosted(kind=kind, config=config):
            version = cast("str | None", {**_HOSTED, **losses.takes("hosted", {})}.get(kind))
            if version is None:
                raise InvalidRequest(f"{losses.model.vendor} runs no {kind} for {losses.model.id}")
            options = {key: value for key, value in config.items() if key != "deferred"}
            named = {} if "_toolset_" in version else {"name": re.sub(r"_\d{8}$", "", version)}
            described = {**named, "type": version, **(_SIZE if version in _SCREENS else {}), **options}
        case _:
            assert_never(tool)
    return encoded({"defer_loading": True, **described} if deferred else described)


def _toolset(config: JsonObject, losses: _Losses) -> JsonObject:
    """Return what offers an MCP server's tools; the server itself is named beside them."""
    server = mcp_server(config)
    if losses.takes("hosted", {}).get("mcp", "") is None:
        raise InvalidRequest(f"{losses.model.vendor} runs no mcp for {losses.model.id}")
    if server is None:
        raise InvalidRequest("hosted.mcp needs a name and a url, both strings")
    shown = {name: {"enabled": True} for name in server.tools}
    only: JsonObject = {"default_config": {"enabled": False}, "configs": shown} if shown else {}
    return {"type": "mcp_toolset", "mcp_server_name": server.name, **only, **server.rest}


def _servers(tools: Sequence[ToolSpec]) -> JsonObject:
    """Name the MCP servers that the provider connects to."""
    configs = [tool.config for tool in tools if isinstance(tool, Hosted) and tool.kind == "mcp"]
    servers: list[JsonObject] = []
    for server in filter(None, map(mcp_server, configs)):
        token = {"authorization_token": server.token} if server.token else {}
        servers.append({"type": "url", "url": server.url, "name": server.name, **token})
    return {"mcp_servers": servers} if servers else {}


def _closed(schema: Any) -> Any:
    """Return a schema as strict modes take it: objects closed, without the constraints that they refuse."""
    if isinstance(schema, list):
        return [_closed(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node: JsonObject = {}
    for key, value in cast("JsonObject", schema).items():
        if _UNSUPPORTED.fullmatch(key) or (key == "minItems" and value not in {0, 1}):
            continue
        if key in _LITERALS:
            node[key] = value
        elif key in _NAMED_SCHEMAS:
            node[key] = {name: _closed(inner) for name, inner in value.items()}
        else:
            node["anyOf" if key == "oneOf" else key] = _closed(value)
    if node.get("type") == "object" or "properties" in node:
        node["additionalProperties"] = False
    return node


def _places(points: Iterable[Breakpoint], tools: int, starts: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """Yield how many blocks stand before each breakpoint, and whether it is to last an hour."""
    for point in points:
        long = point.ttl is not None and snap_ttl(point.ttl, ("5m", "1h")) == "1h"
        match point.after:
            case "tools":
                yield tools, long
            case "system":
                yield starts[0], long
            case "message" if 0 <= point.message < len(starts) - 1:
                yield starts[point.message + 1], long
            case _:
                pass


def _mark(blocks: list[bytes], places: Iterable[tuple[int, bool]], losses: _Losses) -> list[int]:
    """Put cache markers at the asked places, or before, where a block takes none. Return which blocks changed."""
    asked: dict[int, bool] = {}
    for end, long in places:
        last = end - 1
        while last >= 0 and not _MARKABLE.match(blocks[last]):
            last -= 1
        if last >= 0:
            asked[last] = asked.get(last, False) or long
    most = losses.takes("cache_points", 4)
    if len(asked) > most:
        losses.drop("breakpoint", f": {len(asked)} asked for, the last {most} taken")
    marked, long = sorted(asked, reverse=True)[:most], False
    for index in marked:
        long = long or asked[index]  # what lasts longer must stand before what does not
        control = {"type": "ephemeral", **({"ttl": "1h"} if long else {})}
        blocks[index] = b'%s,"cache_control":%s}' % (blocks[index][:-1], encoded(control))
    return marked


def _knobs(request: ModelRequest, losses: _Losses) -> JsonObject:
    """Return what is no part of the cached prefix."""
    model = losses.model
    limit = request.output.max_tokens or model.max_output or DEFAULT_MAX_TOKENS
    previous = request.caching.previous
    if model.max_output is not None and limit > model.max_output:
        losses.drop("max_tokens", f" above {model.max_output}")
        limit = model.max_output
    thinking, effort = _thinking(request, limit, losses)
    thinks = thinking.get("type") in {"adaptive", "enabled"}
    if request.output.verbosity is not None:
        losses.drop("verbosity")
    output = ({"effort": effort} if effort else {}) | _format(request, losses)
    return {
        **_version_or_model(losses),
        "max_tokens": 0 if request.caching.warm else limit,
        **({"diagnostics": {"previous_message_id": previous or None}} if previous is not None else {}),
        **({"thinking": thinking} if thinking else {}),
        **({"output_config": output} if output else {}),
        **_choice(request, losses, thinks=thinks),
        **_sampling(request, losses, thinks=thinks),
        **_tier(request, losses),
        **_container(request.messages),
        **_servers(request.tools),
    }


def _version_or_model(losses: _Losses) -> JsonObject:
    """Name the model; where the path does, the version stands in the body instead."""
    version = losses.takes("version_in_body", "")
    return {"anthropic_version": version} if version else {"model": losses.model.id}


def _thinking(request: ModelRequest, limit: int, losses: _Losses) -> tuple[JsonObject, str | None]:
    """Return the thinking parameter and the effort, each empty where nothing is to be said."""
    wanted, style = request.output.effort, losses.takes("thinking", "adaptive")
    off = losses.takes("thinking_off", "disabled")
    if wanted == "none" and off != "unsupported":
        return ({} if style == "none" else {"type": off}), None
    effort = (
        snap_effort(wanted, losses.takes("efforts", () if style == "none" else EFFORTS)) if wanted else None
    )
    if effort not in {wanted, None}:
        detail = f"{losses.model.id} does not take {wanted!r}: {effort!r} is asked for"
        losses.notes.append(Warned(code="effort_snapped", field="effort", detail=detail))
    summary: JsonObject = {"display": "summarized"} if request.output.reasoning_summary else {}
    match style:
        case "adaptive":
            drop = {"prefix_mismatch_behavior": "drop_block"}
            binding = {"block_binding": drop} if losses.takes("drop_unbound_thinking", False) else {}
            asked = wanted or summary or binding
            return ({"type": "adaptive", **summary, **binding} if asked else {}), effort
        case "enabled" if wanted:
            budget = min(_BUDGETS[wanted], limit - 1)
            if budget >= _LEAST_BUDGET:
                return {"type": "enabled", "budget_tokens": budget, **summary}, effort
            losses.drop("thinking", f" in {limit} tokens")
        case _ if wanted and not effort:
            losses.drop("effort")
        case _:
            pass
    return {}, effort


def _format(request: ModelRequest, losses: _Losses) -> JsonObject:
    """Ask for JSON: by schema where the model can, else in words."""
    schema = request.output.schema
    if schema is not None and losses.takes("structured", "json_schema") == "json_schema":
        return {"format": {"type": "json_schema", "schema": _closed(schema)}}
    if schema is not None:
        losses.ask("schema", "json_schema", schema=dumps(schema))
    elif request.output.json_mode:
        losses.ask("json_mode", "json")
    return {}


def _choice(request: ModelRequest, losses: _Losses, *, thinks: bool) -> JsonObject:
    """Say which tools may be called. The list itself never changes: it is what is cached first."""
    if not request.tools:
        return {}
    choice: JsonObject = {"type": "auto"}
    forced = losses.takes("forced_tool_choice", "yes")
    match request.tool_choice or "none":
        case "auto":
            pass
        case "none":
            return {"tool_choice": {"type": "none"}}
        case "required" if forced == "yes" or (forced == "not_while_thinking" and not thinks):
            choice = {"type": "any"}
        case "required":
            losses.ask("tool_choice", "must_call")
        case names:
            unknown = sorted(set(names) - {tool.name for tool in request.tools})
            if unknown:
                raise InvalidRequest(
                    f"tool_choice names tools that are not in the list: {', '.join(unknown)}"
                )
            losses.ask("tool_choice", "only_tools", tools=", ".join(names))
    if request.parallel is False:
        choice["disable_parallel_tool_use"] = True
    return {} if choice == {"type": "auto"} else {"tool_choice": choice}


def _sampling(request: ModelRequest, losses: _Losses, *, thinks: bool) -> JsonObject:
    sampling, rule = request.sampling, losses.takes("sampling", "never")
    accepted = () if rule == "never" or (thinks and rule == "when_not_reasoning") else _SAMPLED
    taken: JsonObject = {"stop_sequences": list(sampling.stop)} if sampling.stop else {}
    for name, value in sampling.model_dump(exclude_none=True, exclude={"stop"}).items():
        if name in accepted:
            taken[name] = value
        else:
            losses.drop(
                f"sampling.{name}", " while it reasons" if rule != "never" and name in _SAMPLED else ""
            )
    return taken


def _tier(request: ModelRequest, losses: _Losses) -> JsonObject:
    match request.service_tier:
        case None:
            return {}
        case "auto" | "standard_only" as tier:
            return {"service_tier": tier}
        case "fast":
            return {"speed": "fast"}
        case tier:
            losses.drop("service_tier", f" {tier!r}")
            return {}


def _is_paused(messages: Sequence[Message]) -> bool:
    last = messages[-1] if messages else None
    return isinstance(last, AssistantMessage) and last.state == "paused"


def _container(messages: Sequence[Message]) -> JsonObject:
    """Name the container in which a paused reply goes on."""
    last = messages[-1] if _is_paused(messages) else None
    for part in last.parts if isinstance(last, AssistantMessage) else ():
        if is_container(part):
            return {"container": json.loads(part.raw)["id"]}
    return {}


def _headers(knobs: JsonObject, dialect: Dialect, tools: Iterable[bytes]) -> dict[str, str]:
    sampled = not knobs.keys().isdisjoint(_SAMPLED)
    version = dialect.get("anthropic_version", SAMPLING_VERSION if sampled else VERSION)
    named = {} if dialect.get("version_in_body") else {"anthropic-version": version}
    betas = [*dialect.get("betas", ())]
    if "block_binding" in knobs.get("thinking", {}):
        betas.append(BINDING_BETA)
    if "mcp_servers" in knobs:
        betas.append(MCP_BETA)
    for kind, day in _SCREENS.items():
        named_so = f'"type":"{kind}"'.encode()
        betas += [f"computer-use-{day}"] if any(named_so in tool for tool in tools) else []
    return named | ({"anthropic-beta": ",".join(dict.fromkeys(betas))} if betas else {})
