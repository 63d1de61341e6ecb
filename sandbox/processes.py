"""Commands as child processes of ours: start, follow, end."""

from __future__ import annotations

import os
import select
import subprocess
import termios
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from errno import EIO
from fcntl import ioctl
from pathlib import Path
from secrets import token_hex
from time import monotonic
from weakref import finalize

import anyio
from anyio.lowlevel import checkpoint

from treadle.sandbox.contract import Command, Level, ProcessGone, ProcessLimits, Profile, SandboxError
from treadle.sandbox.family import MARK, Family
from treadle.sandbox.frozen import frozen

TELL = "TREADLE_TELL"
"""Environment variable with the number of a descriptor, by which a command tells us something aside."""
_CHUNK = 1 << 16
_WINDOW = 40, 120
_END_OF_INPUT = b"\x04"
_SETTLE = 0.1
"""Seconds that output is still awaited from others after the leader ended."""
_LEAVE_GRACE = 0.7
_LONGEST_PAUSE = 0.02
_KILL_ROUNDS, _KILL_PAUSE = 200, 0.005
_GUARD = (
    "trap '' INT TERM HUP; read -r _; n=0; "
    'while [ $n -lt 3 ]; do n=$((n+1)); for p in $(grep -alF "$0" /proc/[0-9]*/environ 2>/dev/null); do '
    "p=${p#/proc/}; kill -9 ${p%/environ} 2>/dev/null && n=0; done; sleep 0.1; done"
)


@frozen
class Launch:
    """What is really executed for a command."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    shields: int = 0
    """How many processes, from the leader down, only confine the command and are not asked to end."""
    owner: tuple[int, int] | None = None
    """User and group to become first; None keeps ours."""
    terminal: bool = False
    """Whether its input and output are a terminal."""
    own_session: bool = True
    """False for what begins a session by itself."""


def limited(argv: tuple[str, ...], limits: ProcessLimits) -> tuple[str, ...]:
    """Put prlimit(1) in front when there is something to limit."""
    options = (
        ("--nproc", limits.processes),
        ("--fsize", limits.file_bytes),
        ("--as", limits.memory_bytes),
    )
    flags = tuple(f"{name}={value}" for name, value in options if value is not None)
    return ("prlimit", *flags, "--", *argv) if flags else argv


def on_terminal(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Put setsid(1) in front, which makes the terminal that a command is given its own."""
    return ("setsid", "--ctty", *argv)


