"""A session on disk: one JSON object a line, only ever appended to."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from treadle.agent.conversation import Conversation
from treadle.agent.events import FORMAT, Body, Entry, Rewound
from treadle.sandbox.frozen import frozen


class LogError(Exception):
    """A session file cannot be used. The message is one line for the user.

    * LogError
      + LogBusy       another process is writing it
      + LogDamaged    a whole line is not what was written, or comes from a newer program
    """


class LogBusy(LogError): ...


class LogDamaged(LogError): ...


@frozen
class Loaded:
    """What a session file holds."""

    entries: tuple[Entry, ...]
    """In file order."""
    hashes: tuple[str, ...]
    """Of each entry's line bytes."""
    good: int
    """Bytes up to the end of the last whole line."""
    torn: bytes = b""
    """What a crash left behind it."""


def load(path: Path) -> Loaded:
    """Read a session file without touching it. Raises `LogDamaged`, `OSError`."""
    data = path.read_bytes()
    good = data.rfind(b"\n") + 1
    lines = data[:good].split(b"\n")[:-1]
    entries: list[Entry] = []
    hashes: list[str] = []
    known: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            raise LogDamaged(_damage(path, number, line)) from error
        if not _follows(entry, known):
            raise LogDamaged(f"{path}: line {number} does not follow the line that it names as its parent")
        hashes.append(sha256(line).hexdigest())
        known[entry.id] = hashes[-1]
        entries.append(entry)
    return Loaded(tuple(entries), tuple(hashes), good, data[good:])


def _follows(entry: Entry, known: Mapping[str, str]) -> bool:
    """Say whether an entry is a new one and names a line before it, with that line's hash."""
    if entry.id in known or (entry.parent is not None and entry.parent not in known):
        return False
    return entry.prev == (None if entry.parent is None else known[entry.parent])


def _damage(path: Path, number: int, line: bytes) -> str:
    if number == 1 and b'"session_opened"' in line and f'"version":{FORMAT},'.encode() not in line:
        return f"{path}: written by another version of treadle than format {FORMAT}; it was left as it is"
    return f"{path}: line {number} is damaged; `treadle sessions verify` says more"


class SessionLog:
    """The entries of one session file, and the entry that the next one follows.

    Each append is one `write` and one `fdatasync`: what was returned is on the disk. When the disk is full the
    file is cut back to its last whole line, the rest waits in memory and goes out with a later append.
    """

    def __init__(self, path: Path | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open or create; None keeps the session in memory only. Raises `LogError`, `OSError`."""
        self.path = path
        self.notices: list[str] = []
        """Lines for the user about what was found or could not be saved; whoever shows them clears them."""
        self._now = now
        self._entries: dict[str, Entry] = {}
        self._hashes: dict[str, str] = {}
        self._head: str | None = None
        self._last = 0
        """The highest number that an id has: a fork's do not begin anew."""
        self._file: int | None = None
        self._good = 0
        self._unsaved = bytearray()
        self._full = False
        """The last save found no room, and that was said."""
        self._conversation = Conversation()
        if path is not None:
            self._open(path)

    @property
    def head(self) -> str | None:
        """Id of the entry that the next one follows; None while there is none."""
        return self._head

    @property
    def head_hash(self) -> str:
        """Sha256 of the head's line: stands for the whole branch. Empty while there is none."""
        return self._hashes[self._head] if self._head else ""

    @property
    def conversation(self) -> Conversation:
        """What the current branch says."""
        return self._conversation

    @property
    def unsaved(self) -> int:
        """Bytes that wait for room on the disk."""
        return len(self._unsaved)

    def append(self, *bodies: Body) -> list[Entry]:
        """Write entries after the head, all with one write. Raises OSError for anything but a full disk."""
        added: list[Entry] = []
        for body in bodies:
            entry = Entry(
                id=f"e{self._last + 1}",
                parent=self._head,
                prev=self._hashes[self._head] if self._head else None,
                at=self._now(),
                body=body,
            )
            line = entry.model_dump_json().encode("utf-8", "replace")
            self._admit(entry, sha256(line).hexdigest())
            self._unsaved += line + b"\n"
            added.append(entry)
        self._save()
        return added

    def branch(self, head: str | None = None) -> list[Entry]:
        """Return the entries up to `head` (the current one when None), oldest first. Raises KeyError."""
        path: list[Entry] = []
        at = head or self._head
        while at is not None:
            path.append(self._entries[at])
            at = self._entries[at].parent
        return path[::-1]

    def rewind(self, entry_id: str) -> Entry:
        """Go back to an entry: what is appended next starts another branch there. Raises KeyError."""
        left = self._head or ""
        branch = self.branch(entry_id)
        self._head = entry_id
        self._conversation = Conversation()
        for entry in branch:
            self._conversation.admit(entry)
        return self.append(Rewound(left=left))[0]

    def close(self) -> None:
        """Give the file back. What is unsaved is tried once more."""
        if self._file is not None:
            self._save()
            os.close(self._file)
            self._file = None

    def _open(self, path: Path) -> None:
        for folder in (*reversed(path.parent.parents), path.parent):
            folder.mkdir(exist_ok=True, mode=0o700)  # one by one: `parents` would open the upper ones to all
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            loaded = load(path)
        except BlockingIOError as error:
            os.close(file)
            raise LogBusy(f"session {path.stem} is open in another process") from error
        except (LogError, OSError):
            os.close(file)
            raise
        self._file, self._good = file, loaded.good
        if loaded.torn:
            self._set_aside(path, loaded)
        if not loaded.entries:
            sync_folder(path.parent)
        for entry, digest in zip(loaded.entries, loaded.hashes, strict=True):
            if entry.parent != self._head:
                self._head = entry.parent
                self._conversation = Conversation()
                for past in self.branch() if entry.parent else ():
                    self._conversation.admit(past)
            self._admit(entry, digest)

    def _set_aside(self, path: Path, loaded: Loaded) -> None:
        """Move what a crash left behind the last whole line into a file of its own."""
        aside = path.with_suffix(f".torn-{loaded.good}")
        aside.touch(mode=0o600)
        with aside.open("wb") as file:
            file.write(loaded.torn)
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._descriptor, loaded.good)
        self.notices.append(f"the last record was cut off by a crash; what was left of it is in {aside.name}")

    def _admit(self, entry: Entry, digest: str) -> None:
        self._entries[entry.id] = entry
        self._last = max(self._last, _number(entry.id))
        self._hashes[entry.id] = digest
        self._head = entry.id
        self._conversation.admit(entry)

    @property
    def _descriptor(self) -> int:
        assert self._file is not None
        return self._file

    def _save(self) -> None:
        if self._file is None:
            self._unsaved.clear()
            return
        try:
            written = os.write(self._file, self._unsaved)
            if written < len(self._unsaved):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._file)
        except OSError as error:
            with suppress(OSError):  # what is there of it must not stand before it is written again
                os.ftruncate(self._file, self._good)
            if error.errno not in _FULL:
                raise
            if not self._full:
                self.notices.append(_NO_ROOM)
            self._full = True
            return
        self._full = False
        self._good += len(self._unsaved)
        self._unsaved.clear()


_NO_ROOM = "the disk is full: the session goes on in memory and is saved when there is room"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_folder(path: Path) -> None:
    """Make the names of new files in a folder outlast a power loss."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _number(entry_id: str) -> int:
    digits = entry_id.removeprefix("e")
    return int(digits) if digits.isdecimal() else 0
