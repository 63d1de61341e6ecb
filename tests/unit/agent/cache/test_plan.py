"""Where a request is marked, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from unit.agent.cache.sessions import calls, expected, provider, split, told

from fakes import ScriptedModel
from treadle.agent.cache.bill import Bill, Held, Shape, billed
from treadle.agent.cache.estimate import Course, First, estimate
from treadle.agent.cache.gaps import Gaps
from treadle.agent.cache.plan import Known, Plan, plan
from treadle.agent.cache.planner import Planner
from treadle.agent.cache.rules import FAMILIES, Row, row_of
from treadle.agent.cache.warning import said
from treadle.agent.events import Prefix, SessionOpened
from treadle.agent.forecast import Forecast
from treadle.agent.log import SessionLog
from treadle.agent.messages import CacheWrite, UserMessage, user
from treadle.agent.providers.contract import Breakpoint, ModelInfo, ModelRequest, Prices, WireName
from treadle.tools.contract import Inline, Media

CLAUDE, OPENAI = FAMILIES["anthropic"], FAMILIES["openai"]
PRICES = Prices(4.0, 20.0, 0.2, {"m5": 5.0, "h1": 8.0})
RESTLESS = Gaps((10.0,) * 10 + (900.0,) * 190)
CLAUDE_MODEL = "anthropic/claude-opus-5-5"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
START = datetime(2026, 11, 24, tzinfo=UTC)


def shape(*counts: int, blocks: tuple[int, ...] | None = None) -> Shape:
    """Return a request whose places end at so many tokens: tools, system, messages in turn."""
    names = tuple(f"c{count}" for count in counts)
    spoken = tuple(at > 2 and at % 2 == 1 for at in range(len(counts)))
    return Shape(names, counts, blocks or tuple(range(len(counts))), spoken)


def held(*requests: tuple[float, Plan]) -> Held:
    """Return what is held after requests at so many seconds."""
    known = Held()
    known.learn([
        Forecast(at=datetime.fromtimestamp(START.timestamp() + at, UTC), counted=1, kept=made.bill.kept)
        for at, made in requests
    ])
    return known


def known(
    after: Held | None = None, at: float = 0.0, gaps: Gaps | None = None, room_at: int | None = None
) -> Known:
    return Known(after or Held(), START.timestamp() + at, PRICES, gaps or Gaps(), key="k", room_at=room_at)


def places(made: Plan) -> list[Breakpoint]:
    return list(made.caching.breakpoints)


def test_the_static_part_the_first_message_and_both_ends_are_marked() -> None:
    first = plan(shape(1_000, 2_000, 3_000, 4_000, 5_000), CLAUDE, known())
    assert places(first) == [
        Breakpoint("system", ttl="5m"),
        Breakpoint("message", 0, "5m"),
        Breakpoint("message", 2, "5m"),
    ]
    second = plan(
        shape(1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000), CLAUDE, known(held((0, first)), at=10)
    )
    assert places(second) == [
        Breakpoint("system", ttl="5m"),
        Breakpoint("message", 0, "5m"),
        Breakpoint("message", 2, "5m"),
        Breakpoint("message", 4, "5m"),
    ]
    assert second.bill.read == 5_000
    assert second.bill.write == CacheWrite(m5=2_000)


def test_a_static_part_that_is_too_short_is_marked_with_the_first_message() -> None:
    assert places(plan(shape(100, 200, 3_000, 4_000, 5_000), CLAUDE, known())) == [
        Breakpoint("message", 0, "5m"),
        Breakpoint("message", 2, "5m"),
    ]
    assert places(plan(shape(100, 200, 300), CLAUDE, known())) == [Breakpoint("message", 0, "5m")]
    assert plan(shape(100, 200, 300), CLAUDE, known()).bill == Bill(0, fresh=300)


def test_a_step_of_many_calls_at_once_is_read_by_the_next_one() -> None:
    """The last mark of the request before is marked again, so its entry is found however many blocks came since."""
    first = plan(shape(1_000, 2_000, 3_000), CLAUDE, known())
    many = shape(1_000, 2_000, 3_000, 4_000, 5_000, blocks=(1, 2, 3, 43, 83))
    second = plan(many, CLAUDE, known(held((0, first)), at=5))
    assert second.bill.read == 3_000
    assert Breakpoint("message", 1, "5m") in places(second)


def test_what_is_out_of_reach_is_spared_a_marker_on_the_way() -> None:
    first = plan(shape(1_000, 2_000, 3_000), CLAUDE, known())
    grown = shape(1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, blocks=(1, 2, 3, 12, 20, 30, 40))
    marked = places(plan(grown, CLAUDE, known(held((0, first)), at=5)))
    assert Breakpoint("message", 2, "5m") in marked
    assert len(marked) == 4


def test_where_pauses_come_the_end_is_kept_longer_once_and_covers_what_follows() -> None:
    start = shape(1_000, 2_000, 60_000)
    first = plan(start, CLAUDE, known(gaps=RESTLESS))
    assert {mark.ttl for mark in places(first)} == {"1h"}
    grown = plan(
        shape(1_000, 2_000, 60_000, 62_000, 64_000), CLAUDE, known(held((0, first)), at=10, gaps=RESTLESS)
    )
    assert [mark.ttl for mark in places(grown)] == sorted(
        (mark.ttl for mark in places(grown)), key=("1h", "5m").index
    )
    late = plan(
        shape(1_000, 2_000, 60_000, 62_000, 64_000), CLAUDE, known(held((0, first)), at=3_000, gaps=RESTLESS)
    )
    assert late.bill.read == 60_000


def test_an_exact_cache_is_told_where_the_static_part_ends_and_how_long_it_lasts() -> None:
    made = plan(shape(500, 2_000, 3_000), OPENAI, known())
    assert places(made) == [Breakpoint("system", ttl="30m")]
    assert made.caching.retention is None
    assert made.bill.write == CacheWrite(m30=3_000)
    slow = Gaps((10.0,) * 10 + (9_000.0,) * 10)
    long = plan(shape(500, 2_000, 60_000), OPENAI, known(gaps=slow))
    more = shape(500, 2_000, 60_000, 60_100, 60_200)
    assert plan(more, OPENAI, known(held((0, long)), at=10, gaps=slow)).caching.retention == "12h"
    assert places(plan(shape(5, 20, 3_000), OPENAI, known())) == []
    spoken = plan(shape(500, 2_000, 3_000, 3_500), OPENAI, known())
    assert (spoken.bill.write, spoken.bill.fresh) == (CacheWrite(m30=3_000), 500)


def test_a_longer_life_that_costs_nothing_is_asked_for_where_pauses_come() -> None:
    row = Row("openai-before-5.6", "steps", long_life=("24h", 86_400))
    made = plan(shape(500, 2_000, 3_000), row, known(gaps=RESTLESS))
    assert made.caching.retention == "24h"
    assert {place.seconds for place in made.bill.kept} == {86_400}
    assert plan(shape(500, 2_000, 3_000), row, known()).caching.retention is None


def test_nothing_is_expected_of_a_provider_that_keeps_nothing() -> None:
    assert billed(FAMILIES["none"], shape(1, 2, 3_000), (), Held(), 0) == Bill(0, fresh=3_000)


def test_the_plan_says_why_and_when_room_should_be_made() -> None:
    made = plan(shape(1_000, 2_000, 3_000), CLAUDE, known(room_at=3_000))
    assert made.compact
    assert "making room pays from 3000 tokens on" in made.explain
    assert not plan(shape(1_000, 2_000, 3_000), CLAUDE, known(room_at=3_001)).compact
    assert made.cost == pytest.approx((3_000 * 5 + 600 * 20) / 1e6)


def test_what_another_branch_sent_is_there_all_the_same() -> None:
    one, other = (
        Forecast(at=START, counted=1, kept=plan(shape(9, 9, end), CLAUDE, known()).bill.kept)
        for end in (3_000, 4_000)
    )
    memory = Held()
    memory.learn([one])
    memory.learn([other])
    assert memory.lives("c3000", START.timestamp())
    assert memory.lives("c4000", START.timestamp())
    assert memory.used("c5000") is None


@pytest.mark.parametrize(
    ("wire", "vendor", "model", "dialect", "family"),
    [
        ("openai_chat", "elsewhere", "m", {"cache_family": "deepseek"}, "deepseek"),
        (
            "openai_chat",
            "openrouter",
            "m",
            {"cache_marker": {"cache_control": {}}, "cache_ttls": ("5m", "1h")},
            "marked",
        ),
        ("openai_chat", "zai", "glm-5.3", {}, "glm"),
        ("openai_chat", "openai", "gpt-5.4", {"cache_retention": ("in_memory", "24h")}, "openai-before-5.6"),
        ("openai_chat", "openai", "gpt-5.5", {"cache_retention": ("24h",)}, "openai-before-5.6"),
        ("gemini", "gemini", "gemini-2.5-pro", {}, "gemini"),
        ("anthropic", "vertex", "claude-opus-4-7", {"mid_system": True}, "anthropic"),
    ],
)
def test_a_model_finds_its_family(
    wire: WireName, vendor: str, model: str, dialect: dict[str, object], family: str
) -> None:
    row = row_of(ModelInfo(id=model, wire=wire, vendor=vendor, endpoint="", dialect=dialect))
    assert row.family == family


def test_a_whole_session_is_told_before_it_begins() -> None:
    one = estimate(First(1_000, 500, 500), CLAUDE, PRICES, Course(steps=1))
    ten = estimate(First(1_000, 500, 500), CLAUDE, PRICES, Course(steps=10))
    assert (one.usage.cache_write.total, one.usage.output) == (2_000, 600)
    assert ten.usage.cache_read == sum(2_000 + 2_600 * step for step in range(9))
    assert ten.cost is not None
    assert estimate(First(1, 1, 1), CLAUDE, None, Course(steps=2)).cost is None


def test_what_has_no_price_is_told_without_one() -> None:
    info = ModelInfo(id="m", wire="gemini", vendor="gemini", endpoint="")
    assert said(5_000, info) == "about 5,000 tokens are read anew"


def test_a_provider_with_one_time_only_is_asked_for_that() -> None:
    row = replace(FAMILIES["marked"], ttls=("5m",))
    assert {mark.ttl for mark in places(plan(shape(1_000, 2_000, 3_000), row, known(gaps=RESTLESS)))} == {
        "5m"
    }


def test_a_first_request_is_the_sum_of_its_layers() -> None:
    assert First(1, 2, 3).total == 6


def test_a_request_that_shows_no_layers_goes_as_it_is() -> None:
    log = SessionLog(None)
    log.append(
        SessionOpened(session="s", workspace="/w", model="script/m", prefix=Prefix(system=(), tools=()))
    )
    request = ModelRequest((), (), (user("Go."),))
    planned = Planner().plan(request, ScriptedModel(), log.conversation)
    assert (planned.request, planned.forecast, planned.cost) == (request, None, 0.0)


@pytest.mark.anyio
async def test_what_nothing_is_known_of_yet_is_all_fresh() -> None:
    async with provider(calls("read")) as mock, told(mock, "mock/m") as session:
        planned, _ = await session.step()
        assert planned.cost > 0
        assert planned.forecast is not None
        assert planned.forecast.total == planned.forecast.fresh


@pytest.mark.anyio
async def test_another_branch_of_a_session_is_planned_from_its_own_past() -> None:
    async with provider(*[calls("read")] * 6) as mock, told(mock, CLAUDE_MODEL) as session:
        for _ in range(3):
            await session.step()
        answered = [entry.id for entry in session.log.branch() if entry.body.type == "call_finished"]
        session.log.rewind(answered[0])
        session.say(user("Otherwise."))
        planned, usage = await session.step()
        assert expected(planned) == split(usage)
        assert usage.cache_read > 3_000


@pytest.mark.anyio
async def test_a_picture_that_comes_late_is_foreseen_to_lose_the_messages() -> None:
    """With the first picture Anthropic's cache of messages no longer fits."""
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE_MODEL) as session:
        await session.step()
        session.say(UserMessage(content=(Media(kind="image", mime="image/png", source=Inline(data=PIXEL)),)))
        planned, usage = await session.step()
        assert expected(planned)[0] == split(usage)[0] > 1_000
        assert planned.forecast is not None
        assert planned.forecast.cause == "settings_changed"
