"""What `--output-dir` leaves, in this process."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from unit.agent.headless import Object, Treadle

WRITE: Object = {"calls": [{"write": {"path": "made.txt", "content": "made\n"}}]}
DONE: Object = {"text": "Done."}


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def result(folder: Path) -> Object:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_everything_is_left_and_nothing_of_an_earlier_run(treadle: Treadle) -> None:
    out = treadle.base / "out"
    ran = treadle.run("--output-dir", str(out), steps=[WRITE, DONE])
    assert names(out) == {"result.json", "events.jsonl", "workspace.diff", "session.jsonl"}
    assert result(out) == ran.result
    assert [
        json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()
    ] == ran.events
    assert "+made\n" in (out / "workspace.diff").read_text(encoding="utf-8")
    assert (out / "session.jsonl").read_bytes() == treadle.sessions[0].read_bytes()
    assert stat.S_IMODE((out / "session.jsonl").stat().st_mode) == 0o600
    ran = treadle.run("--output-dir", str(out), "--ephemeral", steps=[DONE])
    assert names(out) == {"result.json", "events.jsonl", "workspace.diff"}
    assert (out / "workspace.diff").read_bytes() == b""


@pytest.mark.parametrize(
    "arguments", [["-m", "nowhere/m"], ["--bogus"], ["-C", "/no/such"], ["-c", "limits.stepz=1"]]
)
def test_a_run_that_did_not_begin_leaves_its_result(treadle: Treadle, arguments: list[str]) -> None:
    out = treadle.base / "out"
    ran = treadle.run("--output-dir", str(out), *arguments, steps=[DONE])
    assert ran.code == 1
    assert names(out) == {"result.json", "events.jsonl"}
    told = result(out)
    assert (told["outcome"], told["error"]) == ("usage", ran.result["error"])


@pytest.mark.parametrize("arguments", [[], ["--bogus"]])
def test_a_folder_that_cannot_be_written_is_told(treadle: Treadle, arguments: list[str]) -> None:
    (treadle.base / "file").touch()
    ran = treadle.run("--output-dir", str(treadle.base / "file"), *arguments, steps=[DONE])
    assert (ran.code, ran.result["outcome"]) == (1, "usage")
    assert "--output-dir" in ran.err
    assert "cannot be written: File exists" in ran.err
    assert treadle.bodies == []


def test_a_file_that_cannot_be_written_spoils_no_other(treadle: Treadle) -> None:
    out = treadle.base / "out"
    (out / "workspace.diff" / "x").mkdir(parents=True)
    ran = treadle.run("--output-dir", str(out), steps=[DONE])
    assert (ran.code, ran.result["outcome"]) == (1, "usage")
    out = treadle.base / "out2"
    prepare = {"calls": [{"shell": {"command": f"mkdir {out}/workspace.diff"}}]}
    ran = treadle.run("--output-dir", str(out), steps=[prepare, DONE])
    assert ran.code == 0
    assert f"{out}/workspace.diff: " in ran.err
    assert result(out) == ran.result


def test_a_last_message_that_cannot_be_written_is_told_before_anything_runs(treadle: Treadle) -> None:
    ran = treadle.run("-o", str(treadle.base / "no/such/file"), steps=[DONE])
    assert (ran.code, ran.result["outcome"], treadle.bodies) == (1, "usage", [])
    assert "No such file or directory" in ran.result["error"]
