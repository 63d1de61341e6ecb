"""A cache is kept warm while a tool takes its time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from unit.agent.cache.sessions import Told, calls, expected, provider, split, told

from fakes import FakeTool, Says, memory_sandbox
from treadle.agent.cache.planner import can_warm
from treadle.agent.context import assemble
from treadle.agent.desk import Desk
from treadle.agent.events import Body, Entry, Event, KeptWarm, MessageAdded
from treadle.agent.messages import AssistantMessage, user
from treadle.agent.providers.contract import LanguageModel, ModelRequest, Output, ReplyStream, Unreachable
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.agent.warmth import Asked, Warmth
from treadle.tools.contract import ToolContext
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def wait_long(session: Told, pings: int, seconds: float) -> list[Body]:
    """Let a tool of the last reply take its time, by the provider's clock."""
    kept: list[Body] = []
    over = anyio.Event()
    left = seconds

    async def sleep(wait: float) -> None:
        nonlocal left
        if wait > left:
            over.set()
            await anyio.sleep_forever()
        left -= wait
        session.mock.clock.advance(wait)

    async def keep(*bodies: Body) -> None:
        kept.extend(bodies)
        session.log.append(*bodies)
        if len(kept) == pings:
            over.set()

    warmth = Warmth(session.planner, pings, sleep)
    asked = Asked(session.planned[-1], session.model, lambda: session.log.conversation)
    with anyio.fail_after(5):
        await warmth.during(over.wait, asked, keep)
    session.mock.clock.advance(left)
    return kept


@pytest.mark.parametrize("spec", ["anthropic/claude-opus-5-5", "openai/gpt-6-sol"])
async def test_a_tool_that_outlasts_the_cache_costs_pings_and_no_miss(spec: str) -> None:
    async with provider(*[calls("shell")] * 3) as mock, told(mock, spec) as session:
        await session.step()
        life = 300 if "claude" in spec else 1_800
        kept = await wait_long(session, 10, 2.5 * life)
        assert [type(body) for body in kept] == [KeptWarm] * 2
        for ping in kept:
            assert isinstance(ping, KeptWarm)
            assert (ping.usage.cache_write.total, ping.usage.input, ping.usage.output) == (0, 0, 0)
            assert ping.usage.cache_read > 0
            assert ping.cost_usd is not None
            assert ping.cost_usd > 0
        planned, usage = await session.step()
        assert expected(planned) == split(usage)
        assert planned.forecast is not None
        assert planned.forecast.cause == ""


async def test_no_more_is_spent_than_was_allowed() -> None:
    async with provider(*[calls("shell")] * 3) as mock, told(mock, "anthropic/claude-opus-5-5") as session:
        await session.step()
        assert len(await wait_long(session, 1, 10_000)) == 1
        planned, usage = await session.step()
        assert expected(planned) == split(usage)
        assert planned.forecast is not None
        assert planned.forecast.cause == "expired"


async def test_nothing_is_pinged_where_it_is_not_asked_for() -> None:
    async with provider(calls("shell")) as mock, told(mock, "anthropic/claude-opus-5-5") as session:
        await session.step()
        count = len(mock.requests)

        async def work() -> int:
            return 7

        async def keep(*bodies: Body) -> None:
            raise AssertionError(bodies)

        asked = Asked(session.planned[-1], session.model, lambda: session.log.conversation)
        assert await Warmth(session.planner).during(work, asked, keep) == 7
        assert len(mock.requests) == count


@pytest.mark.parametrize(
    ("spec", "can"),
    [
        ("anthropic/claude-opus-5-5", True),
        ("openai/gpt-6-sol", True),
        ("openai/gpt-5.4", False),
        ("mock/m", False),
    ],
)
async def test_only_some_providers_can_be_asked_for_nothing(spec: str, can: bool) -> None:
    async with provider(calls("shell")) as mock, told(mock, spec) as session:
        request = assemble(session.log.conversation, "k", Output())
        assert can_warm(request, session.model.info) == can


class Broken:
    """A model that can be looked at and cannot be asked."""

    def __init__(self, model: LanguageModel) -> None:
        self.info = model.info
        self.encode = model.encode

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncGenerator[ReplyStream]:
        raise Unreachable("nobody is there")
        yield  # what makes this a generator


@pytest.mark.parametrize(("spec", "waits"), [("anthropic/claude-opus-5-5", 1), ("mock/m", 0)])
async def test_a_ping_that_cannot_be_sent_or_would_do_nothing_is_left(spec: str, waits: int) -> None:
    async with provider(calls("shell")) as mock, told(mock, spec) as session:
        await session.step()
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        async def work() -> int:
            await anyio.wait_all_tasks_blocked()
            return 7

        async def keep(*bodies: Body) -> None:
            raise AssertionError(bodies)

        asked = Asked(session.planned[-1], Broken(session.model), lambda: session.log.conversation)
        assert await Warmth(session.planner, 3, sleep).during(work, asked, keep) == 7
        assert len(slept) == waits


async def test_a_session_pays_for_the_pings_of_a_slow_tool() -> None:
    slow = {"calls": [{"read": {"path": "a"}}]}
    async with provider(slow, {"text": "Done."}) as mock, told(mock, "anthropic/claude-opus-5-5") as told_to:
        pinged = anyio.Event()

        async def sleep(wait: float) -> None:
            told_to.mock.clock.advance(wait)

        async def read(path: str, ctx: ToolContext) -> str:
            await pinged.wait()
            return "at last"

        async def see(event: Event) -> None:
            if isinstance(event, Entry) and isinstance(event.body, KeptWarm):
                pinged.set()

        record = Record(told_to.log)
        toolbox = Toolbox()
        toolbox.plug("builtin", [FakeTool("read", read)])
        calling = Calls(toolbox, memory_sandbox(), Says(), record.keep, record.show)
        desk = Desk("s1", told_to.model, calling, warmth=Warmth(told_to.planner, 1, sleep))
        session = Session("s1", desk, record)
        with anyio.fail_after(5), record.watch(see):
            ended = await session.prompt(user("Go on."))
        bodies = [entry.body for entry in told_to.log.branch()]
        (ping,) = [body for body in bodies if isinstance(body, KeptWarm)]
        replies = [body.message for body in bodies if isinstance(body, MessageAdded)]
        read_by_replies = sum(
            reply.usage.cache_read for reply in replies if isinstance(reply, AssistantMessage)
        )
        assert ended.outcome == "done"
        assert ping.usage.cache_read > 0
        assert ended.usage.cache_read == read_by_replies + ping.usage.cache_read
