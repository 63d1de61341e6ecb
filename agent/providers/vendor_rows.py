"""The places that serve models, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Literal, TypeAlias

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, WireName
from treadle.agent.providers.dialects import ByWire
from treadle.sandbox.frozen import frozen

Auth: TypeAlias = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "none"]
"""The header that carries the key; `bearer` is `Authorization: Bearer`."""


FileStoreName: TypeAlias = Literal["openai", "anthropic", "gemini"]


@frozen
class Vendor:
    """One row: a place that serves models.

    Texts here may hold variables of the environment, as `{OPENAI_BASE_URL}`; `{NAME=value}` holds only for that very
    value. A text whose variables are not all set does not count.
    """

    name: str
    base_url: str = ""
    """Paths of wires go below it. Empty when there is no usual place."""
    base_env: tuple[str, ...] = ()
    """Other places, the first one that counts wins. `{model}` is the model's id: where each has a place of its own."""
    key_env: tuple[str, ...] = ()
    auth: Auth = "bearer"
    stock_key: str | None = None
    """Sent when there is no other, and no secret; "" sends none. None: there must be a key."""
    token_env: tuple[str, ...] = ()
    """Variables that hold a ready bearer token, which goes before any key."""
    tokens: Literal["google", "entra"] | None = None
    """Whose credentials are exchanged for a bearer token where there is neither key nor token."""
    wire: WireName = "openai_chat"
    paths: Mapping[WireName, str] = field(default_factory=dict[WireName, str])
    """What stands between the base URL and a wire's own path."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those with variables are the account's scope."""
    dialects: ByWire = field(default_factory=dict[WireName, Dialect])

    @property
    def key_optional(self) -> bool:
        return self.stock_key is not None


def _local(name: str, base_url: str, *base_env: str, dialects: ByWire) -> Vendor:
    key = f"{name.upper()}_API_KEY"
    return Vendor(name, base_url, base_env, (key,), stock_key="", dialects=dialects)


def _glm(name: str, host: str, *key_env: str) -> Vendor:
    base = f"https://{host}/api/paas/v4"
    return Vendor(name, base, ("{" + name.upper() + "_BASE_URL}",), key_env, dialects=dialects.GLM)


def _azure(name: str, *below: str) -> Vendor:
    bases = ("{AZURE_OPENAI_ENDPOINT}", "https://{AZURE_OPENAI_RESOURCE}.openai.azure.com")
    own = ("{AZURE_OPENAI_BASE_URL}",) if name == "azure" else ()
    return Vendor(
        name,
        base_env=(*own, *(base + path for base in bases for path in below)),
        key_env=("AZURE_OPENAI_API_KEY",),
        auth="api-key",
        token_env=("AZURE_OPENAI_AD_TOKEN",),
        tokens="entra",
        dialects=dialects.AZURE,
    )


