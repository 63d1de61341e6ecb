"""What a request will be billed as, by the rules of its provider and by what that has kept of earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from treadle.agent.cache.rules import FIELD, SECONDS, Row, Ttl
from treadle.agent.forecast import Forecast, Place
from treadle.agent.messages import CacheWrite
from treadle.sandbox.frozen import frozen


@frozen
class Shape:
    """A request as caches see it: its places are the ends of tools, of the system prompt and of each message."""

    chains: tuple[str, ...]
    """What stands for the prefix that ends at each place."""
    counts: tuple[int, ...]
    """Tokens of that prefix."""
    blocks: tuple[int, ...]
    """Blocks of it."""
    spoken: tuple[bool, ...]
    """Whether the model said what ends here."""

    @property
    def total(self) -> int:
        """All tokens."""
        return self.counts[-1]

    @property
    def end(self) -> int:
        """The last place."""
        return len(self.counts) - 1


@frozen
class Mark:
    """A place that a request asks its provider to keep."""

    place: int
    ttl: Ttl


@frozen
class Bill:
    """Tokens of input by how they are billed, and what is kept afterwards."""

    read: int
    write: CacheWrite = field(default_factory=CacheWrite)
    fresh: int = 0
    kept: tuple[Place, ...] = ()


class Held:
    """What a provider is taken to hold: every prefix that it was asked to keep, with its life and last use."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[int, float]] = {}
        self._learnt: list[Forecast] = []

    def learn(self, forecasts: Sequence[Forecast]) -> None:
        """Take the requests of a branch, oldest first. What was sent from another branch is there all the same."""
        known = len(self._learnt)
        if len(forecasts) < known or (known and forecasts[known - 1] is not self._learnt[-1]):
            self._learnt, known = [], 0
        for forecast in forecasts[known:]:
            self._learnt.append(forecast)
            for place in forecast.kept:
                at = forecast.at.timestamp()
                seconds = self._until[place.chain][0] if self.lives(place.chain, at) else place.seconds
                used = max(at, self._until.get(place.chain, (0, at))[1])
                self._until[place.chain] = (seconds, used)

    def knows(self, chain: str) -> bool:
        """Say whether a prefix was ever kept."""
        return chain in self._until

    def lives(self, chain: str, now: float) -> bool:
        """Say whether a prefix is still there."""
        seconds, used = self._until.get(chain, (0, float("-inf")))
        return now <= used + seconds

    def used(self, chain: str) -> float | None:
        """Return when a prefix was last used, in seconds since 1970; None for one that was never kept."""
        found = self._until.get(chain)
        return found[1] if found else None

    def shortest(self, chain: str) -> int | None:
        """Return how many seconds a prefix lives after a use; None for one that was never kept."""
        found = self._until.get(chain)
        return found[0] if found else None


def billed(row: Row, shape: Shape, marks: Sequence[Mark], held: Held, now: float) -> Bill:
    """Return what a request is billed as at a moment, in seconds since 1970."""
    match row.kind:
        case "marked":
            return _marked(row, shape, marks, held, now)
        case "exact":
            return _exact(row, shape, marks, held, now)
        case "steps":
            at = _farthest(shape, held, now)
            whole = shape.counts[at] // row.step * row.step if at is not None else 0
            read = whole if whole >= row.least else 0
            return Bill(read, fresh=shape.total - read, kept=_places(shape, {1, 2, shape.end}, row.life))
        case "units":
            read = _units(shape, held, now)
            return Bill(read, fresh=shape.total - read, kept=_places(shape, {shape.end}, row.life))
        case _:
            return Bill(0, fresh=shape.total)


def _places(shape: Shape, places: Iterable[int], seconds: int) -> tuple[Place, ...]:
    return tuple(
        Place(chain=shape.chains[at], tokens=shape.counts[at], seconds=seconds)
        for at in sorted(places)
        if at <= shape.end
    )


def _farthest(shape: Shape, held: Held, now: float, places: Iterable[int] | None = None) -> int | None:
    looked = range(shape.end + 1) if places is None else places
    return max((at for at in looked if held.lives(shape.chains[at], now)), default=None)


def _units(shape: Shape, held: Held, now: float) -> int:
    at = _farthest(shape, held, now)
    if at is None:
        return 0
    return shape.counts[at + 1 if at < shape.end and shape.spoken[at + 1] else at]


def _marked(row: Row, shape: Shape, marks: Sequence[Mark], held: Held, now: float) -> Bill:
    """Bill by markers, each of which looks back for what an earlier one wrote."""
    taken = [mark for mark in marks if shape.counts[mark.place] >= row.least]
    hits = {
        hit
        for mark in taken
        if (hit := _farthest(shape, held, now, _looked_at(row, shape, mark.place))) is not None
    }
    return _written(shape, taken, hits, row)


def _looked_at(row: Row, shape: Shape, mark: int) -> Iterable[int]:
    """Yield the places within reach before a mark, the mark's own first."""
    for at in range(mark, -1, -1):
        if shape.blocks[mark] - shape.blocks[at] >= row.lookback:
            return
        yield at


def _exact(row: Row, shape: Shape, marks: Sequence[Mark], held: Held, now: float) -> Bill:
    """Bill by markers and by the end of what was last said to the model; only exact ends are found."""
    explicit = {mark.place: mark for mark in marks}
    looked = [
        at
        for at in range(shape.end + 1)
        if (at in explicit or (at > 1 and not shape.spoken[at]))
        and shape.blocks[-1] - shape.blocks[at] < row.lookback
    ]
    hit = _farthest(shape, held, now, {*looked, *explicit})
    taken = [mark for mark in explicit.values() if shape.counts[mark.place] >= row.least]
    return _written(shape, taken, {hit} if hit is not None else set(), row)


def _written(shape: Shape, marks: Sequence[Mark], hits: set[int], row: Row) -> Bill:
    read = done = shape.counts[max(hits)] if hits else 0
    write: dict[str, int] = {}
    for mark in sorted(marks, key=lambda each: each.place):
        fresh = max(0, shape.counts[mark.place] - done)
        write[FIELD[mark.ttl]] = write.get(FIELD[mark.ttl], 0) + fresh
        done += fresh
    kept: Mapping[int, int] = dict.fromkeys(hits, SECONDS[row.ttls[0]]) | {
        mark.place: SECONDS[mark.ttl] for mark in marks
    }
    places = tuple(
        Place(chain=shape.chains[at], tokens=shape.counts[at], seconds=seconds)
        for at, seconds in sorted(kept.items())
    )
    written = CacheWrite(**{name: count for name, count in write.items() if count})
    return Bill(read, written, shape.total - done, places)
