"""Which accesses must not happen at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from treadle.sandbox.contract import Access
from treadle.sandbox.paths import inside


def earlier_conflicts(accesses: Sequence[Access | None]) -> list[list[int]]:
    """Return for each access the earlier ones that it must wait for. None touches nothing."""
    return [
        [earlier for earlier in range(index) if conflict(accesses[earlier], accesses[index])]
        for index in range(len(accesses))
    ]


def conflict(one: Access | None, other: Access | None) -> bool:
    """Say whether two accesses must not overlap in time: a write with a write or a read of the same path.

    What is opaque, as a command is, may touch anything that the other writes; two commands are left to themselves.
    Paths hold no links.
    """
    if one is None or other is None:
        return False
    if (one.opaque and other.writes) or (other.opaque and one.writes):
        return True
    return _overlap(one.writes, (*other.reads, *other.writes)) or _overlap(other.writes, one.reads)


def _overlap(paths: Sequence[str], others: Sequence[str]) -> bool:
    return any(inside(path, others) for path in paths) or any(inside(path, paths) for path in others)
