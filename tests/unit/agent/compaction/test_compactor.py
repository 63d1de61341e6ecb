from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from unit.agent.compaction.talk import NOON, NOTE, answered, log_of, replied, steps

from fakes import INFO, Cut, ScriptedModel, calls, says
from treadle.agent.compaction.compactor import Around, Compactor
from treadle.agent.context import assemble
from treadle.agent.conversation import Conversation
from treadle.agent.events import (
    Body,
    Compacted,
    Delta,
    HistoryRepaired,
    MessageAdded,
    SettingsChanged,
    TextDelta,
)
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Usage, UserMessage, notice, user
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    ContextOverflow,
    ModelInfo,
    Output,
    Prices,
    ProviderError,
    WireName,
)
from treadle.agent.providers.retry import Retries
from treadle.agent.settings import Settings
from treadle.prompts import load
from treadle.tools.contract import Text

pytestmark = pytest.mark.anyio
PRICED = replace(INFO, prices=Prices(input=1.0, output=5.0, cache_read=0.1, cache_write={"m5": 1.25}))
GOOD = says(NOTE, usage=Usage(cache_read=9_000, input=100, output=200))


class Shown:
    def __init__(self) -> None:
        self.deltas: list[Delta] = []

    async def __call__(self, delta: Delta) -> None:
        self.deltas.append(delta)


def with_everything(around: Around | None = None, shown: Shown | None = None) -> Compactor:
    around = around or Around(now=lambda: NOON)
    return Compactor("key", Retries(attempts=1, base=0.0), shown or Shown(), "auto", around)


async def compacted(log: SessionLog, model: ScriptedModel, around: Around | None = None) -> Compacted:
    body = await with_everything(around).compact(log.conversation, model)
    assert body is not None
    log.append(body)
    return body


def model_that(*script: AssistantMessage | Cut | ProviderError, info: ModelInfo = PRICED) -> ScriptedModel:
    return ScriptedModel(*script, info=info)


def told(conversation: Conversation) -> list[str]:
    """Return the first words of every message of the user's or ours."""
    return [
        part.text
        for message in conversation.messages
        if isinstance(message, UserMessage)
        for part in message.content[:1]
        if isinstance(part, Text)
    ]


def ten_steps(*more: Body) -> SessionLog:
    return log_of(*steps(10), *more)


async def test_the_note_is_asked_for_behind_the_very_history_and_nothing_before_it_changes() -> None:
    log, model = ten_steps(), model_that(GOOD)
    before = assemble(log.conversation, "key", Output())
    await compacted(log, model)
    (asked,) = model.requests
    assert (asked.system, asked.tools) == (before.system, before.tools)
    assert all(a is b for a, b in zip(asked.messages, before.messages, strict=False))
    assert asked.messages[len(before.messages) :] == (user(load("compaction/ask")),)
    assert asked.caching == before.caching


WIRES: tuple[tuple[WireName, str], ...] = (
    ("anthropic", "auto"),
    ("gemini", "none"),
    ("openai_responses", "none"),
)


@pytest.mark.parametrize(("wire", "choice"), WIRES)
async def test_calls_are_forbidden_where_that_loses_nothing_that_is_cached(
    wire: WireName, choice: str
) -> None:
    info = ModelInfo(id="m", wire=wire, vendor="v", endpoint="")
    model = model_that(GOOD, info=info)
    await compacted(ten_steps(), model)
    assert model.requests[0].tool_choice == choice


async def test_what_the_user_said_stays_word_for_word_around_the_note() -> None:
    log = ten_steps(MessageAdded(message=user("And mind the docs.")))
    log.append(MessageAdded(message=says("I will.")), MessageAdded(message=user("Now the tests.")))
    await compacted(log, model_that(GOOD))
    texts = told(log.conversation)
    assert texts[:3] == [
        "You are in /w.",
        "Rename Old in src/old.py. But keep the API stable!",
        "And mind the docs.",
    ]
    assert texts[3].startswith("[handoff note]")
    assert NOTE.strip() in texts[3]
    assert texts[4:] == ["Now the tests."]


async def test_the_first_message_and_the_newest_ones_stay_when_there_is_not_room_for_all() -> None:
    long = [MessageAdded(message=user(f"{number} " + "word " * 9_000)) for number in range(4)]
    log = log_of(*long, *steps(2))
    body = await compacted(log, model_that(GOOD))
    assert body.kept == ("e2", "e3", "e7")


