"""The `shell` tool: one command, its exit code and its output, or the number of the job that it became."""

from __future__ import annotations

import signal
from functools import partial
from math import inf

import anyio
from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Command, Place
from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import inside
from treadle.tools.builtin.paths import absolute, explained, find, shown
from treadle.tools.contract import Frozen, JsonObject, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define
from treadle.tools.jobs import Job, Jobs
from treadle.tools.output import clean

_REPORT_EVERY = 0.2
"""Seconds between two reports of progress."""
_REPORTED = 4096
"""Bytes of output in one report at most."""
_LONGEST = 128 * 1024 - 1
"""Bytes that Linux takes as one argument."""
_PROMPTS = 5.0
"""Seconds of silence after which a command at a terminal is taken to wait for input."""
_SILENT = 30.0
"""Seconds of silence after which whoever watches is told of it."""
_BEGUN = 0.3
"""Seconds in which a background job may show that it does not even begin."""
_SCRIPT = (
    "__treadle=$TREADLE_TELL; unset TREADLE_TELL; "
    "trap 'pwd -P >&\"$__treadle\" 2>/dev/null' EXIT; "
    '__command=$1; shift; eval "$__command"'
)
"""Runs its argument and says aside where that has ended."""


class ShellArguments(Frozen):
    command: str
    timeout: int = Field(default=120, ge=1, le=600)
    cwd: str | None = None
    background: bool = False
    pty: bool = False


@frozen
class _Begin:
    """Where a command begins, and what is to be said about that."""

    cwd: str
    carries: bool
    """Whether the next command begins where this one ends."""
    note: str = ""


def shell_tool(jobs: Jobs) -> Tool:
    """Return the tool; its commands are among these jobs."""
    return define(
        "shell", ShellArguments, description=load("tools/shell"), access=_access, run=partial(_run, jobs)
    )


def _access(arguments: ShellArguments, place: Place) -> Access:
    absolute(place, arguments.cwd or ".")
    return Access(tool="shell", runs=(arguments.command,), opaque=True)


async def _run(jobs: Jobs, arguments: ShellArguments, ctx: ToolContext) -> Outcome:
    begin = await _folder(jobs, arguments, ctx)
    _check(arguments.command)
    argv = ("bash", "-c", _SCRIPT, "bash", arguments.command)
    command = Command(argv, begin.cwd, {"TERM": "xterm"} if arguments.pty else {}, arguments.pty)
    with explained("shell", "bash"):
        job = await jobs.start(command, arguments.command, ctx, stdin=arguments.background or arguments.pty)
    try:
        await _follow(job, arguments, ctx)
    except BaseException:
        await job.abandon()
        raise
    if not job.ended.is_set():
        return _going_on(jobs.number(job), job, arguments, begin, ctx)
    job.known = True
    return _over(jobs, job, begin, ctx)


async def _folder(jobs: Jobs, arguments: ShellArguments, ctx: ToolContext) -> _Begin:
    place, note = ctx.sandbox.place, ""
    if arguments.cwd is None and jobs.cwd is not None:
        try:
            if (await ctx.sandbox.files.info(jobs.cwd)).kind == "folder":
                return _Begin(jobs.cwd, carries=not arguments.background)
        except OSError:
            pass
        note = f"{shown(place, jobs.cwd)} is gone"
        jobs.cwd = None
    cwd = absolute(place, arguments.cwd or ".")
    info = await find(ctx.sandbox.files, place, "shell", cwd)
    if info.kind != "folder":
        raise ToolError(f"shell failed: cwd {shown(place, cwd)} is not a folder")
    return _Begin(cwd, arguments.cwd is None and not arguments.background, note)


def _check(command: str) -> None:
    if not command.strip():
        raise ToolError("shell failed: the command is empty")
    if "\0" in command:
        raise ToolError("shell failed: a command cannot hold a NUL character")
    if len(command.encode()) > _LONGEST:
        raise ToolError(
            f"shell failed: the command is longer than {_LONGEST:,} bytes; write a script and run it"
        )


async def _follow(job: Job, arguments: ShellArguments, ctx: ToolContext) -> None:
    """Wait for the end of a command, as long as it is to be waited for, and show what it says."""
    with anyio.move_on_after(_BEGUN if arguments.background else arguments.timeout):
        while not job.ended.is_set():
            await _show(job, ctx)
            if await job.stirs(_PROMPTS if arguments.pty else _SILENT):
                continue
            if arguments.pty:
                return
            await ctx.report(f"[silent for {_SILENT:.0f} s; it has no input]\n")
            await job.stirs(inf)


async def _show(job: Job, ctx: ToolContext) -> None:
    """Show what is new, at a pace that a screen can follow."""
    while job.shown < job.recorder.bytes:
        _, new = await job.recorder.since(max(job.shown, job.recorder.bytes - _REPORTED), _REPORTED)
        job.shown = job.recorder.bytes
        await ctx.report(clean(new))
        with anyio.move_on_after(_REPORT_EVERY):
            await job.ended.wait()


def _going_on(number: int, job: Job, arguments: ShellArguments, begin: _Begin, ctx: ToolContext) -> Outcome:
    """Tell of a command that nobody waits for any more."""
    state = f"job {number} started" if arguments.background else f"still running, now job {number}"
    job.read = job.recorder.bytes
    return _told(job, state, _Begin(begin.cwd, False, begin.note), ctx)


def _over(jobs: Jobs, job: Job, begin: _Begin, ctx: ToolContext) -> Outcome:
    place = ctx.sandbox.place
    ended_in = job.told_aside.decode("utf-8", "surrogateescape").rstrip("\n")
    if begin.carries and ended_in.startswith("/") and "\n" not in ended_in:
        if inside(ended_in, (place.root, *place.extra)):
            jobs.cwd = ended_in
            begin = _Begin(ended_in, True, begin.note)
        else:
            begin = _Begin(begin.cwd, True, f"{shown(place, ended_in)} is outside the workspace")
    state = "stopped" if job.code is None else f"exit {job.code}{meaning(job.code)}"
    return _told(job, state, begin, ctx)


def _told(job: Job, state: str, begin: _Begin, ctx: ToolContext) -> Outcome:
    """Return one fixed line, then the output."""
    failed = job.ended.is_set() and job.code != 0
    view = job.recorder.view(failed=failed)
    facts = [
        state,
        f"{job.seconds:.1f} s",
        f"{job.recorder.bytes:,} bytes",
        f"cwd {shown(ctx.sandbox.place, begin.cwd)}" + (f" ({begin.note})" if begin.note else ""),
        *[f"cut, {job.recorder.lines:,} lines"] * view.cut,
    ]
    details: JsonObject = {
        "command": job.command,
        "exit_code": job.code,
        "seconds": round(job.seconds, 3),
        "bytes": job.recorder.bytes,
        "truncated": view.cut,
        "spill": job.recorder.spill,
        "cwd": begin.cwd if begin.carries else None,
        "job": job.number,
    }
    text = f"{' · '.join(facts)}\n{view.text.rstrip() or '(no output)'}"
    if job.number is not None:
        text += "\n" + load("notices/job_goes_on", number=str(job.number))
    return Outcome((Text(text=text),), is_error=failed, details=details)


def meaning(code: int) -> str:
    """Name the signal that ended a command, or the command that bash ran; empty where none did."""
    number = -code if code < 0 else code - 128
    if number not in set(signal.Signals):
        return ""
    note = ", perhaps out of memory" if number == signal.SIGKILL else ""
    return f" (killed by {signal.Signals(number).name}{note})"