_PLACE = "/v1/projects/{GOOGLE_CLOUD_PROJECT}/locations/{GOOGLE_CLOUD_LOCATION}"
_GLOBAL = "/v1/projects/{GOOGLE_CLOUD_PROJECT}/locations/global"
VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "openai",
            "https://api.openai.com/v1",
            ("{OPENAI_BASE_URL}",),
            ("OPENAI_API_KEY",),
            headers={"openai-organization": "{OPENAI_ORG_ID}", "openai-project": "{OPENAI_PROJECT_ID}"},
            dialects=dialects.OPENAI,
        ),
        Vendor(
            "anthropic",
            "https://api.anthropic.com/v1",
            ("{ANTHROPIC_BASE_URL}/v1",),
            ("ANTHROPIC_API_KEY",),
            auth="x-api-key",
            wire="anthropic",
            headers={"anthropic-workspace-id": "{ANTHROPIC_WORKSPACE_ID}"},
        ),
        Vendor(
            "gemini",
            "https://generativelanguage.googleapis.com/v1",
            ("{GEMINI_BASE_URL}/v1", "{GOOGLE_GEMINI_BASE_URL}/v1"),
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            auth="x-goog-api-key",
            wire="gemini",
            dialects=dialects.GEMINI,
        ),
        Vendor(
            "openrouter",
            "https://openrouter.ai/api/v1",
            ("{OPENROUTER_BASE_URL}",),
            ("OPENROUTER_API_KEY",),
            headers={"x-openrouter-title": "treadle"},
            dialects=dialects.OPENROUTER,
        ),
        _azure("azure", "/openai/v1"),
        _azure(
            "azure-deployments",
            "/openai/deployments/{model}?api-version={AZURE_OPENAI_API_VERSION}",
            "/openai/deployments/{model}?api-version=2024-10-21",
        ),
        Vendor(
            "vertex",
            base_env=(
                "{VERTEX_BASE_URL}" + _PLACE,
                "{VERTEX_BASE_URL}" + _GLOBAL,
                "https://aiplatform.{GOOGLE_CLOUD_LOCATION=us}.rep.googleapis.com" + _PLACE,
                "https://aiplatform.{GOOGLE_CLOUD_LOCATION=eu}.rep.googleapis.com" + _PLACE,
                "https://aiplatform.googleapis.com" + _PLACE.replace("LOCATION", "LOCATION=global"),
                "https://{GOOGLE_CLOUD_LOCATION}-aiplatform.googleapis.com" + _PLACE,
                "https://aiplatform.googleapis.com" + _GLOBAL,
            ),
            token_env=("GOOGLE_OAUTH_ACCESS_TOKEN",),
            tokens="google",
            wire="gemini",
            paths={
                "gemini": "/publishers/google",
                "anthropic": "/publishers/anthropic",
                "openai_chat": "/endpoints/openapi",
            },
            dialects={**dialects.VERTEX, **dialects.CLAUDE_ON_VERTEX},
        ),
        _glm("zai", "api.z.ai", "ZAI_API_KEY", "ZHIPUAI_API_KEY"),
        _glm("bigmodel", "open.bigmodel.cn", "ZHIPUAI_API_KEY", "BIGMODEL_API_KEY"),
        Vendor(
            "deepseek",
            "https://api.deepseek.com/v1",
            ("{DEEPSEEK_BASE_URL}",),
            ("DEEPSEEK_API_KEY",),
            dialects=dialects.DEEPSEEK,
        ),
        Vendor(
            "moonshot",
            "https://api.moonshot.ai/v1",
            ("{MOONSHOT_BASE_URL}",),
            ("MOONSHOT_API_KEY",),
            dialects=dialects.MOONSHOT,
        ),
        Vendor(
            "mistral",
            "https://api.mistral.ai/v1",
            ("{MISTRAL_BASE_URL}",),
            ("MISTRAL_API_KEY",),
            dialects=dialects.MISTRAL,
        ),
        Vendor("xai", "https://api.x.ai/v1", ("{XAI_BASE_URL}",), ("XAI_API_KEY",), dialects=dialects.XAI),
        Vendor(
            "groq",
            "https://api.groq.com/openai/v1",
            ("{GROQ_BASE_URL}",),
            ("GROQ_API_KEY",),
            dialects=dialects.GROQ,
        ),
        _local("vllm", "http://127.0.0.1:8000/v1", "{VLLM_BASE_URL}", dialects=dialects.OPEN_WEIGHTS),
        _local(
            "ollama",
            "http://127.0.0.1:11434/v1",
            "{OLLAMA_BASE_URL}",
            "{OLLAMA_HOST}/v1",
            dialects=dialects.OLLAMA,
        ),
        _local(
            "lmstudio",
            "http://127.0.0.1:1234/v1",
            "{LMSTUDIO_BASE_URL}",
            dialects=dialects.OPEN_WEIGHTS,
        ),
        replace(
            _local("mock", "", "{TREADLE_MOCK_URL}/v1", dialects=dialects.MOCK),
            stock_key="mock",
        ),
    )
}
FILE_STORES: Mapping[str, FileStoreName] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "azure": "openai",
    "mock": "openai",
}
"""Whose way of keeping files each vendor has; the others keep none."""