async def test_the_mode_that_holds_is_still_told() -> None:
    mode = notice(load("notices/mode", mode="plan"))
    log = ten_steps(MessageAdded(message=mode), SettingsChanged(settings=Settings(mode="plan")), *steps(1))
    await compacted(log, model_that(GOOD))
    assert any(message is mode for message in log.conversation.messages)


async def test_what_it_cost_to_ask_is_in_the_entry() -> None:
    bad = says("Sorry?", usage=Usage(input=1_000, output=10))
    body = await compacted(ten_steps(), model_that(bad, GOOD))
    assert body.usage == Usage(input=1_100, cache_read=9_000, output=210)
    assert (body.cost_usd, body.request_bytes) == (pytest.approx(0.00305), 200)


async def test_a_note_that_lacks_a_section_is_asked_for_once_more_with_the_reason() -> None:
    model = model_that(says("## Goal\nRename."), GOOD)
    body = await compacted(ten_steps(), model)
    assert NOTE.strip() in body.summary
    again = model.requests[1].messages[-1]
    assert isinstance(again, UserMessage)
    assert "there is no section Next step" in str(again.content)
    assert model.requests[1].messages[: len(model.requests[0].messages)] == model.requests[0].messages


async def test_a_call_in_place_of_the_note_is_answered_and_not_run() -> None:
    model = model_that(calls(("shell", "{}")), GOOD)
    body = await compacted(ten_steps(), model)
    assert NOTE.strip() in body.summary
    refused = model.requests[1].messages[-2]
    assert refused.role == "tool"
    assert [result.status for result in refused.results] == ["denied"]


async def test_paths_that_nobody_saw_and_quotes_that_nobody_said_do_not_get_into_the_note() -> None:
    seen = [MessageAdded(message=replied(1, "read", '{"path": "src/old.py"}')), answered(1, "class Old")]
    wrong = NOTE.replace('"keep the API stable"', '"keep the API stable"\n"never touch the tests"')
    wrong = wrong.replace(
        "- `src/old.py:12`", "- `src/made_up.py`: it\n- `src/real.py`: so\n- `src/old.py:12`"
    )

    async def exists(path: str) -> bool:
        return path == "src/real.py"

    model = model_that(says(wrong), says(wrong))
    body = await compacted(log_of(*seen), model, Around(exists=exists))
    assert "there is no file src/made_up.py" in str(model.requests[1].messages[-1])
    assert "nobody said 'never touch the tests'" in str(model.requests[1].messages[-1])
    assert "made_up" not in body.summary
    assert "never touch" not in body.summary
    assert "src/real.py" in body.summary
    assert '"keep the API stable"' in body.summary


async def test_without_a_note_from_the_model_the_log_gives_one() -> None:
    plan = {"items": [{"step": "rename", "status": "done"}, {"step": "docs", "status": "pending"}]}
    happened = [
        MessageAdded(message=replied(1, "shell", '{"command": "pytest -q"}')),
        answered(1, "exit 1 · 0.1 s\nE  NameError\n1 failed", "error"),
        MessageAdded(message=replied(2, "edit", '{"path": "a.py"}')),
        answered(2, "edited a.py", details={"changes": [{"path": "a.py", "kind": "update"}]}),
        MessageAdded(message=replied(3, "shell", '{"command": "make lint"}')),
        answered(3, "exit 0 · 0.1 s\nall fine"),
        MessageAdded(message=replied(4, "plan", "{}")),
        answered(4, "Plan noted", details=plan),
    ]
    model = model_that(ContextOverflow("too long"))
    note = (await compacted(log_of(*happened), model)).summary
    for line in (
        "> Rename Old in src/old.py. But keep the API stable!",
        "- `a.py`: update",
        "- `make lint`: all fine",
        "- `pytest -q`: exit 1 · 0.1 s; 1 failed",
        "- changed: a.py (update)",
        "- plan: [pending] docs",
    ):
        assert line in note


async def test_what_was_changed_is_still_known_after_a_second_note() -> None:
    happened = [
        MessageAdded(message=replied(2, "edit", '{"path": "a.py"}')),
        answered(2, "edited a.py", details={"changes": [{"path": "a.py", "kind": "update"}]}),
    ]
    log = log_of(*happened)
    await compacted(log, model_that(GOOD))
    log.append(*steps(2))
    second = await compacted(log, model_that(ContextOverflow("too long")))
    assert "- changed: a.py (update)" in second.summary
    assert "Names are lower case." in second.summary
    assert second.kept == ("e2", "e3")


