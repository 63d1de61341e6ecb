"""Where vendors and models stray from a wire's standard, as data; the keys are documented by each wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from treadle.agent.providers.contract import Dialect, WireName

ByWire: TypeAlias = Mapping[WireName, Dialect]

# Of every wire: `edit_tool` names what a session changes files with, "edit" or "patch"; absent it is "edit".
_COMMON = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "top_logprobs", "stop")
_OPEN_WEIGHTS = {name: name for name in (*_COMMON, "top_k", "min_p")}
_LEGACY = {"sampling": {**_OPEN_WEIGHTS, "top_logprobs": "logprobs"}}
"""Legacy Completions, at hosts of open models."""
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_KEEPS = ("chain", "conversation", "background")
_MARKER = {"prompt_cache_breakpoint": {"mode": "explicit"}}

OPENAI: ByWire = {
    "openai_chat": {
        "max_tokens_key": "max_completion_tokens",
        "system_role": "developer",
        "service_tiers": ("auto", "default", "flex", "priority"),
        "media": ("image", "document", "audio"),
        "strict": True,
        "tool_choices": ("none", "required", "allowed_tools"),
        "cache_key": True,
        "cache_retention": ("in_memory", "24h"),
    },
    "openai_responses": {
        "service_tiers": ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),
        "strict": True,
        "hosted": (
            "web_search",
            "code_interpreter",
            "file_search",
            "computer_use",
            "image_generation",
            "mcp",
            "tool_search",
        ),
        "tool_choices": ("none", "required", "allowed_tools"),
        "cache_key": True,
        "cache_retention": ("in_memory", "24h"),
        "keeps": _KEEPS,
    },
}
AZURE: ByWire = {
    "openai_chat": {"max_tokens_key": "max_completion_tokens", "strict": True},
    "openai_responses": {
        "strict": True,
        "hosted": (
            "web_search",
            "code_interpreter",
            "file_search",
            "computer_use",
            "image_generation",
            "mcp",
        ),
        "hosted_types": {
            "web_search": {"type": "web_search_preview"},
            "computer_use": {
                "type": "computer_use_preview",
                "environment": "linux",
                "display_width": 1280,
                "display_height": 800,
            },
        },
        "keeps": ("chain", "background"),
    },
}
OPENROUTER: ByWire = {
    "openai_chat": {
        "sampling": _OPEN_WEIGHTS,
        "efforts": {effort: {"reasoning": {"effort": effort}} for effort in _EFFORTS[:-1]},
        "media": ("image", "document", "audio"),
        "tool_media": True,
        "stream_usage": False,
        "hosted": {
            "web_search": {"type": "openrouter:web_search", "parameters": {}},
            "code_interpreter": {"type": "openrouter:bash", "parameters": {}},
            "image_generation": {"type": "openrouter:image_generation", "parameters": {}},
        },
        "tool_search": {
            "deferred_tools": {
                "profile": "portable",
                "protocol": "v1",
                "search": {"type": "bm25"},
                "validation": "runtime",
            }
        },
        "cache_key": "session_id",
        "cache_header": "x-session-affinity",
        "cache_marker": {"cache_control": {"type": "ephemeral"}},
        "cache_ttls": ("5m", "1h"),
        "cache_write": "m5",
    },
    "openai_completions": {**_LEGACY, "stream_usage": False},
}
GLM: ByWire = {
    "openai_chat": {
        "sampling": {name: name for name in ("temperature", "top_p", "seed", "stop")},
        "zero_temperature": {"do_sample": False},
        "max_stop": 1,
        "structured": "json_object",
        "media": (),
        "inline_defs": True,
        "hosted": {
            "web_search": {"type": "web_search", "web_search": {"enable": True, "search_result": True}},
            "file_search": {"type": "retrieval", "retrieval": {}},
            "mcp": {"type": "mcp", "mcp": {"transport_type": "streamable-http"}},
        },
        "tool_choices": (),
        "parallel": False,
        "stream_usage": False,
    }
}
DEEPSEEK: ByWire = {
    "openai_chat": {"reasoning_required": "reasoning_content", "structured": "json_object", "parallel": False}
}
MOONSHOT: ByWire = {"openai_chat": {"reasoning_required": "reasoning_content", "tool_choices": ("none",)}}
MISTRAL: ByWire = {
    "openai_chat": {
        "sampling": {name: name for name in _COMMON if name not in {"seed", "top_logprobs"}}
        | {"seed": "random_seed"},
        "call_id_length": 9,
        "stream_usage": False,
    }
}
XAI: ByWire = {
    "openai_chat": {"max_tokens_key": "max_completion_tokens", "cache_header": "x-grok-conv-id"},
    "openai_responses": {
        "cache_key": True,
        "hosted": ("web_search", "code_interpreter", "file_search", "mcp"),
    },
}
GROQ: ByWire = {
    "openai_chat": {
        "max_tokens_key": "max_completion_tokens",
        "service_tiers": ("auto", "on_demand", "flex", "performance"),
        "hosted": {
            "web_search": {"type": "browser_search"},
            "code_interpreter": {"type": "code_interpreter"},
        },
    },
    "openai_responses": {"hosted": ("code_interpreter", "mcp")},
}
OPEN_WEIGHTS: ByWire = {
    "openai_chat": {"sampling": _OPEN_WEIGHTS, "single_system": True, "escape_tokens": True},
    "openai_completions": _LEGACY,
}
OLLAMA: ByWire = {
    "openai_chat": {**OPEN_WEIGHTS["openai_chat"], "tool_choices": (), "parallel": False},
    "openai_completions": _LEGACY,
}
_SERVED: dict[str, Any] = {
    "hosted": ("web_search", "code_interpreter", "file_search", "computer_use", "mcp"),
    "service_tiers": ("flex", "standard", "priority"),
    "strict": True,
}
GEMINI: ByWire = {
    "gemini": {**_SERVED, "told_hosted": True},
    "gemini_interactions": {
        **_SERVED,
        "hosted": (*_SERVED["hosted"], "tool_search"),
        "keeps": ("chain", "background"),
    },
}
VERTEX: ByWire = {"gemini": {"hosted": ("web_search", "code_interpreter", "computer_use"), "strict": True}}
CLAUDE_ON_VERTEX: ByWire = {
    "anthropic": {
        "version_in_body": "vertex-2023-10-16",
        "paths": ("/models/{model}:rawPredict", "/models/{model}:streamRawPredict"),
        "media_urls": False,
    }
}
MOCK: ByWire = {
    "openai_chat": {"strict": True, "cache_key": True},
    "openai_responses": {"strict": True, "cache_key": True, "freeform": True, "keeps": _KEEPS},
    "gemini_interactions": {"keeps": ("chain", "background")},
}


def gpt(first: str, last: str, *, default: str = "medium", **more: Any) -> dict[WireName, Dialect]:
    """Return what holds for OpenAI's reasoning models over Chat, whose efforts run from `first` to `last`."""
    return {"openai_chat": _gpt(first, last, default, more)}


