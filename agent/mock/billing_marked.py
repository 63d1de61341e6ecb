"""Caches that keep the prefixes which end at marked places: Anthropic's, and OpenAI's from 5.6 on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from treadle.agent.mock.billing_prompt import Block, Moment, Prompt, chained
from treadle.sandbox.frozen import frozen

LOOKBACK = 20
"""Anthropic: places that are looked at for each breakpoint, its own among them."""
LOOKED_AT = 80
"""OpenAI: the latest places that are looked at."""
WRITES = 4
"""OpenAI: the most that one request writes."""
LEAST = 1024
"""OpenAI: tokens of the shortest prefix that is kept."""


@dataclass(slots=True)
class _Entry:
    keep: float
    until: float
    ready: float


@frozen
class _Places:
    chains: Sequence[int]
    ends: Sequence[int]


class Marked:
    """What is kept. A prefix is known by a chain of hashes, so memory does not grow with its length."""

    def __init__(self) -> None:
        self._kept: dict[int, _Entry] = {}

    def anthropic(self, namespace: object, blocks: Sequence[Block], least: int, moment: Moment) -> Prompt:
        """Look back from every breakpoint; write what lies between the farthest hit and the breakpoints."""
        places = _Places(*chained(namespace, blocks))
        marks = [at for at, block in enumerate(blocks) if block.keep and places.ends[at] >= least]
        looks = (range(mark, max(-1, mark - LOOKBACK), -1) for mark in marks)
        hits = [next((at for at in look if self._live(places.chains[at], moment)), -1) for look in looks]
        return self._bill(places, [(at, blocks[at].keep) for at in marks], hits, moment)

    def openai(
        self, namespace: object, blocks: Sequence[Block], implicit: float | None, moment: Moment
    ) -> Prompt:
        """Look at the latest breakpoints. `implicit`: seconds for which the newest open place is kept; None for not at all."""
        places = _Places(*chained(namespace, blocks))
        marks = [at for at, block in enumerate(blocks) if block.keep]
        opened = [at for at, block in enumerate(blocks) if block.open] if implicit is not None else []
        looked = sorted({*marks, *opened})[-LOOKED_AT:]
        hits = [at for at in looked if self._live(places.chains[at], moment)]
        newest = [(at, implicit or 0.0) for at in opened[-1:] if not blocks[at].keep]
        explicit = [(at, blocks[at].keep) for at in marks[-WRITES + len(newest) :]]
        kept = sorted(each for each in (*explicit, *newest) if places.ends[each[0]] >= LEAST)
        return self._bill(places, kept, hits[-1:], moment)

    def _live(self, chain: int, moment: Moment) -> bool:
        entry = self._kept.get(chain)
        return entry is not None and entry.until >= moment.now and entry.ready <= moment.now

    def _bill(
        self, places: _Places, marks: Iterable[tuple[int, float]], hits: Sequence[int], moment: Moment
    ) -> Prompt:
        for at in {*hits} - {-1}:
            entry = self._kept[places.chains[at]]
            entry.until = moment.now + entry.keep
        farthest = max(hits, default=-1)
        read = cached = places.ends[farthest] if farthest >= 0 else 0
        written = {False: 0, True: 0}
        for at, keep in marks:
            self._keep(places.chains[at], keep, moment)
            fresh = max(0, places.ends[at] - read)
            written[keep > _SHORT] += fresh
            read += fresh
        total = places.ends[-1] if places.ends else 0
        return Prompt(total, cached, sum(written.values()), written[True])

    def _keep(self, chain: int, keep: float, moment: Moment) -> None:
        """Keep a prefix for so long; what lives keeps its own time."""
        known = self._kept.get(chain)
        if known is None or known.until < moment.now:
            self._kept[chain] = _Entry(keep, moment.now + keep, moment.ready)
        else:
            known.until = moment.now + known.keep
            known.ready = min(known.ready, moment.ready)


_SHORT = 1800.0
"""The longer one of the two times of a vendor's is longer than this."""
