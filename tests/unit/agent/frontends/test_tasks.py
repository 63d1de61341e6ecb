"""The ready-made tasks: each fails before its solution and passes after it, and its script is that solution."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from treadle.agent.frontends.tasks import (
    Proof,
    Task,
    TaskError,
    changed,
    diff,
    load,
    names,
    prepare,
    verify,
)
from treadle.agent.mock import script
from treadle.sandbox.contract import Place, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.local import local_processes
from treadle.sandbox.masks import Masks
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import JsonObject, Text, ToolContext, ToolError
from treadle.tools.jobs import Jobs

ALL = ("ledger", "notes-app", "slugger")
RUN = ("ledger", "notes-app", pytest.param("slugger", marks=pytest.mark.real))
SHEET = """
name = "small"
title = "Small"
prompt = "Do it."
verify = "true"
expect = ["b", "a"]
needs = ["sh", "no-such-program"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with one small task."""
    repo = tmp_path / "home/small/repo"
    (repo / "__pycache__").mkdir(parents=True)
    (repo / "__pycache__/a.pyc").write_bytes(b"stale")
    (repo / "a").write_text("one\n", encoding="utf-8")
    (repo.parent / "task.toml").write_text(SHEET, encoding="utf-8")
    return tmp_path / "home"


class FolderSpill:
    """Keeps long output in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, call_id: str) -> str:
        return str(self.folder / f"{call_id}.txt")


async def ignore(_: str) -> None:
    """Nobody watches."""


class Hands:
    """The built-in tools in a working copy, used one call after another."""

    def __init__(self, copy: Path) -> None:
        self.jobs = Jobs(FolderSpill(copy.parent))
        self.tools = {tool.spec.name: tool for tool in builtin_tools(Seen(), self.jobs, None)}
        self.sandbox = Sandbox(
            Place(str(copy), str(copy)),
            HostFiles((str(copy),), Masks()),
            local_processes({"PATH": os.defpath}),
            Profile(write_roots=(str(copy),)),
        )

    async def call(self, name: str, arguments: JsonObject) -> str:
        """Do what a call asks for; what the model is told."""
        try:
            outcome = await self.tools[name].run(arguments, ToolContext("c1", self.sandbox, ignore))
        except ToolError as error:
            return str(error)
        return "".join(part.text for part in outcome.content if isinstance(part, Text))


def head(copy: Path) -> str:
    return subprocess.check_output(("git", "-C", copy, "log", "--format=%H %an %s"), text=True).strip()


def test_three_tasks_are_shipped() -> None:
    assert names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_task_expects_the_paths_that_its_diff_changes(name: str) -> None:
    task = load(name)
    assert tuple(re.findall(r"^diff --git a/(\S+) b/\1$", task.expected, re.MULTILINE)) == task.expect
    assert [path for path in task.expect if not (task.repo / path).is_file()] == []


@pytest.mark.parametrize("name", ALL)
def test_a_scripted_model_calls_several_tools_at_once_and_checks_what_it_is_told(name: str) -> None:
    played = script.load(load(name).script)
    assert max(len(step.calls) for step in played.steps) > 1
    assert len([step for step in played.steps if step.when]) >= 3
    assert (played.steps[-1].calls, played.then) == ((), "error")


