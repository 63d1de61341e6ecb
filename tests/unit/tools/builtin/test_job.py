from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from treadle.sandbox.contract import Access
from treadle.tools.contract import Tool, ToolContext, ToolError
from treadle.tools.jobs import MOST, Jobs

pytestmark = pytest.mark.anyio
Say = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
async def entered(jobs: Jobs) -> AsyncGenerator[None]:
    async with jobs:
        yield


def alive(root: Path) -> bool:
    """Say whether the process lives whose id a command wrote down."""
    return Path("/proc", (root / "pid").read_text(encoding="utf-8").strip()).exists()


def facts(told: str) -> tuple[str, str]:
    """Split what is told into its first line, without the time, and the rest."""
    head, _, body = told.partition("\n")
    return re.sub(r" · \d+\.\d s", "", head), body


async def test_a_background_job_is_waited_for_and_read_by_its_number(text: Say) -> None:
    with anyio.fail_after(5):
        started = await text("shell", command="read x; echo got $x; read y; exit 3", background=True)
        assert started.startswith("job 1 started · ")
        sent = await text("job", action="send", id=1, text="one\n")
        assert facts(sent) == ("job 1 · running · 8 bytes · cursor 8", "got one")
        ended = await text("job", action="send", id=1, text="", eof=True)
        assert facts(ended) == ("job 1 · exit 3 · 8 bytes · cursor 8", "(nothing new)")
        again = await text("job", action="read", id=1, cursor=4)
        assert facts(again) == ("job 1 · exit 3 · 8 bytes · cursor 8", "one")
        assert facts(await text("job", action="list"))[0].startswith("job 1 · exit 3 · 8 bytes · read x")


async def test_a_line_is_waited_for(text: Say) -> None:
    command = "read; echo starting; echo listening on 80; read"
    with anyio.fail_after(5):
        await text("shell", command=command, background=True)
        missed = await text("job", action="wait", id=1, pattern="listening", seconds=1)
        assert facts(missed)[0] == "job 1 · running · 0 bytes · cursor 0 · not found: listening"
        await text("job", action="send", id=1, text="\n")
        found = await text("job", action="wait", id=1, pattern="listening on (\\d+)", cursor=0)
    assert facts(found)[0] == "job 1 · running · 25 bytes · cursor 25 · found: listening on 80"


async def test_a_job_is_killed_with_all_it_started(text: Say, root: Path) -> None:
    with anyio.fail_after(10):
        await text("shell", command="setsid sleep 60 & echo $! >pid; sleep 60; true", background=True)
        killed = await text("job", action="kill", id=1)
    assert facts(killed)[0] == "job 1 · exit -15 (killed by SIGTERM) · 0 bytes · cursor 0"
    assert not alive(root)


async def test_a_terminal_echoes_answers_and_hears_the_key_that_interrupts(text: Say) -> None:
    command = "test -t 0 && stty size; trap 'echo interrupted; exit 7' INT; while :; do sleep 0.01; done"
    with anyio.fail_after(8):
        started = await text("shell", command=command, background=True, pty=True)
        assert facts(started)[1].startswith("40 120\n")
        await text("job", action="send", id=1, text="\x03")
        ended = await text("job", action="wait", id=1, cursor=0)
    assert facts(ended)[0].startswith("job 1 · exit 7 · ")
    assert "interrupted" in ended


async def test_a_job_ends_with_its_session(jobs: Jobs, text: Say, root: Path) -> None:
    with anyio.fail_after(10):
        await text("shell", command="echo $$ >pid; sleep 60; true", background=True)
        stopped = await jobs.stop()
    assert [(job.number, job.ended.is_set()) for job in stopped] == [(1, True)]
    assert not alive(root)


async def test_no_more_jobs_are_started_than_can_be_looked_after(text: Say) -> None:
    with anyio.fail_after(15):
        for _ in range(MOST):
            await text("shell", command="sleep 60; true", background=True)
        with pytest.raises(ToolError, match=r"^shell failed: 16 jobs are running"):
            await text("shell", command="true")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"action": "read", "id": 7}, "there is no job 7; there are: 1. Jobs end with the session"),
        ({"action": "read"}, "id is missing; there are: 1"),
        ({"action": "wait", "id": 1, "pattern": "("}, "the pattern is not a regular expression"),
    ],
)
async def test_what_cannot_be_done_is_explained(text: Say, arguments: dict[str, object], why: str) -> None:
    with anyio.fail_after(5):
        await text("shell", command="sleep 60; true", background=True)
        with pytest.raises(ToolError, match=f"^job failed: {re.escape(why)}"):
            await text("job", **arguments)


async def test_what_is_sent_is_judged_as_a_command(tools: dict[str, Tool], ctx: ToolContext) -> None:
    access = tools["job"].access({"action": "send", "id": 1, "text": "rm -rf x\n"}, ctx.sandbox.place)
    assert access == Access(tool="shell", runs=("rm -rf x\n",), opaque=True)
    assert tools["job"].access({"action": "kill", "id": 1}, ctx.sandbox.place) == Access("job", free=True)


async def test_the_next_command_begins_where_the_last_one_ended(text: Say, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    with anyio.fail_after(8):
        assert facts(await text("shell", command="cd a; exit 0"))[0] == "exit 0 · 0 bytes · cwd a"
        assert (await text("shell", command="pwd", cwd=".")).endswith(f"\n{root}")
        assert facts(await text("shell", command="cd b && pwd"))[1] == f"{root}/a/b"
        assert "cwd a/b (/ is outside the workspace)" in await text("shell", command="cd /")
        (root / "a/b").rmdir()
        assert "cwd . (a/b is gone)" in await text("shell", command="true")
