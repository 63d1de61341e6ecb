"""How much more the planner's choices cost than the best that could have been chosen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product
from statistics import mean

import pytest

from treadle.agent.cache.gaps import Gaps, Pause, Tokens, lasting, pings_pay
from treadle.agent.cache.rules import FAMILIES, SECONDS, Ttl
from treadle.agent.providers.contract import Prices

ROW = FAMILIES["anthropic"]
STATIC, GROWS, STEPS = 16_000, 2_000, 80
EARLY = 30.0
HEADLESS, SHORT, MEDIUM, LONG = (0.0, 60.0), (0.05, 120.0), (0.10, 240.0), (0.10, 900.0)
"""How many of the pauses are a person's, and their median in seconds: CONTEXT.md §1.9.3."""
Choose = Callable[[Tokens], Ttl]
Stop = Callable[[Ttl, Pause, int], bool]


def prices(read: float) -> Prices:
    return Prices(1.0, 5.0, read, {"m5": 1.25, "h1": 2.0})


def pauses(share: float, median: float, seed: int, count: int = STEPS) -> list[float]:
    """Return the pauses of a session: a tool's, or now and then a person's."""
    dice = random.Random(seed)
    return [
        median * dice.lognormvariate(0, 1) if dice.random() < share else 12 * dice.lognormvariate(0, 0.8)
        for _ in range(count)
    ]


def costs(read: float, gaps: Sequence[float], choose: Choose, goes_on: Stop) -> float:
    """Return what a session comes to, in fresh tokens: each pause is pinged through as long as `goes_on` says."""
    at, spent, held, cover = prices(read), 0.0, 0, 0
    total = STATIC
    for gap in gaps:
        tokens = Tokens(total - held, total, cover)
        ttl = choose(tokens)
        spent += held * read + tokens.new * ROW.price(at, ttl)
        cover = total if ttl == "1h" else cover
        life = float(SECONDS[ttl])
        idle, pings, risk = 0.0, 0, 1.0 if ttl == "1h" else 1 - cover / total
        while gap > idle + life - EARLY and goes_on(ttl, Pause(idle, risk), pings):
            idle, pings = idle + life - EARLY, pings + 1
            spent += total * read
        cover = cover if gap <= idle + SECONDS["1h"] else 0
        held = total if gap <= idle + life else cover
        total += GROWS
    return spent


def planned(read: float, gaps: Sequence[float], history: Sequence[float], pings: int) -> float:
    """Return what the planner's choices come to, for a user whose earlier pauses are known."""
    known = Gaps(tuple(sorted(history)), interactive=True, pings=pings)

    def choose(tokens: Tokens) -> Ttl:
        ttl = lasting(ROW, prices(read), known, tokens)
        assert ttl is not None
        return ttl

    def goes_on(ttl: Ttl, pause: Pause, made: int) -> bool:
        left = Gaps(known.seen, interactive=True, pings=pings - made)
        return made < pings and pings_pay(ROW, prices(read), left, SECONDS[ttl], pause)

    return costs(read, gaps, choose, goes_on)


def fixed(ttl: Ttl, most: int) -> tuple[Choose, Stop]:
    return (lambda _tokens: ttl), (lambda _ttl, _idle, made: made < most)


@pytest.mark.parametrize("pings", [0, 12])
@pytest.mark.parametrize("read", [0.025, 0.05, 0.10])
@pytest.mark.parametrize("kind", [HEADLESS, SHORT, MEDIUM, LONG])
def test_no_fixed_policy_is_more_than_a_twentieth_cheaper(
    kind: tuple[float, float], read: float, pings: int
) -> None:
    sessions = [pauses(*kind, seed) for seed in range(20)]
    history = pauses(*kind, 999, 2_000)
    ours = mean(planned(read, gaps, history, pings) for gaps in sessions)
    ttls: tuple[Ttl, ...] = ("5m", "1h")
    best = min(
        mean(costs(read, gaps, *fixed(ttl, most)) for gaps in sessions)
        for ttl in ttls
        for most in (range(pings + 1) if ttl == "5m" else (0, 1))
        if most <= pings
    )
    assert ours <= 1.05 * best


@pytest.mark.parametrize(
    "gaps",
    [
        (10.0,) * 7,
        (400.0,) * 7,
        (10.0, 10.0, 10.0, 10.0, 10.0, 400.0, 400.0),
        (10.0,) * 6 + (3_000.0,),
        (5_000.0,) * 7,
    ],
)
@pytest.mark.parametrize("read", [0.05, 0.10])
def test_no_choice_of_times_is_more_than_a_twentieth_cheaper(read: float, gaps: tuple[float, ...]) -> None:
    """Each of all the choices that there are, made before anybody knows in which order the pauses come."""
    dice = random.Random(7)
    orders = [dice.sample(gaps, len(gaps)) for _ in range(20)]
    ours = mean(planned(read, order, [*gaps] * 40, 0) for order in orders)
    ttls: tuple[Ttl, ...] = ("5m", "1h")

    def chosen(times: tuple[Ttl, ...], order: Sequence[float]) -> float:
        left = iter(times)
        return costs(read, order, lambda _tokens: next(left), lambda _ttl, _idle, _made: False)

    best = min(mean(chosen(times, order) for order in orders) for times in product(ttls, repeat=len(gaps)))
    assert ours <= 1.05 * best


def test_a_tool_is_waited_for_wherever_reading_is_cheap() -> None:
    assert pings_pay(ROW, prices(0.1), Gaps(), 300)
    assert not pings_pay(ROW, prices(0.9), Gaps(), 300)
    assert not pings_pay(FAMILIES["gemini"], None, Gaps(), 300)


def test_nobody_is_waited_for_who_never_paused_so_long() -> None:
    quick = Gaps(tuple(sorted(pauses(*HEADLESS, 1))), pings=10)
    assert not pings_pay(ROW, prices(0.05), quick, 300, Pause())


def test_a_provider_with_one_time_or_none_leaves_no_choice() -> None:
    assert lasting(FAMILIES["gemini"], None, Gaps(), Tokens(100, 1_000)) is None
    assert lasting(FAMILIES["marked"], None, Gaps(interactive=True), Tokens(100, 100_000)) in {"5m", "1h"}