@pytest.mark.parametrize("name", ALL)
def test_a_repository_holds_no_repository_and_nothing_generated(name: str) -> None:
    ignored = subprocess.check_output(
        ("git", "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "."),
        cwd=load(name).repo,
        text=True,
    )
    assert list(load(name).repo.rglob(".git")) == []
    assert ignored == ""


@pytest.mark.parametrize(
    ("name", "failing", "passing"),
    [
        ("ledger", {"test_what_is_owed_mirrors_what_was_bought"}, "Ran 23 tests"),
        (
            "notes-app",
            {
                "test_a_list_can_be_narrowed_to_a_tag",
                "test_a_tag_is_one_word",
                "test_tags_are_lower_case_sorted_and_unique",
                "test_tags_are_shown_after_the_text",
            },
            "Ran 8 tests",
        ),
        pytest.param("slugger", {"11"}, "# pass 10", marks=pytest.mark.real),
    ],
)
def test_a_task_fails_only_where_it_should(
    name: str, failing: set[str], passing: str, tmp_path: Path
) -> None:
    proof = verify(load(name), prepare(load(name), tmp_path / "copy"))
    assert not proof.passed
    assert set(re.findall(r"^(?:FAIL: |ERROR: |not ok )(\w+)", proof.output, re.MULTILINE)) == failing
    assert passing in proof.output


@pytest.mark.parametrize("name", RUN)
def test_a_task_passes_once_its_diff_is_applied(name: str, tmp_path: Path) -> None:
    task = load(name)
    copy = prepare(task, tmp_path / "copy")
    subprocess.run(("git", "apply", "-"), cwd=copy, input=task.expected, text=True, check=True)
    proof = verify(task, copy)
    assert proof.passed, proof.output
    assert (changed(copy), diff(copy)) == (task.expect, task.expected)


@pytest.mark.anyio
@pytest.mark.parametrize("name", RUN)
async def test_a_scripted_model_makes_the_expected_diff(name: str, tmp_path: Path) -> None:
    task = load(name)
    copy = prepare(task, tmp_path / "copy")
    hands = Hands(copy)
    told = ""
    async with hands.jobs:
        for step in script.load(task.script).steps:
            assert step.when is None or step.when.last_result in told, told
            for call in step.calls:
                told = await hands.call(call.name, call.arguments)
    assert diff(copy) == task.expected


def test_a_working_copy_is_the_same_commit_everywhere(home: Path, tmp_path: Path) -> None:
    task = load("small", home)
    copies = [prepare(task, tmp_path / name) for name in ("first", "second")]
    assert head(copies[0]) == head(copies[1])
    assert head(copies[0]).endswith(" treadle Small")
    assert sorted(path.name for path in copies[0].iterdir()) == [".git", "a"]


def test_what_is_new_in_a_working_copy_is_part_of_its_diff(home: Path, tmp_path: Path) -> None:
    copy = prepare(load("small", home), tmp_path / "copy")
    assert (changed(copy), diff(copy)) == ((), "")
    (copy / "new file").write_text("two\n", encoding="utf-8")
    (copy / "a").unlink()
    assert changed(copy) == ("a", "new file")
    assert [line.rstrip() for line in diff(copy).splitlines() if line[0] in "+-"] == [
        *("--- a/a", "+++ /dev/null", "-one"),
        *("--- /dev/null", "+++ b/new file", "+two"),
    ]


def test_a_folder_in_use_is_left_alone(home: Path, tmp_path: Path) -> None:
    task = load("small", home)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine").touch()
    (tmp_path / "file").touch()
    for into in (tmp_path / "used", tmp_path / "file"):
        with pytest.raises(TaskError, match="not an empty folder"):
            prepare(task, into)
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]


def test_git_failing_is_said(home: Path, tmp_path: Path) -> None:
    task = load("small", home)
    copy = prepare(task, tmp_path / "copy")
    shutil.rmtree(copy / ".git")
    with pytest.raises(TaskError, match=r"git add failed in .*not a git repository"):
        diff(copy)


def test_a_proof_keeps_what_the_command_wrote(home: Path) -> None:
    task = load("small", home)
    assert verify(task, task.repo) == Proof(True, "")
    failing = replace(task, verify="cat a; cat missing; exit 3")
    assert verify(failing, task.repo) == Proof(False, "one\ncat: missing: No such file or directory\n")


def test_a_task_says_what_this_machine_lacks(home: Path) -> None:
    task = load("small", home)
    assert isinstance(task, Task)
    assert (task.expect, task.missing) == (("a", "b"), ("no-such-program",))


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("name = ", r"task\.toml: Invalid value"),
        (SHEET + "extra = 1\n", r"task\.toml: extra: Extra inputs"),
        (SHEET.replace("verify", "prove"), r"task\.toml: verify: Field required"),
        (SHEET.replace('"small"', '"tall"'), r"name is 'tall', but the folder is 'small'"),
        (SHEET.replace('["b", "a"]', "[]"), r"task\.toml: expect: "),
    ],
)
def test_a_sheet_with_a_mistake_is_named(sheet: str, said: str, home: Path) -> None:
    (home / "small/task.toml").write_text(sheet, encoding="utf-8")
    with pytest.raises(TaskError, match=said):
        load("small", home)


@pytest.mark.parametrize("name", ["smal", "../home/small", ""])
def test_an_unknown_task_names_those_that_there_are(name: str, home: Path) -> None:
    with pytest.raises(TaskError, match=r"there are: small$"):
        load(name, home)
