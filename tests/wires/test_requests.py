"""Every case over every wire, compared with snapshots.

`snapshots/ROW/CASE.json` holds the decoded body and the warnings. To renew one, delete it and run its test: it is
written and the test fails once. Look at the difference before it is committed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from wires.cases import CASES, HELLO
from wires.rows import WIRES, Row

from treadle.agent.messages import AssistantMessage, ToolMessage
from treadle.agent.providers.contract import Caching, HttpCall, ModelRequest, Renderings
from treadle.tools.contract import Text, ToolResult

SNAPSHOTS = Path(__file__).parent / "snapshots"
REPLIES = [(name, reply) for name, row in WIRES.items() for reply in row.replies]


def sent(row: Row, request: ModelRequest, kept: Renderings | None = None) -> HttpCall:
    return row.wire.encode(row.asked(request), row.model, kept or Renderings(), stream=True)


def matches(path: Path, http: HttpCall) -> None:
    shown = {
        "body": json.loads(http.body),
        "warnings": [f"{note.code} {note.field}" for note in http.warnings],
    }
    text = json.dumps(shown, indent=1, ensure_ascii=False) + "\n"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} is new: look at it, then run again")
    assert text == path.read_text(encoding="utf-8")


def answered(message: AssistantMessage) -> tuple[ToolMessage, ...]:
    """The results that a reply's calls need before anything else may be sent."""
    results = tuple(ToolResult(call_id=call.id, content=(Text(text="ok"),)) for call in message.calls)
    return (ToolMessage(results=results),) if results else ()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WIRES)
def test_a_case_is_sent_as_its_snapshot_says(name: str, case: str) -> None:
    matches(SNAPSHOTS / name / f"{case}.json", sent(WIRES[name], CASES[case]))


@pytest.mark.parametrize(("name", "reply"), REPLIES)
def test_a_reply_goes_back_to_where_it_came_from_as_its_snapshot_says(name: str, reply: str) -> None:
    row = WIRES[name]
    message = row.wire.decode(row.replies[reply], row.model)
    request = ModelRequest(system=(), tools=(), messages=(HELLO, message, *answered(message), HELLO))
    matches(SNAPSHOTS / name / f"back.{reply}.json", sent(row, request))


@pytest.mark.parametrize(("name", "reply"), REPLIES)
def test_a_reply_that_was_kept_on_disk_is_sent_with_the_same_bytes(name: str, reply: str) -> None:
    row = WIRES[name]
    message = row.wire.decode(row.replies[reply], row.model)
    loaded = AssistantMessage.model_validate_json(message.model_dump_json())
    assert loaded == message
    first, second = (
        sent(row, ModelRequest(system=(), tools=(), messages=(HELLO, each, *answered(each)))).body
        for each in (message, loaded)
    )
    assert first == second


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WIRES)
def test_the_segments_of_a_shorter_conversation_begin_those_of_a_longer_one(name: str, case: str) -> None:
    whole, kept = CASES[case], Renderings()
    before: tuple[bytes, ...] = ()
    for end in range(1, len(whole.messages) + 1):
        request = replace(whole, messages=whole.messages[:end], caching=Caching())
        http = sent(WIRES[name], request, kept)
        assert http.segments[: len(before)] == before
        before = http.segments
    assert before == sent(WIRES[name], replace(whole, caching=Caching())).segments


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WIRES)
def test_the_segments_stand_in_the_body_in_their_order(name: str, case: str) -> None:
    http = sent(WIRES[name], replace(CASES[case], caching=Caching()))
    assert len(http.segments) >= len(CASES[case].messages[:1])
    assert all(segment in http.body for segment in http.segments)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WIRES)
def test_asking_whole_changes_no_segment(name: str, case: str) -> None:
    row = WIRES[name]
    whole = row.wire.encode(row.asked(CASES[case]), row.model, Renderings(), stream=False)
    assert (whole.stream, whole.segments) == (False, sent(row, CASES[case]).segments)


@pytest.mark.parametrize("name", WIRES)
def test_a_marker_changes_no_segment(name: str) -> None:
    plain = replace(CASES["caching"], caching=Caching())
    assert sent(WIRES[name], plain).segments == sent(WIRES[name], CASES["caching"]).segments


@pytest.mark.parametrize("name", WIRES)
def test_a_wire_has_the_name_that_its_models_are_listed_under(name: str) -> None:
    assert WIRES[name].wire.name == WIRES[name].model.wire
