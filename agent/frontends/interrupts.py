"""What ends a run from outside: signals, and an output that nobody reads any more."""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic
from types import FrameType
from typing import Any, Literal, TypeAlias

import anyio

Phase: TypeAlias = Literal["starting", "working", "ending"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECOND_SIGNAL = 2.0
"""Seconds within which a second signal ends the process at once."""


class Interrupts:
    """Takes the signals that end a run, from its first moment to its last.

    The first raises `KeyboardInterrupt` while the run is put together, asks the work to stop while there is some,
    and changes nothing once the work is over. These are Python's handlers and not the event loop's, so that a
    second signal is heard even while a write waits for a reader. A signal that is ignored (nohup) stays so.
    """

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.code: int | None = None
        """The exit code that the first signal asks for; None while there was none."""
        self.unread = False
        """Nobody reads standard output any more."""
        self._first = 0.0
        self._heard, self._tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self._heard)
        os.close(self._tell)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        now = monotonic()
        if self.code is not None and now - self._first < SECOND_SIGNAL:
            os._exit(128 + number)
        self.code, self._first = 128 + number, now
        match self.phase:
            case "starting":
                raise KeyboardInterrupt
            case "working":
                os.write(self._tell, b"!")
            case "ending":
                pass

    async def wait(self) -> None:
        """Wait for the first signal, or until nobody reads standard output any more."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._wait_unread)
            await anyio.wait_readable(self._heard)
            group.cancel_scope.cancel()

    async def _wait_unread(self) -> None:
        """Notice a pipe or a socket without a reader before anything is written to it."""
        if sys.stdout is None:
            return
        with select.epoll() as watch:
            try:
                watch.register(1, 0)  # errors and hang-ups are always told (epoll_ctl(2))
            except OSError:
                return  # a file has no reader to lose
            await anyio.wait_readable(watch.fileno())
        self.unread = True
        os.write(self._tell, b"!")
