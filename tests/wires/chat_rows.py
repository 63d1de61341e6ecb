"""Models that speak Chat Completions, each in a dialect of its own, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.providers.contract import Dialect, ModelInfo
from treadle.tools.contract import JsonObject


def _model(vendor: str, key: str, dialect: Dialect) -> ModelInfo:
    return ModelInfo(id=key, wire="openai_chat", vendor=vendor, endpoint="e1", dialect=dialect)


EFFORTS: Final = ("none", "low", "medium", "high", "xhigh")

MODELS: Final[dict[str, ModelInfo]] = {
    "chat": _model("local", "some-model", {}),
    "chat.openai": _model(
        "openai",
        "gpt-6-sol",
        {
            "max_tokens_key": "max_completion_tokens",
            "system_role": "developer",
            "sampling_unless_reasoning": ("temperature", "top_p", "top_logprobs"),
            "efforts": ("none", "low", "medium", "high"),
            "verbosity": True,
            "service_tiers": ("auto", "default", "flex", "priority"),
            "media": ("image", "document", "audio"),
            "freeform": True,
            "strict": True,
            "tool_choices": ("none", "required", "allowed_tools"),
            "cache_key": True,
            "cache_options": ("30m",),
            "cache_marker": {"prompt_cache_breakpoint": {"mode": "explicit"}},
            "cache_ttls": ("30m",),
            "cache_write": "m30",
            "call_id_max": 40,
        },
    ),
    "chat.openai_older": _model(
        "openai",
        "gpt-5",
        {
            "max_tokens_key": "max_completion_tokens",
            "system_role": "developer",
            "efforts": ("minimal", "low", "medium", "high"),
            "cache_key": True,
            "cache_retention": ("in_memory", "24h"),
            "strict": True,
        },
    ),
    "chat.openrouter": _model(
        "openrouter",
        "anthropic/claude-opus-5.5",
        {
            "sampling": {
                name: name
                for name in ("temperature", "top_p", "top_k", "min_p", "seed", "top_logprobs", "stop")
            },
            "efforts": {effort: {"reasoning": {"effort": effort}} for effort in EFFORTS},
            "media": ("image", "document"),
            "tool_media": True,
            "hosted": {"web_search": {"type": "openrouter:web_search"}},
            "cache_marker": {"cache_control": {"type": "ephemeral"}},
            "cache_ttls": ("5m", "1h"),
            "stream_usage": False,
            "extra_body": {"usage": {"include": True}},
        },
    ),
    "chat.zhipu": _model(
        "zhipu",
        "glm-5.3",
        {
            "sampling": {name: name for name in ("temperature", "top_p", "stop", "seed")},
            "zero_temperature": {"do_sample": False},
            "max_stop": 1,
            "efforts": ("low", "high", "max"),
            "structured": "json_object",
            "media": ("image", "video"),
            "inline_defs": True,
            "tool_choices": (),
            "parallel": False,
            "reasoning_required": "reasoning_content",
            "stream_usage": False,
            "extra_body": {"tool_stream": True},
            "escape_tokens": True,
        },
    ),
    "chat.strict_host": _model(
        "mistral",
        "mistral-large",
        {
            "single_system": True,
            "sampling": {"temperature": "temperature", "seed": "random_seed", "stop": "stop"},
            "structured": "prompt",
            "media": (),
            "call_id_length": 9,
            "reasoning_echo": "none",
            "finish_optional": True,
        },
    ),
}


def whole(message: JsonObject, finish: str | None = "stop", **more: Any) -> JsonObject:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {
        "id": "r1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [choice],
        **more,
    }


def wants(key: Any, name: str = "read", arguments: Any = '{"path": "a.py"}') -> JsonObject:
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


_CALLING: Final = whole(
    {"content": None, "tool_calls": [wants("call_abc123"), wants("call_def456")]}, "tool_calls"
)
_THINKING: Final = whole(
    {"content": "Let me look.", "reasoning_content": "Hm.", "tool_calls": [wants("call_abc123")]},
    "tool_calls",
)
REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "chat": {
        "text": whole({"content": "Hello é."}),
        "calls": _CALLING,
        "reasoning": _THINKING,
        "ids_that_count": whole(
            {"content": "", "tool_calls": [wants("0"), wants("0"), wants("")]}, "tool_calls"
        ),
        "empty_arguments": whole({"tool_calls": [wants("call_abc123", arguments="")]}, "tool_calls"),
        "object_arguments": whole({"tool_calls": [wants("call_abc123", arguments={"path": "a"})]}, "stop"),
        "broken_arguments": whole({"tool_calls": [wants("call_abc123", arguments='{"pa')]}, "length"),
        "think_tags": whole({"content": "<think>\nHm.\n</think>\n\nHello."}),
        "think_only": whole({"content": "<think>Hm.", "tool_calls": [wants("call_abc123")]}, "tool_calls"),
        "unknown_field": whole({"content": "Hi.", "mood": {"joy": 1.50}, "audio": None}),
        "legacy": whole(
            {"content": None, "function_call": {"name": "read", "arguments": "{}"}}, "function_call"
        ),
        "reasoning_only": whole({"content": "", "reasoning": "Hm."}),
    },
    "chat.openai": {
        "calls": _CALLING,
        "custom": whole(
            {
                "tool_calls": [
                    {"id": "call_abc123", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}
                ]
            },
            "tool_calls",
        ),
        "refusal": whole({"content": None, "refusal": "I will not."}),
        "cited": whole({
            "content": "See here.",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "T"}}
            ],
        }),
        "long_id": whole({"tool_calls": [wants("call_" + "x" * 60)]}, "tool_calls"),
    },
    "chat.openrouter": {
        "details": whole(
            {
                "content": "Let me look.",
                "reasoning": "Hm.",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "index": 0, "format": "f"},
                    {"type": "reasoning.summary", "summary": "Thought.", "index": 1},
                    {"type": "reasoning.encrypted", "data": "AAAA", "index": 2},
                ],
                "tool_calls": [wants("toolu_1")],
            },
            "tool_calls",
        ),
    },
    "chat.zhipu": {"reasoning": _THINKING, "no_reasoning": _CALLING},
    "chat.strict_host": {
        "calls": _CALLING,
        "nine": whole({"content": "", "tool_calls": [wants("D681PevKs"), wants("")]}, "tool_calls"),
        "chunks": whole({
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": "Hello"},
                {"type": "text", "text": " again."},
            ]
        }),
        "reasoning": _THINKING,
    },
}
REPLIES["chat"]["chunks"] = REPLIES["chat.strict_host"]["chunks"]
REPLIES["chat"]["mixed_chunks"] = whole({
    "content": [{"type": "refusal", "refusal": "No."}, {"type": "reference", "reference_ids": [1]}]
})
