"""Models that speak Anthropic's Messages API, in the dialects of the catalogue, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, ModelInfo
from treadle.tools.contract import JsonObject


def _model(key: str, dialect: Dialect, *, vendor: str = "anthropic", most: int | None = None) -> ModelInfo:
    return ModelInfo(id=key, wire="anthropic", vendor=vendor, endpoint="e1", max_output=most, dialect=dialect)


MODELS: Final[dict[str, ModelInfo]] = {
    "anthropic": _model("claude-next", {}),
    "anthropic.opus": _model(
        "claude-opus-5-5",
        # Only beta types know how to drop unbound thinking: those judge the other one.
        {
            **dialects.CLAUDE_ALWAYS_THINKS["anthropic"],
            "drop_unbound_thinking": False,
            "betas": ("context-hints-2026-09-01",),
        },
        most=128_000,
    ),
    "anthropic.sonnet": _model(
        "claude-sonnet-5-5",
        dialects.CLAUDE_SONNET_5_5["anthropic"],
        most=128_000,
    ),
    "anthropic.older": _model("claude-opus-4-5", dialects.CLAUDE_OPUS_4_5["anthropic"], most=64_000),
    "anthropic.host": _model(
        "glm-5.3",
        {
            "anthropic_version": "2023-06-01",
            "thinking": "none",
            "sampling": "allowed",
            "structured": "prompt",
            "cache_points": 2,
        },
        vendor="zai",
        most=600,
    ),
}


def usage(**counts: Any) -> JsonObject:
    return {"input_tokens": 10, "output_tokens": 5, **counts}


def whole(*content: JsonObject, stop: str | None = "end_turn", **more: Any) -> JsonObject:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "served-1",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage(),
        **more,
    }


def text(said: str, **more: Any) -> JsonObject:
    return {"type": "text", "text": said, **more}


def wants(key: str = "toolu_1", given: Any = None, name: str = "read") -> JsonObject:
    return {
        "type": "tool_use",
        "id": key,
        "name": name,
        "input": {"path": "a.py"} if given is None else given,
    }


THINKING: Final[JsonObject] = {"type": "thinking", "thinking": "Hm — é.", "signature": "c2ln+/=="}
REDACTED: Final[JsonObject] = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
SEARCHED: Final[tuple[JsonObject, ...]] = (
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "tides"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://example.org/tides",
                "title": "Tides",
                "encrypted_content": "RW5j",
                "page_age": None,
            }
        ],
    },
)
CITED: Final[JsonObject] = text(
    "Twice a day.",
    citations=[
        {
            "type": "web_search_result_location",
            "url": "https://example.org/tides",
            "title": "Tides",
            "encrypted_index": "SW5k",
            "cited_text": "The sea rises twice a day.",
        },
        {
            "type": "char_location",
            "document_index": 0,
            "document_title": "Notes",
            "start_char_index": 0,
            "end_char_index": 9,
            "cited_text": "Low tide.",
        },
        {"type": "search_result_location", "source": "kb://1", "title": None, "cited_text": "x"},
    ],
)
RAN: Final[tuple[JsonObject, ...]] = (
    {
        "type": "server_tool_use",
        "id": "srvtoolu_2",
        "name": "bash_code_execution",
        "input": {"command": "ls"},
    },
    {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": "srvtoolu_2",
        "content": {
            "type": "bash_code_execution_result",
            "stdout": "a.py\n",
            "stderr": "warned\n",
            "return_code": 0,
            "content": [],
        },
    },
)
FAILED: Final[tuple[JsonObject, ...]] = (
    {"type": "server_tool_use", "id": "srvtoolu_3", "name": "web_fetch", "input": {"url": "https://x"}},
    {
        "type": "web_fetch_tool_result",
        "tool_use_id": "srvtoolu_3",
        "content": {"type": "web_fetch_tool_result_error", "error_code": "unavailable"},
    },
)
FOUND: Final[tuple[JsonObject, ...]] = (
    {
        "type": "server_tool_use",
        "id": "srvtoolu_4",
        "name": "tool_search_tool_bm25",
        "input": {"query": "mark"},
    },
    {
        "type": "tool_search_tool_result",
        "tool_use_id": "srvtoolu_4",
        "content": {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "mark"}],
        },
    },
)
PEER: Final[tuple[JsonObject, ...]] = (
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "peer", "input": {"x": 1}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcptoolu_1",
        "is_error": False,
        "content": [{"type": "text", "text": "1"}],
    },
    {"type": "mcp_tool_use", "id": "mcptoolu_2", "name": "echo", "server_name": "peer", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_2", "is_error": True, "content": "no such thing"},
)

REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "anthropic": {
        "text": whole(text("Hello é."), text("  "), text("Again.")),
        "parallel_calls": whole(
            text("Both."), wants(), wants("toolu_2", {"path": "b.py", "n": [1.50]}), stop="tool_use"
        ),
        "calls_with_another_stop": whole(wants(), stop="end_turn"),
        "empty_input": whole(wants(given={}), stop="tool_use"),
        "input_that_is_no_object": whole(wants(given='{"path":'), stop="tool_use"),
        "thinking": whole(THINKING, REDACTED, text("So."), THINKING, wants(), stop="tool_use"),
        "thinking_only": whole(THINKING, stop="max_tokens"),
        "searched": whole(*SEARCHED, CITED),
        "ran_code": whole(*RAN, text("Done.")),
        "fetch_failed": whole(*FAILED, text("It is down.")),
        "found_a_tool": whole(*FOUND, wants(name="mark", given={"at": {"x": 1}}), stop="tool_use"),
        "peers": whole(*PEER, text("Done.")),
        "compacted": whole(
            {"type": "compaction", "content": "They said hello.", "encrypted_content": "RW5j"}, text("On.")
        ),
        "compaction_failed": whole({"type": "compaction", "content": None}, stop="compaction"),
        "unknown_blocks": whole(
            {
                "type": "fallback",
                "from": {"model": "a"},
                "to": {"model": "b"},
                "trigger": {"type": "refusal"},
            },
            {"type": "hologram", "depth": 3},
            text("Odd."),
        ),
        "container_of_a_whole_reply": whole(
            *RAN, text("Done."), container={"id": "container_1", "expires_at": "2026-11-24T00:00:00Z"}
        ),
        "refused": whole(
            text("I was ab"),
            wants(),
            stop="refusal",
            stop_details={"type": "refusal", "category": "cyber", "explanation": "Against the policy."},
        ),
        "refused_without_a_word": whole(stop="refusal", stop_details=None),
        "counted": whole(
            text("Hi."),
            usage=usage(
                cache_read_input_tokens=100,
                cache_creation_input_tokens=90,
                cache_creation={"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 30},
                output_tokens_details={"thinking_tokens": 3},
                iterations=[
                    {"type": "message", **usage()},
                    {"type": "compaction", "input_tokens": 1000, "output_tokens": 200},
                    {"type": "advisor_message", "model": "m", "input_tokens": 1, "output_tokens": 2},
                    {"type": "fallback_message", "model": "m", "input_tokens": 7, "output_tokens": 7},
                ],
            ),
        ),
    },
    "anthropic.sonnet": {
        "thinking": whole(
            THINKING,
            wants(),
            stop="tool_use",
            input_transformations=[
                {
                    "type": "thinking_dropped",
                    "path": "messages.1.content.0",
                    "reason": "prefix_binding_mismatch",
                }
            ],
        )
    },
    "anthropic.host": {
        "unsigned_thinking": whole({"type": "thinking", "thinking": "Hm.", "signature": ""}, text("So.")),
        "ids_that_do_not_count": whole(
            wants("functions.read:0"), wants(""), wants("dup"), wants("dup"), stop="tool_use"
        ),
    },
}
