"""A request as a Gemini body."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

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
    members,
    snap_effort,
)
from treadle.agent.providers.wires.gemini.parts import Turn, contents, is_home, names_rest, sendable, turns
from treadle.agent.settings import Effort, Sampling
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Freeform, Function, Hosted, JsonObject, ToolSpec

SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "top_logprobs": "logprobs",
    "stop": "stopSequences",
}
"""Our names by the API's."""
HOSTED: Final[Mapping[str, str]] = {
    "web_search": "googleSearch",
    "code_interpreter": "codeExecution",
    "file_search": "fileSearch",
    "computer_use": "computerUse",
    "mcp": "mcpServers",
}
"""Kinds of hosted tools by what the API calls them."""

_BUDGETS: Final[Mapping[Effort, int]] = {
    "none": 0,
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
_PLAIN: Final[JsonObject] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The parameters of the function that stands for a freeform tool."""


@frozen
class _Knobs:
    """What a body holds beside tools and contents, while it is put together."""

    model: ModelInfo
    config: JsonObject
    """What goes into `generationConfig`."""
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
    """Return the call to `:generateContent`. Raises `InvalidRequest` for what this wire cannot say."""
    knobs = _Knobs(model, {}, {}, [], [])
    functions, hosted = _tools(request.tools, knobs)
    tools = [b'{"functionDeclarations":%s}' % array(functions)] if functions else []
    system = [encoded({"text": text}) for text in request.system if text]
    messages, token = _continued(request.messages, model)
    found = turns(messages, model, kept, knobs.notes)
    if not system and not any(turn.parts for turn in found):
        raise InvalidRequest("there is no message to send")
    _output(request, knobs)
    _choice(request, knobs)
    words = Turn("user", tuple(encoded({"text": text}) for text in knobs.asked))
    last = {"generationConfig": knobs.config} if knobs.config else {}
    last |= {**knobs.fields, **token, **knobs.takes("extra_body", {})}
    fields = [
        *([b'"systemInstruction":{"parts":%s}' % array(system)] if system else []),
        *([b'"tools":' + array((*tools, *hosted))] if tools or hosted else []),
        b'"contents":' + array(contents([*found, words])),
        *([members(dumps(last)).encode()] if last else []),
    ]
    method = "streamGenerateContent" if stream else "generateContent"
    return HttpCall(
        method="POST",
        path=f"/models/{quote(model.id, safe='')}:{method}",
        query={"alt": "sse"} if stream else {},
        body=b"{" + b",".join(fields) + b"}",
        segments=(*functions, *hosted, *system, *(part for turn in found for part in turn.parts)),
        ends=ends(len(functions) + len(hosted), len(system), *_parts(found)),
        warnings=tuple(dict.fromkeys(knobs.notes)),
        stream=stream,
    )


def _parts(found: Sequence[Turn]) -> Iterator[int]:
    """Yield how many parts each message became: one with results became two turns."""
    results = 0
    for turn in found:
        if turn.kind == "results":
            results = len(turn.parts)
        else:
            yield results + len(turn.parts)
            results = 0


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


def _tools(tools: Sequence[ToolSpec], knobs: _Knobs) -> tuple[list[bytes], list[bytes]]:
    """Return the functions, and what else the model may use."""
    functions: list[bytes] = []
    hosted: list[bytes] = []
    for tool in tools:
        match tool:
            case Function(name=name, description=description, parameters=parameters):
                functions.append(_function(name, description, parameters))
            case Freeform(name=name, description=description, grammar=grammar):
                if grammar is not None:
                    knobs.drop(f"grammar.{name}")
                functions.append(_function(name, description, _PLAIN))
            case _:
                hosted += [encoded(shape) for shape in _hosted(tool, knobs)]
    if functions and hosted and not knobs.takes("combined"):
        raise InvalidRequest(f"{knobs.model.id} takes no hosted tools beside functions")
    if hosted and knobs.takes("told_hosted"):
        knobs.fields["toolConfig"] = {"includeServerSideToolInvocations": True}
    return functions, hosted


def _function(name: str, description: str, parameters: JsonObject) -> bytes:
    return encoded({"name": sendable(name), "description": description, "parametersJsonSchema": parameters})


def _hosted(tool: Hosted, knobs: _Knobs) -> list[JsonObject]:
    if tool.kind not in HOSTED or tool.kind not in knobs.takes("hosted", ()):
        raise InvalidRequest(f"{knobs.model.vendor} does not run {tool.kind} for {knobs.model.id}")
    config = {key: value for key, value in tool.config.items() if key != "url_context"}
    if tool.kind == "mcp":
        config = _mcp(config)
    shapes: list[JsonObject] = [{HOSTED[tool.kind]: [config] if tool.kind == "mcp" else config}]
    if tool.config.get("url_context"):
        shapes.append({"urlContext": {}})
    return shapes


def _mcp(config: JsonObject) -> JsonObject:
    """Return a server as the API names it."""
    server = mcp_server(config)
    if server is None:
        return config
    if server.tools:
        raise InvalidRequest("hosted.mcp cannot be held to some of a server's tools over this wire")
    headers = {"headers": {"Authorization": f"Bearer {server.token}"}} if server.token else {}
    return {
        "name": server.name,
        "streamableHttpTransport": {"url": server.url, **headers},
        **server.rest,
    }


def _output(request: ModelRequest, knobs: _Knobs) -> None:
    output = request.output
    _sampling(request.sampling, knobs)
    if output.max_tokens is not None:
        knobs.config["maxOutputTokens"] = output.max_tokens
    thinking = _thinking(output.effort, knobs)
    if output.reasoning_summary and knobs.takes("thinking", "level") != "none":
        thinking["includeThoughts"] = True
    if thinking:
        knobs.config["thinkingConfig"] = thinking
    _format(request, knobs)
    if output.verbosity is not None:
        knobs.drop("verbosity")
    if request.service_tier in knobs.takes("service_tiers", ()):
        knobs.fields["serviceTier"] = request.service_tier
    elif request.service_tier is not None:
        knobs.drop("service_tier", f" {request.service_tier!r}")


def _sampling(sampling: Sampling, knobs: _Knobs) -> None:
    accepted: Collection[str] = knobs.takes("sampling", SAMPLING)
    for name, value in sampling.model_dump(exclude_none=True, exclude_defaults=True).items():
        if name not in SAMPLING or name not in accepted:
            knobs.drop(f"sampling.{name}")
            continue
        if name == "top_logprobs":
            knobs.config["responseLogprobs"] = True
        most = knobs.takes("max_stop", 5)
        if name == "stop" and len(value) > most:
            knobs.drop("sampling.stop", f" with more than {most} sequences")
        knobs.config[SAMPLING[name]] = list(value[:most]) if name == "stop" else value


def _thinking(wanted: Effort | None, knobs: _Knobs) -> JsonObject:
    """Say how much to think: as a level or as tokens, whatever the model takes."""
    if wanted is None:
        return {}
    match knobs.takes("thinking", "level"):
        case "budget":
            least, most = knobs.takes("budget", (128, 24_576))
            if wanted == "none" and knobs.takes("thinking_off"):
                return {"thinkingBudget": 0}
            if wanted == "none":
                _snapped(wanted, f"{least} tokens of thinking", knobs)
            return {"thinkingBudget": min(max(_BUDGETS[wanted], least), most)}
        case "level":
            level = snap_effort(wanted, knobs.takes("efforts", ("low", "high")))
            if level is not None and level != wanted:
                _snapped(wanted, repr(level), knobs)
        case _:
            level = None
    if level is None:
        knobs.drop("effort", f" {wanted!r}")
        return {}
    return {"thinkingLevel": level.upper()}


def _snapped(wanted: Effort, taken: str, knobs: _Knobs) -> None:
    detail = f"{knobs.model.id} does not take {wanted!r}: {taken} is asked for"
    knobs.notes.append(Warned(code="effort_snapped", field="effort", detail=detail))


def _format(request: ModelRequest, knobs: _Knobs) -> None:
    """Ask for JSON as strictly as the model can: by schema, as a type, in words."""
    schema, mode = request.output.schema, knobs.takes("structured", "json_schema")
    if schema is None and not request.output.json_mode:
        return
    if request.tools and not knobs.takes("structured_with_tools", True):
        mode = "prompt"
    if mode != "prompt":
        knobs.config["responseMimeType"] = "application/json"
    if schema is not None and mode == "json_schema":
        knobs.config["responseJsonSchema"] = schema
    elif schema is not None:
        knobs.ask("schema", "json_schema", schema=dumps(schema))
    elif mode == "prompt":
        knobs.ask("json_mode", "json")


def _choice(request: ModelRequest, knobs: _Knobs) -> None:
    """Say which tools may be called. The list itself never changes: it is what is cached first."""
    if not request.tools:
        return
    if request.parallel is False:
        knobs.drop("parallel", ": it may call several tools at once")
    modes: Collection[str] = knobs.takes("modes", ("NONE", "ANY", "VALIDATED"))
    config: JsonObject = {}
    match request.tool_choice or "none":
        case "auto":
            config = {"mode": "VALIDATED"} if knobs.takes("strict") and _held(request.tools) else {}
        case "none" if "NONE" in modes:
            config = {"mode": "NONE"}
        case "none":
            knobs.ask("tool_choice", "no_tools")
        case "required" if "ANY" in modes:
            config = {"mode": "ANY"}
        case "required":
            knobs.ask("tool_choice", "must_call")
        case names:
            config = _subset(names, request.tools, knobs, native="VALIDATED" in modes)
    if config:
        knobs.fields["toolConfig"] = {**knobs.fields.get("toolConfig", {}), "functionCallingConfig": config}


def _held(tools: Sequence[ToolSpec]) -> bool:
    """Tell whether a model that may call these should be held to their schemas."""
    return any(
        isinstance(tool, Function) and tool.strict and holds_strictly(tool.parameters) for tool in tools
    )


def _subset(names: Sequence[str], tools: Sequence[ToolSpec], knobs: _Knobs, *, native: bool) -> JsonObject:
    unknown = sorted(set(names) - {tool.name for tool in tools})
    if unknown:
        raise InvalidRequest(f"tool_choice names tools that are not in the list: {', '.join(unknown)}")
    functions = [sendable(tool.name) for tool in tools if tool.name in names and not isinstance(tool, Hosted)]
    if not native or len(functions) < len(names):
        knobs.ask("tool_choice", "only_tools", tools=", ".join(names))
        return {}
    return {"mode": "VALIDATED", "allowedFunctionNames": functions}