def responses(first: str, last: str, *, default: str = "medium", **more: Any) -> dict[WireName, Dialect]:
    """Return what holds for them over Responses."""
    return {"openai_responses": _gpt(first, last, default, more)}


def _gpt(first: str, last: str, default: str, more: Dialect) -> Dialect:
    efforts = _EFFORTS[_EFFORTS.index(first) : _EFFORTS.index(last) + 1]
    return {
        "efforts": tuple(effort for effort in efforts if effort != "minimal" or first == "minimal"),
        "default_effort": default,
        "sampling_unless_reasoning": ("temperature", "top_p", "top_logprobs"),
        "verbosity": True,
        "freeform": True,
        "edit_tool": "patch",
        **more,
    }


def uncached(dialects: ByWire) -> ByWire:
    """Return what holds where a model is served by a vendor who does not take what steers the cache."""
    steers = ("cache_retention", "cache_options", "cache_marks", "cache_marker")
    return {
        wire: {key: value for key, value in dialect.items() if key not in steers}
        for wire, dialect in dialects.items()
    }


_CHAT_CACHE: dict[str, Any] = {
    "cache_retention": (),
    "cache_options": ("30m",),
    "cache_marker": _MARKER,
    "cache_write": "m30",
}
_CACHE: dict[str, Any] = {
    "cache_retention": (),
    "cache_options": ("30m", "12h"),
    "cache_marks": ("30m", "12h"),
    "cache_write": "m30",
    "phase": True,
}
GPT_5: ByWire = gpt("minimal", "high") | responses("minimal", "high")
GPT_5_1: ByWire = gpt("none", "high", default="none") | responses("none", "high", default="none")
GPT_5_2: ByWire = gpt("none", "xhigh", default="none") | responses("none", "xhigh", default="none")
GPT_5_4: ByWire = gpt("none", "xhigh", default="none") | responses(
    "none", "xhigh", default="none", phase=True
)
GPT_5_5: ByWire = gpt("none", "xhigh", cache_retention=("24h",)) | responses(
    "none", "xhigh", phase=True, cache_retention=("24h",)
)
GPT_5_6: ByWire = gpt(
    "none",
    "none",
    default="none",
    extra_body={"reasoning_effort": "none"},
    **_CHAT_CACHE,
) | responses("none", "max", **_CACHE)
"""Chat takes no function of theirs while they reason."""
GPT_6: ByWire = gpt("none", "xhigh", **_CHAT_CACHE) | responses("none", "max", **_CACHE)
GPT_6_ASTRA: ByWire = {
    "openai_chat": {
        **GPT_6["openai_chat"],
        "efforts": ("low", "medium", "high", "xhigh"),
        "sampling": {"stop": "stop", "seed": "seed"},
    },
    **responses("low", "max", sampling=(), **_CACHE),
}
ONLY_RESPONSES: ByWire = responses("low", "xhigh", sampling=())
"""What the models that are reached in no other way have in common."""
GLM_5_3: ByWire = {
    "openai_chat": {
        "efforts": ("low", "high", "max"),
        "default_effort": "high",
        "extra_body": {"thinking": {"type": "enabled", "clear_thinking": False}},
    }
}
GLM_5_2: ByWire = {"openai_chat": {"efforts": _EFFORTS}}
GLM_5_1: ByWire = {
    "openai_chat": {
        "efforts": {"none": {"thinking": {"type": "disabled"}}, "high": {"thinking": {"type": "enabled"}}}
    }
}
GLM_VISION: ByWire = {"openai_chat": {**GLM_5_1["openai_chat"], "media": ("image", "video")}}

