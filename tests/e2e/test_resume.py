from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.crashing import Live, eventually, launch, marked, start, write_script
from e2e.running import MODEL, Home, Object, Provider, Ran, new_home, provider

from treadle.agent.events import ModelChanged, TurnEnded
from treadle.agent.log import load

# Several processes one after the other, on a machine that may be busy.
pytestmark = pytest.mark.timeout(60)
SLOWLY = {"text": "word " * 4000, "pace": {"rate": 200}}
READ = {"calls": [{"glob": {"pattern": "*"}}]}


@contextmanager
def scripted(folder: Path, *steps: Object) -> Generator[tuple[Home, Provider]]:
    with provider(folder, write_script(folder, steps)) as server:
        yield new_home(folder, MOCK_API_KEY="x", TREADLE_MOCK_URL=server.url), server


def session(home: Home) -> Path:
    (file,) = home.sessions
    return file


def task(home: Home, *arguments: str) -> Ran:
    return home.treadle("run", "--sandbox", "none", "--output", "stream-json", *arguments)


def resumed(home: Home, *arguments: str) -> Ran:
    return task(home, "--resume", session(home).stem, *arguments)


def outcomes(file: Path) -> list[str]:
    return [entry.body.outcome for entry in load(file).entries if isinstance(entry.body, TurnEnded)]


def messages(server: Provider) -> list[Any]:
    """Return what the newest request says."""
    return server.bodies[-1]["messages"]


def begun(home: Home, server: Provider) -> Live:
    """Return a run in the middle of its second reply."""
    run = start(home)
    eventually(lambda: len(server.requests) == 2, "the model talks")
    return run


def elsewhere(home: Home, *steps: Object) -> AbstractContextManager[Provider]:
    """Serve the user another script from now on."""
    folder = home.base / "again"
    folder.mkdir()
    return provider(folder, write_script(folder, steps))


def test_a_run_goes_on_after_it_was_cancelled(tmp_path: Path) -> None:
    with scripted(tmp_path, READ, SLOWLY) as (home, server):
        run = begun(home, server)
        run.process.send_signal(signal.SIGINT)
        assert run.finish().code == 130
        run.close()
    with elsewhere(home, READ, {"text": "Back."}, {"text": "Back."}) as server:
        ran = resumed(Home(home.base, {**home.env, "TREADLE_MOCK_URL": server.url}), "And now?")
        assert (ran.code, ran.result["message"]) == (0, "Back.")
        assert outcomes(session(home)) == ["cancelled", "done"]
        assert messages(server)[-1] == {"role": "user", "content": "And now?"}


def test_a_reply_that_a_kill_cut_off_is_asked_for_again(tmp_path: Path) -> None:
    with scripted(tmp_path, READ, SLOWLY) as (home, server):
        begun(home, server).close()
        asked = messages(server)
    assert outcomes(session(home)) == []
    with elsewhere(home, READ, {"text": "Back."}) as server:
        ran = resumed(Home(home.base, {**home.env, "TREADLE_MOCK_URL": server.url}))
        assert (ran.code, ran.result["message"]) == (0, "Back.")
        assert messages(server) == asked
        assert outcomes(session(home)) == ["done"]


def test_a_call_without_a_result_is_answered_as_interrupted(tmp_path: Path) -> None:
    mark = f"{tmp_path}/mark"
    command = f"export MARK={mark}; touch ready; sleep 300"
    two = {"calls": [{"glob": {"pattern": "*"}}, {"shell": {"command": command}}]}
    with scripted(tmp_path, two, {"text": "Back."}) as (home, server):
        run = start(home)
        run.until(lambda line: line["type"] == "item.completed" and line["item"].get("name") == "glob")
        eventually((home.workspace / "ready").exists, "the command runs")
        run.close()
        eventually(lambda: not marked(mark), "the command is gone")
        ran = resumed(home)
        assert (ran.code, ran.result["message"]) == (0, "Back.")
        told = [message["content"] for message in messages(server) if message["role"] == "tool"]
        assert len(told) == 2
        assert "may have had effects" in told[1]
        assert "may have had effects" not in told[0]


def test_continue_takes_the_newest_session_of_the_folder(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}, {"text": "Two."}) as (home, server):
        assert task(home, "-m", MODEL, "First.").code == 0
        newest = task(home, "-m", MODEL, "Second.").result["session_id"]
        ran = task(home, "--continue", "Third.")
        assert (ran.code, ran.result["message"], ran.result["session_id"]) == (0, "Two.", newest)
        said = [message["content"] for message in messages(server) if message["role"] == "user"]
        assert said[-2:] == ["Second.", "Third."]
        none = task(home, "--continue", "-C", str(tmp_path / "home"), "Fourth.")
        assert none.code == 1
        assert "no session" in none.complaint


def test_a_fork_begins_with_the_past_up_to_an_entry_and_leaves_its_source_alone(tmp_path: Path) -> None:
    with scripted(tmp_path, READ, {"text": "One."}) as (home, server):
        assert task(home, "-m", MODEL, "Go.").code == 0
        source = session(home)
        before = source.read_bytes()
        entries = load(source).entries
        at = next(entry.id for entry in entries if entry.body.type == "call_finished")
        first = server.bodies[1]["messages"]
        ran = task(home, "--fork", f"{source.stem}@{at}")
        assert (ran.code, ran.result["message"]) == (0, "One.")
        assert messages(server) == first
        assert source.read_bytes() == before
        forked = next(file for file in home.sessions if file.stem == ran.result["session_id"])
        shared = before[: before.index(f'"id":"{at}"'.encode())].count(b"\n") + 1
        assert forked.read_bytes().split(b"\n")[:shared] == before.split(b"\n")[:shared]
        wrong = task(home, "--fork", f"{source.stem}@e999", "Go.")
        assert wrong.code == 1
        assert "no entry 'e999'" in wrong.complaint


