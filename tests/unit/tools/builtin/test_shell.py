from __future__ import annotations

import os
import re
import resource
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from treadle.sandbox.contract import Access, Command, Profile, SandboxError
from treadle.tools.contract import Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.jobs import Jobs

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture(autouse=True)
async def entered(jobs: Jobs) -> AsyncGenerator[None]:
    async with jobs:
        yield


def parts(outcome: Outcome) -> tuple[str, str]:
    """Split what the model is shown into the header, without its time, and the output."""
    (part,) = outcome.content
    assert isinstance(part, Text)
    header, body = part.text.split("\n", 1)
    return re.sub(r" · \d+\.\d s", "", header), body


def alive(pid: str) -> bool:
    return Path("/proc", pid).exists()


@pytest.mark.parametrize(
    ("command", "header", "body"),
    [
        ("echo hi", "exit 0 · 3 bytes · cwd .", "hi"),
        ("echo out; echo err >&2; exit 3", "exit 3 · 8 bytes · cwd .", "out\nerr"),
        ("true", "exit 0 · 0 bytes · cwd .", "(no output)"),
        ("read x", "exit 1 · 0 bytes · cwd .", "(no output)"),
        ("cat; test -t 0 || echo no terminal", "exit 0 · 12 bytes · cwd .", "no terminal"),
        ("kill -9 $$", "exit -9 (killed by SIGKILL, perhaps out of memory) · 0 bytes · cwd .", "(no output)"),
        ("kill -TERM $$", "exit -15 (killed by SIGTERM) · 0 bytes · cwd .", "(no output)"),
        ("exit 139", "exit 139 (killed by SIGSEGV) · 0 bytes · cwd .", "(no output)"),
        ("exit 255", "exit 255 · 0 bytes · cwd .", "(no output)"),
        (r"printf 'a\377b\0c\n'", "exit 0 · 6 bytes · cwd .", "a\ufffdb\ufffdc"),
        (r"printf '\033[31mred\033[0m\n50%%\r100%%\n'", "exit 0 · 22 bytes · cwd .", "red\n100%"),
        ("printf '  indented\\n\\n\\n'", "exit 0 · 13 bytes · cwd .", "  indented"),
        ("set -o pipefail; false | cat", "exit 1 · 0 bytes · cwd .", "(no output)"),
        ("[[ a == a ]] && echo {1..3}", "exit 0 · 6 bytes · cwd .", "1 2 3"),
        ("# only a comment", "exit 0 · 0 bytes · cwd .", "(no output)"),
    ],
)
async def test_a_command_comes_back_with_a_header_and_its_output(
    run: Run, command: str, header: str, body: str
) -> None:
    with anyio.fail_after(5):
        outcome = await run("shell", command=command)
    assert parts(outcome) == (header, body)
    assert outcome.is_error == (not header.startswith("exit 0"))


async def test_frontends_get_the_facts(run: Run, root: Path) -> None:
    details = (await run("shell", command="echo hi; exit 2")).details
    assert details is not None
    seconds = details.pop("seconds")
    assert 0 <= seconds < 5
    assert details == {
        "command": "echo hi; exit 2",
        "exit_code": 2,
        "bytes": 3,
        "truncated": False,
        "spill": None,
        "cwd": str(root),
        "job": None,
    }


async def test_a_command_runs_where_it_is_told_to(run: Run, root: Path) -> None:
    (root / "sub").mkdir()
    assert parts(await run("shell", command="pwd", cwd="sub")) == (
        f"exit 0 · {len(str(root)) + 5} bytes · cwd sub",
        f"{root}/sub",
    )


async def test_a_command_may_change_the_workspace(run: Run, root: Path) -> None:
    await run("shell", command="echo made > file")
    assert (root / "file").read_text(encoding="utf-8") == "made\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"command": " \n"}, "the command is empty"),
        ({"command": "echo \0"}, "a command cannot hold a NUL character"),
        ({"command": "#" * 131_072}, "the command is longer than 131,071 bytes; write a script and run it"),
        ({"command": "ls", "cwd": "missing"}, "missing does not exist; near names|missing does not exist"),
        ({"command": "ls", "cwd": "file"}, "cwd file is not a folder"),
        (
            {"command": "ls", "timeout": 601},
            "the arguments do not fit\n- timeout: expected an integer from 1 to 600",
        ),
    ],
)
async def test_what_cannot_be_run_is_explained(
    run: Run, root: Path, arguments: dict[str, Any], why: str
) -> None:
    (root / "file").touch()
    with pytest.raises(ToolError, match=f"^shell failed: ({why})"):
        await run("shell", **arguments)


async def test_a_long_command_runs(run: Run) -> None:
    assert not (await run("shell", command="#" * 131_071)).is_error


