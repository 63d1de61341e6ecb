"""Where commands run and files live, and what a call would touch there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Literal, Protocol, TypeAlias

from treadle.sandbox.frozen import frozen

Level: TypeAlias = Literal["bwrap", "landlock", "docker", "none"]
"""What confines commands: the `sandbox` field of every result."""


@frozen
class Place:
    """Where a session works. Paths are absolute; `cwd` lies in `root` or in one of `extra`."""

    root: str
    cwd: str
    extra: tuple[str, ...] = ()
    """More folders that calls may write to (`--add-dir`)."""


@frozen
class Access:
    """What one tool call would touch. The policy judges this, never raw arguments.

    Paths are absolute and lexically normal; links are resolved by the host before the policy judges.
    """

    tool: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    """Shell lines, or argument vectors quoted as one."""
    hosts: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """Names of environment variables that the call asks to be given."""
    opaque: bool = False
    """True when what it would touch cannot be known beforehand: ask, unless the sandbox contains it."""
    free: bool = False
    """True when it touches nothing outside the session (a plan, a search of the tools): never asked about."""


@frozen
class Command:
    """A program to start. `argv[0]` is looked up in the child's PATH."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Set on top of the sandbox's own clean environment."""
    terminal: bool = False
    """True gives it a terminal of 120 columns and 40 rows, as input, output and error."""


@frozen
class ProcessLimits:
    """What one command may use. None means no limit of ours."""

    processes: int | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None


@frozen
class Profile:
    """How far one command is let out."""

    write_roots: tuple[str, ...]
    """Absolute folders that it may write in; everything else is read-only."""
    git: Literal["read", "write"] = "read"
    network: Literal["off", "on"] = "off"
    env_grants: tuple[str, ...] = ()
    """Names taken over from the host's environment although they look like secrets."""
    limits: ProcessLimits = ProcessLimits()


class Process(Protocol):
    """A running command, leader of its own process group. Its standard input is empty unless asked for."""

    @property
    def pid(self) -> int: ...

    @property
    def output(self) -> AsyncIterator[bytes]:
        """Standard output and error together as they come.

        Ends soon after the leader does, even while a background child still holds the pipe.
        """
        ...

    @property
    def told(self) -> bytes:
        """What it has told us aside, by writing to the descriptor that `TREADLE_TELL` names; 64 KiB at most."""
        ...

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Write to its standard input, and end that input where this is the last.

        Raises `ProcessGone` when it does not read any more.
        """
        ...

    async def wait(self) -> int:
        """Return its exit code: negative signal number when a signal ended it."""
        ...

    async def stop(self, grace: float = 2.0) -> None:
        """End the whole group: TERM, then KILL after `grace` seconds. Returns when nothing of it is left."""
        ...


class Processes(Protocol):
    """Starts commands in the sandbox."""

    @property
    def level(self) -> Level: ...

    def spawn(
        self, command: Command, profile: Profile, *, stdin: bool = False
    ) -> AbstractAsyncContextManager[Process]:
        """Start a command; leaving the context stops what is left of it. Raises `SandboxError`."""
        ...


@frozen
class Version:
    """Identifies the content of a file at one moment."""

    sha256: str
    size: int
    mtime_ns: int


@frozen
class FileInfo:
    path: str
    kind: Literal["file", "folder", "other"]
    size: int
    mtime_ns: int


class Files(Protocol):
    """Reads and writes files for tools. Paths are absolute.

    Reads go anywhere the user may read unless masked; writes never leave the write roots. Raises `OSError` as
    the host does, and `OutsideWorkspace`, `ChangedOnDisk`.
    """

    async def info(self, path: str) -> FileInfo:
        """What is there; links are followed. Raises FileNotFoundError."""
        ...

    async def read(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        """Bytes from `start`; None reads to the end."""
        ...

    async def version(self, path: str) -> Version | None:
        """None when there is no such file."""
        ...

    async def write(self, path: str, data: bytes, *, expect: Version | None) -> Version:
        """Replace or create a file whole and atomically, keeping mode and link; parents are made.

        `expect` is the version it must still have; None means that it must not exist. Raises `ChangedOnDisk`.
        """
        ...

    async def remove(self, path: str, *, expect: Version) -> None:
        """Remove a file; a link is none. Raises `ChangedOnDisk` when it is not this version any more."""
        ...

    async def move(self, path: str, target: str, *, expect: Version) -> None:
        """Give a file another name, with mode, owner and all; parents are made. A link is none.

        Raises `ChangedOnDisk` when it is not this version any more, or when there is something at `target`.
        """
        ...

    async def list(self, path: str) -> Sequence[FileInfo]:
        """The folder's entries, sorted by name."""
        ...

    def granting(self, paths: Sequence[str]) -> Files:
        """These files, of which a permit lets one call write `paths` too, wherever they lie. No links are in them."""
        ...


class SandboxError(Exception):
    """The sandbox could not do what was asked.

    * SandboxError
      + SandboxUnavailable   nothing here can confine a command; carries the reason for the user
      + OutsideWorkspace     a path left the folders that may be written
      + ChangedOnDisk        a file is not what it was when it was read
      + ProcessGone          the command does not read its input any more
    """


class SandboxUnavailable(SandboxError): ...


class OutsideWorkspace(SandboxError): ...


class ChangedOnDisk(SandboxError): ...


class ProcessGone(SandboxError): ...


@frozen
class Sandbox:
    """Where calls act: one place, its files, its processes."""

    place: Place
    files: Files
    processes: Processes
    profile: Profile
    """What a command of this session gets unless a grant widens it."""
