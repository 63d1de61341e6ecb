"""What Google's APIs tell of tools that they ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treadle.agent.mock.jsontext import Json, JsonObject, elements, members
from treadle.agent.mock.script import HostedKind, Ran

_TOOLS: Mapping[str, HostedKind] = {
    "googleSearch": "web_search",
    "codeExecution": "code_interpreter",
    "fileSearch": "file_search",
    "mcpServers": "mcp",
    "google_search": "web_search",
    "code_execution": "code_interpreter",
    "file_search": "file_search",
    "mcp_server": "mcp",
    "tool_search": "tool_search",
}
"""Tools that run at the provider, under the name that either API has for them, and what a script calls them."""
_TYPES: Mapping[HostedKind, str] = {"web_search": "GOOGLE_SEARCH_WEB", "file_search": "FILE_SEARCH"}
_STEPS: Mapping[HostedKind, str] = {
    "web_search": "google_search",
    "code_interpreter": "code_execution",
    "file_search": "file_search",
    "mcp": "mcp_server_tool",
    "tool_search": "tool_search",
}


def hosted_kinds(request: Mapping[str, Json]) -> frozenset[str]:
    """What of a request's tools the API runs."""
    tools = [members(tool) for tool in elements(request.get("tools"))]
    names = {str(name) for tool in tools for name in (*tool, tool.get("type"))}
    return frozenset(kind for name, kind in _TOOLS.items() if name in names)


def ran_parts(ran: Ran, key: str) -> Iterator[JsonObject]:
    """The parts that are a call and its result, over generateContent."""
    text = ran.output or "mock"
    if ran.kind == "code_interpreter":
        outcome = "OUTCOME_FAILED" if ran.error else "OUTCOME_OK"
        yield {"executableCode": {"id": key, "language": "PYTHON", "code": ran.input.get("code", "mock")}}
        yield {"codeExecutionResult": {"id": key, "outcome": outcome, "output": text}}
        return
    named: JsonObject = {"id": key}
    if ran.kind in _TYPES:
        named["toolType"] = _TYPES[ran.kind]
    yield {"toolCall": {**named, "args": dict(ran.input)}}
    yield {"toolResponse": {**named, "response": {"error" if ran.error else "output": text}}}


def ran_steps(ran: Ran, key: str) -> Iterator[JsonObject]:
    """The steps that are a call and its result, over Interactions."""
    text, kind = ran.output or "mock", _STEPS.get(ran.kind, ran.kind)
    server: JsonObject = (
        {"name": ran.input.get("name", "mock"), "server_name": "mock"} if ran.kind == "mcp" else {}
    )
    given: JsonObject = {} if ran.kind == "file_search" else {"arguments": dict(ran.input)}
    yield {"type": f"{kind}_call", "id": key, **server, **given}
    told: JsonObject = {"type": f"{kind}_result", "call_id": key, **server}
    match ran.kind:
        case "web_search":
            yield {**told, "result": [{"search_suggestions": text}], "is_error": ran.error}
        case "code_interpreter":
            yield {**told, "result": text, "is_error": ran.error}
        case "mcp":
            yield {**told, "result": text}
        case _:
            yield told
