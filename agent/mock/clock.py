"""The mock's clock: real time and what it was put forward, so that nobody has to wait for a cache to expire."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Seconds since 1970, by this server."""

    still: bool = False
    """Time passes only by putting it forward."""
    ahead: float = 0.0
    _began: float = field(default_factory=time.time)

    def now(self) -> float:
        """The time."""
        return (self._began if self.still else time.time()) + self.ahead

    def advance(self, seconds: float) -> None:
        """Put it forward."""
        self.ahead += seconds
