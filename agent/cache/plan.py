"""Where a request asks its provider to keep what it has read, for how long, and what that will cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace

from treadle.agent.cache.bill import Bill, Held, Mark, Shape, billed
from treadle.agent.cache.gaps import Gaps, Tokens, lasting
from treadle.agent.cache.rules import POINTS, SECONDS, Row, Ttl
from treadle.agent.messages import Usage
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import Breakpoint, Caching, Prices
from treadle.sandbox.frozen import frozen

_SPARE = 18
"""Blocks that may pass without a marker: two fewer than a provider looks back."""
_SYSTEM, _FIRST = 1, 2
"""The places at the end of the system prompt and of the first message, which says what the workspace is."""


@frozen
class Known:
    """What a plan is made from, beside the request and its provider's row."""

    held: Held
    now: float
    """Seconds since 1970."""
    prices: Prices | None = None
    gaps: Gaps = field(default_factory=Gaps)
    said: int = 600
    """Tokens of output to expect."""
    key: str = ""
    room_at: int | None = None
    """Tokens of input from which making room pays; None for never."""


@frozen
class Plan:
    """What is asked of a cache, and what a request is expected to cost."""

    caching: Caching
    bill: Bill
    usage: Usage
    """With the output that is expected."""
    cost: float | None
    """USD; None when the price is not known."""
    compact: bool
    """Making room costs less in the long run than going on as it is."""
    explain: tuple[str, ...]
    """Why, for people."""


def plan(shape: Shape, row: Row, known: Known) -> Plan:
    """Return the plan for a request."""
    ttl, marks, why = _marks(shape, row, known)
    if row.kind == "exact" and ttl:
        newest = next((at for at in range(shape.end, _SYSTEM, -1) if not shape.spoken[at]), None)
        own = (
            [Mark(newest, ttl)] if newest is not None and newest not in {mark.place for mark in marks} else []
        )
        bill = billed(row, shape, (*marks, *own), known.held, known.now)
    else:
        bill = billed(row, shape, marks, known.held, known.now)
    retention, lives = _retention(row, ttl, known.gaps)
    if lives:
        bill = replace(bill, kept=tuple(place.model_copy(update={"seconds": lives}) for place in bill.kept))
    usage = Usage(input=bill.fresh, cache_read=bill.read, cache_write=bill.write, output=known.said)
    compact = known.room_at is not None and shape.total >= known.room_at
    return Plan(
        caching=Caching(tuple(_breakpoint(mark) for mark in marks), known.key, retention),
        bill=bill,
        usage=usage,
        cost=cost(usage, known.prices),
        compact=compact,
        explain=(
            *why,
            f"{bill.read} tokens read, {bill.write.total} written, {bill.fresh} fresh",
            *((f"making room pays from {known.room_at} tokens on",) if compact else ()),
        ),
    )


def _breakpoint(mark: Mark) -> Breakpoint:
    if mark.place == _SYSTEM:
        return Breakpoint("system", ttl=mark.ttl)
    return Breakpoint("message", mark.place - _FIRST, mark.ttl)


def _marks(shape: Shape, row: Row, known: Known) -> tuple[Ttl | None, list[Mark], list[str]]:
    """Return how long the end is kept, the markers in their order, and why."""
    if row.kind not in {"marked", "exact"}:
        return None, [], [f"{row.family} keeps what it reads by itself"]
    cover = _cover(shape, row, known)
    tokens = Tokens(
        shape.total - _known(shape, known), shape.total, shape.counts[cover] if cover is not None else 0
    )
    ttl = lasting(row, known.prices, known.gaps, tokens)
    assert ttl is not None
    short, long = row.ttls[0], row.ttls[-1]
    if row.kind == "exact":
        at = _static(shape, row)
        # The newest input is marked by the provider itself: only what other sessions share needs a marker of ours.
        marks = [] if at is None or at == shape.end else [Mark(at, ttl)]
        return (
            ttl,
            marks,
            [f"the end of the static part is marked, {ttl}" if marks else "nothing static is long enough"],
        )
    places = sorted([*_places(shape, row, known, cover)][:POINTS])
    # What lasts longer stands before what does not.
    marks = [Mark(at, long if cover is not None and at <= cover else ttl) for at in places]
    spoken = "pauses are expected" if ttl != short else "no pause is expected that would pay for more"
    return ttl, marks, [f"{len(places)} markers, the end kept {ttl}: {spoken}"]


def _cover(shape: Shape, row: Row, known: Known) -> int | None:
    """Return the farthest place that is held for the longest time; None where there is none, or no choice of times."""
    if len(row.ttls) < 2:
        return None
    longest = SECONDS[row.ttls[-1]]
    held = known.held
    found = (
        at
        for at in range(shape.end, -1, -1)
        if held.lives(shape.chains[at], known.now) and (held.shortest(shape.chains[at]) or 0) >= longest
    )
    return next(found, None)


def _known(shape: Shape, known: Known) -> int:
    """Return the tokens of the longest prefix that is held."""
    return max(
        (shape.counts[at] for at in range(shape.end + 1) if known.held.lives(shape.chains[at], known.now)),
        default=0,
    )


def _static(shape: Shape, row: Row) -> int | None:
    """Return the place at the end of the static part: behind the first message where the system prompt is too short."""
    for at in (_SYSTEM, _FIRST):
        if at <= shape.end and shape.counts[at] >= row.least:
            return at
    return None


def _places(shape: Shape, row: Row, known: Known, cover: int | None) -> Iterator[int]:
    """Yield where markers go, the most important first: the end, the last one before it, what others share."""
    given = {shape.end}
    yield shape.end
    before = [at for at in range(_FIRST, shape.end) if known.held.knows(shape.chains[at])]
    if before:
        given.add(before[-1])
        yield before[-1]
    last = max([at for at in given if at != shape.end], default=_SYSTEM)
    spare = _spare(shape, last) if shape.blocks[-1] - shape.blocks[last] > _SPARE else None
    static = _static(shape, row)
    for at in (spare, cover, static, _FIRST if static == _SYSTEM else None):
        if at is not None and at not in given and at <= shape.end and shape.counts[at] >= row.least:
            given.add(at)
            yield at


def _spare(shape: Shape, last: int) -> int | None:
    """Return a place between the last marker and the end, as far behind the one as may be."""
    within = [at for at in range(last + 1, shape.end) if shape.blocks[at] - shape.blocks[last] <= _SPARE]
    return within[-1] if within else next(iter(range(last + 1, shape.end)), None)


def _retention(row: Row, ttl: Ttl | None, gaps: Gaps) -> tuple[str | None, int | None]:
    """Return the word for how long everything is kept, where there is one, and the seconds that this means."""
    if row.kind == "exact" and ttl and ttl != row.ttls[0]:
        return ttl, None
    if row.long_life and gaps.longer(row.life) > 0:
        return row.long_life
    return None, None
