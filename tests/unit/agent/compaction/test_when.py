from __future__ import annotations

from dataclasses import replace

import pytest
from unit.agent.compaction.talk import answered, log_of, replied, steps

from fakes import INFO
from treadle.agent.compaction.size import Size, size
from treadle.agent.compaction.when import At, Signs, due, hard, signs
from treadle.agent.events import Body, MessageAdded
from treadle.agent.messages import Usage, user
from treadle.agent.providers.contract import Prices

PRICES = Prices(input=1.0, output=5.0, cache_read=0.1, cache_write={"m5": 1.25})
PRICED = replace(INFO, prices=PRICES, context_window=400_000, max_output=30_000)
GROWN = Size(static=12_000, kept=22_000, prompt=90_000, step=2_000, output=600, steps=40)
"""Its point is at some 79,000 tokens: CONTEXT §1.9.4, r = .1, q = 4."""
NOTHING = Signs(boundary=False, left=None)


def at(prompt: float) -> Size:
    return replace(GROWN, prompt=prompt)


@pytest.mark.parametrize(
    ("prompt", "found", "verdict"),
    [
        (60_000, NOTHING, "no"),
        (72_000, NOTHING, "no"),
        (72_000, Signs(boundary=True, left=None), "yes"),
        (60_000, Signs(boundary=True, left=None), "no"),
        (95_000, NOTHING, "yes"),
        (95_000, Signs(boundary=True, left=2), "no"),
        (95_000, Signs(boundary=False, left=100), "yes"),
        (370_000, Signs(boundary=False, left=0), "must"),
    ],
)
def test_room_is_made_at_the_point_or_near_it_at_a_boundary_but_not_for_a_task_that_is_about_to_end(
    prompt: float, found: Signs, verdict: str
) -> None:
    assert due(at(prompt), "auto", PRICED, found) == verdict


@pytest.mark.parametrize(
    ("wanted", "prompt", "verdict"),
    [(40_000, 45_000, "yes"), (40_000, 35_000, "no"), ("never", 90_000, "no"), ("never", 399_000, "no")],
)
def test_a_user_may_say_when(wanted: At, prompt: float, verdict: str) -> None:
    assert due(at(prompt), wanted, PRICED, NOTHING) == verdict


def test_a_compaction_that_would_win_little_is_not_made() -> None:
    assert due(replace(GROWN, kept=70_000), 20_000, PRICED, NOTHING) == "no"
    assert due(replace(GROWN, steps=3), 20_000, PRICED, NOTHING) == "no"


def test_room_is_made_before_every_request_above_a_length_costs_more() -> None:
    cliff = replace(PRICES, tiers=((70_000, replace(PRICES, input=2.0)),))
    assert due(at(68_000), "auto", PRICED, NOTHING) == "no"
    assert due(at(68_000), "auto", replace(PRICED, prices=cliff), NOTHING) == "yes"


def test_a_model_without_prices_or_a_window_has_a_point_too() -> None:
    assert due(at(30_000), "auto", INFO, NOTHING) == "no"
    assert due(at(300_000), "auto", INFO, NOTHING) == "yes"


@pytest.mark.parametrize(("window", "most", "limit"), [(400_000, 30_000, 362_000), (8_000, None, 5_200)])
def test_a_full_reply_still_fits_below_the_hard_limit(window: int, most: int | None, limit: int) -> None:
    assert hard(window, most) == limit


def plan(number: int, *statuses: str) -> list[Body]:
    items = [{"step": "s", "status": status} for status in statuses]
    return [MessageAdded(message=replied(number, "plan", "{}")), answered(number, details={"items": items})]


def check(number: int, command: str, status: str = "ok") -> list[Body]:
    made = replied(number, "shell", f'{{"command": "{command}"}}')
    return [MessageAdded(message=made), answered(number, status="ok" if status == "ok" else "error")]


@pytest.mark.parametrize(
    ("happened", "boundary"),
    [
        ([MessageAdded(message=user("And now?"))], True),
        (check(1, "make test"), True),
        (check(1, "make test", "error"), False),
        (check(1, "ls"), False),
        (plan(1, "active", "pending"), False),
        ([*plan(1, "active", "pending"), *plan(2, "done", "active")], True),
        ([*plan(1, "done", "pending"), *plan(2, "done", "active")], False),
    ],
)
def test_a_passed_check_a_finished_item_and_the_user_are_boundaries(
    happened: list[Body], boundary: bool
) -> None:
    assert signs(log_of(*happened).conversation.messages, None).boundary is boundary


@pytest.mark.parametrize(
    ("happened", "limit", "left"),
    [
        ([], None, None),
        ([], 7, 7),
        (plan(1, "done", "done"), None, 0),
        ([*steps(7), *plan(8, "done", "pending")], None, 8),
        ([*steps(7), *plan(8, "done", "pending")], 3, 3),
        (plan(1, "pending", "pending"), None, float("inf")),
    ],
)
def test_the_plan_and_the_limit_say_how_much_is_left(
    happened: list[Body], limit: int | None, left: float | None
) -> None:
    assert signs(log_of(*happened).conversation.messages, limit).left == left


def test_a_size_is_what_was_counted_and_for_the_rest_bytes_by_four() -> None:
    log = log_of(MessageAdded(message=replied(1, usage=Usage(input=20, output=10))), answered(1, "x" * 400))
    found = size(log.conversation)
    assert (found.prompt, found.steps, found.output) == (30 + 100 + 8, 1, 10)
    assert found.kept > found.static
