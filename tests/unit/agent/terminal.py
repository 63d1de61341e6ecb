"""A terminal in the place of the user's."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import pytest


class Terminal:
    """A terminal that stands in for the user's: what is typed, and what is on the screen."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.screen = b""

    def type(self, text: str) -> None:
        """Type something; nothing closes the terminal."""
        if text:
            os.write(self.master, text.encode())
        else:
            self.close()

    async def shows(self, text: str) -> None:
        """Wait until something is on the screen."""
        with anyio.fail_after(5):
            while text.encode() not in self.screen:
                await anyio.wait_readable(self.master)
                self.screen += os.read(self.master, 4096)

    def close(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@contextmanager
def users_terminal() -> Generator[Terminal]:
    """Make standard input and error a terminal for a while."""
    master, slave = pty.openpty()
    before = os.dup(0)
    os.dup2(slave, 0)
    terminal = Terminal(master)
    try:
        with (
            os.fdopen(os.dup(slave), "r", encoding="utf-8") as read,
            os.fdopen(slave, "w", encoding="utf-8") as write,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "stdin", read)
            patch.setattr(sys, "stderr", write)
            yield terminal
    finally:
        os.dup2(before, 0)
        os.close(before)
        terminal.close()
