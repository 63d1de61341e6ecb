"""When making room pays: the square-root law, for a session that goes on and for one that is about to end."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from treadle.sandbox.frozen import frozen


@frozen
class Growth:
    """A session as the law sees it: tokens, and prices relative to that of one fresh token of input."""

    read: float
    """Price of a token read from the cache, relative to a fresh one."""
    write: float
    """Price of a token written to it."""
    output: float
    """Price of a token of output."""
    static: float
    """Tokens of tools and system: what every epoch begins with."""
    restart: float
    """Tokens of the first request after room was made: static part, note, kept tail."""
    grows: float
    """Tokens a step adds to the prompt: what was said and what tools returned."""
    said: float
    """Tokens of output a step."""
    note: float = 2_500
    """Tokens of the note that stands for what was left out."""
    lost: float = 4
    """Steps spent on finding again what the note left out."""

    @property
    def per_step(self) -> float:
        """Price of a step right after room was made."""
        return self.read * self.restart + self.write * self.grows + self.output * self.said

    @property
    def per_cycle(self) -> float:
        """Price of making room once, but for reading what is summarised."""
        rewritten = self.write * max(0.0, self.restart - self.static)
        return self.read * self.restart + self.output * self.note + self.read * self.static + rewritten


def compaction_point(growth: Growth, jumps: Sequence[int] = (), window: int | None = None) -> int:
    """Return the prompt size in tokens at which making room costs least in the long run.

    CONTEXT.md §1.9.4: n* = q + sqrt(q² + 2 (a q + F) / (r D)), P* = K + n* D. Where reading costs nothing the law has
    no end, so the window bounds it, and so does a length in `jumps` above which a whole request costs
    more: a tenth of either is left free.
    """
    bounds = [jump * 0.9 for jump in jumps if jump > growth.restart]
    if window is not None:
        bounds.append(window * 0.9)
    slope = growth.read * growth.grows
    if slope <= 0:
        return int(min(bounds)) if bounds else 0
    again = growth.lost
    many = again + sqrt(again**2 + 2 * (growth.per_step * again + growth.per_cycle) / slope)
    return int(min([growth.restart + many * growth.grows, *bounds]))


def steps_to_pay(growth: Growth, prompt: float) -> float:
    """Return how many further steps it takes before making room at this prompt size has paid for itself.

    A task that ends sooner is better left as it is. Infinite when there is nothing to win.
    """
    saved = growth.read * (prompt - growth.restart)
    if saved <= 0:
        return float("inf")
    spent = growth.per_cycle - growth.read * growth.restart + growth.read * prompt
    return (spent + growth.lost * growth.per_step) / saved
