from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import ScriptedModel, calls, make_session, says
from treadle.agent.events import (
    Body,
    CallFinished,
    CallStarted,
    Delta,
    Entry,
    MessageAdded,
    Noted,
    PermissionResolved,
    RetryScheduled,
    TextDelta,
    TurnEnded,
)
from treadle.agent.frontends.outcome import Result
from treadle.agent.frontends.outputs import (
    Format,
    OutputClosed,
    TextOutput,
    as_line,
    complain,
    emit,
    harmless,
    output_for,
    short,
    visible,
    wants_color,
)
from treadle.agent.messages import Usage
from treadle.tools.contract import JsonObject, Status, Text, ToolCall, ToolResult


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[io.TextIOBase | None], None]]:
    """Replace standard output until the test ends; its descriptor too, since that is given away when it fails."""
    number = os.dup(1)
    yield lambda stream: monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.undo()
    os.dup2(number, 1)
    os.close(number)


def entry(body: Body) -> Entry:
    return Entry(id="e1", parent=None, prev=None, at=datetime(2026, 11, 24, tzinfo=UTC), body=body)


CALL = ToolCall(id="c1", name="shell", arguments='{"command": "make test"}')


def run_of(status: Status, text: str, seconds: float) -> list[Entry]:
    result = ToolResult(call_id="c1", content=(Text(text=text),), status=status)
    return [entry(CallStarted(call=CALL)), entry(CallFinished(result=result, seconds=seconds))]


def told(*events: Entry | Delta, color: bool = False) -> list[str]:
    said: list[str] = []
    output = TextOutput(color=color, say=said.append)
    for event in events:
        output.show(event)
    return said


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        (run_of("ok", "green\nmore", 0.2), ["• shell make test", "  ✓ green"]),
        (run_of("error", "red", 1.26), ["• shell make test", "  ✗ red (1.3 s)"]),
        (run_of("denied", "no", 0), ["• shell make test"]),
        (run_of("ok", "", 0)[1:], []),
        ([entry(MessageAdded(message=calls(("a", "{}"), text=" I look. ")))], ["I look."]),
        ([entry(MessageAdded(message=calls(("a", "{}"))))], []),
        ([entry(MessageAdded(message=says("The end.")))], []),
        (
            [
                entry(
                    PermissionResolved(
                        call_id="c1", tool="t", access="t()", granted=False, by="mode", reason="no"
                    )
                )
            ],
            ["  refused: t(): no"],
        ),
        ([Noted(text="disk full")], ["  disk full"]),
        ([RetryScheduled(reason="busy", seconds=1, attempt=1)], ["  busy (attempt 1; again in 1.0 s)"]),
        ([TextDelta(text="x")], []),
    ],
)
def test_progress_is_a_line_for_each_thing_that_happens(
    events: list[Entry | Delta], lines: list[str]
) -> None:
    assert told(*events) == lines


def test_what_tools_and_models_say_does_nothing_to_the_terminal() -> None:
    hostile = "\x1b]52;c;aGk=\x07 \u202ereversed\x9b2J"
    lines = told(
        entry(MessageAdded(message=calls(("a", "{}"), text=f"One.\n\t{hostile}"))),
        entry(CallStarted(call=CALL.model_copy(update={"arguments": json.dumps({"command": hostile})}))),
        *run_of("ok", hostile, 0)[1:],
        color=True,
    )
    text = "".join(lines).replace("\x1b[36m", "").replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert len(lines) == 3
    assert text.count("\\x1b]52;c;aGk=\\x07 \\u202ereversed\\x9b2J") == 3
    assert not {char for char in text if not char.isprintable()} - {"\n", "\t"}


def test_colour_is_put_around_whole_lines() -> None:
    assert told(*run_of("ok", "green", 0), color=True) == [
        "\x1b[36m• shell make test\x1b[0m",
        "\x1b[32m  ✓ green\x1b[0m",
    ]


@pytest.mark.parametrize(
    ("no_color", "stream", "colour"),
    [
        (None, Terminal(), True),
        ("", Terminal(), True),
        ("1", Terminal(), False),
        (None, io.StringIO(), False),
        (None, None, False),
    ],
)
def test_colour_is_for_terminals_whose_user_has_nothing_against_it(
    no_color: str | None, stream: io.StringIO | None, colour: bool
) -> None:
    assert wants_color(no_color, stream) is colour


def ended(**fields: object) -> Result:
    result = Result()
    result.turn = TurnEnded.model_validate({"outcome": "done", "steps": 2, "tool_calls": 1, **fields})
    result.duration_ms = 1500
    return result.end(result.turn.outcome, result.turn.error)


