from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.crashing import descendants, eventually, nobody_left, start, write_script
from e2e.running import Object, new_home, provider

# Several processes one after the other, on a machine that may be busy.
pytestmark = pytest.mark.timeout(60)


def shell(command: str, **more: object) -> Object:
    return {"calls": [{"shell": {"command": command, **more}}]}


def test_a_run_that_ends_while_a_job_runs_ends_it_and_says_so(serve: Serve) -> None:
    steps = [shell("echo $$ >pid; sleep 60; true", background=True), {"text": "Started."}]
    home, _ = serve(json.dumps({"steps": steps}))
    ran = home.treadle("run", "--sandbox", "none", "-m", "mock/demo-1", "Go.")
    assert (ran.code, ran.out) == (0, "Started.\n")
    assert "stopped job 1 (echo $$ >pid; sleep 60; true)" in ran.err
    assert not Path("/proc", (home.workspace / "pid").read_text(encoding="utf-8").strip()).exists()


def test_the_end_of_a_job_is_told_once_at_the_tail(serve: Serve) -> None:
    wait = shell("while ! test -e gone; do sleep 0.01; done; sleep 0.5")
    steps = [
        shell("sleep 0.5; touch gone; exit 3", background=True),
        wait,
        shell("true"),
        {"text": "Done."},
    ]
    home, mock = serve(json.dumps({"steps": steps}))
    assert home.run("Go.").result["outcome"] == "done"
    told = "Job 1 (sleep 0.5; touch gone; exit 3) ended with exit code 3 after "
    assert [json.dumps(body).count(told) for body in mock.bodies] == [0, 0, 1, 1]


def test_a_session_that_goes_on_is_where_its_last_command_ended(serve: Serve) -> None:
    steps = [shell("mkdir -p a/b; cd a/b"), {"text": "There."}, shell("pwd"), {"text": "Here."}]
    home, mock = serve(json.dumps({"steps": steps}))
    home.run("Go.")
    assert home.run("--resume", home.sessions[0].stem, "Where?").result["message"] == "Here."
    assert f"{home.workspace}/a/b" in json.dumps(mock.bodies[-1])


@pytest.mark.parametrize("pty", [False, True])
def test_nothing_of_a_job_is_left_when_we_are_killed(tmp_path: Path, pty: bool) -> None:
    mark = tmp_path.as_posix() + "/mark"
    line = f"export MARK={mark}; setsid sleep 300 & echo $! >pid; sleep 300; true"
    steps = [shell(line, background=True, pty=pty), shell("touch ready; sleep 300; true")]
    with provider(tmp_path, write_script(tmp_path, steps)) as server:
        home = new_home(tmp_path, MOCK_API_KEY="x", TREADLE_MOCK_URL=server.url)
        run = start(home)
        try:
            eventually((home.workspace / "ready").exists, "the job and the command run")
            family = descendants(run.process.pid)
            run.process.kill()
            nobody_left(mark, family)
        finally:
            run.close()
