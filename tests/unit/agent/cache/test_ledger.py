"""Each miss has its cause and its price."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from unit.agent.cache.sessions import Told, calls, provider, told

from treadle.agent.cache.ledger import Line, Missed, ledger
from treadle.agent.cache.planner import Planner
from treadle.agent.cache.rules import row_of
from treadle.agent.cache.warning import depends_on_effort, forgotten
from treadle.agent.context import assemble
from treadle.agent.events import Compacted, KeptWarm, ModelChanged, Prefix, SettingsChanged
from treadle.agent.messages import Usage, user
from treadle.agent.providers.contract import Output, Prices
from treadle.agent.settings import Settings

pytestmark = pytest.mark.anyio
CLAUDE = "anthropic/claude-opus-5-5"


def lines(session: Told) -> tuple[Line, ...]:
    def prices(model: str, at: datetime) -> Prices | None:
        return session.model.info.prices

    return ledger(session.log.branch(), prices)


def missed(session: Told) -> Missed:
    found = lines(session)[-1].missed
    assert found is not None
    return found


async def test_what_is_read_as_expected_is_no_miss() -> None:
    async with provider(*[calls("read")] * 4) as mock, told(mock, CLAUDE) as session:
        for _ in range(4):
            await session.step()
        assert [line.missed for line in lines(session)] == [None] * 4


async def test_a_pause_that_was_too_long_is_told_with_its_price() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        _, before = await session.step()
        mock.clock.advance(400)
        await session.step()
        found = missed(session)
        assert (found.cause, found.tokens) == ("expired", before.input_total)
        assert found.cost == pytest.approx(found.tokens * (5 - 0.2) / 1e6)
        assert "more time had passed" in found.words


async def test_another_model_reads_all_anew() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        await session.switch("anthropic/claude-sonnet-5")
        session.log.append(
            ModelChanged(model="anthropic/claude-sonnet-5", prefix=session.log.conversation.prefix)
        )
        await session.step()
        assert missed(session).cause == "model_changed"
        assert lines(session)[-1].model == "anthropic/claude-sonnet-5"


async def test_another_effort_loses_the_messages_and_keeps_tools_and_system() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        session.log.append(SettingsChanged(settings=Settings(effort="high")))
        planned, usage = await session.step()
        assert missed(session).cause == "settings_changed"
        assert usage.cache_read == (planned.forecast.read if planned.forecast else 0) > 1_000


@pytest.mark.parametrize(("what", "cause"), [("tools", "tools_changed"), ("system", "system_changed")])
async def test_another_prefix_is_told_by_its_layer_and_first_byte(what: str, cause: str) -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        old = session.log.conversation.prefix
        other = (
            Prefix(system=("Other.",), tools=old.tools)
            if what == "system"
            else Prefix(system=old.system, tools=old.tools[1:])
        )
        session.log.append(ModelChanged(model=CLAUDE, prefix=other))
        await session.step()
        found = missed(session)
        assert found.cause == cause
        assert found.where.startswith("segment ")
        assert found.said in {cause, ""}


async def test_a_message_that_changed_is_found_to_the_byte() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        request = assemble(session.log.conversation, "s1", Output())
        changed = replace(request, messages=(user("The workspace is /v."), *request.messages[1:]))
        planned = session.planner.plan(changed, session.model, session.log.conversation)
        assert planned.forecast is not None
        assert (planned.forecast.cause, planned.forecast.where[:10]) == ("messages_changed", "segment 4,")


async def test_room_that_was_made_is_no_riddle() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        session.log.append(
            Compacted(summary="So far.", keep_from=None, usage=Usage(input=10), cost_usd=0.5, request_bytes=7)
        )
        await session.step()
        *_, note, last = lines(session)
        assert (note.kind, note.cost, note.up) == ("note", 0.5, 7)
        assert last.missed is not None
        assert last.missed.cause == "room_made"


async def test_what_the_provider_forgot_is_not_blamed_on_us() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        at = session.now()
        session.planner = Planner(now=lambda: at)
        mock.clock.advance(400)
        await session.step()
        found = missed(session)
        assert found.cause == ""
        assert "no longer had it" in found.words


async def test_a_session_without_forecasts_or_prices_is_told_all_the_same() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        await session.step()
        mock.clock.advance(400)
        await session.step()
        session.log.append(KeptWarm(forecast=None, usage=Usage(cache_read=9), cost_usd=0.1))
        bare = [
            entry.model_copy(update={"body": entry.body.model_copy(update={"forecast": None})})
            if entry.body.type == "message_added"
            else entry
            for entry in session.log.branch()
        ]
        first, second, ping = ledger(bare, lambda _model, _at: None)
        assert first.missed is None
        assert second.missed is not None
        assert (second.missed.cause, second.missed.cost, second.cost) == ("unplanned", None, None)
        assert (ping.kind, ping.cost) == ("ping", 0.1)


async def test_going_on_with_what_the_provider_forgot_says_what_that_costs() -> None:
    async with provider(*[calls("read")] * 3) as mock, told(mock, CLAUDE) as session:
        assert forgotten(session.log.conversation, session.model.info, session.now()) == ""
        _, usage = await session.step()
        assert forgotten(session.log.conversation, session.model.info, session.now()) == ""
        mock.clock.advance(600)
        warned = forgotten(session.log.conversation, session.model.info, session.now())
        tokens = usage.input_total + usage.output
        assert warned.startswith("10 minutes have passed")
        assert f"about {tokens:,} tokens are read anew, for about ${tokens * 5 / 1e6:.4f}" in warned


@pytest.mark.parametrize(
    ("spec", "does"),
    [(CLAUDE, True), ("openai/gpt-6-sol", True), ("gemini/gemini-3.6-flash", False), ("mock/m", True)],
)
async def test_an_effort_is_warned_of_where_the_cache_may_depend_on_it(spec: str, *, does: bool) -> None:
    async with provider(calls("read")) as mock, told(mock, spec) as session:
        assert depends_on_effort(row_of(session.model.info)) == does
