from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes import FakeTool, Says, ScriptedModel, calls, make_session, reading, says
from treadle.agent.events import CallStarted, Event, MessageAdded, ModelChanged, Noted, PermissionResolved
from treadle.agent.messages import AssistantMessage, RefusalPart, Warned, user
from treadle.agent.permit import Allowed, Refused, Unsure
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
)
from treadle.agent.session import Session
from treadle.tools.contract import ToolContext

pytestmark = pytest.mark.anyio


@contextmanager
def notes(session: Session) -> Generator[list[str]]:
    """Collect what the user is told."""
    told: list[str] = []

    async def watch(event: Event) -> None:
        if isinstance(event, Noted):
            told.append(event.text)

    with session.record.watch(watch):
        yield told


@pytest.mark.parametrize("error", [Busy("overloaded"), QuotaExhausted("no money"), NotFound("no such model")])
async def test_a_model_that_cannot_be_had_is_followed_by_the_next_for_the_rest_of_the_session(
    error: ProviderError,
) -> None:
    first, second, third = (
        ScriptedModel(*[error] * 3),
        ScriptedModel(*[error] * 3),
        ScriptedModel(says("A."), says("B.")),
    )
    session = make_session(None, first, fallbacks={"v/second": second, "v/third": third})
    with notes(session) as told:
        assert (await session.prompt(user("Go."))).outcome == "done"
        assert (await session.prompt(user("And?"))).outcome == "done"
    changes = [e.body.model for e in session.record.log.branch() if isinstance(e.body, ModelChanged)]
    assert changes == ["v/second", "v/third"]
    assert [len(model.requests) for model in (second, third)] == [len(first.requests), 2]
    assert [line.partition(" cannot be had")[0] for line in told] == ["script/script", "v/second"]
    assert third.requests[0].messages == first.requests[0].messages


@pytest.mark.parametrize(
    ("error", "outcome"), [(AuthFailed("no key"), "usage"), (InvalidRequest("bad"), "failed")]
)
async def test_what_another_model_would_not_mend_ends_the_turn(error: ProviderError, outcome: str) -> None:
    other = ScriptedModel(says("A."))
    session = make_session(None, ScriptedModel(error), fallbacks={"v/other": other})
    assert (await session.prompt(user("Go."))).outcome == outcome
    assert other.requests == []


async def test_when_no_model_is_left_the_last_reason_is_the_outcome() -> None:
    session = make_session(
        None, ScriptedModel(NotFound("gone")), fallbacks={"v/other": ScriptedModel(NotFound("gone too"))}
    )
    ended = await session.prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("failed", "gone too")


async def test_a_loss_is_told_once_in_a_session_and_kept_with_the_reply_that_had_it() -> None:
    lost, more = Warned(code="reasoning_dropped", field="a"), Warned(code="sampling_dropped", field="seed")
    session = make_session(
        None, ScriptedModel(says("1", warnings=(lost, lost)), says("2", warnings=(lost, more)), says("3"))
    )
    with notes(session) as told:
        for _ in range(3):
            await session.prompt(user("Go."))
    kept = [
        entry.body.message.warnings
        for entry in session.record.log.branch()
        if isinstance(entry.body, MessageAdded) and isinstance(entry.body.message, AssistantMessage)
    ]
    assert kept == [(lost,), (more,), ()]
    assert len(told) == 2


async def test_a_refusal_ends_the_turn_in_the_providers_words() -> None:
    refused = says("", stop="refusal").model_copy(update={"parts": (RefusalPart(text="I will not."),)})
    ended = await make_session(None, ScriptedModel(refused)).prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("failed", "the provider stopped the reply: I will not.")


@pytest.mark.parametrize("granted", [True, False])
async def test_a_call_that_a_tool_makes_is_asked_about_too(granted: bool) -> None:
    async def answer() -> Allowed | Refused:
        return Allowed("user") if granted else Refused("user", "no")

    statuses: list[str] = []

    async def outer(path: str, ctx: ToolContext) -> str:
        result = await run.call("read", {"path": path}, parent=ctx.call_id)
        statuses.append(result.status)
        return "told"

    model = ScriptedModel(calls(("outer", '{"path": "a"}')), says("Done."))
    permit = Says(Unsure("it reads"), answer)
    session = make_session(None, model, FakeTool("outer", outer), reading(), permit=permit)
    run = session.calls
    ended = await session.prompt(user("Go."))
    bodies = [entry.body for entry in session.record.log.branch()]
    resolved = [body.granted for body in bodies if isinstance(body, PermissionResolved)]
    started = [body.parent_call for body in bodies if isinstance(body, CallStarted)]
    if granted:
        assert (ended.outcome, statuses, resolved, started) == ("done", ["ok"], [True, True], [None, "c1"])
    else:
        assert (ended.outcome, statuses, resolved, started) == ("denied", [], [False], [])


async def test_a_call_that_a_tool_makes_can_be_refused_on_its_own(tmp_path: Path) -> None:
    class OuterOnly(Says):
        def judge(self, call: object, access: object) -> Allowed | Refused | Unsure:
            return Allowed("mode") if getattr(access, "tool", "") == "outer" else Refused("rule", "not that")

    async def outer(path: str, ctx: ToolContext) -> str:
        result = await run.call("read", {"path": path}, parent=ctx.call_id)
        return result.status

    model = ScriptedModel(calls(("outer", '{"path": "a"}')), says("Done."))
    session = make_session(None, model, FakeTool("outer", outer), reading(), permit=OuterOnly())
    run = session.calls
    assert (await session.prompt(user("Go."))).outcome == "denied"


async def test_what_was_found_at_opening_is_told_with_the_first_entry(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    make_session(path, ScriptedModel()).record.log.close()
    with path.open("ab") as file:
        file.write(b"torn")
    session = make_session(path, ScriptedModel(says("Hi.")))
    with notes(session) as told:
        await session.prompt(user("Go."))
    assert len(told) == 1
    assert "cut off by a crash" in told[0]


async def test_an_idle_session_has_nothing_to_cancel() -> None:
    session = make_session(None, ScriptedModel(says("Hi.")))
    session.cancel()
    assert (await session.prompt(user("Go."))).outcome == "done"


async def test_what_could_not_be_sent_as_asked_is_told_with_the_reply() -> None:
    lost, more = Warned(code="effort_dropped"), Warned(code="tool_dropped")
    session = make_session(None, ScriptedModel(says("1", warnings=(more,)), losses=(lost,)))
    with notes(session) as told:
        await session.prompt(user("Go."))
    assert told == ["effort_dropped", "tool_dropped"]
