"""What a step is asked with, beside the conversation."""

from __future__ import annotations

from typing import Literal, TypeAlias

from treadle.tools.contract import Frozen

Mode: TypeAlias = Literal["plan", "ask", "edit", "auto", "yolo"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Sampling(Frozen):
    """How a model picks its tokens. None leaves it to the provider; 0 is a value."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    stop: tuple[str, ...] = ()


class Settings(Frozen):
    """What a step is asked with, beside the conversation."""

    mode: Mode = "ask"
    effort: Effort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    max_output: int | None = None
    """Tokens of one reply; None leaves it to the model's row."""
    sampling: Sampling = Sampling()
