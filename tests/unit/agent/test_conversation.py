from __future__ import annotations

from fakes import calls, says
from treadle.agent.conversation import first_words
from treadle.agent.events import (
    Body,
    CallFinished,
    CallStarted,
    Compacted,
    HistoryRepaired,
    MessageAdded,
    ModelChanged,
    Prefix,
    RemoteKept,
    SessionOpened,
    SettingsChanged,
)
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, UserMessage, notice, user
from treadle.agent.settings import Settings
from treadle.tools.contract import Text, ToolResult

TWO = calls(("a", "{}"), ("b", "{}"))
PREFIX = Prefix(system=("S",), tools=())
OPENED = SessionOpened(session="s", workspace="/w", model="v/m", prefix=PREFIX)


def answer(call_id: str, text: str) -> CallFinished:
    return CallFinished(result=ToolResult(call_id=call_id, content=(Text(text=text),)))


def after(*bodies: Body) -> SessionLog:
    log = SessionLog(None)
    log.append(OPENED, *bodies)
    return log


def texts(messages: tuple[Message, ...]) -> list[list[str]]:
    """Return the text of each message's pieces."""
    found: list[list[str]] = []
    for message in messages:
        match message:
            case UserMessage(content=content):
                found.append([part.text for part in content if isinstance(part, Text)])
            case AssistantMessage(text=text):
                found.append([text])
            case ToolMessage(results=results):
                found.append([part.text for r in results for part in r.content if isinstance(part, Text)])
    return found


def test_results_stand_in_the_order_of_the_calls_whatever_came_first() -> None:
    log = after(MessageAdded(message=TWO), answer("c2", "second"), answer("c1", "first"))
    assert texts(log.conversation.messages)[-1] == ["first", "second"]


def test_a_crash_after_some_of_the_calls_keeps_those_results_and_answers_the_rest() -> None:
    log = after(
        MessageAdded(message=TWO),
        CallStarted(call=TWO.calls[0]),
        CallStarted(call=TWO.calls[1]),
        answer("c1", "first"),
    )
    assert texts(log.conversation.messages)[-1][0] == "first"
    assert "may have had effects" in texts(log.conversation.messages)[-1][1]
    at_the_end = log.conversation.messages[-1]
    log.append(MessageAdded(message=user("Go on.")))
    assert log.conversation.messages[-2] == at_the_end


def test_a_call_that_never_began_is_answered_as_not_run() -> None:
    assert "not run" in texts(after(MessageAdded(message=TWO)).conversation.messages)[-1][0]


def test_calls_that_tools_made_are_no_part_of_the_conversation() -> None:
    nested = answer("c1", "inner").model_copy(update={"parent_call": "c1"})
    log = after(MessageAdded(message=TWO), CallStarted(call=TWO.calls[0], parent_call="c1"), nested)
    assert "not run" in texts(log.conversation.messages)[-1][0]


def test_a_reply_that_failed_is_never_sent() -> None:
    failed = says("Half").model_copy(update={"state": "failed"})
    assert after(MessageAdded(message=failed)).conversation.messages == ()


def test_a_message_keeps_its_identity_as_the_branch_grows() -> None:
    log = after(MessageAdded(message=TWO), answer("c1", "1"), answer("c2", "2"))
    before = log.conversation.messages
    log.append(MessageAdded(message=says("Done.")))
    assert all(a is b for a, b in zip(before, log.conversation.messages, strict=False))


def test_compaction_puts_the_summary_before_what_is_kept_and_begins_an_epoch() -> None:
    log = after(*(MessageAdded(message=user(str(number))) for number in range(4)))
    log.append(Compacted(summary="It was so.", keep_from="e4"))
    assert texts(log.conversation.messages) == [["It was so."], ["2"], ["3"]]
    assert log.conversation.epoch == "e6"
    log.append(Compacted(summary="All of it.", keep_from=None))
    assert texts(log.conversation.messages) == [["All of it."]]


def test_compaction_keeps_messages_word_for_word_ahead_of_the_note_and_what_was_read_anew_behind_it() -> None:
    log = after(*(MessageAdded(message=user(str(number))) for number in range(4)))
    kept = log.conversation.messages[0]
    log.append(Compacted(summary="It was so.", keep_from="e5", kept=("e2",), texts=("Rules.",)))
    assert texts(log.conversation.messages) == [["0"], ["It was so.", "Rules."], ["3"]]
    assert log.conversation.messages[0] is kept
    log.append(Compacted(summary="All of it.", keep_from=None, kept=("e2", "e5")))
    assert texts(log.conversation.messages) == [["0"], ["3"], ["All of it."]]


def test_a_repair_leaves_entries_out_and_begins_an_epoch() -> None:
    log = after(*(MessageAdded(message=user(str(number))) for number in range(3)))
    log.append(HistoryRepaired(reason="too large", dropped=("e3",)))
    assert texts(log.conversation.messages) == [["0"], ["2"]]
    assert log.conversation.epoch == "e5"


def test_settings_model_and_prefix_follow_the_branch() -> None:
    other = Prefix(system=("T",), tools=())
    log = after(SettingsChanged(settings=Settings(mode="plan")), ModelChanged(model="v/n", prefix=other))
    conversation = log.conversation
    assert (conversation.model, conversation.prefix, conversation.epoch) == ("v/n", other, "e3")
    assert conversation.settings.mode == "plan"
    log.rewind("e1")
    assert (log.conversation.model, log.conversation.settings.mode) == ("v/m", "ask")


def test_a_title_is_the_beginning_of_what_the_user_first_said() -> None:
    assert first_words((notice("Facts."), user("Fix\n the   bug " + "x" * 100))).startswith("Fix the bug xx")
    assert first_words(()) == ""


def test_a_conversation_can_be_seen_as_it_would_be_after_a_repair() -> None:
    log = after(
        MessageAdded(message=user("Long.")), MessageAdded(message=says("Yes.")), MessageAdded(message=TWO)
    )
    now = log.conversation
    first = now.items[0][0]
    kept = RemoteKept(kind="file", vendor="v", endpoint="e", id="f1")
    seen = now.after(HistoryRepaired(reason="r", replaced={first: user("Short.")}), kept)
    assert texts(seen.messages)[:2] == [["Short."], ["Yes."]]
    assert texts(now.messages)[:2] == [["Long."], ["Yes."]]
    assert (len(seen.items), seen.settled, list(seen.remote)) == (4, 4, ["f1"])
    assert (len(now.items), now.settled, list(now.remote)) == (3, 0, [])


def test_results_that_no_entry_closed_have_an_id_of_their_own() -> None:
    log = after(MessageAdded(message=TWO), MessageAdded(message=user("Go on.")))
    names = [name for name, _ in log.conversation.items]
    assert len(set(names)) == len(names) == 3
    assert names[1] == f"{names[2]}.calls"


def test_how_much_was_there_when_the_epoch_began_is_known() -> None:
    log = after(MessageAdded(message=user("Go.")), ModelChanged(model="v/n", prefix=PREFIX))
    log.append(MessageAdded(message=says("Yes.")))
    assert log.conversation.settled == 1
