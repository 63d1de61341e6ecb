"""Models that speak OpenAI's Responses API, in the dialects of the catalogue, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.mock.responses_items import seal
from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, ModelInfo
from treadle.tools.contract import JsonObject


def _model(vendor: str, key: str, dialect: Dialect) -> ModelInfo:
    return ModelInfo(id=key, wire="openai_responses", vendor=vendor, endpoint="e1", dialect=dialect)


def _openai(key: str, model: dialects.ByWire) -> ModelInfo:
    return _model("openai", key, {**dialects.OPENAI["openai_responses"], **model["openai_responses"]})


MODELS: Final[dict[str, ModelInfo]] = {
    "responses": _model("local", "some-model", {}),
    "responses.gpt_6": _openai("gpt-6-sol", dialects.GPT_6),
    "responses.gpt_5_1": _openai("gpt-5.1", dialects.GPT_5_1),
    "responses.azure": _model(
        "azure",
        "our-deployment",
        {
            **dialects.AZURE["openai_responses"],
            **dialects.uncached(dialects.GPT_5_5)["openai_responses"],
            "structured": "json_object",
        },
    ),
    "responses.host": _model(
        "lmstudio",
        "gpt-oss-120b",
        {
            "system_role": "system",
            "include": (),
            "sampling": ("temperature",),
            "structured": "prompt",
            "media": (),
            "tool_choices": (),
            "parallel": False,
            "cache_write": "m5",
            "extra_body": {"truncation": "disabled"},
        },
    ),
}


def whole(*output: JsonObject, **more: Any) -> JsonObject:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "served-1",
        "output": list(output),
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 120,
        },
        **more,
    }


def says(*content: JsonObject, **more: Any) -> JsonObject:
    return {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "content": list(content),
        "role": "assistant",
        **more,
    }


def text(said: str, *annotations: JsonObject, **more: Any) -> JsonObject:
    return {
        "type": "output_text",
        "annotations": list(annotations),
        "logprobs": [],
        "text": said,
        **more,
    }


SEALED: Final = seal("Hm.")
"""Encrypted reasoning that the mock provider takes back."""


def thinks(key: str, *summary: str, sealed: str | None = SEALED, **more: Any) -> JsonObject:
    told = [{"type": "summary_text", "text": said} for said in summary]
    return {"id": key, "type": "reasoning", "encrypted_content": sealed, "summary": told, **more}


def wants(key: str, name: str = "read", arguments: str = '{"path":"a.py"}', **more: Any) -> JsonObject:
    return {
        "id": "fc_" + key,
        "type": "function_call",
        "status": "completed",
        "arguments": arguments,
        "call_id": key,
        "name": name,
        **more,
    }


_URL: Final = {
    "type": "url_citation",
    "url": "https://example.org",
    "title": "T",
    "start_index": 0,
    "end_index": 3,
}
_FILE: Final = {"type": "file_citation", "file_id": "file_1", "filename": "plan.pdf", "index": 2}
_CUSTOM: Final[JsonObject] = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_abc123",
    "name": "patch",
    "input": "*** Begin",
}
_SEARCH: Final[JsonObject] = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {
        "type": "search",
        "query": "x",
        "queries": ["x"],
        "sources": [{"type": "url", "url": "https://example.org"}],
    },
}
_HOSTED: Final[tuple[JsonObject, ...]] = (
    _SEARCH,
    {"id": "ws_2", "type": "web_search_call", "status": "failed", "action": {"type": "search", "query": "x"}},
    {
        "id": "fs_1",
        "type": "file_search_call",
        "status": "completed",
        "queries": ["plan"],
        "results": [{"file_id": "file_1", "filename": "plan.pdf", "score": 0.5, "text": "Plan."}],
    },
    {
        "id": "ci_1",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "print(1)",
        "container_id": "cntr_1",
        "outputs": [{"type": "logs", "logs": "1\n"}, {"type": "image", "url": "https://example.org/a.png"}],
    },
    {
        "id": "ci_2",
        "type": "code_interpreter_call",
        "status": "incomplete",
        "code": None,
        "container_id": "cntr_1",
        "outputs": None,
    },
    {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgo="},
    {
        "id": "mcp_0",
        "type": "mcp_list_tools",
        "server_label": "docs",
        "tools": [{"name": "find", "input_schema": {"type": "object"}}],
    },
    {
        "id": "mcp_1",
        "type": "mcp_call",
        "status": "completed",
        "server_label": "docs",
        "name": "find",
        "arguments": '{"q":"x"}',
        "output": "found",
    },
    {
        "id": "mcp_2",
        "type": "mcp_call",
        "status": "failed",
        "server_label": "docs",
        "name": "find",
        "arguments": "{}",
        "error": {"type": "http_error", "code": 502, "message": "gone"},
    },
    {
        "id": "tsc_1",
        "type": "tool_search_call",
        "status": "completed",
        "call_id": None,
        "execution": "server",
        "arguments": {"paths": ["git"]},
    },
    {
        "id": "tso_1",
        "type": "tool_search_output",
        "status": "completed",
        "call_id": None,
        "execution": "server",
        "tools": [
            {
                "type": "function",
                "name": "mark",
                "description": "Mark.",
                "parameters": {"type": "object"},
                "strict": False,
            }
        ],
    },
    {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAAB"},
    says(text("Done.")),
)
_CUT: Final = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "responses": {
        "text": whole(says(text("Hello."))),
        "empty": whole(says()),
        "calls": whole(says(text("Let me look.")), wants("call_abc123"), wants("call_abc124", "mark", "")),
        "ids_that_count": whole(wants("call_0"), wants("call_0"), wants(""), wants("c" * 70)),
        "object_arguments": whole(wants("call_abc123", status=None) | {"arguments": {"n": 1}}),
        "no_arguments": whole(wants("call_abc123") | {"arguments": None}),
        "undeclared": whole(wants("call_abc123", "multi_tool_use.parallel", '{"tool_uses":[]}')),
        "no_usage": whole(says(text("Hello.")), usage=None, model=None, status=None),
    },
    "responses.gpt_6": {
        "reasoning": whole(
            thinks("rs_1", "First.", "Then.", status=None, content=None),
            says(text("Let me look."), phase="commentary"),
            thinks("rs_2"),
            wants("call_abc123"),
            _CUSTOM,
        ),
        "reasoning_not_sealed": whole(
            thinks("rs_1", sealed=None), thinks("rs_2", sealed=""), wants("call_abc123")
        ),
        "reasoning_last": whole(thinks("rs_1"), says(text("So."), phase="final_answer"), thinks("rs_2")),
        "no_summary": whole(
            {"id": "rs_1", "type": "reasoning", "encrypted_content": SEALED}, says(text("So."))
        ),
        "refusal": whole(says({"type": "refusal", "refusal": "I will not."})),
        "cited": whole(says(text("See", _URL), text(" here.", _FILE), {"type": "mystery", "x": 1})),
        "hosted": whole(*_HOSTED),
        "unknown_item": whole({"id": "x_1", "type": "mystery", "x": [1]}, says(text("Hm."))),
        "cut_in_a_call": whole(
            thinks("rs_1"),
            wants("call_abc123"),
            wants("call_abc124", arguments='{"pa', status="incomplete"),
            **_CUT,
        ),
        "cut": whole(says(text("I was ab"), status="incomplete"), **_CUT),
        "filtered": whole(
            says(text("I was ab")), status="incomplete", incomplete_details={"reason": "content_filter"}
        ),
        "steered": whole(says(text("I was ab")), status="incomplete", incomplete_details=None),
        "transformed": whole(
            says(text("Hello.")),
            input_transformations=[
                {"id": "rs_1", "type": "reasoning", "action": "removed", "reason": "model_mismatch"},
                {"id": "rs_2", "type": "reasoning", "action": "removed", "reason": "model_mismatch"},
                {"id": "rs_3", "type": "reasoning", "action": "removed"},
            ],
        ),
        "logprobs": whole(
            says(
                text(
                    "Hi",
                    logprobs=[
                        {
                            "token": "Hi",
                            "bytes": [72, 105],
                            "logprob": -0.5,
                            "top_logprobs": [{"token": "Ho", "bytes": [72, 111], "logprob": -1.5}],
                        }
                    ],
                )
            )
        ),
        "cache_times": whole(
            says(text("Hello.")),
            usage={
                "input_tokens": 100,
                "input_tokens_details": {
                    "cached_tokens": 10,
                    "cache_write_tokens": 60,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 30},
                },
                "output_tokens": 7,
            },
        ),
    },
    "responses.gpt_5_1": {"text": whole(says(text("Hello.")))},
    "responses.host": {
        "plain_reasoning": whole(
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}],
            },
            says({"type": "text", "text": "Hello."}),
        )
    },
}