_BOUND: dict[str, Any] = {"drop_unbound_thinking": True}
"""Thinking is bound to all that was sent before it: where tools or system changed, it is better lost than refused."""

CLAUDE_ALWAYS_THINKS: ByWire = {
    "anthropic": {"thinking_off": "unsupported", "forced_tool_choice": "no", "mid_system": True, **_BOUND}
}
CLAUDE_SONNET_5_5: ByWire = {
    "anthropic": {"thinking_off": "between_tools", "forced_tool_choice": "no", **_BOUND}
}
CLAUDE_HAIKU_5_5: ByWire = {"anthropic": _BOUND}
CLAUDE_OPUS: ByWire = {"anthropic": {"mid_system": True}}
CLAUDE_4_6: ByWire = {
    "anthropic": {
        "efforts": ("low", "medium", "high", "max"),
        "sampling": "when_not_reasoning",
        "hosted": {"computer_use": "computer_20251124"},
    }
}
CLAUDE_BUDGET: ByWire = {
    "anthropic": {
        "thinking": "enabled",
        "efforts": (),
        "sampling": "when_not_reasoning",
        "forced_tool_choice": "not_while_thinking",
        "hosted": {"computer_use": "computer_20250124"},
    }
}
CLAUDE_OLD: ByWire = {
    "anthropic": {
        "thinking": "none",
        "efforts": (),
        "sampling": "when_not_reasoning",
        "hosted": {"computer_use": None},
    }
}
CLAUDE_OPUS_4_5: ByWire = {
    "anthropic": {
        **CLAUDE_BUDGET["anthropic"],
        "efforts": ("low", "medium", "high"),
        "hosted": {"computer_use": "computer_20251124"},
    }
}


def _gemini(*efforts: str) -> ByWire:
    """Return what holds for a Gemini from 3 on, which thinks at levels and calls hosted tools beside functions."""
    return {"gemini": {"efforts": efforts, "combined": True}, "gemini_interactions": {"efforts": efforts}}


GEMINI_4: ByWire = _gemini("minimal", "low", "medium", "high", "xhigh")
GEMINI_3_FLASH: ByWire = _gemini("minimal", "low", "medium", "high")
GEMINI_3_PRO: ByWire = _gemini("low", "medium", "high")
_GEMINI_2_5: dict[str, Any] = {
    "thinking": "budget",
    "signatures": False,
    "structured_with_tools": False,
    "result_media": (),
}
GEMINI_2_5_PRO: ByWire = {"gemini": {**_GEMINI_2_5, "budget": (128, 32_768)}}
GEMINI_2_5_FLASH: ByWire = {"gemini": {**_GEMINI_2_5, "budget": (1, 24_576), "thinking_off": True}}
GEMINI_2_5_LITE: ByWire = {"gemini": {**_GEMINI_2_5, "budget": (512, 24_576), "thinking_off": True}}
