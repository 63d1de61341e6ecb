"""The `shell` tool: one command, its exit code and its output."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Command, Place, Process
from treadle.tools.builtin.paths import absolute, explained, find, shown
from treadle.tools.contract import Frozen, Outcome, Spill, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define
from treadle.tools.output import Recorder, clean

_REPORT_EVERY = 0.2
"""Seconds between two reports of progress."""
_REPORTED = 4096
"""Bytes of output in one report at most."""
_LONGEST = 128 * 1024 - 1
"""Bytes that Linux takes as one argument."""


class ShellArguments(Frozen):
    command: str
    timeout: int = Field(default=120, ge=1, le=600)
    cwd: str = "."


def shell_tool(spill: Spill) -> Tool:
    """Return the tool; output that is too long to show goes to the file that `spill` names."""
    return define(
        "shell", ShellArguments, description=load("tools/shell"), access=_access, run=partial(_run, spill)
    )


def _access(arguments: ShellArguments, place: Place) -> Access:
    absolute(place, arguments.cwd)
    return Access(tool="shell", runs=(arguments.command,), opaque=True)


async def _run(spill: Spill, arguments: ShellArguments, ctx: ToolContext) -> Outcome:
    cwd = await _folder(arguments.cwd, ctx)
    _check(arguments.command)
    started = anyio.current_time()
    async with Recorder(spill.path(ctx.call_id)) as recorder:
        code = await _execute(arguments, cwd, recorder, ctx)
    seconds = anyio.current_time() - started
    view = recorder.view(failed=code != 0)
    facts = [
        f"stopped after {arguments.timeout} s (timeout)" if code is None else f"exit {code}{_meaning(code)}",
        f"{seconds:.1f} s",
        f"{recorder.ring.bytes:,} bytes",
        f"cwd {shown(ctx.sandbox.place, cwd)}",
    ]
    facts += [f"cut, {recorder.ring.lines:,} lines"] * view.cut
    details = {
        "command": arguments.command,
        "exit_code": code,
        "seconds": round(seconds, 3),
        "bytes": recorder.ring.bytes,
        "truncated": view.cut,
        "spill": recorder.spill,
    }
    text = f"{' · '.join(facts)}\n{view.text.rstrip() or '(no output)'}"
    return Outcome((Text(text=text),), is_error=code != 0, details=details)


async def _folder(path: str, ctx: ToolContext) -> str:
    cwd = absolute(ctx.sandbox.place, path)
    info = await find(ctx.sandbox.files, ctx.sandbox.place, "shell", cwd)
    if info.kind != "folder":
        raise ToolError(f"shell failed: cwd {shown(ctx.sandbox.place, cwd)} is not a folder")
    return cwd


def _check(command: str) -> None:
    if not command.strip():
        raise ToolError("shell failed: the command is empty")
    if "\0" in command:
        raise ToolError("shell failed: a command cannot hold a NUL character")
    if len(command.encode()) > _LONGEST:
        raise ToolError(
            f"shell failed: the command is longer than {_LONGEST:,} bytes; write a script and run it"
        )


async def _execute(arguments: ShellArguments, cwd: str, recorder: Recorder, ctx: ToolContext) -> int | None:
    """Run the command to its end and return its exit code; None when it was stopped for its time limit."""
    processes, profile = ctx.sandbox.processes, ctx.sandbox.profile
    command = Command(("bash", "-c", arguments.command), cwd)
    with explained("shell", "bash"):
        async with processes.spawn(command, profile) as process:
            with anyio.move_on_after(arguments.timeout):
                await _follow(process, recorder, _Progress(ctx))
                return await process.wait()
    return None


async def _follow(process: Process, recorder: Recorder, progress: _Progress) -> None:
    async for chunk in process.output:
        await recorder.feed(chunk)
        await progress.feed(chunk)
        # A command that never pauses must not keep its own time limit from being noticed.
        await checkpoint()


@dataclass
class _Progress:
    """Shows output as it comes, at a pace that a screen can follow."""

    ctx: ToolContext
    _pending: bytes = b""
    _last: float = 0.0

    async def feed(self, chunk: bytes) -> None:
        self._pending = (self._pending + chunk[-_REPORTED:])[-_REPORTED:]
        now = anyio.current_time()
        if now - self._last >= _REPORT_EVERY:
            self._last = now
            await self.ctx.report(clean(self._pending))
            self._pending = b""


def _meaning(code: int) -> str:
    """Name the signal that ended the command, or the command that bash ran."""
    number = -code if code < 0 else code - 128
    if number not in set(signal.Signals):
        return ""
    note = ", perhaps out of memory" if number == signal.SIGKILL else ""
    return f" (killed by {signal.Signals(number).name}{note})"
