"""What the Anthropic API tells of tools that it ran, and takes back of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words
from treadle.agent.mock.script import HostedKind, Ran

_KINDS: tuple[tuple[str, HostedKind], ...] = (
    ("web_search_", "web_search"),
    ("code_execution_", "code_interpreter"),
    ("tool_search_tool_", "tool_search"),
    ("mcp_toolset", "mcp"),
)
"""How the types of tools that the API runs begin, and what a script calls them."""
_ID = r"(srvtoolu|mcptoolu)_[A-Za-z0-9_]+"
_RESULT: Mapping[str, Check] = {"type": c.anything, "tool_use_id": c.text(1, pattern=_ID)}
_MORE: Mapping[str, Check] = {"cache_control": c.anything, "caller": c.mapping}
_CALL: Mapping[str, Check] = {
    "type": c.anything,
    "id": c.text(1, pattern=_ID),
    "name": c.text(1),
    "input": c.mapping,
}
_RESULTS = ("web_search_tool_result", "bash_code_execution_tool_result", "tool_search_tool_result")
HOSTED_BLOCKS: Mapping[str, Check] = {
    "server_tool_use": c.record(_CALL, _MORE),
    "mcp_tool_use": c.record({**_CALL, "server_name": c.text(1)}, _MORE),
    **dict.fromkeys(_RESULTS, c.record({**_RESULT, "content": c.anything}, _MORE)),
    "mcp_tool_result": c.record({**_RESULT, "content": c.anything, "is_error": c.flag}, _MORE),
}
"""Blocks of a reply that the provider made itself, as they may come back."""


def hosted_kinds(request: Mapping[str, Json]) -> frozenset[str]:
    """What of a request's tools the API runs."""
    types = [words(members(tool).get("type")) for tool in elements(request.get("tools"))]
    return frozenset(kind for start, kind in _KINDS if any(type_.startswith(start) for type_ in types))


def ran_blocks(ran: Ran, key: str) -> Iterator[JsonObject]:
    """The call and its result."""
    text = ran.output or "mock"
    prefix = "mcptoolu" if ran.kind == "mcp" else "srvtoolu"
    call: JsonObject = {"type": "server_tool_use", "id": f"{prefix}_{key}"}
    result: JsonObject = {"tool_use_id": f"{prefix}_{key}"}
    given: JsonObject = {"input": dict(ran.input)}
    match ran.kind:
        case "web_search":
            yield {**call, "name": "web_search", **given}
            yield {"type": "web_search_tool_result", **result, "content": _found(ran)}
        case "code_interpreter":
            yield {**call, "name": "bash_code_execution", **given}
            type_ = "bash_code_execution"
            outcome: JsonObject = {"stdout": text, "stderr": "", "return_code": int(ran.error), "content": []}
            told: JsonObject = {"type": f"{type_}_result", **outcome}
            yield {"type": f"{type_}_tool_result", **result, "content": told}
        case "tool_search":
            yield {**call, "name": "tool_search_tool_bm25", **given}
            told = {"type": "tool_search_tool_search_result", "tool_references": []}
            yield {"type": "tool_search_tool_result", **result, "content": told}
        case _:
            yield {
                **call,
                "type": "mcp_tool_use",
                "name": ran.input.get("name", "mock"),
                "server_name": "mock",
                **given,
            }
            said: list[Json] = [{"type": "text", "text": text}]
            yield {"type": "mcp_tool_result", **result, "is_error": ran.error, "content": said}


def _found(ran: Ran) -> Json:
    if ran.error:
        return {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    page: JsonObject = {"type": "web_search_result", "url": ran.output or "https://example.org/mock"}
    return [{**page, "title": "Mock", "encrypted_content": "bW9jaw==", "page_age": None}]
