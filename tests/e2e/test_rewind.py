"""Going back in a session: files and conversation together."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from e2e.running import Home, new_home, provider

COMMANDS = """
steps:
- calls:
  - shell: {command: "rm b; echo two > a; ln -s a link; echo new > c; chmod +x tool"}
- calls:
  - shell: {command: "echo three > a"}
- text: Done.
- text: Again.
"""
"""What is rewound is what commands did: no tool of ours knows of it."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = new_home(tmp_path)
    for name, text in {"a": "one\n", "b": "b\n", "tool": "t\n", "theirs": "x\n"}.items():
        (home.workspace / name).write_text(text, encoding="utf-8")
    return home


def files(home: Home) -> dict[str, str]:
    return {
        path.name: str(path.readlink()) if path.is_symlink() else path.read_text(encoding="utf-8")
        for path in sorted(home.workspace.iterdir())
        if path.name != ".git"
    }


def worked(home: Home, tmp_path: Path, *arguments: str) -> str:
    """Run the script, and return the session's id."""
    with provider(tmp_path, COMMANDS) as mock:
        ran = home.with_env(TREADLE_MOCK_URL=mock.url).run("--mode", "yolo", *arguments, "Do it.")
    assert ran.result["outcome"] == "done", ran.err
    return home.sessions[-1].stem


def test_all_that_commands_did_is_taken_back_and_what_a_person_did_is_not(home: Home, tmp_path: Path) -> None:
    before = files(home)
    session = worked(home, tmp_path)
    (home.workspace / "theirs").write_text("by hand\n", encoding="utf-8")
    asked = home.treadle("sessions", "rewind", session)
    assert (asked.code, files(home)["a"]) == (1, "three\n")
    ran = home.treadle("sessions", "rewind", "--yes", session)
    assert (ran.code, ran.out.splitlines()[:5]) == (
        0,
        ["restore   a", "recreate  b", "delete    c", "delete    link", "restore   tool"],
    )
    assert files(home) == {**before, "theirs": "by hand\n"}
    assert not os.access(home.workspace / "tool", os.X_OK)
    shown = home.treadle("sessions", "show", session).out
    assert "three" not in shown


def test_files_alone_and_the_conversation_alone(home: Home, tmp_path: Path) -> None:
    before, session = files(home), worked(home, tmp_path)
    size = home.sessions[0].stat().st_size
    assert home.treadle("sessions", "rewind", "--yes", "--files-only", session).code == 0
    assert (files(home), home.sessions[0].stat().st_size) == (before, size)
    (home.workspace / "a").write_text("later\n", encoding="utf-8")
    assert home.treadle("sessions", "rewind", "--conversation-only", session).code == 0
    assert (files(home)["a"], home.sessions[0].stat().st_size > size) == ("later\n", True)


def test_the_users_repository_stays_as_it_is(home: Home, tmp_path: Path) -> None:
    for line in ("init -q", "add a b", "-c user.name=A -c user.email=a@b commit -qm one", "add theirs"):
        subprocess.run(("git", *line.split()), cwd=home.workspace, check=True)
    subprocess.run(("git", "status"), cwd=home.workspace, check=True, stdout=subprocess.DEVNULL)
    own = {path: path.read_bytes() for path in (home.workspace / ".git").rglob("*") if path.is_file()}
    before, session = files(home), worked(home, tmp_path)
    assert home.treadle("sessions", "rewind", "--yes", session).code == 0
    assert files(home) == before
    assert own == {path: path.read_bytes() for path in (home.workspace / ".git").rglob("*") if path.is_file()}


def test_without_git_the_work_goes_on_and_it_is_said_once(home: Home, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "rm", "ln", "chmod", "bash", "env", "cat"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    session = worked(home.with_env(PATH=str(tmp_path / "bin")), tmp_path)
    text = home.sessions[-1].read_text(encoding="utf-8")
    assert text.count('"snapshot":""') == 2
    refused = home.treadle("sessions", "rewind", session)
    assert (refused.code, "--conversation-only" in refused.complaint) == (2, True)


def test_checkpoints_go_with_their_session_and_can_be_turned_off(home: Home, tmp_path: Path) -> None:
    session = worked(home, tmp_path)
    store = home.sessions[0].with_suffix(".checkpoints")
    assert store.is_dir()
    assert home.treadle("sessions", "rm", session).code == 0
    assert not store.exists()
    session = worked(home, tmp_path, "-c", "checkpoints=false")
    assert not home.sessions[0].with_suffix(".checkpoints").exists()


def test_a_kill_while_files_are_kept_breaks_nothing(home: Home, tmp_path: Path) -> None:
    for number in range(3000):
        (home.workspace / f"many-{number}").write_text(str(number), encoding="utf-8")
    with provider(tmp_path, COMMANDS) as mock:
        killed = home.with_env(TREADLE_MOCK_URL=mock.url)
        always = ("run", "--sandbox", "none", "-m", "mock/demo-1", "--mode", "yolo")
        with killed.start(*always, "Do it.") as process:
            while not list(tmp_path.glob("state/treadle/sessions/*/*.checkpoints/index.lock")):
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        session = home.sessions[0].stem
        ran = killed.run("--mode", "yolo", "--resume", session, "Go on.")
        assert ran.result["outcome"] == "done"
    assert home.treadle("sessions", "verify", session).code == 0
    assert home.treadle("sessions", "rewind", "--yes", session).code == 0
