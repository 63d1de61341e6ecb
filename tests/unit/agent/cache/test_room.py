"""When making room pays."""

from __future__ import annotations

from math import isinf

import pytest

from treadle.agent.cache.room import Growth, compaction_point, steps_to_pay


def growth(read: float, lost: float = 0) -> Growth:
    return Growth(read, 1.25, 5, static=12_000, restart=22_000, grows=2_000, said=600, note=2_500, lost=lost)


@pytest.mark.parametrize(
    ("read", "lost", "point"),
    [
        (0.025, 0, 86_000),
        (0.025, 10, 161_000),
        (0.05, 0, 68_000),
        (0.05, 4, 96_000),
        (0.05, 10, 130_000),
        (0.1, 0, 56_000),
        (0.1, 4, 79_000),
        (0.1, 10, 110_000),
        (0.2, 4, 69_000),
    ],
)
def test_room_is_made_where_the_published_table_says(read: float, lost: float, point: int) -> None:
    assert compaction_point(growth(read, lost)) == pytest.approx(point, abs=600)


def test_the_point_is_the_cheapest_of_all_points() -> None:
    """Counted out step by step, a long session costs least near the point."""
    one = growth(0.05)

    def each(trigger: int) -> float:
        prompt, spent, steps = one.restart, one.per_cycle, 0
        while prompt < trigger:
            spent += one.read * prompt + one.write * one.grows + one.output * one.said
            prompt, steps = prompt + one.grows, steps + 1
        return (spent + one.read * prompt) / steps

    best = min(range(30_000, 200_000, 1_000), key=each)
    assert each(compaction_point(one)) <= 1.02 * each(best)


def test_the_window_and_a_jump_of_the_price_bound_the_point() -> None:
    assert compaction_point(growth(0.025, 10), window=100_000) == 90_000
    assert compaction_point(growth(0.025, 10), jumps=(10_000, 100_000)) == 90_000


def test_where_reading_costs_nothing_only_the_window_says_when() -> None:
    assert compaction_point(growth(0.0), window=200_000) == 180_000
    assert compaction_point(growth(0.0)) == 0


def test_a_task_about_to_end_is_left_as_it_is() -> None:
    assert steps_to_pay(growth(0.05, 4), 60_000) == pytest.approx(29, abs=0.5)
    assert steps_to_pay(growth(0.05, 4), 150_000) == pytest.approx(9.2, abs=0.5)
    assert isinf(steps_to_pay(growth(0.05), 20_000))
