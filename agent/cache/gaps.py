"""How long a provider should keep what it has read: by the pauses that were seen, and what they would cost."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from treadle.agent.cache.rules import SECONDS, Row, Ttl
from treadle.agent.providers.contract import Prices
from treadle.sandbox.frozen import frozen

_WEIGHT = 20.0
"""What was expected before counts as much as so many pauses that were seen."""
EARLY = 30.0
"""Seconds before the end of a life at which it is prolonged."""
_PRIOR = ((3_600.0, 0.01), (1_800.0, 0.02), (300.0, 0.03))
"""Of a person's pauses between two requests: the share above so many seconds."""


@frozen
class Gaps:
    """The pauses between the starts of requests."""

    seen: tuple[float, ...] = ()
    """Seconds, the shortest first."""
    interactive: bool = False
    """A person answers; without one nothing but a tool keeps the model waiting."""
    pings: int = 0
    """How many may keep a cache warm in one pause."""

    def longer(self, seconds: float) -> float:
        """Return how likely the next pause is longer."""
        prior = 0.0
        if self.interactive:
            prior = next((share for limit, share in _PRIOR if seconds >= limit), 0.2)
        count = len(self.seen) - bisect_right(self.seen, seconds)
        return (count + prior * _WEIGHT) / (len(self.seen) + _WEIGHT)


@frozen
class _Wait:
    """A pause that has lasted `idle` seconds when the cache was last used."""

    row: Row
    prices: Prices | None
    gaps: Gaps
    idle: float = 0.0
    risk: float = 1.0
    """Of the prompt's tokens, those that would have to be written again: the rest is covered."""

    def expected(self, life: float) -> tuple[float, int]:
        """Return the price of the rest, for each token of the prompt, and how many pings make it least."""
        read = self.row.reading(self.prices)
        again = (self.row.price(self.prices, self.row.ttls[0]) - read) * self.risk
        begun = self.gaps.longer(self.idle) or 1.0
        best, spent = (self._beyond(life) / begun * again, 0), 0.0
        for ping in range(1, self.gaps.pings + 1 if self.row.asks.warms else 1):
            at = ping * (life - EARLY)
            spent += self._beyond(at) / begun * read
            best = min(best, (spent + self._beyond(at + life) / begun * again, ping))
            if not self._beyond(at):
                break
        return best

    def _beyond(self, seconds: float) -> float:
        return self.gaps.longer(self.idle + seconds)


@frozen
class Pause:
    """A person's pause."""

    idle: float = 0.0
    """Seconds that it has lasted."""
    risk: float = 1.0
    """Of the prompt's tokens, those that nothing else keeps."""


@frozen
class Tokens:
    """The tokens of a request, by what the choice of a time does to them."""

    new: int
    """Those that are written now."""
    total: int
    covered: int = 0
    """Those that an earlier request has had kept for the longest time: they outlive a pause whatever is chosen now."""


def lasting(row: Row, prices: Prices | None, gaps: Gaps, tokens: Tokens) -> Ttl | None:
    """Return how long the end of this request is to be kept: None where a provider takes no time.

    The longer time costs more for each new token, and saves reading what nothing covers again after a pause that only
    it outlives, or pinging through it. Summed over a session this is the law of CONTEXT.md §1.9.1; asked at each
    step, it lets a session change its mind, and pay when little is new.
    """
    if len(row.ttls) < 2:
        return row.ttls[0] if row.ttls else None
    all_of_it, long = _Wait(row, prices, gaps), row.ttls[-1]
    rest = replace(all_of_it, risk=1 - tokens.covered / (tokens.total or 1))

    def costs(ttl: Ttl) -> float:
        written = row.price(prices, ttl) * tokens.new
        if ttl == long:
            return written + all_of_it.expected(SECONDS[long])[0] * tokens.total
        covered = all_of_it.expected(SECONDS[long])[0] * tokens.covered
        return written + rest.expected(SECONDS[ttl])[0] * tokens.total + covered

    return min(row.ttls, key=costs)


def pings_pay(row: Row, prices: Prices | None, gaps: Gaps, life: float, pause: Pause | None = None) -> bool:
    """Say whether a ping, just before what was read is forgotten, is worth its price: CONTEXT.md §1.9.2.

    No pause: a tool runs, after which a request is sure to come.
    """
    if not row.asks.warms or not row.ttls:
        return False
    if pause is None:
        read = row.reading(prices)
        return read < row.price(prices, row.ttls[0]) - read
    return _Wait(row, prices, gaps, pause.idle, pause.risk).expected(life)[1] > 0