async def test_long_output_is_cut_and_kept_in_a_file(run: Run, spills: Path) -> None:
    outcome = await run("shell", command="seq 100000")
    header, body = parts(outcome)
    spill = spills / "c1.txt"
    assert header == "exit 0 · 588,895 bytes · cwd . · cut, 100,000 lines"
    assert body.startswith("1\n2\n")
    assert body.endswith("\n99999\n100000")
    assert f"all of it is in {spill}: use read or grep on it]" in body
    assert spill.read_bytes() == b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert outcome.details is not None
    assert (outcome.details["truncated"], outcome.details["spill"]) == (True, str(spill))
    (part,) = (await run("read", path=str(spill), offset=50_000, limit=1)).content
    assert isinstance(part, Text)
    assert part.text.startswith("50000\t50000\n")
    (part,) = (await run("grep", path=str(spill), pattern="^77777$")).content
    assert isinstance(part, Text)
    assert part.text == f"{spill}\n77777:77777"


async def test_a_command_that_takes_too_long_becomes_a_job(run: Run, root: Path) -> None:
    with anyio.fail_after(10):
        outcome = await run("shell", command="echo $$ >pid; echo begun; sleep 60; true", timeout=1)
    header, body = parts(outcome)
    assert header == "still running, now job 1 · 6 bytes · cwd ."
    assert body.startswith("begun\n[The tool job, called through tools, ")
    assert not outcome.is_error
    assert outcome.details is not None
    assert (outcome.details["exit_code"], outcome.details["job"]) == (None, 1)
    assert alive((root / "pid").read_text(encoding="utf-8").strip())


async def test_a_command_that_never_pauses_becomes_a_job_too(run: Run) -> None:
    with anyio.fail_after(15):
        outcome = await run("shell", command="yes", timeout=1)
    assert parts(outcome)[0].startswith("still running, now job 1 · ")


@pytest.mark.parametrize(
    "command",
    [
        "sleep 60 & echo $! >pid; echo hi",
        "(while true; do echo noise; sleep 0.01; done) & echo $! >pid; echo hi",
        "setsid sleep 60 & echo $! >pid; echo hi",
        "nohup sleep 60 >/dev/null 2>&1 & echo $! >pid; echo hi",
    ],
)
async def test_a_background_child_is_neither_waited_for_nor_left(run: Run, root: Path, command: str) -> None:
    with anyio.fail_after(5):
        outcome = await run("shell", command=command)
    assert not outcome.is_error
    assert "hi" in parts(outcome)[1].split("\n")
    assert not alive((root / "pid").read_text(encoding="utf-8").strip())


async def test_a_cancelled_command_leaves_nothing_of_its_tree(
    tools: dict[str, Tool], ctx: ToolContext, root: Path
) -> None:
    os.mkfifo(root / "ready")
    command = "(setsid sh -c 'sleep 60 & echo $$ $! >ready; wait') & bash -c 'trap \"\" TERM; sleep 60'"
    pids: list[str] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(tools["shell"].run, {"command": command}, ctx)
            pids = (await anyio.Path(root / "ready").read_text(encoding="utf-8")).split()
            group.cancel_scope.cancel()
    assert len(pids) == 2
    assert not any(map(alive, pids))


async def test_huge_output_takes_little_memory_and_is_counted_exactly(run: Run, spills: Path) -> None:
    size = 50 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        with anyio.fail_after(18):
            outcome = await run("shell", command=f"head -c {size} /dev/zero | tr '\\0' x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.details is not None
    assert outcome.details["bytes"] == size
    assert "[cut here: " in parts(outcome)[1]
    assert (spills / "c1.txt").stat().st_size == size
    assert peak < 4 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_progress_is_shown_as_it_comes_and_not_too_often(run: Run, reports: list[str]) -> None:
    await run(
        "shell", command=r"printf '\033[1mfirst\033[0m\n'; for i in {1..200}; do echo $i; sleep 0.002; done"
    )
    assert reports[0].startswith("first\n")
    assert 1 < len(reports) < 20


class NoProcesses:
    level = "none"

    def spawn(self, command: Command, profile: Profile, *, stdin: bool = False) -> Any:
        raise SandboxError("There is no sandbox here.")


async def test_a_sandbox_that_refuses_is_told(tools: dict[str, Tool], ctx: ToolContext) -> None:
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, processes=NoProcesses()))
    with pytest.raises(ToolError, match=r"^shell failed: There is no sandbox here\.$"):
        await tools["shell"].run({"command": "ls"}, ctx)


async def test_what_a_command_would_touch_cannot_be_known(tools: dict[str, Tool], ctx: ToolContext) -> None:
    access = tools["shell"].access({"command": "rm -rf x"}, ctx.sandbox.place)
    assert access == Access(tool="shell", runs=("rm -rf x",), opaque=True)
