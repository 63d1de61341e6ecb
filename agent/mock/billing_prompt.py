"""A prompt as caches see it: units and the blocks in them, counted in tokens by their bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, write
from treadle.sandbox.frozen import frozen

BYTES_PER_TOKEN = 4
Keep = Callable[[Mapping[str, Json]], float]
"""Seconds for which a marker asks; 0 when it asks for nothing."""


def tokens(size: int) -> int:
    """Tokens of so many bytes."""
    return math.ceil(size / BYTES_PER_TOKEN)


@frozen
class Miss:
    """Why a cache did not hold what an earlier request had left there."""

    reason: str
    """In the vendor's word."""
    lost: int | None = None
    """Tokens that would have been read; None where the vendor does not tell."""


@frozen
class Prompt:
    """The tokens of a request: `input` is all of them, `cached` and `written` are among them."""

    input: int
    cached: int = 0
    written: int = 0
    written_long: int = 0
    """Of `written`, what is kept for the longer of the vendor's two times."""
    miss: Miss | None = None


@frozen
class Moment:
    """When a request began, on the server's clock."""

    now: float
    ready: float
    """When its answer begins: what it writes can be read from then on."""
    name: str
    """The id of its answer, without the vendor's prefix."""


@frozen
class Block:
    """A piece of a prompt, in the cache's order."""

    data: bytes
    """Without markers."""
    tokens: int
    keep: float = 0.0
    """Seconds for which the prefix that ends here is to be kept; 0 is no breakpoint."""
    open: bool = False
    """The prefix that ends here is looked up even without a breakpoint."""


def whole(value: Json, keep: float = 0.0) -> Block:
    """A unit that is not cut."""
    data = write(value)
    return Block(data, tokens(len(data)), keep)


def cut(held: Mapping[str, Json], key: str, marker: str, keep: Keep) -> list[Block]:
    """Cut a unit after each part under `key`; the end of a part is where a unit with no further parts would end."""
    parts = [members(part) for part in elements(held.get(key))]
    if not parts:
        return [whole(bare(held, marker), _asked(held, marker, keep))]
    frame = write({**held, key: []})
    size, before = len(frame) - 1, 0
    blocks: list[Block] = []
    for number, part in enumerate(parts):
        data = write(bare(part, marker))
        size += len(data) + 1  # the comma or, once, the byte that was taken off
        fresh = tokens(size) - before
        blocks.append(Block(data if number else frame + data, fresh, _asked(part, marker, keep)))
        before = tokens(size)
    return blocks


def _asked(part: Mapping[str, Json], marker: str, keep: Keep) -> float:
    """Seconds for which a part or what is in it asks to be kept."""
    inner = (members(each) for each in elements(part.get("content")))
    marks = (members(held[marker]) for held in (part, *inner) if held.get(marker))
    return max(map(keep, marks), default=0.0)


def bare(held: Mapping[str, Json], marker: str) -> JsonObject:
    """A unit or a part without markers, its own and its parts'."""
    return {key: _bare(value, marker) for key, value in held.items() if key != marker}


def _bare(value: Json, marker: str) -> Json:
    """Take markers off the parts in a list."""
    return [bare(item, marker) if isinstance(item, dict) else item for item in elements(value)] or value


def stream(units: Iterable[Json]) -> bytes:
    """Units as one run of tokens: each begins with a token of its own."""
    written = map(write, units)
    return b"".join(unit.ljust(tokens(len(unit)) * BYTES_PER_TOKEN, b"\0") for unit in written)


def chained(namespace: object, blocks: Sequence[Block]) -> tuple[list[int], list[int]]:
    """Return of each block what stands for the prefix that ends with it, and the tokens of that prefix."""
    chain, count = hash(namespace), 0
    chains: list[int] = []
    ends: list[int] = []
    for block in blocks:
        chain = hash((chain, block.data))
        count += block.tokens
        chains.append(chain)
        ends.append(count)
    return chains, ends
