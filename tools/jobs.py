"""Commands under way: each is a job of its session, whether a call waits for it or not, and ends with the session."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import TracebackType

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint

from treadle.sandbox.contract import Command, Process, Sandbox
from treadle.tools.contract import Spill, ToolContext, ToolError
from treadle.tools.output import Recorder

MOST = 16
"""Jobs that may run at the same time."""
_LAST_WORDS = 1.0
"""Seconds in which the rest of its output is read once nothing of a job is left."""
_NAMED = 60
"""Characters of a command that name its job."""


class Job:
    """One command: its output so far and, later, how it ended."""

    def __init__(self, command: str, recorder: Recorder) -> None:
        self.command = command
        self.recorder = recorder
        self.number: int | None = None
        """What a model calls it; None while a call waits for its end."""
        self.read = 0
        """How many bytes of its output a model was shown."""
        self.shown = 0
        """How many bytes of it whoever watches was shown."""
        self.code: int | None = None
        """Its exit code; None while it runs and for one that was ended before it had any."""
        self.told_aside = b""
        """What it told us besides its output, once it ended."""
        self.ended = anyio.Event()
        self.known = False
        """Whether the model was told of its end."""
        self.began = anyio.current_time()
        self.heard = self.began
        """When it said something last."""
        self._over: float | None = None
        self._process: Process | None = None
        self._more = anyio.Event()
        self._scope = anyio.CancelScope()

    @property
    def name(self) -> str:
        """Return the beginning of its command, in one line."""
        line = " ".join(self.command.split())
        return line if len(line) <= _NAMED else f"{line[: _NAMED - 3]}..."

    @property
    def seconds(self) -> float:
        """How long it ran, or runs."""
        return (anyio.current_time() if self._over is None else self._over) - self.began

    async def stirs(self, seconds: float) -> bool:
        """Wait until it says something more or has ended; False when it did neither in so many seconds."""
        if self.ended.is_set():
            return True
        with anyio.move_on_after(seconds):
            await self._more.wait()
            return True
        return False

    async def send(self, data: bytes, *, last: bool) -> None:
        """Write to its input. Raises `ProcessGone`."""
        if self._process is not None:
            await self._process.send(data, last=last)

    async def stop(self) -> None:
        """End it with all that it started, asking first. Returns when nothing of it is left."""
        if self._process is not None and not self.ended.is_set():
            await self._process.stop()
            with anyio.move_on_after(_LAST_WORDS):
                await self.ended.wait()
        self._scope.cancel()
        await self.ended.wait()

    async def abandon(self) -> None:
        """End it because nobody wants it any more, also when the caller is cancelled."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.ended.wait()

    async def run(
        self, sandbox: Sandbox, command: Command, *, stdin: bool, task_status: TaskStatus[None]
    ) -> None:
        """Run the command and take in what it says. Raises `SandboxError` and `OSError` when it cannot begin."""
        try:
            with self._scope:
                async with (
                    self.recorder,
                    sandbox.processes.spawn(command, sandbox.profile, stdin=stdin) as one,
                ):
                    self._process = one
                    task_status.started()
                    await self._follow(one)
        finally:
            self._process = None
            self._over = self._over or anyio.current_time()
            self.ended.set()
            self._stir()

    async def _follow(self, process: Process) -> None:
        async for chunk in process.output:
            await self.recorder.feed(chunk)
            self.heard = anyio.current_time()
            self._stir()
            # A command that never pauses must not keep others from running.
            await checkpoint()
        self.code = await process.wait()
        self.told_aside = process.told
        self._over = anyio.current_time()

    def _stir(self) -> None:
        self._more.set()
        self._more = anyio.Event()


class Jobs:
    """The jobs of a session. While the context is entered they can be started; leaving it ends them."""

    def __init__(self, spill: Spill, *, cwd: str | None = None, last: int = 0) -> None:
        """Go on where a session was left: in `cwd`, after job `last`."""
        self.cwd = cwd
        """Where the next command begins; None is the working folder."""
        self._spill = spill
        self._last = last
        self._numbered: dict[int, Job] = {}
        self._running: set[Job] = set()
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Jobs:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None
        self._group.cancel_scope.cancel()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._group.__aexit__(kind, error, trace)
        # An error of the body goes on as it is: the group would put it into one of its own.
        await self._group.__aexit__(None, None, None)
        return None

    @property
    def numbered(self) -> Mapping[int, Job]:
        """Those that a model was told of, by their numbers."""
        return self._numbered

    async def start(self, command: Command, told: str, ctx: ToolContext, *, stdin: bool) -> Job:
        """Start a command, of which the model said `told`. Raises `ToolError`, `SandboxError` and `OSError`."""
        assert self._group is not None, "the context is entered before anything is called"
        if len(self._running) >= MOST:
            raise ToolError(f"shell failed: {MOST} jobs are running; end some with job")
        job = Job(told, Recorder(self._spill.path(ctx.call_id)))
        self._running.add(job)
        try:
            await self._group.start(partial(self._run, job, ctx.sandbox, command, stdin=stdin))
        finally:
            if job.ended.is_set():
                self._running.discard(job)
        return job

    async def _run(
        self, job: Job, sandbox: Sandbox, command: Command, *, stdin: bool, task_status: TaskStatus[None]
    ) -> None:
        try:
            await job.run(sandbox, command, stdin=stdin, task_status=task_status)
        finally:
            self._running.discard(job)

    def number(self, job: Job) -> int:
        """Let a job go on without a call that waits for it; return what the model calls it."""
        self._last += 1
        job.number = self._last
        self._numbered[job.number] = job
        return job.number

    def fresh_ends(self) -> tuple[Job, ...]:
        """Return the jobs whose end the model was not told of yet."""
        return tuple(job for job in self._numbered.values() if job.ended.is_set() and not job.known)

    async def stop(self) -> tuple[Job, ...]:
        """End all that run, at once. Returns those that the model was told of."""
        running = [job for job in self._numbered.values() if not job.ended.is_set()]
        async with anyio.create_task_group() as group:
            for job in running:
                group.start_soon(job.stop)
        return tuple(running)
