from __future__ import annotations

import pytest

from treadle.agent.events import Compacted, HistoryRepaired
from treadle.agent.limits import Limits, Meter, Repeats, Spent, reached
from treadle.agent.messages import CacheWrite, Usage
from treadle.tools.contract import Text, ToolCall, ToolResult

USED = Usage(input=60, cache_read=20, cache_write=CacheWrite(m5=10), output=10)


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(steps=1), "steps"),
        (Limits(tokens=100), "tokens"),
        (Limits(tokens=101), None),
        (Limits(cost=0.5), "cost"),
        (Limits(cost=0.6), None),
        (Limits(steps=None), None),
    ],
)
def test_a_limit_is_reached_when_what_was_spent_fills_it(limits: Limits, name: str | None) -> None:
    assert reached(limits, Spent().reply(USED, 0.5)) == name


def test_a_cost_that_is_not_known_is_never_taken_for_small() -> None:
    spent = Spent().reply(USED, None).reply(USED, 1.0)
    assert spent.cost is None
    assert spent.usage.input_total == 180
    assert reached(Limits(cost=0.1), spent) is None


def test_a_meter_without_a_limit_counts_and_one_with_a_limit_stops() -> None:
    free, tight = Meter(None), Meter(1)
    assert [free.take(), free.take(), tight.take(), tight.take()] == [True, True, True, False]
    assert (free.made, tight.made) == (2, 1)


def see(repeats: Repeats, command: str, said: str) -> str:
    call = ToolCall(id="c", name="shell", arguments=command)
    return repeats.see([call], [ToolResult(call_id="c", content=(Text(text=said),))])


def test_repeats_do_not_depend_on_how_long_a_command_took() -> None:
    repeats = Repeats()
    verdicts = [see(repeats, "make", f"exit 1 · {n}.2 s · failed") for n in range(4)]
    assert verdicts == ["fine", "fine", "nudge", "loop"]


def test_another_result_or_a_call_not_made_before_is_progress() -> None:
    repeats = Repeats()
    assert [see(repeats, "make", said) for said in "aabb"] == ["fine"] * 4
    assert see(repeats, "ls", "x") == "fine"
    assert [see(repeats, "make", "b") for _ in range(2)] == ["fine", "nudge"]


def test_two_calls_by_turns_are_a_loop_too() -> None:
    repeats = Repeats()
    verdicts = [see(repeats, command, "same") for command in ("a", "b") * 4]
    assert verdicts[-1] == "loop"


def test_what_making_room_took_is_spent_and_is_no_step() -> None:
    asked = Compacted(
        summary="n", keep_from=None, usage=Usage(input=5, output=2), cost_usd=0.5, request_bytes=9
    )
    spent = Spent().room([asked, HistoryRepaired(reason="cold")])
    assert spent == Spent(usage=Usage(input=5, output=2), cost=0.5, request_bytes=9)
    assert spent.room([asked.model_copy(update={"cost_usd": None})]).cost is None
