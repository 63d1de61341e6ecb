"""What the Responses API tells of tools that it ran."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.script import HostedKind, Ran

HOSTED_KINDS: Mapping[str, HostedKind] = {
    "web_search": "web_search",
    "code_interpreter": "code_interpreter",
    "file_search": "file_search",
    "image_generation": "image_generation",
    "mcp": "mcp",
    "tool_search": "tool_search",
}
"""Types of tools that the API runs, and what a script calls them."""
PROGRESS: Mapping[str, tuple[str, ...]] = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "mcp_call": ("in_progress", "completed"),
}
"""What is told of a call between its beginning and its end."""
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""One dot, as PNG."""
PAGE = "https://example.org/mock"


def ran_items(ran: Ran, key: str, include: Sequence[Json]) -> Iterator[JsonObject]:
    """The items of one call, finished; what must be asked for is told only when it was."""
    status = "failed" if ran.error else "completed"
    query, text = ran.input.get("query", "mock"), ran.output or "mock"
    match ran.kind:
        case "web_search":
            action: JsonObject = {"type": "search", "query": query, "queries": [query]}
            if "web_search_call.action.sources" in include:
                action["sources"] = [{"type": "url", "url": ran.output or PAGE}]
            yield {"id": f"ws_{key}", "type": "web_search_call", "status": status, "action": action}
        case "file_search":
            found: JsonObject = {"file_id": "file_mock", "filename": "mock.txt", "score": 0.5, "text": text}
            told: list[Json] | None = [found] if "file_search_call.results" in include else None
            item: JsonObject = {"id": f"fs_{key}", "type": "file_search_call", "status": status}
            yield {**item, "queries": [query], "results": told}
        case "code_interpreter":
            logs: JsonObject = {"type": "logs", "logs": text}
            outputs: list[Json] | None = [logs] if "code_interpreter_call.outputs" in include else None
            item = {"id": f"ci_{key}", "type": "code_interpreter_call", "status": status}
            code = ran.input.get("code", "print('mock')")
            yield {**item, "code": code, "container_id": "cntr_mock", "outputs": outputs}
        case "image_generation":
            item = {"id": f"ig_{key}", "type": "image_generation_call", "status": status}
            made = None if ran.error else ran.output or PICTURE
            prompt = ran.input.get("prompt", "mock")
            yield {**item, "result": made, "output_format": "png", "revised_prompt": prompt}
        case "mcp":
            item = {"id": f"mcp_{key}", "type": "mcp_call", "status": status, "server_label": "mock"}
            item |= {"name": ran.input.get("name", "mock"), "arguments": json.dumps(ran.input)}
            error: JsonObject = {
                "type": "mcp_tool_execution_error",
                "content": [{"type": "text", "text": text}],
            }
            yield {**item, "output": None if ran.error else text, "error": error if ran.error else None}
        case "tool_search":
            item = {"call_id": None, "execution": "server", "status": status}
            yield {**item, "id": f"tsc_{key}", "type": "tool_search_call", "arguments": dict(ran.input)}
            yield {**item, "id": f"tso_{key}", "type": "tool_search_output", "tools": []}
