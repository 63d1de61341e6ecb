"""One row for every vendor: where it is, how one proves who one is, what is odd there, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    ContentBlocked,
    ContextOverflow,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RequestTooLarge,
)


@dataclass(frozen=True)
class Vendor:
    model: str
    """VENDOR/MODEL."""
    env: Mapping[str, str]
    """With no more than this, calls go to `url`."""
    url: str
    proof: tuple[str, str] | None
    """The header that says who asks."""
    moved: Mapping[str, str]
    """What sends calls to the mock, at {mock}."""
    path: str
    """Where they then arrive."""
    error: tuple[int, Any, type[ProviderError]]
    """A refusal as this vendor words it, and what it means."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is peculiar in a body that is asked for a little of everything."""
    absent: tuple[str, ...] = ()
    """What such a body does not hold here."""
    usage: bool = True
    """Whether a stream tells of tokens."""


def _bearer(key: str = "key-1234") -> tuple[str, str]:
    return "authorization", f"Bearer {key}"


def _openai(message: str, code: str | None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_KEY: Final = "key-1234"
_PLACE: Final = "/v1/projects/proj-1/locations/us-east5"
_GOOGLE: Final = {
    "GOOGLE_CLOUD_PROJECT": "proj-1",
    "GOOGLE_CLOUD_LOCATION": "us-east5",
    "GOOGLE_OAUTH_ACCESS_TOKEN": _KEY,
}
_TOOLS: Final = ("tool_choice", "parallel_tool_calls")

VENDORS: Final[dict[str, Vendor]] = {
    "openai": Vendor(
        "openai/gpt-6-sol",
        {"OPENAI_API_KEY": _KEY, "OPENAI_ORG_ID": "org-1"},
        "https://api.openai.com/v1/responses",
        _bearer(),
        {"OPENAI_BASE_URL": "{mock}/v1"},
        "/v1/responses",
        (429, _openai("Out of money", "insufficient_quota"), QuotaExhausted),
        {"store": False, "max_output_tokens": 900, "prompt_cache_key": "s-1"},
    ),
    "openai over Chat": Vendor(
        "openai/gpt-4.1",
        {"OPENAI_API_KEY": _KEY},
        "https://api.openai.com/v1/chat/completions",
        _bearer(),
        {"OPENAI_BASE_URL": "{mock}/v1"},
        "/v1/chat/completions",
        (400, _openai("too long", "context_length_exceeded"), ContextOverflow),
        {"max_completion_tokens": 900, "seed": 7, "temperature": 0.0, "prompt_cache_key": "s-1"},
    ),
    "anthropic": Vendor(
        "anthropic/claude-opus-5-5",
        {"ANTHROPIC_API_KEY": _KEY},
        "https://api.anthropic.com/v1/messages",
        ("x-api-key", _KEY),
        {"ANTHROPIC_BASE_URL": "{mock}"},
        "/v1/messages",
        (413, {"type": "error", "error": {"type": "request_too_large", "message": "m"}}, RequestTooLarge),
        {"max_tokens": 900},
        ("temperature", "seed"),
    ),
    "gemini": Vendor(
        "gemini/gemini-3.6-flash",
        {"GEMINI_API_KEY": _KEY},
        "https://generativelanguage.googleapis.com/v1/models/gemini-3.6-flash:streamGenerateContent?alt=sse",
        ("x-goog-api-key", _KEY),
        {"GEMINI_BASE_URL": "{mock}"},
        "/v1/models/gemini-3.6-flash:streamGenerateContent",
        (
            400,
            {"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}},
            AuthFailed,
        ),
        {},
        ("model", "stream"),
    ),
    "vertex, Gemini": Vendor(
        "vertex/gemini-3.6-flash",
        _GOOGLE,
        f"https://us-east5-aiplatform.googleapis.com{_PLACE}/publishers/google/models/"
        "gemini-3.6-flash:streamGenerateContent?alt=sse",
        _bearer(),
        {"VERTEX_BASE_URL": "{mock}/vertex"},
        f"/vertex{_PLACE}/publishers/google/models/gemini-3.6-flash:streamGenerateContent",
        (
            403,
            {"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}},
            AuthFailed,
        ),
        {},
        ("model", "stream"),
    ),
    "vertex, Claude": Vendor(
        "vertex/claude-opus-4-5@20251101",
        _GOOGLE,
        f"https://us-east5-aiplatform.googleapis.com{_PLACE}/publishers/anthropic/models/"
        "claude-opus-4-5@20251101:streamRawPredict",
        _bearer(),
        {"VERTEX_BASE_URL": "{mock}/vertex"},
        f"/vertex{_PLACE}/publishers/anthropic/models/claude-opus-4-5@20251101:streamRawPredict",
        (
            429,
            [{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}],
            Busy,
        ),
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 900, "stream": True},
        ("model",),
    ),
    "azure": Vendor(
        "azure/gpt-6-sol",
        {"AZURE_OPENAI_RESOURCE": "my-res", "AZURE_OPENAI_API_KEY": _KEY},
        "https://my-res.openai.azure.com/openai/v1/responses",
        ("api-key", _KEY),
        {"AZURE_OPENAI_ENDPOINT": "{mock}/azure"},
        "/azure/openai/v1/responses",
        (404, {"error": {"code": "DeploymentNotFound", "message": "No such deployment"}}, NotFound),
        {"model": "gpt-6-sol", "max_output_tokens": 900},
    ),
    "azure, another's model": Vendor(
        "azure/our-deployment",
        {"AZURE_OPENAI_ENDPOINT": "https://my-res.openai.azure.com", "AZURE_OPENAI_AD_TOKEN": _KEY},
        "https://my-res.openai.azure.com/openai/v1/chat/completions",
        _bearer(),
        {"AZURE_OPENAI_ENDPOINT": "{mock}/azure"},
        "/azure/openai/v1/chat/completions",
        (
            400,
            {
                "error": {
                    "code": "content_filter",
                    "message": "The response was filtered",
                    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
                }
            },
            ContentBlocked,
        ),
        {"max_completion_tokens": 900},
    ),
    "azure by deployment": Vendor(
        "azure-deployments/our-deployment",
        {"AZURE_OPENAI_RESOURCE": "my-res", "AZURE_OPENAI_API_KEY": _KEY},
        "https://my-res.openai.azure.com/openai/deployments/our-deployment/chat/completions"
        "?api-version=2024-10-21",
        ("api-key", _KEY),
        {"AZURE_OPENAI_ENDPOINT": "{mock}/azure", "AZURE_OPENAI_API_VERSION": "2025-01-01-preview"},
        "/azure/openai/deployments/our-deployment/chat/completions",
        (429, {"error": {"code": "429", "message": "Please retry in 3s."}}, Busy),
    ),
    "openrouter": Vendor(
        "openrouter/anthropic/claude-opus-5.5",
        {"OPENROUTER_API_KEY": _KEY},
        "https://openrouter.ai/api/v1/chat/completions",
        _bearer(),
        {"OPENROUTER_BASE_URL": "{mock}/openrouter/api/v1"},
        "/openrouter/api/v1/chat/completions",
        (
            403,
            {"error": {"code": 403, "message": "Flagged", "metadata": {"flagged_input": "x", "reasons": []}}},
            ContentBlocked,
        ),
        {"max_tokens": 900, "reasoning": {"effort": "high"}, "session_id": "s-1", "top_k": 40},
        ("stream_options", "max_completion_tokens", "prompt_cache_key"),
    ),
    "zai": Vendor(
        "zai/glm-5.3",
        {"ZAI_API_KEY": _KEY},
        "https://api.z.ai/api/paas/v4/chat/completions",
        _bearer(),
        {"ZAI_BASE_URL": "{mock}/zai/api/paas/v4"},
        "/zai/api/paas/v4/chat/completions",
        (429, {"error": {"code": "1113", "message": "Insufficient balance"}}, QuotaExhausted),
        {
            "thinking": {"type": "enabled", "clear_thinking": False},
            "reasoning_effort": "high",
            "do_sample": False,
            "stop": ["END"],
        },
        ("temperature", "stream_options", *_TOOLS),
    ),
    "bigmodel": Vendor(
        "bigmodel/glm-5.1",
        {"ZHIPUAI_API_KEY": _KEY},
        "https://open.bigmodel.cn/api/paas/v4/chat/completions",
        _bearer(),
        {"BIGMODEL_BASE_URL": "{mock}/bigmodel/api/paas/v4"},
        "/bigmodel/api/paas/v4/chat/completions",
        (429, {"error": {"code": "1305", "message": "Too busy"}}, Busy),
        {"thinking": {"type": "enabled"}},
        ("reasoning_effort", *_TOOLS),
    ),
    "deepseek": Vendor(
        "deepseek/deepseek-chat",
        {"DEEPSEEK_API_KEY": _KEY},
        "https://api.deepseek.com/v1/chat/completions",
        _bearer(),
        {"DEEPSEEK_BASE_URL": "{mock}/deepseek/v1"},
        "/deepseek/v1/chat/completions",
        (402, _openai("Insufficient Balance", "invalid_request_error", "unknown_error"), QuotaExhausted),
        {"max_tokens": 900},
        ("parallel_tool_calls",),
    ),
    "moonshot": Vendor(
        "moonshot/kimi-k2.5",
        {"MOONSHOT_API_KEY": _KEY},
        "https://api.moonshot.ai/v1/chat/completions",
        _bearer(),
        {"MOONSHOT_BASE_URL": "{mock}/moonshot/v1"},
        "/moonshot/v1/chat/completions",
        (401, {"error": {"message": "no", "type": "invalid_authentication_error"}}, AuthFailed),
        {"max_tokens": 900},
    ),
    "mistral": Vendor(
        "mistral/mistral-large-latest",
        {"MISTRAL_API_KEY": _KEY},
        "https://api.mistral.ai/v1/chat/completions",
        _bearer(),
        {"MISTRAL_BASE_URL": "{mock}/mistral/v1"},
        "/mistral/v1/chat/completions",
        (
            400,
            {"object": "error", "message": "bad", "type": "invalid_request_prompt", "code": "1800"},
            InvalidRequest,
        ),
        {"random_seed": 7, "max_tokens": 900},
        ("seed", "stream_options"),
    ),
    "xai": Vendor(
        "xai/grok-4",
        {"XAI_API_KEY": _KEY},
        "https://api.x.ai/v1/chat/completions",
        _bearer(),
        {"XAI_BASE_URL": "{mock}/xai/v1"},
        "/xai/v1/chat/completions",
        (
            400,
            {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: ab"},
            AuthFailed,
        ),
        {"max_completion_tokens": 900},
    ),
    "groq": Vendor(
        "groq/openai/gpt-oss-120b",
        {"GROQ_API_KEY": _KEY},
        "https://api.groq.com/openai/v1/chat/completions",
        _bearer(),
        {"GROQ_BASE_URL": "{mock}/groq/openai/v1"},
        "/groq/openai/v1/chat/completions",
        (413, _openai("Request too large for model", "rate_limit_exceeded", "tokens"), RequestTooLarge),
        {"max_completion_tokens": 900, "model": "openai/gpt-oss-120b"},
    ),
    "vllm": Vendor(
        "vllm/Qwen/Qwen3-32B",
        {},
        "http://127.0.0.1:8000/v1/chat/completions",
        None,
        {"VLLM_BASE_URL": "{mock}/vllm/v1"},
        "/vllm/v1/chat/completions",
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens.",
                "code": 400,
            },
            ContextOverflow,
        ),
        {"top_k": 40, "min_p": 0.05},
    ),
    "ollama": Vendor(
        "ollama/qwen3:8b",
        {},
        "http://127.0.0.1:11434/v1/chat/completions",
        None,
        {"OLLAMA_HOST": "{mock}/ollama"},
        "/ollama/v1/chat/completions",
        (404, {"error": {"message": "model 'x' not found", "type": "not_found_error"}}, NotFound),
        {"top_k": 40},
        _TOOLS,
        usage=False,
    ),
    "lmstudio": Vendor(
        "lmstudio/gpt-oss-20b",
        {"LMSTUDIO_API_KEY": _KEY},
        "http://127.0.0.1:1234/v1/chat/completions",
        _bearer(),
        {"LMSTUDIO_BASE_URL": "{mock}/lmstudio/v1"},
        "/lmstudio/v1/chat/completions",
        (
            400,
            {"error": "Trying to keep the first 9000 tokens, longer than the model's context"},
            ContextOverflow,
        ),
        {"min_p": 0.05},
    ),
}
