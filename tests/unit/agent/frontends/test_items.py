from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fakes import calls, says
from treadle.agent.events import (
    Body,
    CallDelta,
    CallFinished,
    CallProgress,
    CallStarted,
    Compacted,
    Delta,
    Entry,
    HostedDelta,
    MessageAdded,
    Noted,
    PermissionAsked,
    PermissionResolved,
    ReasoningDelta,
    RetryScheduled,
    SettingsChanged,
    StepStarted,
    TextDelta,
    TurnEnded,
)
from treadle.agent.frontends.items import Items, plain
from treadle.agent.messages import Part, ReasoningPart, RefusalPart, TextPart, Usage, user
from treadle.agent.settings import Settings
from treadle.tools.contract import (
    Inline,
    Json,
    JsonObject,
    Media,
    Resource,
    Status,
    Text,
    ToolCall,
    ToolRef,
    ToolResult,
)


def entry(body: Body) -> Entry:
    return Entry(id="e1", parent=None, prev=None, at=datetime(2026, 11, 24, tzinfo=UTC), body=body)


def lines(*events: Entry | Delta) -> list[JsonObject]:
    """Return the lines of a session's events, one after another."""
    items = Items()
    return [line for event in events for line in items.of(event)]


def finished(status: Status = "ok", text: str = "out", **details: object) -> Entry:
    result = ToolResult(call_id="c1", content=(Text(text=text),), status=status, details=details or None)
    return entry(CallFinished(result=result))


def life(name: str, arguments: str, end: Entry) -> list[JsonObject]:
    """Return the lines of one call from the reply that makes it to its result."""
    reply = calls((name, arguments))
    return lines(entry(MessageAdded(message=reply)), entry(CallStarted(call=reply.calls[0])), end)


def test_a_call_is_one_item_from_its_start_to_its_end() -> None:
    item = {"id": "item_0", "type": "tool_call", "name": "read", "arguments": '{"path": "a"}'}
    assert life("read", '{"path": "a"}', finished()) == [
        {"type": "item.started", "item": item | {"status": "in_progress", "output": ""}},
        {"type": "item.completed", "item": item | {"status": "completed", "output": "out"}},
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "end", "started", "completed"),
    [
        (
            "shell",
            '{"command": "ls"}',
            finished(command="ls", exit_code=0),
            {"type": "command_execution", "command": "ls", "exit_code": None},
            {"command": "ls", "exit_code": 0, "output": "out", "status": "completed"},
        ),
        (
            "shell",
            "{",
            finished("error"),
            {"type": "command_execution", "command": ""},
            {"command": "", "exit_code": None, "status": "failed"},
        ),
        (
            "edit",
            '{"path": "a.py"}',
            finished(changes=[{"path": "a.py", "kind": "add"}]),
            {"type": "file_change", "changes": [{"path": "a.py", "kind": "update"}]},
            {"changes": [{"path": "a.py", "kind": "add"}], "status": "completed"},
        ),
        (
            "write",
            "[]",
            finished("denied"),
            {"type": "file_change", "changes": [{"path": "", "kind": "update"}]},
            {"status": "denied"},
        ),
        (
            "plan",
            "{}",
            finished(items=[{"step": "look", "status": "done"}]),
            {"type": "todo_list", "items": []},
            {"items": [{"step": "look", "status": "done"}]},
        ),
        (
            "other",
            "{",
            finished("interrupted"),
            {"type": "tool_call", "arguments": "{"},
            {"status": "failed"},
        ),
    ],
)
def test_each_kind_of_call_is_told_in_words_that_scripts_know(
    name: str, arguments: str, end: Entry, started: JsonObject, completed: JsonObject
) -> None:
    begun, done = (line["item"] for line in life(name, arguments, end))
    assert begun == begun | started
    assert done == done | completed
    assert (done["id"], done["type"]) == (begun["id"], begun["type"])


def test_progress_and_the_end_of_a_call_that_is_not_known_are_left_out() -> None:
    assert lines(CallProgress(call_id="c9", text="half"), finished()) == []


def test_progress_updates_its_item() -> None:
    reply = calls(("shell", '{"command": "make"}'))
    (line,) = lines(entry(MessageAdded(message=reply)), CallProgress(call_id="c1", text="half"))
    assert (line["type"], line["item"]["output"], line["item"]["id"]) == ("item.updated", "half", "item_0")


