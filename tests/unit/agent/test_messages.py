from __future__ import annotations

import pytest

from fakes import calls, thinks
from treadle.agent.messages import CacheWrite, Origin, TextPart, Usage, Warned, notice, user
from treadle.tools.contract import Text

ORIGIN = Origin(wire="w", vendor="v", endpoint="e", model="m", served="m-2026")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ORIGIN.model_copy(update={"served": "m-2027"}), True),
        (ORIGIN.model_copy(update={"model": "n"}), False),
        (ORIGIN.model_copy(update={"endpoint": "f"}), False),
        (ORIGIN.model_copy(update={"vendor": "x"}), False),
        (ORIGIN.model_copy(update={"wire": "x"}), False),
    ],
)
def test_blocks_go_home_whatever_version_served_them(other: Origin, same: bool) -> None:
    assert (other.home == ORIGIN.home) is same


def test_token_counts_add_up_field_by_field() -> None:
    one = Usage(
        input=1,
        cache_read=2,
        cache_write=CacheWrite(m5=1, m30=2, h1=3, h12=4, unknown=5),
        output=3,
        reasoning=1,
    )
    both = one + one
    assert (one.input_total, both.input_total) == (18, 36)
    assert both.cache_write == CacheWrite(m5=2, m30=4, h1=6, h12=8, unknown=10)
    assert (both.output, both.reasoning, both.cost) == (6, 2, None)


@pytest.mark.parametrize(
    ("a", "b", "both"), [(None, None, None), (0.5, None, 0.5), (None, 0.5, 0.5), (0.5, 0.25, 0.75)]
)
def test_a_cost_that_one_side_reports_is_kept(a: float | None, b: float | None, both: float | None) -> None:
    assert (Usage(cost=a) + Usage(cost=b)).cost == both


def test_a_reply_has_its_texts_and_calls_apart() -> None:
    reply = calls(("read", "{}"), ("grep", "{}"), text="One.")
    reply = reply.model_copy(update={"parts": (thinks("Hm."), *reply.parts, TextPart(text="Two."))})
    assert reply.text == "One.Two."
    assert [call.name for call in reply.calls] == ["read", "grep"]


def test_a_notice_is_the_runtimes_and_not_the_users() -> None:
    assert (user("a").author, notice("a").author) == ("user", "runtime")
    assert notice("a").content == (Text(text="a"),)


def test_a_loss_reads_as_one_line() -> None:
    assert str(Warned(code="dropped", field="seed", detail="why")) == "dropped: seed: why"
    assert str(Warned(code="dropped")) == "dropped"
