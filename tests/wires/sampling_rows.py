"""Where each vendor and each wire wants to be told how to sample; what is not here does not exist there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from treadle.agent.providers.contract import WireName

VALUES: Final[Mapping[str, Any]] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "seed": 7,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "top_logprobs": 3,
    "stop": ("END",),
}
"""Every field of `Sampling`, with a value that any vendor takes."""

_COMMON: Final = {name: name for name in VALUES if name not in {"top_k", "min_p"}}
_OPEN_WEIGHTS: Final = {name: name for name in VALUES}
_GLM: Final = {name: name for name in ("temperature", "top_p", "seed", "stop")}
_RESPONSES: Final = {name: name for name in ("temperature", "top_p", "top_logprobs")}
_CLAUDE: Final = {name: name for name in ("temperature", "top_p", "top_k")} | {"stop": "stop_sequences"}
_GEMINI: Final = {
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "seed": "generationConfig.seed",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "top_logprobs": "generationConfig.logprobs",
    "stop": "generationConfig.stopSequences",
}

BY_VENDOR: Final[Mapping[str, Mapping[str, str]]] = {
    "openai": _RESPONSES,
    "openai over Chat": _COMMON,
    "anthropic": {"stop": "stop_sequences"},
    "gemini": _GEMINI,
    "vertex, Gemini": _GEMINI,
    "vertex, Claude": _CLAUDE,
    "azure": _RESPONSES,
    "azure, another's model": _COMMON,
    "azure by deployment": _COMMON,
    "openrouter": _OPEN_WEIGHTS,
    "zai": _GLM,
    "bigmodel": _GLM,
    "deepseek": _COMMON,
    "moonshot": _COMMON,
    "mistral": {name: name for name in _COMMON if name != "top_logprobs"} | {"seed": "random_seed"},
    "xai": _COMMON,
    "groq": _COMMON,
    "vllm": _OPEN_WEIGHTS,
    "ollama": _OPEN_WEIGHTS,
    "lmstudio": _OPEN_WEIGHTS,
}
"""By the names of `vendor_rows`: the path of each field in the body."""

BY_WIRE: Final[Mapping[str, Mapping[str, str]]] = {
    "chat": _COMMON,
    "responses": _RESPONSES,
    "completions": _COMMON | {"top_logprobs": "logprobs"},
    "anthropic.host": _CLAUDE,
    "gemini": _GEMINI,
    "interactions": {
        "temperature": "generation_config.temperature",
        "top_p": "generation_config.top_p",
        "seed": "generation_config.seed",
        "stop": "generation_config.stop_sequences",
    },
}
"""By the names of `rows`: one model of each wire whose vendor takes all that the wire can say."""

BESIDE: Final[Mapping[tuple[WireName, str], Mapping[str, Any]]] = {
    ("openai_chat", "top_logprobs"): {"logprobs": True},
    ("openai_responses", "top_logprobs"): {
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"]
    },
    ("gemini", "top_logprobs"): {"generationConfig.responseLogprobs": True},
}
"""What must be said too for a field to do something."""

AT_ZERO: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    (vendor, "temperature"): {"do_sample": False} for vendor in ("zai", "bigmodel")
}
"""What is sent for a 0 in a vendor's own words."""
