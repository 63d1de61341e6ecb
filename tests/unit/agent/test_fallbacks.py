from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import INFO, Cut, Says, ScriptedModel, memory_sandbox, reading, says
from treadle.agent.desk import Desk, Save, save_nothing
from treadle.agent.events import Entry, Event, MessageAdded, ModelChanged, Noted, Prefix, SessionOpened
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, user
from treadle.agent.providers.contract import (
    Busy,
    ContextOverflow,
    InvalidRequest,
    NotFound,
    Prices,
    ProviderError,
    QuotaExhausted,
    StreamCutShort,
    Unreachable,
)
from treadle.agent.providers.retry import Retries
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.tools.contract import Artifact
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio

PREFIX = Prefix(system=("You work.",), tools=())


def session(first: ScriptedModel, save: Save = save_nothing, **others: ScriptedModel) -> Session:
    record = Record(SessionLog(None))
    toolbox = Toolbox()
    toolbox.plug("builtin", [reading()])
    calls = Calls(toolbox, memory_sandbox(), Says(), record.keep, record.show)
    retries = Retries(attempts=2, base=0.0)
    fallbacks = {f"v/{name}": each for name, each in others.items()}
    desk = Desk("s1", first, calls, retries=retries, fallbacks=fallbacks, save=save)
    record.log.append(SessionOpened(session="s1", workspace="/w", model="v/a", prefix=PREFIX))
    return Session("s1", desk, record)


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (Unreachable("away"), 2),
        (Busy("busy"), 2),
        (StreamCutShort("cut"), 2),
        (QuotaExhausted("paid out"), 1),
        (NotFound("gone"), 1),
    ],
)
async def test_a_model_that_cannot_be_had_is_followed_by_the_next_one_in_an_epoch_of_its_own(
    error: ProviderError, times: int
) -> None:
    first, second = ScriptedModel(error, error), ScriptedModel(says("Here."))
    work = session(first, b=second)
    seen: list[Event] = []

    async def watch(event: Event) -> None:
        seen.append(event)

    with work.record.watch(watch):
        ended = await work.prompt(user("Go."))
    assert ended.outcome == "done"
    assert (len(first.requests), len(second.requests)) == (times, 1)
    assert second.requests == first.requests[:1]
    (changed,) = [e for e in seen if isinstance(e, Entry) and isinstance(e.body, ModelChanged)]
    assert changed.body == ModelChanged(model="v/b", prefix=PREFIX)
    assert work.record.log.conversation.epoch == changed.id
    assert Noted(text=f"v/a cannot be had ({error}); v/b goes on from here") in seen


@pytest.mark.parametrize("error", [ContextOverflow("long"), InvalidRequest("wrong")])
async def test_what_another_model_would_not_mend_ends_the_turn(error: ProviderError) -> None:
    second = ScriptedModel()
    ended = await session(ScriptedModel(error), b=second).prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("failed", str(error))
    assert second.requests == []


async def test_the_last_models_error_is_the_turns() -> None:
    models = [ScriptedModel(*[Busy(name)] * 2) for name in "abc"]
    ended = await session(models[0], b=models[1], c=models[2]).prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("failed", "c")
    assert [len(model.requests) for model in models] == [2, 2, 2]


async def test_each_reply_is_paid_at_the_price_of_the_model_that_gave_it() -> None:
    cheap = replace(INFO, prices=Prices(1_000_000, 0))
    dear = replace(INFO, prices=Prices(2_000_000, 0))
    said = says("One.")
    work = session(
        ScriptedModel(said, Busy("b"), Busy("b"), info=cheap), b=ScriptedModel(said, said, info=dear)
    )
    costs = [(await work.prompt(user("Go."))).cost_usd for _ in range(3)]
    tokens = said.usage.input
    assert costs == [tokens, 2 * tokens, 2 * tokens]


async def test_what_came_of_a_reply_that_failed_is_kept_but_the_next_model_does_not_see_it() -> None:
    second = ScriptedModel(says("Whole."))
    work = session(ScriptedModel(*[Cut("half", Busy("b")) for _ in range(2)]), b=second)
    await work.prompt(user("Go."))
    kept = [entry.body for entry in work.record.log.branch() if isinstance(entry.body, MessageAdded)]
    assert [getattr(body.message, "state", "") for body in kept] == ["", "failed", "failed", "complete"]
    assert second.requests[0].messages == (user("Go."),)


async def test_the_files_of_a_reply_are_kept_with_it_and_what_is_lost_is_said() -> None:
    async def save(message: AssistantMessage) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        if message.text == "Full.":
            raise OSError(28, "No space left on device")
        return (Artifact(path="/s/image.png", mime="image/png"),), ("one was too big",)

    work = session(ScriptedModel(says("Here."), says("Full.")), save=save)
    seen: list[Event] = []

    async def watch(event: Event) -> None:
        seen.append(event)

    with work.record.watch(watch):
        outcomes = [(await work.prompt(user("Draw."))).outcome for _ in range(2)]
    replies = [
        event.body.artifacts
        for event in seen
        if isinstance(event, Entry)
        and isinstance(event.body, MessageAdded)
        and isinstance(event.body.message, AssistantMessage)
    ]
    assert outcomes == ["done", "done"]
    assert replies == [(Artifact(path="/s/image.png", mime="image/png"),), ()]
    assert Noted(text="one was too big") in seen
    assert any(isinstance(event, Noted) and "No space left" in event.text for event in seen)