@pytest.mark.parametrize(
    ("result", "out", "err"),
    [
        (
            ended(usage=Usage(input=1000, cache_read=500, output=7), cost_usd=0.01234),
            "",
            ["2 steps · 1 calls · 1.5 s · 1,500 tokens in (500 cached) · 7 out · $0.0123"],
        ),
        (ended(outcome="limit", limit="steps", steps=0), "", ["treadle: stopped at the limit: steps"]),
        (ended(outcome="denied", steps=0), "", ["treadle: something was refused; see above"]),
        (ended(outcome="failed", error="no network", steps=0), "", ["treadle: no network"]),
        (Result().end("usage", "bad"), "", ["treadle: bad"]),
    ],
)
def test_text_ends_with_what_it_came_to(
    result: Result, out: str, err: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output_for("text", color=False).end(result)
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == (out, err)


def test_the_final_message_goes_to_standard_output_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result().end("done")
    result.found.message = "Fixed →\n  all of it\x1b[1m \ud800"
    output_for("text", color=False).end(result)
    assert capsys.readouterr().out == "Fixed →\n  all of it\x1b[1m ?\n"


@pytest.mark.parametrize("kind", ["json", "stream-json"])
@pytest.mark.anyio
async def test_scripts_get_json_lines_with_the_result_last(
    kind: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(None, ScriptedModel())
    output = output_for(kind, color=False)
    output.begin(session, Path("/w"))
    output.show(entry(MessageAdded(message=says("Hi \u2028 \ud800."))))
    output.end(Result().end("failed", "no network"))
    captured = capsys.readouterr()
    lines: list[JsonObject] = [json.loads(line) for line in captured.out.split("\n")[:-1]]
    assert captured.err == "treadle: no network\n"
    assert (lines[-1]["type"], lines[-1]["error"]) == ("result", "no network")
    before = [line["type"] for line in lines[:-1]]
    assert before == ([] if kind == "json" else ["thread.started", "turn.started", "item.completed", "error"])
    if before:
        assert lines[0]["thread_id"] == "s1"
        assert lines[2]["item"]["text"] == "Hi \u2028 ?."


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> int:
        raise self.error


@pytest.mark.parametrize(
    "stream",
    [
        None,
        Broken(BrokenPipeError(32, "Broken pipe")),
        Broken(OSError(28, "No space left on device")),
        Broken(ValueError("I/O operation on closed file")),
    ],
)
def test_an_output_that_nobody_reads_any_more_is_told(
    stream: io.StringIO | None, stdout: Callable[[io.TextIOBase | None], None]
) -> None:
    stdout(stream)
    with pytest.raises(OutputClosed):
        emit("Hello.")
    if stream is not None:
        assert Path("/proc/self/fd/1").readlink() == Path(os.devnull)


def test_what_an_output_cannot_encode_is_written_out(stdout: Callable[[io.TextIOBase | None], None]) -> None:
    raw = io.BytesIO()
    stdout(io.TextIOWrapper(raw, "ascii"))
    emit("a → \ud800")
    assert raw.getvalue() == b"a \\u2192 \\ud800\n"


def test_nobody_need_read_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, Broken(BrokenPipeError()), Broken(ValueError("closed"))):
        monkeypatch.setattr(sys, "stderr", stream)
        complain("Hello.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"command": "a  b\\n c"}', "a b c"),
        ('{"path": "a", "pattern": "b"}', "a b"),
        ('{"other": 1, "more": 2}', "other more"),
        ("{", ""),
        (json.dumps({"command": "x" * 200}), "x" * 120),
    ],
)
def test_a_call_is_told_in_a_few_words(arguments: str, told: str) -> None:
    assert short(ToolCall(id="c", name="n", arguments=arguments)) == told


def test_a_line_of_json_is_one_line() -> None:
    assert "\n" not in as_line({"a": "x\ny\r\u2028", "b": ["\ud800"]})


def test_characters_that_cannot_be_seen_are_written_out() -> None:
    assert visible("a b\u00e9\u65e5") == "a b\u00e9\u65e5"
    assert (
        visible("\n\x1b\u202e\u2066\u200b\u00a0\x85\ud800")
        == "\\n\\x1b\\u202e\\u2066\\u200b\\xa0\\x85\\ud800"
    )
    assert harmless("a\n\tb\u3000c\x1b\r\u2069") == "a\n\tb\u3000c\\x1b\\r\\u2069"
