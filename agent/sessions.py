"""The session files of one user: where they lie, and how they are found again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from treadle.agent.log import load, sync_folder


class NoSuchSession(Exception):
    """There is no session of that name. The message is one line for the user."""


def new_id(now: datetime, token: Callable[[], str] = lambda: token_hex(3)) -> str:
    """Return a name for a session: sortable by time, and easy to type the beginning of."""
    return f"{now:%Y%m%d-%H%M%S}-{token()}"


def folder_of(sessions: Path, workspace: Path) -> Path:
    """Return the folder that keeps the sessions of one workspace."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", workspace.name).strip("-.") or "root"
    return sessions / f"{name[:40]}-{sha256(str(workspace).encode()).hexdigest()[:8]}"


def newest(sessions: Path, workspace: Path) -> Path:
    """Return the session of this workspace that was written last. Raises `NoSuchSession`."""
    files = list(folder_of(sessions, workspace).glob("*.jsonl"))
    if not files:
        raise NoSuchSession(f"there is no session of {workspace} to continue")
    return max(files, key=lambda file: (file.stat().st_mtime_ns, file.name))


def find(sessions: Path, name: str) -> Path:
    """Return the session with this id, or the only one whose id begins so. Raises `NoSuchSession`."""
    files = {file.stem: file for file in sessions.glob("*/*.jsonl")}
    if name in files:
        return files[name]
    near = sorted(stem for stem in files if name and stem.startswith(name))
    if len(near) == 1:
        return files[near[0]]
    if near:
        raise NoSuchSession(f"{name!r} fits {len(near)} sessions: {', '.join(near[:5])}")
    raise NoSuchSession(f"there is no session {name!r}; `treadle sessions list` shows what there is")


class SpillFolder:
    """Keeps outputs that are too long for a model in files beside the session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, call_id: str) -> str:
        """Return the file for this call; its folder is made when it is first needed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return str(self._folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", call_id).strip(".")[-80:] + ".txt"))


def fork(source: Path, entry_id: str | None, target: Path) -> None:
    """Begin a session with the past of another, up to this entry: the same lines, so the same hashes and bytes.

    None takes the whole of its branch. Raises `LogError`, KeyError for an entry that it does not have, OSError when
    the target exists or cannot be written.
    """
    loaded = load(source)
    lines = dict(zip((entry.id for entry in loaded.entries), source.read_bytes().split(b"\n"), strict=False))
    parents = {entry.id: entry.parent for entry in loaded.entries}
    at = entry_id or (loaded.entries[-1].id if loaded.entries else None)
    branch: list[bytes] = []
    while at is not None:
        branch.append(lines[at] + b"\n")
        at = parents[at]
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(reversed(branch))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(target.parent)
