"""Make room for a request that is too big: one rung after the other, until it fits."""

from __future__ import annotations

from treadle.agent.ladder.ladder import Ladder
from treadle.agent.ladder.seams import Seams

__all__ = ["Ladder", "Seams"]
