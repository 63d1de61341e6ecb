"""The session files of one user: where they lie, and how they are found again."""

from __future__ import annotations

import os
import re
import shutil
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from anyio import to_thread

from treadle.agent.events import Entry, SessionOpened
from treadle.agent.log import LogDamaged, load, sync_folder
from treadle.agent.messages import AssistantMessage, MediaPart
from treadle.tools.contract import Artifact, Inline, Media

SHELF = "recall.db"
"""In a session's folder: what `recall` searches."""


def checkpoints_of(session: Path) -> Path:
    """Return the folder that keeps a session's checkpoints. Commands in the sandbox do not see it."""
    return session.with_suffix(".checkpoints")


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


class MadeFiles:
    """Saves what a model made itself, such as pictures, in files beside the session."""

    MOST_FILES = 32
    """For one reply."""
    MOST_BYTES = 32 * 1024 * 1024
    """Of one file."""

    def __init__(self, folder: Path | None) -> None:
        """None saves nothing: the session is not kept either."""
        self._folder = folder

    async def save(self, message: AssistantMessage) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        """Return the files, and what the user should know of what was not saved. Raises OSError."""
        made = [
            part.media
            for part in message.parts
            if isinstance(part, MediaPart) and isinstance(part.media.source, Inline)
        ]
        if not made:
            return (), ()
        if self._folder is None:
            return (), (f"the model made {len(made)} files, which an ephemeral session does not keep",)
        fit = [media for media in made[: self.MOST_FILES] if _size(media) <= self.MOST_BYTES]
        files = tuple([await to_thread.run_sync(self._write, media, self._folder) for media in fit])
        lost = len(made) - len(fit)
        limits = f"{self.MOST_FILES} files of {self.MOST_BYTES >> 20} MiB a reply"
        return files, (
            (f"{lost} of {len(made)} files that the model made are not saved: more than {limits}",)
            * (lost > 0)
        )

    def _write(self, media: Media, folder: Path) -> Artifact:
        assert isinstance(media.source, Inline)
        data = b64decode(media.source.data)
        kind = re.sub(r"[^a-z0-9]", "", media.mime.partition("/")[2].partition("+")[0].lower())
        path = folder / f"{media.kind}-{sha256(data).hexdigest()[:16]}.{kind[:8] or 'bin'}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(data)
        return Artifact(path=str(path), mime=media.mime)


def _size(media: Media) -> int:
    return len(media.source.data) * 3 // 4 if isinstance(media.source, Inline) else 0


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
    found = source.with_suffix("") / SHELF
    if found.exists():  # the documents that were attached can be searched in the fork too
        target.with_suffix("").mkdir(exist_ok=True, mode=0o700)
        shutil.copy(found, target.with_suffix("") / SHELF)


def opened(entries: Sequence[Entry]) -> SessionOpened:
    """Return the first entry's body. Raises `LogDamaged` when it is something else."""
    match entries[:1]:
        case [Entry(body=SessionOpened() as body)]:
            return body
        case _:
            raise LogDamaged("the session file has no beginning")
