"""What a session is put together from, seen from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.agent.headless import Object, Treadle

from treadle.agent.build import WIRES, WorkspaceError, snapshots, wire, workspace
from treadle.agent.workspace import DiffError

DONE: Object = {"text": "Done."}
GONE: Object = {**DONE, "faults": [{"status": 404}]}


def bodies(treadle: Treadle, kind: str) -> list[Object]:
    lines = treadle.sessions[-1].read_text(encoding="utf-8").splitlines()
    return [body for line in lines if (body := json.loads(line)["body"])["type"] == kind]


def run(treadle: Treadle, *arguments: str) -> tuple[int, Object]:
    ran = treadle(
        "run", "--output", "json", "--sandbox", "none", "-C", str(treadle.workspace), *arguments, "Go."
    )
    return ran.code, ran.result


def test_without_a_model_nothing_is_begun(treadle: Treadle) -> None:
    code, result = run(treadle)
    assert (code, result["error"]) == (
        1,
        "no model is chosen: give -m VENDOR/MODEL, or set model in the config file",
    )


def test_a_workspace_is_a_folder_without_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert workspace(tmp_path / "link") == tmp_path / "real"
    for name, told in (
        ("gone", "there is no such folder"),
        ("loop", "there is no such folder"),
        ("file", "is a file"),
    ):
        with pytest.raises(WorkspaceError, match=told):
            workspace(tmp_path / name)


def test_a_model_that_is_gone_is_followed_by_the_next_and_the_session_goes_on_from_there(
    treadle: Treadle,
) -> None:
    ran = treadle.run("-m", "mock/first, mock/second,mock/first", steps=[GONE])
    assert (ran.code, [body["model"] for body in treadle.bodies]) == (0, ["first", "second"])
    assert "mock/first cannot be had" in ran.items("error")[0]["message"]
    assert [body["model"] for body in bodies(treadle, "model_changed")] == ["mock/second"]
    treadle.script(DONE, GONE)
    treadle.patch.setenv("TREADLE_MODEL", "mock/first,mock/second,mock/third")
    assert run(treadle, "--continue")[0] == 0
    assert [body["model"] for body in treadle.bodies] == ["second", "third"]
    treadle.script(DONE)
    treadle.patch.setenv("TREADLE_MODEL", "mock/other")
    assert run(treadle, "--continue")[0] == 0
    assert [body["model"] for body in treadle.bodies] == ["third"]


def test_the_first_message_says_where_the_model_works_and_what_the_folder_tells_it(treadle: Treadle) -> None:
    (treadle.workspace / ".git").mkdir()
    (treadle.workspace / "AGENTS.md").write_text("From the top.\n" + "x" * 40_000, encoding="utf-8")
    inner = treadle.workspace / "inner"
    inner.mkdir()
    (inner / "CLAUDE.md").write_text("From below.", encoding="utf-8")
    treadle.run("--trust", "-C", str(inner), steps=[DONE])
    told = treadle.bodies[0]["messages"][1]["content"]
    assert str(inner) in told
    assert told.index("Instructions from ../AGENTS.md:\n\nFrom the top.") < told.index(
        "Instructions from CLAUDE.md"
    )
    assert "(cut here: ../AGENTS.md is longer than what is read" in told
    assert "(cut here: CLAUDE.md" not in told
    assert len(told) < 34_000


def test_a_file_for_which_there_is_no_room_is_named(treadle: Treadle) -> None:
    (treadle.workspace / ".git").mkdir()
    (treadle.workspace / "AGENTS.md").write_text("From the top.", encoding="utf-8")
    inner = treadle.workspace / "inner"
    inner.mkdir()
    (inner / "AGENTS.md").write_text("y" * 40_000, encoding="utf-8")
    treadle.run("--trust", "-C", str(inner), steps=[DONE])
    told = treadle.bodies[0]["messages"][1]["content"]
    assert "From the top." not in told
    assert "(cut here: ../AGENTS.md is longer" in told


def test_a_tool_that_the_provider_does_not_run_is_told_before_anything_is_sent(treadle: Treadle) -> None:
    treadle.script(DONE)
    code, result = run(treadle, "-m", "mock/m", "-c", "hosted.web_search=true")
    assert (code, result["outcome"]) == (1, "usage")
    assert "web_search" in result["error"]
    assert treadle.bodies == []
    assert run(treadle, "-m", "mock/m", "-c", "hosted.web_search=false")[0] == 0


def test_tools_that_the_provider_runs_begin_an_epoch_when_they_change(treadle: Treadle) -> None:
    runs = (
        "-c",
        'providers.mock.dialect={hosted = ["web_search", "code_interpreter"]}',
        "-c",
        'providers.mock.wire="openai_responses"',
    )
    first = treadle.run(*runs, "-c", "hosted.web_search={}", steps=[DONE])
    assert first.code == 0, first.err
    assert [tool["type"] for tool in treadle.bodies[0]["tools"] if tool["type"] != "function"] == [
        "web_search"
    ]
    again = treadle.run("--continue", *runs, steps=[DONE])
    assert "other tools" not in again.err
    assert treadle.bodies[0]["tools"][-1]["type"] == "web_search"
    other = treadle.run("--continue", *runs, "-c", "hosted.web_search=false", steps=[DONE])
    assert "other tools are run by the provider now: about" in other.err
    assert all(tool["type"] == "function" for tool in treadle.bodies[0]["tools"])


def test_what_is_not_known_of_a_model_is_remarked_upon_and_never_guessed(treadle: Treadle) -> None:
    treadle.script(DONE)
    treadle.patch.setenv("OWN_KEY", "sk-own")
    own = f'providers.own={{base_url = "{treadle.mock.url}/v1", key_env = "OWN_KEY"}}'
    ran = treadle(
        "run",
        "--output",
        "json",
        "--sandbox",
        "none",
        "-C",
        str(treadle.workspace),
        "-m",
        "own/m",
        "-c",
        own,
        "Go.",
    )
    assert (ran.code, ran.result["cost_usd"]) == (0, None)
    assert "treadle: own/m is not in the catalogue: its price and limits are not known" in ran.err
    assert treadle.mock.requests[0].headers["authorization"] == "Bearer sk-own"


@pytest.mark.parametrize("name", WIRES)
def test_each_wire_is_loaded_by_its_name(name: str) -> None:
    assert [wire(known).name for known in WIRES if known == name] == [name]


def test_snapshots_compare_a_workspace_with_itself(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a").write_text("one\n", encoding="utf-8")
    made = snapshots(work, tmp_path / "store")
    before = made.take()
    (work / "a").write_text("two\n", encoding="utf-8")
    assert b"-one\n+two\n" in made.between(before, made.take())
    with pytest.raises(DiffError):
        snapshots(work, work / "a" / "store")
