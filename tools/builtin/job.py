"""The `job` tool: the commands that run beside the conversation, one action at a time."""

from __future__ import annotations

import re
from functools import partial
from typing import Literal

import anyio
from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place, ProcessGone
from treadle.tools.builtin.shell import meaning
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define
from treadle.tools.jobs import Job, Jobs
from treadle.tools.output import SHOWN, clean

_WAITED = 30
"""Seconds that are waited unless a call says otherwise."""
_ANSWERS = 1.0
"""Seconds in which what was sent may be answered."""
_SETTLED = 0.1
"""Seconds of silence after which an answer is taken to be whole."""
_LINE = 4096
"""Characters of a line in which a pattern is looked for."""
_BLOCK = 1 << 16


class JobArguments(Frozen):
    action: Literal["list", "read", "send", "wait", "kill"]
    id: int | None = None
    cursor: int | None = Field(default=None, ge=0)
    text: str = ""
    eof: bool = False
    pattern: str | None = None
    seconds: int = Field(default=_WAITED, ge=1, le=600)


def job_tool(jobs: Jobs) -> Tool:
    """Return the tool over these jobs."""
    return define("job", JobArguments, description=load("tools/job"), access=_access, run=partial(_run, jobs))


def _access(arguments: JobArguments, place: Place) -> Access:
    """What is sent is judged as a command: a shell may read it."""
    if arguments.action == "send":
        return Access(tool="shell", runs=(arguments.text,), opaque=True)
    return Access(tool="job", free=True)


async def _run(jobs: Jobs, arguments: JobArguments, ctx: ToolContext) -> Outcome:
    if arguments.action == "list":
        lines = [f"{_state(number, job)} · {job.name}" for number, job in jobs.numbered.items()]
        return Outcome((Text(text="\n".join(lines) or "There are no jobs."),))
    job = _known(jobs, arguments.id)
    cursor = job.read if arguments.cursor is None else arguments.cursor
    note = ""
    match arguments.action:
        case "send":
            await _send(job, arguments)
        case "wait":
            note = await _wait(job, arguments, cursor)
        case "kill":
            await job.stop()
        case _:
            pass
    return await _shown(job, cursor, note)


def _known(jobs: Jobs, number: int | None) -> Job:
    job = jobs.numbered.get(number or 0)
    if job is None:
        there = ", ".join(map(str, jobs.numbered)) or "none"
        raise ToolError(
            f"job failed: there is no job {number}; there are: {there}. Jobs end with the session that started them"
            if number is not None
            else f"job failed: id is missing; there are: {there}"
        )
    return job


async def _send(job: Job, arguments: JobArguments) -> None:
    """Send, and wait a moment for what it says to that."""
    if job.ended.is_set():
        raise ToolError(f"job failed: {_state(job.number, job)}")
    before = job.recorder.bytes
    try:
        with anyio.fail_after(arguments.seconds):
            await job.send(arguments.text.encode(), last=arguments.eof)
    except ProcessGone as error:
        raise ToolError(f"job failed: {error}") from error
    except TimeoutError as error:
        raise ToolError(f"job failed: it did not take all of the text in {arguments.seconds} s") from error
    with anyio.move_on_after(_ANSWERS):
        while job.recorder.bytes == before and not job.ended.is_set():
            await job.stirs(_ANSWERS)
        while not job.ended.is_set() and await job.stirs(_SETTLED):
            pass


async def _wait(job: Job, arguments: JobArguments, cursor: int) -> str:
    """Wait for the end of a job, or for a line that fits; return what came of it."""
    try:
        wanted = re.compile(arguments.pattern) if arguments.pattern is not None else None
    except re.error as error:
        raise ToolError(f"job failed: the pattern is not a regular expression: {error}") from error
    if wanted is None:
        with anyio.move_on_after(arguments.seconds):
            await job.ended.wait()
        return ""
    with anyio.move_on_after(arguments.seconds):
        while True:
            ended = job.ended.is_set()
            cursor, line = await _look(job, wanted, cursor)
            if line is not None:
                return f"found: {line}"
            if ended:
                break
            await job.stirs(arguments.seconds)
    return f"not found: {arguments.pattern}"


async def _look(job: Job, wanted: re.Pattern[str], cursor: int) -> tuple[int, str | None]:
    """Look through what was said since. Returns where the last unfinished line begins, and a line that fits."""
    while cursor < job.recorder.bytes:
        start, block = await job.recorder.since(cursor, _BLOCK)
        for line in clean(block).split("\n"):
            if wanted.search(line[:_LINE]):
                return start, line[:200]
        cut = block.rfind(b"\n") + 1
        cursor = start + (cut or (len(block) if len(block) == _BLOCK else 0))
        if start + len(block) >= job.recorder.bytes:
            break
    return cursor, None


async def _shown(job: Job, cursor: int, note: str) -> Outcome:
    """Show a job's state and what it said from there on, and where to read on."""
    start, data = await job.recorder.since(min(cursor, job.recorder.bytes), SHOWN)
    job.read = start + len(data)
    left = job.recorder.bytes - job.read
    job.known = job.known or job.ended.is_set()
    facts = [_state(job.number, job), f"cursor {job.read}", *[f"{left:,} bytes more"] * bool(left)]
    facts += [f"{start - cursor:,} bytes are lost"] * (start > cursor)
    facts += [note] * bool(note)
    text = f"{' · '.join(facts)}\n{clean(data).rstrip() or '(nothing new)'}"
    details = {
        "job": job.number,
        "exit_code": job.code,
        "running": not job.ended.is_set(),
        "cursor": job.read,
    }
    return Outcome((Text(text=text),), details=details)


def _state(number: int | None, job: Job) -> str:
    if not job.ended.is_set():
        state = "running"
    else:
        state = "stopped" if job.code is None else f"exit {job.code}{meaning(job.code)}"
    return f"job {number} · {state} · {job.seconds:.1f} s · {job.recorder.bytes:,} bytes"