def test_another_model_begins_an_epoch_and_says_what_it_costs(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}, {"text": "Two."}) as (home, server):
        assert task(home, "-m", MODEL, "Go.").code == 0
        ran = resumed(home, "-m", "mock/other", "And?")
        assert (ran.code, ran.result["message"]) == (0, "Two.")
        assert f"from {MODEL} to mock/other: about" in ran.err
        assert "tokens are read anew" in ran.err
        changed = [
            entry.body for entry in load(session(home)).entries if isinstance(entry.body, ModelChanged)
        ]
        assert [change.model for change in changed] == ["mock/other"]
        assert [body["model"] for body in server.bodies] == ["demo-1", "other"]
        assert resumed(home, "Still?").code == 0
        assert server.bodies[-1]["model"] == "other"


def test_a_session_with_nothing_left_to_do_wants_a_prompt(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}) as (home, server):
        assert task(home, "-m", MODEL, "Go.").code == 0
        before = session(home).read_bytes()
        ran = resumed(home)
        assert (ran.code, ran.result["outcome"]) == (1, "usage")
        assert "nothing left to do" in ran.complaint
        assert len(server.requests) == 1
        assert session(home).read_bytes() == before


def test_a_turn_of_which_only_the_end_is_missing_is_ended_and_not_asked_again(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}) as (home, server):
        assert task(home, "-m", MODEL, "Go.").code == 0
        lines = session(home).read_bytes().splitlines(keepends=True)
        session(home).write_bytes(b"".join(lines[:-1]))
        ran = resumed(home)
        assert (ran.code, ran.result["outcome"], ran.result["message"]) == (0, "done", "One.")
        assert len(server.requests) == 1
        assert outcomes(session(home)) == ["done"]


def test_a_session_takes_one_process_at_a_time(tmp_path: Path) -> None:
    with scripted(tmp_path, READ, SLOWLY) as (home, server):
        run = begun(home, server)
        try:
            ran = resumed(home, "Me too.")
            assert (ran.code, ran.result["outcome"]) == (2, "failed")
            assert "is open in another process" in ran.complaint
            run.process.send_signal(signal.SIGTERM)
            assert run.finish().code == 143
        finally:
            run.close()
        assert outcomes(session(home)) == ["cancelled"]


def test_a_torn_record_is_set_aside_and_the_session_goes_on(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}, {"text": "Two."}) as (home, _):
        assert task(home, "-m", MODEL, "Go.").code == 0
        file = session(home)
        with file.open("ab") as log:
            log.write(b'{"id":"e9","parent":"e4","pr\0\0\0')
        ran = resumed(home, "And?")
        assert (ran.code, ran.result["message"]) == (0, "Two.")
        told = [line["item"]["message"] for line in ran.lines if line.get("item", {}).get("type") == "error"]
        assert len(told) == 1
        (aside,) = file.parent.glob(f"{file.stem}.torn-*")
        assert aside.name in told[0]
        assert aside.read_bytes().startswith(b'{"id":"e9"')
        assert outcomes(file) == ["done", "done"]


def test_a_state_folder_that_cannot_be_written_is_one_line_before_anything_runs(tmp_path: Path) -> None:
    with scripted(tmp_path, {"text": "One."}) as (home, server):
        state = tmp_path / "state"
        state.mkdir(mode=0o500)
        # Root writes everywhere unless it may not.
        before = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()
        run = launch(home, "-m", MODEL, "Go.", before=before)
        try:
            ran = run.finish()
        finally:
            run.close()
        assert (ran.code, ran.result["outcome"]) == (2, "failed")
        assert str(state) in ran.complaint
        assert not server.requests


def long_steps(count: int) -> list[Object]:
    return [
        {"reasoning": "x" * 8000, "calls": [{"glob": {"pattern": f"*{number}"}}]} for number in range(count)
    ]


def test_a_full_disk_ends_no_run_and_breaks_no_session(tmp_path: Path) -> None:
    with scripted(tmp_path, *long_steps(5), {"text": "Done."}) as (home, _):
        run = launch(home, "-m", MODEL, "Go.", before=("prlimit", "--fsize=40000"))
        try:
            ran = run.finish()
        finally:
            run.close()
        check_full(home, ran)


@pytest.mark.real
def test_a_full_file_system_ends_no_run_and_breaks_no_session(tmp_path: Path) -> None:
    with scripted(tmp_path, *long_steps(5), {"text": "Done."}) as (home, _):
        state = tmp_path / "state"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", state], check=True)
        try:
            check_full(home, task(home, "-m", MODEL, "Go."))
        finally:
            subprocess.run(["umount", state], check=True)


def check_full(home: Home, ran: Ran) -> None:
    assert (ran.code, ran.result["message"]) == (0, "Done."), ran.err
    told = [line["item"]["message"] for line in ran.lines if line.get("item", {}).get("type") == "error"]
    assert ["disk is full" in line for line in told] == [True]
    assert "could not be saved" in ran.err
    loaded = load(session(home))
    assert not loaded.torn
    assert not outcomes(session(home))