class HostProcess:
    """A running command on this machine."""

    def __init__(self, popen: subprocess.Popen[bytes], ends: _Ends, family: Family, launch: Launch) -> None:
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)
        self._output = _Output(ends.output, self._pidfd)
        self._stdin = ends.stdin
        self._aside = ends.aside
        self._family = family
        self._shields = launch.shields
        self._terminal = launch.terminal

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> AsyncIterator[bytes]:
        return self._output

    @property
    def told(self) -> bytes:
        try:
            return os.read(self._aside, _CHUNK)
        except BlockingIOError:
            return b""

    async def send(self, data: bytes, *, last: bool = False) -> None:
        if self._stdin is None:
            raise ProcessGone("This command has no standard input, or its end was sent.")
        left = memoryview(data + _END_OF_INPUT if last and self._terminal else data)
        while left:
            try:
                left = left[os.write(self._stdin, left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._stdin)
            except OSError as error:
                raise ProcessGone("The command does not read its input any more.") from error
        if last and not self._terminal:
            os.close(self._stdin)
            self._stdin = None

    async def wait(self) -> int:
        if self._popen.returncode is not None:
            return self._popen.returncode
        # Every waiter watches a descriptor of its own: an event loop takes one watcher for each.
        watch = os.dup(self._pidfd)
        try:
            await anyio.wait_readable(watch)
        finally:
            os.close(watch)
        return _exit_code(self.pid)

    async def stop(self, grace: float = 2.0) -> None:
        pause = 0.001
        with anyio.move_on_after(grace):
            while self._family.ask(self._shields):
                await anyio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            return
        for _ in range(_KILL_ROUNDS):
            if not self._family.kill():
                return
            await anyio.sleep(_KILL_PAUSE)

    async def close(self) -> None:
        """End what is left and free everything. Not to be cancelled."""
        try:
            await self.stop(_LEAVE_GRACE)
        finally:
            self._output.close()
            if self._stdin is not None:
                anyio.notify_closing(self._stdin)
                os.close(self._stdin)
                self._stdin = None
            os.close(self._aside)
            os.close(self._pidfd)
            self._popen.poll()


class _Output:
    """Reads the pipe until it ends, or until its leader has ended and the others had a moment."""

    def __init__(self, pipe: int, pidfd: int) -> None:
        self._pipe = pipe
        self._either = select.epoll()
        self._either.register(pipe, select.EPOLLIN)
        self._either.register(pidfd, select.EPOLLIN)
        self._pidfd = pidfd
        self._deadline: float | None = None
        """When to stop reading; None while the leader runs."""
        self._owed = 0
        """Bytes that were in the pipe when the leader was seen to have ended."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await checkpoint()  # What never pauses must not keep others from running.
        while True:
            if self._deadline is not None and self._owed <= 0 and monotonic() >= self._deadline:
                raise StopAsyncIteration
            try:
                data = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                await self._more()
                continue
            except OSError as error:
                if error.errno != EIO:  # so ends a terminal that nobody has open any more
                    raise
                raise StopAsyncIteration from error
            if not data:
                raise StopAsyncIteration
            self._owed -= len(data)
            return data

    async def _more(self) -> None:
        """Wait for bytes, for the end of the leader, or for the end of the moment after it."""
        if self._deadline is not None:
            self._owed = 0
            with anyio.move_on_at(anyio.current_time() + self._deadline - monotonic()):
                await anyio.wait_readable(self._pipe)
            return
        await anyio.wait_readable(self._either.fileno())
        if any(descriptor == self._pidfd for descriptor, _ in self._either.poll(0)):
            self._deadline = monotonic() + _SETTLE
            waiting = array("i", [0])
            ioctl(self._pipe, termios.FIONREAD, waiting)
            self._owed = waiting[0]

    def close(self) -> None:
        anyio.notify_closing(self._pipe)
        anyio.notify_closing(self._either.fileno())
        self._either.close()
        os.close(self._pipe)


class HostProcesses:
    """Runs commands as children of this process, dressed by `wrap`."""

    def __init__(self, level: Level, wrap: Callable[[Command, Profile], Launch]) -> None:
        self._level: Level = level
        self._wrap = wrap
        self._token = token_hex(8)
        self._guard: _Guard | None = None

    @property
    def level(self) -> Level:
        return self._level

    @asynccontextmanager
    async def spawn(
        self, command: Command, profile: Profile, *, stdin: bool = False
    ) -> AsyncGenerator[HostProcess]:
        launch = self._wrap(command, profile)
        self._guard = self._guard or _Guard(self._token)
        process = _start(launch, f"{self._token}.{token_hex(4)}", stdin=stdin)
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await process.close()

    def close(self) -> None:
        """Send the guard home. For when no command runs any more."""
        self._guard = None


class _Guard:
    """A small shell that ends what carries the token once we are gone, however we went: its input ends with us.

    The parent-death signal alone is too late for a process that has only just been started.
    """

    def __init__(self, token: str) -> None:
        from treadle.sandbox.syscalls import adopt_orphans  # brings ctypes, 2 ms of a start

        adopt_orphans()
        popen = subprocess.Popen(
            ("/bin/sh", "-c", _GUARD, token),
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        finalize(self, _dismiss, popen)


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()
    guard.communicate()


def _exit_code(pid: int) -> int:
    """Read how a process ended without reaping it: its pid stays its own until everything below it is gone."""
    status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert status is not None
    return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status


@frozen
class _Ends:
    """Our ends of what connects us with a command."""

    output: int
    stdin: int | None
    aside: int


def _connect(launch: Launch, *, stdin: bool) -> tuple[_Ends, tuple[int, int, int]]:
    """Return our ends, and the command's: for output, input, and what it tells us aside."""
    aside, tell = os.pipe()
    if launch.terminal:
        master, slave = os.openpty()
        termios.tcsetwinsize(slave, _WINDOW)
        if launch.owner is not None:
            os.fchown(slave, *launch.owner)
        return _Ends(master, os.dup(master), aside), (slave, os.dup(slave), tell)
    out, out_end = os.pipe()
    in_end, into = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
    return _Ends(out, into, aside), (out_end, in_end, tell)


def _start(launch: Launch, token: str, *, stdin: bool) -> HostProcess:
    if not Path(launch.cwd).is_dir():
        raise SandboxError(f"The working folder {launch.cwd} does not exist any more.")
    ends, theirs = _connect(launch, stdin=stdin)
    out_end, in_end, tell = theirs
    user, group = launch.owner or (None, None)
    ours = [end for end in (ends.output, ends.stdin, ends.aside) if end is not None]
    try:
        popen = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            # A treadle inside a command keeps the marks of those outside it.
            env={**launch.env, MARK: f"{launch.env.get(MARK, '')}:{token}", TELL: str(tell)},
            stdin=in_end,
            stdout=out_end,
            stderr=out_end,
            pass_fds=(tell,),
            start_new_session=launch.own_session,
            user=user,
            group=group,
            extra_groups=None if launch.owner is None else (),
        )
    except OSError as error:
        for end in ours:
            os.close(end)
        raise SandboxError(f"Cannot start {launch.argv[0]}: {error.strerror}.") from error
    finally:
        for end in theirs:
            os.close(end)
    for end in ours:
        os.set_blocking(end, False)
    return HostProcess(popen, ends, Family(popen.pid, token), launch)