async def test_what_the_model_writes_for_the_note_is_not_shown_as_an_answer() -> None:
    shown = Shown()
    await with_everything(shown=shown).compact(ten_steps().conversation, model_that(GOOD))
    assert not any(isinstance(delta, TextDelta) for delta in shown.deltas)


async def test_what_was_read_anew_stands_behind_the_note() -> None:
    async def reread(conversation: Conversation) -> tuple[str, ...]:
        return ("# A skill",)

    log = ten_steps()
    await compacted(log, model_that(GOOD), Around(reread=reread))
    note = log.conversation.messages[-1]
    assert isinstance(note, UserMessage)
    assert note.content[1:] == (Text(text="# A skill"),)


async def test_there_is_nothing_to_compact_before_the_first_reply_nor_right_after_a_note() -> None:
    log = log_of()
    assert await with_everything().compact(log.conversation, model_that()) is None
    log = ten_steps()
    await compacted(log, model_that(GOOD))
    assert await with_everything().compact(log.conversation, model_that()) is None


async def test_room_is_made_before_the_step_when_the_prompt_has_outgrown_its_point() -> None:
    grown = log_of(*steps(60, tokens=2_000))
    (made,) = await with_everything().make_room(grown.conversation, model_that(GOOD))
    assert isinstance(made, Compacted)
    young = log_of(*steps(8, tokens=2_000))
    assert await with_everything().make_room(young.conversation, model_that()) == ()


async def test_a_session_that_never_compacts_is_left_alone() -> None:
    never = replace(with_everything(), at="never")
    grown = log_of(*steps(60, tokens=2_000)).conversation
    model = model_that(info=replace(PRICED, context_window=100_000))
    assert await never.make_room(grown, model) == ()
    assert await never.compact(grown, model) is None


@pytest.mark.parametrize("error", [Busy("later"), AuthFailed("who are you")])
async def test_a_model_that_cannot_be_had_costs_no_history_while_the_prompt_still_fits(
    error: ProviderError,
) -> None:
    grown = log_of(*steps(60, tokens=2_000)).conversation
    assert await with_everything().make_room(grown, model_that(error)) == ()
    full = model_that(error, info=replace(PRICED, context_window=120_000))
    (made,) = await with_everything().make_room(grown, full)
    assert isinstance(made, Compacted)


async def test_old_results_are_cleared_once_when_nothing_is_cached_any_more() -> None:
    log = log_of(*steps(10, size=6_000))
    later = with_everything(Around(now=lambda: NOON + timedelta(hours=2)))
    assert await with_everything().make_room(log.conversation, model_that()) == ()
    (cleared,) = await later.make_room(log.conversation, model_that())
    assert isinstance(cleared, HistoryRepaired)
    log.append(cleared)
    results = [message for message in log.conversation.messages if message.role == "tool"]
    texts = [part.text for each in results for part in each.results[0].content if isinstance(part, Text)]
    assert [len(text) for text in texts[-3:]] == [6_000] * 3
    assert texts[0].startswith("[cleared to make room: shell make test, 6,025 characters;")
    assert await later.make_room(log.conversation, model_that()) == ()


async def test_another_model_is_not_sent_old_results_at_length() -> None:
    log = log_of(*steps(10, size=6_000))
    other = model_that(info=replace(PRICED, id="other"))
    (cleared,) = await with_everything().make_room(log.conversation, other)
    assert isinstance(cleared, HistoryRepaired)


async def test_nothing_is_cleared_before_reasoning_that_is_bound_to_it() -> None:
    thought = {"type": "reasoning", "text": "hm", "signature": "sig"}
    sealed = AssistantMessage.model_validate(
        says("So.").model_dump() | {"parts": [thought, {"type": "text", "text": "So."}]}
    )
    log = log_of(*steps(10, size=6_000), MessageAdded(message=sealed))
    later = with_everything(Around(now=lambda: NOON + timedelta(hours=2)))
    bound = replace(PRICED, dialect={"drop_unbound_thinking": True})
    assert await later.make_room(log.conversation, model_that(info=bound)) == ()
    assert len(await later.make_room(log.conversation, model_that())) == 1