def test_a_call_that_a_tool_makes_becomes_an_item_when_it_starts() -> None:
    call = ToolCall(id="c1", name="read", arguments="{}")
    begun, done = lines(entry(CallStarted(call=call, parent_call="c0")), finished())
    assert begun["item"]["id"] == done["item"]["id"] == "item_0"


@pytest.mark.parametrize(
    ("part", "item"),
    [
        (TextPart(text="Hi."), {"type": "agent_message", "text": "Hi.", "state": "complete"}),
        (RefusalPart(text="No."), {"type": "agent_message", "text": "No.", "state": "complete"}),
        (ReasoningPart(text="Hm."), {"type": "reasoning", "text": "Hm."}),
        (ReasoningPart(summary=("One.", "Two.")), {"type": "reasoning", "text": "One.\nTwo."}),
        (ReasoningPart(encrypted="x"), None),
        (TextPart(text=""), None),
    ],
)
def test_each_part_of_a_reply_that_people_can_read_is_an_item(part: Part, item: JsonObject | None) -> None:
    reply = says("").model_copy(update={"parts": (part,)})
    told = lines(entry(MessageAdded(message=reply)))
    wanted = [] if item is None else [{"type": "item.completed", "item": {"id": "item_0", **item}}]
    assert told == wanted


@pytest.mark.parametrize(("granted", "decision"), [(True, "allow"), (False, "deny")])
def test_a_permission_is_told_with_what_was_asked_and_decided(granted: bool, decision: str) -> None:
    resolved = PermissionResolved(
        call_id="c1", tool="shell", access="shell(run: ls)", granted=granted, by="user", reason="why"
    )
    (line,) = lines(entry(resolved))
    assert line["item"] == {
        "id": "item_0",
        "type": "permission",
        "tool": "shell",
        "access": "shell(run: ls)",
        "decision": decision,
        "reason": "why",
    }


def test_a_turn_ends_with_what_it_used_or_with_what_went_wrong() -> None:
    ended = TurnEnded(outcome="done", usage=Usage(input=1, output=2), cost_usd=0.1)
    (line,) = lines(entry(ended))
    assert (line["type"], line["usage"]["input_tokens"], line["cost_usd"]) == ("turn.completed", 1, 0.1)
    (line,) = lines(entry(TurnEnded(outcome="failed", error="no")))
    assert line == {"type": "turn.failed", "error": {"message": "no"}}


def test_what_the_user_should_know_is_an_error_item() -> None:
    told = lines(Noted(text="disk full"), RetryScheduled(reason="busy", seconds=1.25, attempt=2))
    assert [line["item"]["message"] for line in told] == ["disk full", "busy (attempt 2; again in 1.2 s)"]
    assert [line["item"]["id"] for line in told] == ["item_0", "item_1"]


def test_a_compaction_is_told_with_its_summary() -> None:
    billed = Usage(input=7, cache_read=90, output=30)
    (line,) = lines(entry(Compacted(summary="It was so.", keep_from=None, usage=billed, cost_usd=0.25)))
    assert (line["item"]["type"], line["item"]["summary"]) == ("compaction", "It was so.")
    assert (line["item"]["usage"]["cached_input_tokens"], line["item"]["cost_usd"]) == (90, 0.25)


@pytest.mark.parametrize(
    "event",
    [
        TextDelta(text="a"),
        ReasoningDelta(text="a"),
        CallDelta(index=0, id="c", name="n", arguments=""),
        HostedDelta(kind="k", state="s"),
        StepStarted(number=1),
        PermissionAsked(call=ToolCall(id="c", name="n", arguments=""), access="a", reason="r"),
        entry(MessageAdded(message=user("Hi."))),
        entry(SettingsChanged(settings=Settings())),
    ],
)
def test_what_only_a_screen_shows_makes_no_line(event: Entry | Delta) -> None:
    assert lines(event) == []


def test_every_kind_of_content_reads_as_text() -> None:
    source = Inline(data="")
    content = (
        Text(text="a"),
        Media(kind="image", mime="image/png", source=source, filename="x.png"),
        Media(kind="audio", mime="audio/wav", source=source),
        Json(value={"ü": 1}),
        Resource(uri="file:///a", text="inside"),
        Resource(uri="file:///b"),
        ToolRef(name="fetch"),
    )
    assert plain(content).split("\n") == [
        "a",
        "[image x.png]",
        "[audio audio/wav]",
        '{"ü": 1}',
        "inside",
        "[file:///b]",
        "[tool fetch]",
    ]
