"""Processes that are watched while they run, broken off at a moment, and looked for afterwards."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from e2e.running import MODEL, TREADLE, Home, Object, Ran

PATIENCE = 12.0
"""Seconds that anything is waited for; a slow machine needs a few."""


class Live:
    """A running `treadle run` whose JSON lines are read as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[Object] = []
        self._buffer = b""
        self._ended = process.stdout is None

    def until(self, wanted: Callable[[Object], bool]) -> Object:
        """Read on until a line is as wanted, and return it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._next(deadline)
            assert line is not None, f"the output ended: {self.lines[-3:]}"
            if wanted(line):
                return line

    def read(self, count: int) -> None:
        """Read on until there are so many lines, or no more come."""
        deadline = time.monotonic() + PATIENCE
        while len(self.lines) < count and self._next(deadline) is not None:
            pass

    def finish(self) -> Ran:
        """Read what is left and wait for the end."""
        deadline = time.monotonic() + PATIENCE
        while self._next(deadline) is not None:
            pass
        code = self.process.wait(max(0.1, deadline - time.monotonic()))
        err = self.process.stderr.read().decode() if self.process.stderr else ""
        return Ran(code, "".join(json.dumps(line) + "\n" for line in self.lines), err)

    def hang_up(self) -> None:
        """Stop reading for good."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._ended = True

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _next(self, deadline: float) -> Object | None:
        """Read one line; None at the end. What a kill left of a line is no line."""
        while (end := self._buffer.find(b"\n")) < 0:
            if self._ended:
                return None
            assert self.process.stdout is not None
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"nothing more came: {self.lines[-3:]}"
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            self._buffer += data
            self._ended = not data
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        self.lines.append(json.loads(line))
        return self.lines[-1]


def launch(
    home: Home,
    *arguments: str,
    before: Sequence[str] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    sandbox: str = "none",
) -> Live:
    """Start `treadle run` with JSON lines; `before` is a program that starts it."""
    command = (*before, TREADLE, "run", "--output", "stream-json", "--sandbox", sandbox, *arguments)
    process = subprocess.Popen(
        command, cwd=home.workspace, env=home.variables, stdin=stdin, stdout=stdout, stderr=stderr
    )
    return Live(process)


def start(home: Home, *arguments: str, sandbox: str = "none") -> Live:
    """Start the scripted task."""
    return launch(home, "-m", MODEL, *arguments, "Go.", sandbox=sandbox)


def write_script(folder: Path, steps: Sequence[Object], **more: object) -> Path:
    """Write a script for the mock provider: JSON is YAML."""
    file = folder / "script.yaml"
    file.write_text(json.dumps({"steps": list(steps), **more}), encoding="utf-8")
    return file


def processes() -> list[int]:
    """Return the ids of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def marked(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment or in their arguments."""
    return [pid for pid in processes() if mark.encode() in _told(pid, "environ") + _told(pid, "cmdline")]


def _told(pid: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def descendants(pid: int) -> dict[int, str]:
    """Return what lives below a process, with when each began: a pid alone may be given out again."""
    living = {one: told for one in processes() if (told := stat(one))}
    found: dict[int, str] = {}
    level = {pid}
    while level:
        level = {child for child, told in living.items() if int(told[1]) in level}
        found.update({child: living[child][19] for child in level})
    return found


def stat(pid: int) -> list[str]:
    """Return proc_pid_stat(5) from the state on; empty when there is no such process or it is a zombie."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return []
    return [] if fields[:1] in (["Z"], ["X"], []) else fields


def eventually(test: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Wait until something holds; returns how long it took."""
    began = time.monotonic()
    while not test():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def nobody_left(mark: str, family: dict[int, str]) -> None:
    """Wait until all processes of a run are gone."""

    def none() -> bool:
        living = [pid for pid, began in family.items() if stat(pid)[19:20] == [began]]
        return not living and not marked(mark)

    eventually(none, f"every child of the run is gone ({mark})", 5.0)
