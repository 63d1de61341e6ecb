"""Models that speak Gemini's Interactions API, in the dialects of the catalogue, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, ModelInfo
from treadle.tools.contract import JsonObject


def _model(key: str, *parts: Dialect, vendor: str = "gemini") -> ModelInfo:
    dialect = {name: value for part in parts for name, value in part.items()}
    return ModelInfo(id=key, wire="gemini_interactions", vendor=vendor, endpoint="e1", dialect=dialect)


MODELS: Final[dict[str, ModelInfo]] = {
    "interactions": _model("gemini-next", {}),
    "interactions.flash": _model(
        "gemini-3.8-flash",
        dialects.GEMINI["gemini_interactions"],
        dialects.GEMINI_3_FLASH["gemini_interactions"],
    ),
    "interactions.host": _model(
        "gemma-4",
        {
            "api_revision": "2026-09-01",
            "sampling": ("stop",),
            "efforts": (),
            "structured": "prompt",
            "media": ("image",),
            "tool_choices": (),
            "extra_body": {"labels": {"team": "a"}},
        },
        vendor="somewhere",
    ),
}


def usage(**counts: Any) -> JsonObject:
    return {"total_input_tokens": 10, "total_output_tokens": 5, "total_tokens": 15, **counts}


def whole(*steps: JsonObject, status: str = "completed", **more: Any) -> JsonObject:
    return {
        "id": "i1",
        "object": "interaction",
        "status": status,
        "model": "served-1",
        "steps": list(steps),
        "usage": usage(),
        **more,
    }


def said(*texts: str) -> JsonObject:
    return {"type": "model_output", "content": [{"type": "text", "text": text} for text in texts]}


def wants(key: str = "c1", name: str = "read", **args: Any) -> JsonObject:
    return {"type": "function_call", "id": key, "name": name, "arguments": args or {"path": "a.py"}}


THOUGHT: Final[JsonObject] = {
    "type": "thought",
    "signature": "c2lnbmF0dXJl",
    "summary": [{"type": "text", "text": "Hm — é."}],
}
SEALED: Final[JsonObject] = {"type": "thought", "signature": "c2VhbGVk"}

REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "interactions": {
        "text": whole(said("Hello é.", "Again.")),
        "nothing": whole(),
        "no_content": whole({"type": "model_output"}),
        "one_id_for_two_calls": whole(wants(), wants(), status="requires_action"),
        "calls_with_another_status": whole(wants()),
        "length": whole(said("I was ab"), status="incomplete"),
        "budget": whole(said("I was ab"), status="budget_exceeded"),
        "long_but_without_a_token": whole(said("On and"), status="requires_continuation"),
    },
    "interactions.flash": {
        "parallel_calls": whole(
            THOUGHT, said("Both."), wants(), wants("c2", n=[1.50]), SEALED, status="requires_action"
        ),
        "picture": whole({
            "type": "model_output",
            "content": [
                {"type": "text", "text": "Here."},
                {"type": "image", "data": "iVBORw0KGgo=", "mime_type": "image/png"},
                {"type": "video", "uri": "https://example.org/a", "mime_type": "video/mp4"},
                {"type": "hologram", "depth": 3},
            ],
        }),
        "cited": whole({
            "type": "model_output",
            "content": [
                {
                    "type": "text",
                    "text": "At noon.",
                    "annotations": [
                        {"type": "url_citation", "url": "https://example.org/tides", "title": "Tides"},
                        {"type": "file_citation", "document_uri": "fileSearchStores/a", "file_name": "a.md"},
                    ],
                }
            ],
        }),
        "hosted": whole(
            {
                "type": "google_search_call",
                "id": "s1",
                "arguments": {"queries": ["tides"]},
                "signature": "c2ln",
            },
            {"type": "google_search_result", "call_id": "s1", "result": [{"search_suggestions": "x"}]},
            {"type": "code_execution_call", "id": "x1", "arguments": {"code": "1/0", "language": "python"}},
            {
                "type": "code_execution_result",
                "call_id": "x1",
                "result": "ZeroDivisionError",
                "is_error": True,
            },
            {"type": "url_context_call", "id": "u1", "arguments": {"urls": ["https://example.org"]}},
            {"type": "url_context_result", "call_id": "u1", "result": []},
            {
                "type": "mcp_server_tool_call",
                "id": "m1",
                "name": "echo",
                "server_name": "peer",
                "arguments": {"x": 1},
            },
            {"type": "mcp_server_tool_result", "call_id": "m1", "result": "1"},
            said("Done."),
        ),
        "unknown_steps": whole({"type": "hologram", "depth": 3}, said("Odd.")),
        "continued": whole(said("On and"), status="requires_continuation", continuation_token="dG9rZW4="),
        "counted": whole(
            said("Hi."),
            usage=usage(
                total_cached_tokens=4, total_thought_tokens=7, total_tool_use_tokens=3, total_tokens=25
            ),
        ),
        "counted_with_thoughts_within": whole(
            said("Hi."), usage=usage(total_output_tokens=12, total_thought_tokens=7, total_tokens=22)
        ),
    },
}
