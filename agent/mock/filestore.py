"""The files that a vendor keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from treadle.sandbox.frozen import frozen


@frozen
class File:
    """A file as it was uploaded, or as the vendor made it."""

    id: str
    name: str
    kind: str
    """Its MIME type."""
    purpose: str
    """OpenAI's word for what it is for; "" elsewhere."""
    data: bytes
    created: float
    """Seconds since 1970."""
    expires: float | None
    """Seconds since 1970; None keeps it until it is deleted."""


class FileStore:
    """One vendor's files, by id. What has expired is not there."""

    def __init__(self, prefix: str, life: float | None = None) -> None:
        """`life` overrides how many seconds any file is kept."""
        self._prefix, self._life = prefix, life
        self._files: dict[str, File] = {}
        self._polls: dict[str, int] = {}
        self._count = 0

    def add(
        self, data: bytes, *, name: str, kind: str, now: float, purpose: str = "", life: float | None = None
    ) -> File:
        """Keep a file for `life` seconds; None keeps it for ever."""
        self._count += 1
        made = hashlib.sha256(f"{now}/{self._count}".encode()).hexdigest()[:24]
        lasts = life if self._life is None else self._life
        expires = None if lasts is None else now + lasts
        file = File(f"{self._prefix}{made}", name, kind, purpose, data, now, expires)
        self._files[file.id] = file
        return file

    def get(self, file_id: str, now: float) -> File | None:
        """The file; None if it was never here, was deleted or forgotten, or has expired."""
        file = self._files.get(file_id)
        return file if file is not None and (file.expires is None or file.expires > now) else None

    def remove(self, file_id: str) -> bool:
        """Drop a file. Says whether it was there."""
        return self._files.pop(file_id, None) is not None

    def forget(self) -> None:
        """Drop them all."""
        self._files.clear()

    def listed(self, now: float) -> list[File]:
        """The files there are, oldest first."""
        return [file for file in self._files.values() if self.get(file.id, now)]

    def __iter__(self) -> Iterator[str]:
        """The ids of what was not deleted."""
        return iter(self._files)

    def processing(self, file_id: str, polls: int, *, looked: bool) -> bool:
        """Whether a file is still being worked on, which ends when it was looked at `polls` times."""
        seen = self._polls.get(file_id, 0)
        if looked:
            self._polls[file_id] = seen + 1
        return seen < polls
