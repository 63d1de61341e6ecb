"""The processes that one command left running, found in /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from treadle.sandbox.frozen import frozen

MARK = "TREADLE_CALL"
"""Environment variable that every process of a command inherits; its value holds the command's token."""

_BRIEF = 1.0
"""Seconds in which process ids surely do not wrap around."""


@frozen
class Member:
    """One line of the process table."""

    pid: int
    parent: int
    session: int
    state: str
    started: int
    """Clock ticks after boot; with the pid it names a process for good."""

    @property
    def dead(self) -> bool:
        return self.state in {"Z", "X"}


@dataclass(slots=True)
class Family:
    """A command's leader and all that descends from it, also what left its session and lost its parent.

    Orphans come back to us (`syscalls.adopt_orphans`). One is this command's when it is in the leader's session,
    was seen below it before, or still has the mark in its environment. Only a process that does all of clearing
    its environment, leaving the session and outliving its parent escapes; in a PID namespace not even that.
    """

    leader: int
    token: str
    began: float = field(default_factory=monotonic)
    _seen: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _asked: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def living(self) -> list[Member]:
        """Who is still running, parents before children. Reaps those who ended and are ours to reap."""
        table = {member.pid: member for member in map(_member, self._candidates()) if member is not None}
        me = os.getpid()
        level = [
            one for one in table.values() if one.pid == self.leader or (one.parent == me and self._ours(one))
        ]
        members: list[Member] = []
        while level:
            members += level
            parents = {member.pid for member in level}
            level = [one for one in table.values() if one.parent in parents and one.pid not in parents]
        self._seen.update((member.pid, member.started) for member in members)
        for member in members:
            if member.dead and member.parent == me and member.pid != self.leader:
                with suppress(ChildProcessError):
                    os.waitpid(member.pid, os.WNOHANG)
        return [member for member in members if not member.dead]

    def ask(self, shields: int) -> bool:
        """Send TERM to everyone not asked before, but for the first `shields`. False when nobody is left."""
        members = self.living()
        confining = members[:shields] if members and members[0].pid == self.leader else []
        for member in members:
            if member not in confining and (member.pid, member.started) not in self._asked:
                self._asked.add((member.pid, member.started))
                _send(member.pid, signal.SIGTERM)
                _send(member.pid, signal.SIGCONT)  # what was stopped would not hear it
        return bool(members)

    def kill(self) -> bool:
        """Send KILL to everyone. False when nobody is left."""
        members = self.living()
        for member in members:
            _send(member.pid, signal.SIGKILL)
        return bool(members)

    def _candidates(self) -> Iterable[int]:
        with os.scandir("/proc") as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
        if monotonic() - self.began < _BRIEF and _last_pid() >= self.leader:
            return [pid for pid in pids if pid >= self.leader]
        return pids

    def _ours(self, member: Member) -> bool:
        if member.session == self.leader or (member.pid, member.started) in self._seen:
            return True
        environment = Path(f"/proc/{member.pid}/environ")  # longer than one read can be
        try:
            return self.token.encode() in environment.read_bytes()
        except OSError:
            return False


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _member(pid: int) -> Member | None:
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # proc_pid_stat(5); the name may hold anything
    return Member(pid, int(fields[1]), int(fields[3]), fields[0].decode(), int(fields[19]))


def _last_pid() -> int:
    """The id that was given out last in our namespace; 0 when unknown."""
    return int((_read("/proc/loadavg") or b"0").split()[-1])


def _read(path: str) -> bytes | None:
    """Return what a file of /proc holds, up to 64 KiB; None when its process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return None
    finally:
        os.close(descriptor)
