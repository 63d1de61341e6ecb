"""The main job as a user sees it: `treadle run` on a repository, against a provider over real HTTP."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.running import Object

from treadle.agent.frontends.tasks import changed, diff, load, prepare, verify

TASKS = ("ledger", "notes-app", pytest.param("slugger", marks=pytest.mark.real))

pytestmark = pytest.mark.timeout(60)


def prefix_is_kept(before: Object, after: Object) -> bool:
    """Whether a request of Chat Completions begins, in the order in which it is cached, with another one."""
    if [json.dumps(tool) for tool in before["tools"]] != [json.dumps(tool) for tool in after["tools"]]:
        return False
    earlier = [json.dumps(message) for message in before["messages"]]
    later = [json.dumps(message) for message in after["messages"]]
    return len(later) > len(earlier) and later[: len(earlier)] == earlier


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_solved_and_every_request_begins_with_the_one_before(
    name: str, serve: Serve, tmp_path: Path
) -> None:
    task = load(name)
    copy = prepare(task, tmp_path / "copy")
    assert not verify(task, copy).passed
    home, mock = serve(task.script)

    ran = home.run("-C", copy, task.prompt)

    assert ran.code == 0, ran.err
    assert (ran.result["outcome"], ran.result["exit_code"], ran.result["denials"]) == ("done", 0, [])
    assert verify(task, copy).passed
    assert (changed(copy), diff(copy)) == (task.expect, task.expected)
    bodies = mock.bodies
    assert len(bodies) == ran.result["steps"] > 3
    assert all(prefix_is_kept(one, other) for one, other in pairwise(bodies))
    assert sum(len(request["body"].encode()) for request in mock.requests) == ran.result["request_bytes"]
    assert {request["status"] for request in mock.requests} == {200}
    assert ran.result["cost_usd"] > 0
    assert ran.result["usage"]["cached_input_tokens"] > ran.result["usage"]["input_tokens"] // 2


def test_two_prefixes_that_differ_in_one_byte_are_told_apart() -> None:
    message = {"role": "user", "content": "a"}
    one: Object = {"tools": [], "messages": [message]}
    assert prefix_is_kept(one, {"tools": [], "messages": [message, message]})
    assert not prefix_is_kept(one, {"tools": [], "messages": [{**message, "content": "b"}, message]})
    assert not prefix_is_kept(one, {"tools": [{}], "messages": [message, message]})
    assert not prefix_is_kept(one, one)


@pytest.mark.real
def test_a_task_is_solved_in_bubblewrap(serve: Serve, tmp_path: Path) -> None:
    task = load("ledger")
    copy = prepare(task, tmp_path / "copy")
    home, _ = serve(task.script)
    ran = home.treadle("run", "-m", "mock/demo-1", "-C", copy, "--output", "json", task.prompt)
    assert (ran.code, ran.result["sandbox"]) == (0, "bwrap"), ran.err
    assert verify(task, copy).passed


def test_the_demo_shows_work_diff_proof_and_bill(serve: Serve) -> None:
    home, _ = serve(None)
    ran = home.treadle("demo")
    assert ran.code == 0, ran.err
    order = (
        "FAIL",
        "• shell",
        "✓ edited src/ledger/money.py",
        "+        sign = ",
        "PASS",
        "tokens in",
        "$0.0",
    )
    places = [ran.out.index(words) for words in order]
    assert places == sorted(places)
    assert "\x1b" not in ran.out
    assert home.sessions == []


def test_the_demo_goes_on_without_a_sandbox_and_says_so(serve: Serve, tmp_path: Path) -> None:
    home, _ = serve(None)
    (tmp_path / "bin").mkdir()
    for program in ("bash", "git", "python3", "sh", "timeout"):
        (tmp_path / "bin" / program).symlink_to(f"/usr/bin/{program}")
    ran = home.with_env(PATH=str(tmp_path / "bin")).treadle("demo")
    assert ran.code == 0, ran.out + ran.err
    (line,) = [line for line in ran.out.splitlines() if "no sandbox" in line]
    assert "bubblewrap is not installed" in line


def test_the_demo_names_the_tasks_there_are_and_the_program_that_is_missing(
    serve: Serve, tmp_path: Path
) -> None:
    home, _ = serve(None)
    unknown = home.treadle("demo", "--task", "leger")
    assert (unknown.code, unknown.complaint.count("ledger")) == (1, 1)
    (tmp_path / "empty").mkdir()
    missing = home.with_env(PATH=str(tmp_path / "empty")).treadle("demo", "--task", "slugger")
    assert (missing.code, "node" in missing.complaint) == (1, True)
