from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from treadle.agent.permit import Allowed, Gate, Refused, Unsure, in_words, nobody
from treadle.agent.settings import Mode
from treadle.sandbox.contract import Access, Place
from treadle.sandbox.rules import Rule, parse_rule
from treadle.tools.contract import ToolCall

CALL = ToolCall(id="c1", name="any", arguments="{}")
PLACE = Place("/w", "/w")
READ = Access("read", reads=("/etc/hosts",))
INSIDE = Access("edit", writes=("/w/a",))
OUTSIDE = Access("edit", writes=("/x/a",))
RUN = Access("shell", runs=("make",), opaque=True)
FREE = Access("plan", free=True)
REACH = Access("fetch", hosts=("example.org",))
ALL = {"read": READ, "inside": INSIDE, "outside": OUTSIDE, "run": RUN, "free": FREE, "reach": REACH}


def gate(mode: Mode = "auto", *rules: Rule, contained: bool = True, place: Place = PLACE) -> Gate:
    return Gate(rules, mode, contained, place, nobody)


@pytest.mark.parametrize(
    ("mode", "contained", "allowed", "refused"),
    [
        ("plan", True, {"read", "free"}, {"inside", "outside", "run"}),
        ("ask", True, {"read", "free"}, set[str]()),
        ("edit", True, {"read", "free", "inside"}, set[str]()),
        ("auto", True, {"read", "free", "inside", "run"}, set[str]()),
        ("auto", False, {"read", "free", "inside"}, set[str]()),
        ("yolo", False, set(ALL), set[str]()),
    ],
)
def test_a_mode_allows_refuses_or_leaves_open_by_what_a_call_touches(
    mode: Mode, contained: bool, allowed: set[str], refused: set[str]
) -> None:
    verdicts = {name: gate(mode, contained=contained).judge(CALL, access) for name, access in ALL.items()}
    assert {name for name, verdict in verdicts.items() if isinstance(verdict, Allowed)} == allowed
    assert {name for name, verdict in verdicts.items() if isinstance(verdict, Refused)} == refused
    rest = ALL.keys() - allowed - refused
    assert {name for name, verdict in verdicts.items() if isinstance(verdict, Unsure)} == rest
    assert all(verdict.by == "mode" for verdict in verdicts.values() if not isinstance(verdict, Unsure))


@pytest.mark.parametrize(
    ("rules", "access", "verdict", "by"),
    [
        ([("Shell(make)", "allow")], RUN, Allowed, "rule"),
        ([("Shell(make)", "allow"), ("Shell", "deny")], RUN, Refused, "rule"),
        ([("Read(/etc/**)", "deny")], READ, Refused, "rule"),
        ([("plan", "deny")], FREE, Refused, "rule"),
        ([("Edit(/x/**)", "allow")], OUTSIDE, Allowed, "rule"),
    ],
)
def test_a_rule_decides_before_the_mode_and_is_named(
    rules: Sequence[tuple[str, str]], access: Access, verdict: type, by: str
) -> None:
    made = [parse_rule(text, "allow" if kind == "allow" else "deny") for text, kind in rules]
    decided = gate("ask", *made).judge(CALL, access)
    assert isinstance(decided, verdict)
    assert isinstance(decided, Allowed | Refused)
    assert decided.by == by
    assert "rule" in decided.reason


def test_a_mode_that_changes_changes_what_is_decided_next() -> None:
    one = gate("plan")
    assert isinstance(one.judge(CALL, INSIDE), Refused)
    one.mode = "auto"
    assert isinstance(one.judge(CALL, INSIDE), Allowed)


def test_a_link_that_leads_out_of_the_workspace_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    root, outside = tmp_path / "w", tmp_path / "x"
    root.mkdir()
    outside.mkdir()
    (root / "out").symlink_to(outside)
    place = Place(str(root), str(root))
    assert isinstance(
        gate("edit", place=place).judge(CALL, Access("edit", writes=(str(root / "a"),))), Allowed
    )
    through = Access("edit", writes=(str(root / "out/a"),))
    assert isinstance(gate("edit", place=place).judge(CALL, through), Unsure)


@pytest.mark.anyio
async def test_without_anybody_to_ask_the_answer_is_no_with_the_reason() -> None:
    open_question = gate("ask").judge(CALL, INSIDE)
    assert isinstance(open_question, Unsure)
    answer = await gate("ask").ask(CALL, INSIDE, open_question.reason)
    assert answer == Refused(
        "headless",
        "Mode ask asks before writing /w/a. Nobody can be asked in this run, so the call was not made.",
    )


@pytest.mark.anyio
async def test_questions_are_put_one_at_a_time() -> None:
    asked = 0
    most = 0

    async def asker(call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await anyio.lowlevel.checkpoint()
        asked -= 1
        return Allowed("user")

    one = Gate((), "ask", True, PLACE, asker)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one.ask, CALL, RUN, "why")
    assert (asked, most) == (0, 1)


def test_an_access_in_words_names_everything_it_touches() -> None:
    access = Access("x", reads=("/r",), writes=("/w",), runs=("ls",), hosts=("h",))
    assert in_words(access) == "x(run: ls; write: /w; read: /r; reach: h)"
    assert in_words(FREE) == "plan()"
