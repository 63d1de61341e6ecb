"""Sessions that are measured: what their tools return, and when people come back."""

from __future__ import annotations

from dataclasses import dataclass, replace

STEP = 12.0
"""Seconds between two steps of a turn."""
HOUR = 3_700.0
PAUSES = (0.0, 89.0, 137.0, 302.0, 140.0, 722.0, 318.0, 1_385.0, 280.0, 328.0)
"""Seconds that a person takes: half of them above the five minutes for which Claude's cache lives."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt, and the steps that it leads to."""

    steps: tuple[tuple[int, ...], ...]
    """Of each step the sizes of what its calls return, in bytes."""
    gap: float = 0.0
    """Seconds before it, since the last answer."""
    late: bool = False
    """Tools have connected meanwhile: that is told at the tail."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    turns: tuple[Turn, ...]
    interactive: bool = False
    compact_at: int | None = None
    """Tokens at which room is made; None for never."""


def scenarios() -> tuple[Scenario, ...]:
    """Return the sessions, each with figures of its own that are the same every time."""
    fifty = (Turn(_steps(1, 50)),)
    return (
        Scenario("50 steps of 1 to 8 KB", fifty),
        Scenario("12 steps of 8 calls at once", (Turn(_steps(2, 12, calls=8)),)),
        Scenario("10 turns, people's pauses", _pauses(3), interactive=True),
        Scenario("50 steps, tools that connect late", _late(4)),
        Scenario("50 steps, two compactions", fifty, compact_at=24_000),
        Scenario(
            "25 steps, an hour, 25 more",
            (Turn(_steps(6, 25)), Turn(_steps(7, 25), gap=HOUR)),
            interactive=True,
        ),
    )


def _steps(seed: int, count: int, *, calls: int = 1) -> tuple[tuple[int, ...], ...]:
    """Sizes from 1,000 to 8,000 bytes, spread evenly."""
    sizes = [1_000 + (seed * 1_237 + number * 4_253) % 7_001 for number in range(count * calls)]
    return tuple(tuple(sizes[at : at + calls]) for at in range(0, len(sizes), calls))


def _pauses(seed: int) -> tuple[Turn, ...]:
    """Turns of five steps."""
    return tuple(Turn(_steps(seed + number, 5), gap=gap) for number, gap in enumerate(PAUSES))


def _late(seed: int) -> tuple[Turn, ...]:
    turns = tuple(Turn(_steps(seed + number, 10), gap=20.0 * bool(number)) for number in range(5))
    return tuple(replace(turn, late=number in {1, 3}) for number, turn in enumerate(turns))
