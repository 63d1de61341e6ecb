"""What a request would cost: tokens counted by bytes, and a prefix cache that remembers what it was sent."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
LEAST = 1024
"""Tokens of the shortest prefix that is kept."""
STEP = 128
"""An automatic cache matches in steps of so many tokens."""
LOOKBACK = 20
"""Blocks before a breakpoint in which an earlier entry is looked for."""


def tokens(size: int) -> int:
    """Tokens of so many bytes."""
    return math.ceil(size / BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a request: `input` is all of them, `cached` and `written` are among them."""

    input: int
    cached: int = 0
    written: int = 0
    written_long: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a prompt, in the cache's order, and how long a prefix that ends here is kept."""

    data: bytes
    keep: float = 0.0
    """Seconds; 0 is no breakpoint."""


class Ledger:
    """What each cache holds. A prefix is known by a chain of hashes, so memory does not grow with its length."""

    def __init__(self) -> None:
        self._steps: dict[Hashable, set[int]] = {}
        self._kept: dict[Hashable, dict[int, float]] = {}

    def automatic(self, key: Hashable, data: bytes) -> Prompt:
        """Bill a cache that keeps every prefix: read the longest known one, in whole steps."""
        known = self._steps.setdefault(key, set())
        chain, count, size = 0, 0, STEP * BYTES_PER_TOKEN
        matching = True
        for start in range(0, len(data) - size + 1, size):
            chain = hash((chain, data[start : start + size]))
            matching = matching and chain in known
            count += matching
            known.add(chain)
        cached = count * STEP
        return Prompt(tokens(len(data)), cached=cached if cached >= LEAST else 0)

    def explicit(self, key: Hashable, blocks: Sequence[Block], now: float) -> Prompt:
        """Bill a cache that keeps the prefixes which end at breakpoints; `now` is seconds on any clock."""
        kept = self._kept.setdefault(key, {})
        chains: list[int] = []
        ends: list[int] = []
        for block in blocks:
            chains.append(hash((chains[-1] if chains else 0, block.data)))
            ends.append((ends[-1] if ends else 0) + len(block.data))
        total = tokens(ends[-1]) if ends else 0
        marks = [at for at, block in enumerate(blocks) if block.keep and tokens(ends[at]) >= LEAST]
        hit = max(
            (at for mark in marks for at in _back(mark) if kept.get(chains[at], -1.0) >= now), default=None
        )
        cached = tokens(ends[hit]) if hit is not None else 0
        if hit is not None:
            kept[chains[hit]] = max(kept[chains[hit]], now + max(blocks[hit].keep, 300.0))
        written = long = 0
        read = cached
        for mark in marks:
            kept[chains[mark]] = max(kept.get(chains[mark], 0.0), now + blocks[mark].keep)
            fresh = max(0, tokens(ends[mark]) - read)
            written += fresh
            long += fresh if blocks[mark].keep > 300 else 0
            read += fresh
        return Prompt(total, cached, written, long)


def _back(mark: int) -> range:
    return range(max(0, mark - LOOKBACK + 1), mark + 1)
