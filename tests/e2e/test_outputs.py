"""What scripts read: the three outputs, the last message, and the folder that holds everything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.running import MODEL, Home

pytestmark = pytest.mark.timeout(40)

WORK = """steps:
  - calls: [{write: {path: new.txt, content: "new\\n"}}, {shell: {command: "echo more >> old.txt; rm gone.txt"}}]
  - text: Done it.
"""
EVERY = ("events.jsonl", "result.json", "session.jsonl", "workspace.diff")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    return subprocess.check_output(("git", *who, *arguments), cwd=folder, encoding="utf-8")


def files(home: Home) -> Path:
    """Put files into the workspace and return it."""
    for name in ("old.txt", "gone.txt"):
        (home.workspace / name).write_text(f"{name}\n", encoding="utf-8")
    return home.workspace


def test_text_is_the_last_message_on_standard_output_and_progress_on_the_other(serve: Serve) -> None:
    home, _ = serve(WORK)
    files(home)
    ran = home.treadle("run", "--sandbox", "none", "-m", MODEL, "Go.")
    assert (ran.code, ran.out) == (0, "Done it.\n")
    assert "• write new.txt" in ran.err
    assert "\x1b" not in ran.err


def test_json_is_one_object(serve: Serve, tmp_path: Path) -> None:
    home, _ = serve(WORK)
    files(home)
    last = tmp_path / "last.txt"
    ran = home.treadle("run", "--sandbox", "none", "-m", MODEL, "--output", "json", "-o", last, "Go.")
    (result,) = ran.lines
    assert (result["type"], result["message"], result["steps"]) == ("result", "Done it.", 2)
    assert last.read_text(encoding="utf-8") == "Done it."
    assert result["session_id"] == home.sessions[0].stem


def test_stream_json_tells_calls_changes_and_commands_in_order(serve: Serve) -> None:
    home, _ = serve(WORK)
    files(home)
    ran = home.run("Go.")
    kinds = [(line["type"], line.get("item", {}).get("type")) for line in ran.lines]
    assert kinds[:2] == [("thread.started", None), ("turn.started", None)]
    assert kinds[-2:] == [("turn.completed", None), ("result", None)]
    done = [line["item"] for line in ran.lines if line["type"] == "item.completed"]
    assert [item["type"] for item in done if item["type"] == "file_change"] == ["file_change"]
    (command,) = [item for item in done if item["type"] == "command_execution"]
    assert (command["exit_code"], command["command"]) == (0, "echo more >> old.txt; rm gone.txt")
    assert done[-1]["text"] == "Done it."


def test_the_output_folder_holds_result_events_diff_and_session(serve: Serve, tmp_path: Path) -> None:
    home, _ = serve(WORK)
    folder = files(home)
    ran = home.run("--output-dir", tmp_path / "out", "Go.")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == list(EVERY)
    assert json.loads((out / "result.json").read_text(encoding="utf-8")) == ran.result
    assert (out / "events.jsonl").read_text(encoding="utf-8") == ran.out
    assert (out / "session.jsonl").read_bytes() == home.sessions[0].read_bytes()
    diff = (out / "workspace.diff").read_text(encoding="utf-8")
    assert [line for line in diff.splitlines() if line[:1] in "+-" and line[1:2] not in "+-"] == [
        "-gone.txt",
        "+new",
        "+more",
    ]
    assert not (folder / ".git").exists()
    assert not list(Path("/tmp").glob("treadle-diff-*/HEAD.lock"))


def test_a_diff_touches_nothing_of_the_users_repository(serve: Serve, tmp_path: Path) -> None:
    home, _ = serve(WORK)
    folder = files(home)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "old.txt")
    git(folder, "commit", "--quiet", "--message", "One")
    (folder / "old.txt").write_text("staged\n", encoding="utf-8")
    git(folder, "add", "old.txt")
    (folder / "old.txt").write_text("not staged\n", encoding="utf-8")
    kept = {path: path.read_bytes() for path in (folder / ".git").rglob("*") if path.is_file()}
    home.run("--output-dir", tmp_path / "out", "Go.")
    assert {path: path.read_bytes() for path in (folder / ".git").rglob("*") if path.is_file()} == kept
    diff = (tmp_path / "out/workspace.diff").read_text(encoding="utf-8")
    assert " not staged\n+more\n" in diff
    assert "new file mode 100644" in diff
    subprocess.run(("git", "apply", "-R", tmp_path / "out/workspace.diff"), cwd=folder, check=True)
    assert (folder / "old.txt").read_text(encoding="utf-8") == "not staged\n"
    assert (folder / "gone.txt").exists()


@pytest.mark.parametrize(
    ("options", "code", "some"),
    [
        (("--nope",), 1, EVERY[:2]),
        (("-m", "mokc/x"), 1, EVERY[:2]),
        (("-C", "missing"), 1, EVERY[:2]),
        (("--max-steps", "1"), 3, EVERY),
        (("--deny", "Shell(*)"), 5, EVERY),
        (("--time-limit", "0.01"), 3, EVERY),
    ],
)
def test_the_output_folder_is_filled_on_every_exit(
    options: tuple[str, ...], code: int, some: tuple[str, ...], serve: Serve, tmp_path: Path
) -> None:
    home, _ = serve(WORK)
    files(home)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/workspace.diff").write_text("of an earlier run", encoding="utf-8")
    ran = home.run("--output-dir", tmp_path / "out", *options, "Go.")
    assert ran.code == code
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(some)
    lines = (tmp_path / "out/events.jsonl").read_text(encoding="utf-8").splitlines()
    result = json.loads((tmp_path / "out/result.json").read_text(encoding="utf-8"))
    assert json.loads(lines[-1]) == result == ran.result


def test_an_output_folder_inside_the_workspace_is_not_part_of_the_diff(serve: Serve) -> None:
    home, _ = serve(WORK)
    files(home)
    home.run("--output-dir", "out", "Go.")
    assert "out/" not in (home.workspace / "out/workspace.diff").read_text(encoding="utf-8")


def test_git_is_not_loaded_where_nothing_is_compared_or_kept(serve: Serve) -> None:
    home, _ = serve(WORK)
    files(home)
    ran = home.with_env(PYTHONPROFILEIMPORTTIME="1").run("-c", "checkpoints=false", "Go.")
    assert ran.code == 0
    assert " git" not in ran.err
