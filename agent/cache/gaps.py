"""How long a provider should keep what it has read: by the pauses that were seen, and what they would cost."""

from __future__ import annotations

from treadle.agent.cache.rules import SECONDS, Row, Ttl
from treadle.agent.providers.contract import Prices
from treadle.sandbox.frozen import frozen

_WEIGHT = 20.0
"""What was expected before counts as much as so many pauses that were seen."""
_INTERVAL = 30.0
"""Seconds before the end of a life at which it is prolonged."""
_PRIOR = (0.03, 0.02, 0.01)
"""Of a person's pauses between two requests: the share above 5 minutes, above 30, above an hour."""


@frozen
class Gaps:
    """The pauses between the starts of requests."""

    seen: tuple[float, ...] = ()
    """Seconds."""
    interactive: bool = False
    """A person answers; without one nothing but a tool keeps the model waiting."""

    def longer(self, seconds: float) -> float:
        """Return how likely the next pause is longer."""
        prior = 0.0
        if self.interactive:
            known = zip((300.0, 1_800.0, 3_600.0), _PRIOR, strict=True)
            prior = next((share for limit, share in reversed([*known]) if seconds >= limit), 0.2)
        count = sum(gap > seconds for gap in self.seen)
        return (count + prior * _WEIGHT) / (len(self.seen) + _WEIGHT)

    def between(self, least: float, most: float) -> float:
        """Return how likely the next pause is longer than `least` and not longer than `most`."""
        return max(0.0, self.longer(least) - self.longer(most))


def lasting(row: Row, prices: Prices | None, gaps: Gaps, new: int, total: int) -> Ttl | None:
    """Return how long the end of this request is to be kept: None where a provider takes no time.

    The longer time costs more for each of the `new` tokens written now, and saves writing all of the `total` again
    after a pause that only it outlives. Summed over a session this is the law of CONTEXT.md §1.9.1; asked at each
    step, it lets a session change its mind.
    """
    if len(row.ttls) < 2:
        return row.ttls[0] if row.ttls else None
    short, long = row.ttls[0], row.ttls[-1]
    likely = gaps.between(SECONDS[short], SECONDS[long])
    saved = likely * (row.price(prices, short) - row.reading(prices)) * total
    return long if saved > (row.price(prices, long) - row.price(prices, short)) * new else short


def next_ping(
    row: Row, prices: Prices | None, gaps: Gaps, life: float, waited: float, *, certain: bool
) -> float | None:
    """Return how many seconds after the last request a ping is worth its price; None when none is.

    A ping reads the prompt and keeps it for another `life`. It pays while the chance that the wait ends within that
    life is above r / (w - r): CONTEXT.md §1.9.2. While a tool runs, an end is `certain`.
    """
    if not row.warms or not row.ttls:
        return None
    read, write = row.reading(prices), row.price(prices, row.ttls[0])
    least = read / (write - read) if write > read else 1.0
    lasts, going = gaps.longer(waited), gaps.longer(waited + life)
    likely = 1.0 if certain else (lasts - going) / lasts if lasts else 0.0
    return life - _INTERVAL if likely > least else None
