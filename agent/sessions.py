"""The session files of one user: where they lie, and how they are found again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex


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
