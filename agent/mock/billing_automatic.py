"""Caches that keep what they were sent by themselves: in steps of tokens, or in DeepSeek's units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treadle.agent.mock.billing_prompt import BYTES_PER_TOKEN, Block, Moment, Prompt, chained
from treadle.sandbox.frozen import frozen

STEP = 128
"""Tokens of a step."""
INTERVAL = 1024
"""DeepSeek: tokens after which a unit ends in any case."""
DAY = 86_400.0


@frozen
class Rule:
    """How a vendor keeps steps."""

    least: int
    """Tokens of the shortest prefix that is read."""
    life: float
    """Seconds since a step was last used."""


def google(model: str) -> Rule:
    """How Gemini keeps what it was sent by itself."""
    return Rule(2048 if model.startswith("gemini-2.5") else 4096, 3600.0)


class _Kept:
    """Prefixes, by the time until which each lives and the time from which it can be read."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, float]] = {}

    def use(self, chain: int, life: float, moment: Moment) -> bool:
        """Keep a prefix from now on; say whether it could be read."""
        until, ready = self._kept.get(chain, (-1.0, moment.ready))
        live = until >= moment.now
        self._kept[chain] = (moment.now + life, min(ready, moment.ready) if live else moment.ready)
        return live and ready <= moment.now


class Steps:
    """Every prefix of whole steps that a request had."""

    def __init__(self) -> None:
        self._kept = _Kept()

    def bill(self, namespace: object, data: bytes, rule: Rule, moment: Moment) -> Prompt:
        """Read the longest prefix that is known; `data` is whole tokens."""
        steps, going = 0, True
        for chain in _chunks(namespace, data, STEP):
            going = self._kept.use(chain, rule.life, moment) and going
            steps += going
        cached = steps * STEP
        return Prompt(len(data) // BYTES_PER_TOKEN, cached if cached >= rule.least else 0)


class Units:
    """Prefixes that end with a request's input, or after so many tokens."""

    def __init__(self) -> None:
        self._kept = _Kept()
        self._ends: dict[int, Moment] = {}
        """When an input that ended so was last used."""

    def bill(self, namespace: object, blocks: Sequence[Block], data: bytes, moment: Moment) -> Prompt:
        """Read the farthest whole unit; an `open` block is the model's own words, and those end a unit too."""
        intervals, going = 0, True
        for chain in _chunks(namespace, data, INTERVAL):
            going = self._kept.use(chain, DAY, moment) and going
            intervals += going
        chains, ends = chained(namespace, blocks)
        known = [at for at, chain in enumerate(chains) if self._lives(chain, moment)]
        farthest = 0
        if known:
            last = known[-1]
            self._ends[chains[last]] = moment
            spoken = last + 1 < len(blocks) and blocks[last + 1].open
            farthest = ends[last + spoken]
        if chains and known[-1:] != [len(chains) - 1]:
            self._ends[chains[-1]] = moment
        return Prompt(len(data) // BYTES_PER_TOKEN, max(farthest, intervals * INTERVAL))

    def _lives(self, chain: int, moment: Moment) -> bool:
        used = self._ends.get(chain)
        return used is not None and used.ready <= moment.now <= used.now + DAY


def _chunks(namespace: object, data: bytes, step: int) -> Iterator[int]:
    chain, size = hash(namespace), step * BYTES_PER_TOKEN
    for start in range(0, len(data) - size + 1, size):
        chain = hash((chain, data[start : start + size]))
        yield chain
