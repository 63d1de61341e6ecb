"""What a request was expected to cost, kept beside the reply so that the bill can be held against it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from treadle.agent.messages import CacheWrite
from treadle.tools.contract import Frozen

Cause: TypeAlias = Literal[
    "",
    "first",
    "expired",
    "model_changed",
    "settings_changed",
    "tools_changed",
    "system_changed",
    "messages_changed",
    "room_made",
    "too_short",
]
"""Why less is read than was sent before. `first`: nothing was; `room_made`: an epoch began, as it was meant to."""


class Place(Frozen):
    """The end of a prefix that the provider is expected to keep."""

    chain: str
    """Stands for every byte up to here, and for what must be equal beside them."""
    tokens: int
    seconds: int
    """How long it lives after each use."""


class Forecast(Frozen):
    """What a request was expected to be billed as. Tokens; how many it says is known only afterwards."""

    at: datetime
    """When it was asked."""
    counted: int
    """Tokens of all of it at four bytes each, before they were corrected by what was billed before."""
    read: int = 0
    write: CacheWrite = CacheWrite()
    fresh: int = 0
    layers: tuple[str, str, str, str] = ("", "", "", "")
    """Short hashes: of the model, of tools, of system, and of what must be equal beside them (effort, …)."""
    epoch: str = ""
    """Id of the entry that began the epoch."""
    kept: tuple[Place, ...] = ()
    cause: Cause = ""
    lost: int = 0
    """Tokens that were sent before and are not read now."""
    where: str = ""
    """The first segment that differs and the first byte in it, where both were at hand."""

    @property
    def total(self) -> int:
        """All tokens of input."""
        return self.read + self.write.total + self.fresh
