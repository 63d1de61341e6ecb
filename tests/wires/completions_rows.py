"""Models that speak legacy Completions, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.providers.contract import ModelInfo
from treadle.tools.contract import JsonObject

MODELS: Final[dict[str, ModelInfo]] = {
    "completions": ModelInfo(
        id="gpt-3.5-turbo-instruct", wire="openai_completions", vendor="openai", endpoint="e1"
    ),
    "completions.base": ModelInfo(
        id="own/base",
        wire="openai_completions",
        vendor="vllm",
        endpoint="e1",
        max_output=512,
        dialect={
            "turns": {"system": "{text}\n", "user": "{text}", "assistant": "{text}"},
            "turn_stops": (),
            "sampling": {"temperature": "temperature", "top_k": "top_k", "min_p": "min_p"},
            "stream_usage": False,
            "finish_optional": True,
            "extra_body": {"ignore_eos": False},
        },
    ),
}


def whole(text: str, finish: str | None = "stop", **more: Any) -> JsonObject:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "model": "served", "choices": [choice], **more}


REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "completions": {
        "text": whole(" Hello é.\n"),
        "cut": whole(" Hello", "length"),
        "empty": whole("\n"),
        "tabbed": whole("\tx = 1"),
    },
    "completions.base": {"text": whole("and then\n")},
}
