"""`treadle sessions` on files that real runs left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from unit.agent.headless import Object, Ran, Treadle

from treadle.agent.events import TurnEnded
from treadle.agent.log import SessionLog, load

WRITE: Object = {"text": "I write.", "calls": [{"write": {"path": "made.txt", "content": "made\n"}}]}
DONE: Object = {"text": "Done\nat last."}


@pytest.fixture
def session(treadle: Treadle) -> Path:
    """The file of a session with one refused and one done call."""
    treadle.run(
        "--deny",
        "Edit(other.txt)",
        steps=[{"calls": [{"write": {"path": "other.txt", "content": ""}}]}, WRITE, DONE],
        prompt=("Make \x1b[2J it.",),
    )
    (file,) = treadle.sessions
    return file


def listed(treadle: Treadle, *arguments: str) -> list[str]:
    return treadle("sessions", "list", "-C", str(treadle.workspace), *arguments).out.splitlines()


def complaint(ran: Ran) -> str:
    (line,) = ran.err.splitlines()
    return line


def test_sessions_are_listed_with_how_they_ended_and_what_they_were_about(
    treadle: Treadle, session: Path
) -> None:
    treadle.run("--max-steps", "1", steps=[WRITE], prompt=("Second.",))
    treadle.run("--ephemeral", steps=[DONE], prompt=("Third.",))
    first, second = sorted(listed(treadle), key=lambda line: "Second" in line)
    assert first == f"{session.stem}  denied        3 steps  Make \\x1b[2J it."
    assert second.endswith("  limit         1 steps  Second.")
    other = treadle.base / "other"
    other.mkdir()
    assert treadle("sessions", "list", "-C", str(other)).out == ""
    assert len(treadle("sessions", "list", "--all", "-C", str(other)).out.splitlines()) == 2


def test_a_current_folder_that_was_removed_is_told(treadle: Treadle, session: Path) -> None:
    gone = treadle.base / "gone"
    gone.mkdir()
    treadle.patch.chdir(gone)
    gone.rmdir()
    ran = treadle("sessions", "list")
    assert (ran.code, "--all" in complaint(ran)) == (1, True)
    assert session.stem in treadle("sessions", "list", "--all").out


def test_a_list_for_scripts_has_the_figures(treadle: Treadle, session: Path) -> None:
    treadle.run("--continue", "-m", "mock/other", steps=[DONE], prompt=("More.",))
    (told,) = [json.loads(line) for line in listed(treadle, "--json")]
    assert told["id"] == session.stem
    assert (told["outcome"], told["steps"], told["model"]) == ("done", 4, "mock/other")
    assert told["workspace"] == str(treadle.workspace)
    assert told["usage"]["output_tokens"] >= 30
    assert told["title"] == "Make \x1b[2J it."


def test_what_is_damaged_or_was_cut_off_is_listed_as_such(treadle: Treadle, session: Path) -> None:
    lines = session.read_bytes().splitlines(keepends=True)
    (session.parent / "20200101-000000-cut.jsonl").write_bytes(b"".join(lines[:3]))
    (session.parent / "20200102-000000-bad.jsonl").write_bytes(lines[0] + lines[2])
    (session.parent / "20200103-000000-none.jsonl").touch()
    told = [json.loads(line) for line in listed(treadle, "--json")]
    assert [one["outcome"] for one in told] == ["open", "damaged", "damaged", "denied"]
    assert "line 2" in told[1]["title"]


def test_costs_add_up_where_they_are_known(treadle: Treadle) -> None:
    priced = ("-c", 'models={"mock/m" = {price = {input = 10.0, output = 20.0}}}')
    treadle.run(*priced, steps=[DONE])
    treadle.run("--continue", *priced, steps=[DONE, DONE])
    (told,) = [json.loads(line) for line in listed(treadle, "--json")]
    assert told["cost_usd"] == 0.0024
    log = SessionLog(treadle.sessions[0])
    log.append(TurnEnded(outcome="done", cost_usd=None))
    log.close()
    (told,) = [json.loads(line) for line in listed(treadle, "--json")]
    assert told["cost_usd"] is None


def test_a_session_is_shown_entry_by_entry(treadle: Treadle, session: Path) -> None:
    lines = treadle("sessions", "show", session.stem).out.splitlines()
    told = [line[8:] for line in lines]
    assert told[0] == "(session opened)"
    assert "user: Make \\x1b[2J it." in told
    assert any(line.startswith('  write {"path": "made.txt"') for line in told)
    assert "model: I write." in told
    assert any(line.startswith("refused: write(write: ") for line in told)
    assert any(line.startswith("  denied: ") for line in told)
    assert any(line.startswith("  ok: ") for line in told)
    assert told[-2:] == ["model: Done at last.", "ended: denied"]
    ids = [line[:6].strip() for line in lines]
    assert {*ids} <= {entry.id for entry in load(session).entries}


def test_what_is_shown_for_scripts_are_the_lines_of_a_run_with_their_entries(
    treadle: Treadle, session: Path
) -> None:
    ran = treadle("sessions", "show", "--json", session.stem)
    kinds = [event["item"]["type"] for event in ran.events if event["type"] == "item.completed"]
    assert kinds == ["permission", "file_change", "agent_message", "file_change", "agent_message"]
    assert all(event["entry"].startswith("e") for event in ran.events)
    assert ran.result["type"] == "turn.completed"


def test_a_fork_at_an_entry_has_the_past_up_to_it(treadle: Treadle, session: Path) -> None:
    whole = treadle("sessions", "fork", session.stem).out.strip()
    early = treadle("sessions", "fork", f"{session.stem}@e3").out.strip()
    assert len({whole, early, session.stem}) == 3
    assert (session.parent / f"{whole}.jsonl").read_bytes() == session.read_bytes()
    assert [entry.id for entry in load(session.parent / f"{early}.jsonl").entries] == ["e1", "e2", "e3"]
    ran = treadle("sessions", "fork", f"{session.stem}@e99")
    assert (ran.code, complaint(ran)) == (
        1,
        f"treadle: session {session.stem} has no entry 'e99'; `sessions show` lists them",
    )


def test_a_session_that_was_rewound_goes_on_from_there_and_loses_nothing(
    treadle: Treadle, session: Path
) -> None:
    before = session.read_bytes()
    ran = treadle("sessions", "rewind", "--yes", session.stem, "e3")
    assert (ran.code, ran.out) == (0, f"delete    made.txt\n{session.stem} goes on after e3\n")
    assert session.read_bytes().startswith(before)
    shown = treadle("sessions", "show", session.stem).out
    assert "Done at last." not in shown
    assert shown.splitlines()[-1].endswith("(rewound)")
    assert treadle("sessions", "verify", session.stem).code == 0
    ran = treadle("sessions", "rewind", session.stem, "e99")
    assert (ran.code, complaint(ran)) == (
        1,
        f"treadle: session {session.stem} has no entry 'e99'; `sessions show` lists them",
    )


def test_a_session_at_work_is_neither_rewound_nor_removed(treadle: Treadle, session: Path) -> None:
    log = SessionLog(session)
    for command in (["rewind", session.stem, "e3"], ["rm", session.stem]):
        ran = treadle("sessions", *command)
        assert (ran.code, complaint(ran)) == (
            2,
            f"treadle: session {session.stem} is open in another process",
        )
    log.close()
    assert session.exists()


def test_a_whole_session_is_verified_with_its_head(treadle: Treadle, session: Path) -> None:
    loaded = load(session)
    ran = treadle("sessions", "verify", session.stem)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"{session.stem}: {len(loaded.entries)} entries, the chain holds",
        f"head {loaded.hashes[-1]}",
    ]
    with session.open("ab") as file:
        file.write(b'{"id":"e99",')
    assert "12 bytes of an unfinished record behind them" in treadle("sessions", "verify", session.stem).out


@pytest.mark.parametrize(
    ("old", "new"), [(b"made.txt", b"mode.txt"), (b'"e3"', b'"e9"'), (b'{"id":"e2"', b'{"id":"e2" oops')]
)
def test_whatever_was_changed_in_a_file_is_found(
    treadle: Treadle, session: Path, old: bytes, new: bytes
) -> None:
    session.write_bytes(session.read_bytes().replace(old, new, 1))
    for command in ("verify", "show", "export", "fork"):
        ran = treadle("sessions", command, session.stem)
        assert (ran.code, ran.out) == (2, "")
        assert complaint(ran).startswith(f"treadle: {session}: line ")
    ran = treadle.run("--resume", session.stem, steps=[DONE])
    assert (ran.code, ran.result["outcome"]) == (2, "failed")


def test_a_file_without_entries_is_verified_and_shows_nothing(treadle: Treadle, session: Path) -> None:
    session.write_bytes(b"")
    assert treadle("sessions", "verify", session.stem).out.splitlines()[-1] == "head -"
    assert (
        treadle("sessions", "show", session.stem).out,
        treadle("sessions", "export", session.stem).out,
    ) == ("", "")


def test_a_session_is_exported_as_its_lines_or_as_markdown(treadle: Treadle, session: Path) -> None:
    with session.open("ab") as file:
        file.write(b"torn")
    lines = treadle("sessions", "export", session.stem, "--format", "jsonl").out
    assert lines.encode() + b"torn" == session.read_bytes()
    told = treadle("sessions", "export", session.stem).out
    assert "## User\n\nMake \x1b[2J it.\n" in told
    assert "## Runtime\n" in told
    assert "## Model\n\nI write.\n- `write` `{" in told
    assert told.endswith("## Model\n\nDone\nat last.\n\n")
    assert "```\n" in told


def test_sessions_are_removed_with_all_that_lies_beside_them(treadle: Treadle, session: Path) -> None:
    treadle("sessions", "fork", session.stem)
    beside = session.with_suffix("")
    beside.mkdir(exist_ok=True)
    (beside / "c1.txt").write_text("long", encoding="utf-8")
    session.with_suffix(".torn-5").write_text("torn", encoding="utf-8")
    ran = treadle("sessions", "rm", session.stem, "nothing")
    assert (ran.code, session.exists()) == (1, True)
    ran = treadle("sessions", "rm", session.stem)
    assert (ran.code, ran.out) == (0, f"removed {session.stem}\n")
    (left,) = session.parent.iterdir()
    assert left != session


def test_a_damaged_session_can_be_removed_and_one_that_is_named_twice_is_removed_once(
    treadle: Treadle, session: Path
) -> None:
    session.write_bytes(session.read_bytes().replace(b"made.txt", b"mode.txt", 1))
    ran = treadle("sessions", "rm", session.stem, session.stem[:-1])
    assert (ran.code, ran.out, list(session.parent.iterdir())) == (0, f"removed {session.stem}\n", [])


@pytest.mark.parametrize("command", [["list", "--all"], ["show"], ["export"], ["verify"], ["fork"]])
def test_an_output_that_nobody_reads_is_a_failure(
    treadle: Treadle, session: Path, command: list[str]
) -> None:
    treadle.patch.setattr(sys, "stdout", None)
    named = [] if command[0] == "list" else [session.stem]
    assert treadle("sessions", *command, *named).code == 2


@pytest.mark.parametrize("command", ["show", "fork", "verify", "export", "rm"])
def test_an_id_that_is_not_known_or_fits_several_is_told(
    treadle: Treadle, session: Path, command: str
) -> None:
    ran = treadle("sessions", command, "nothing")
    assert (ran.code, complaint(ran)) == (
        1,
        "treadle: there is no session 'nothing'; `treadle sessions list` shows what there is",
    )
    other = treadle("sessions", "fork", session.stem).out.strip()
    begins = session.stem[:2]
    assert other.startswith(begins)
    ran = treadle("sessions", command, begins)
    assert ran.code == 1
    assert complaint(ran).startswith(f"treadle: '{begins}' fits 2 sessions: ")
