"""What a folder holds, by names and status alone: cheap enough to look before every change."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from contextlib import suppress
from typing import TypeAlias

from treadle.agent.workspace import DiffError

Status: TypeAlias = tuple[int, ...]
"""Times of the last change and of the last write, in ns, size, inode, mode, owner, group: any change shows in one."""
MOST_FILES = 200_000
SMALL, MIDDLE = 64 * 1024, 1024 * 1024
"""Bytes up to which an ignored file is kept: always, and when it was written of late."""
OF_LATE = 7 * 24 * 3600 * 10**9
"""Nanoseconds."""
MOST_BESIDE = 500
"""Files of one ignored folder; one that holds more is made by a tool and can be made again."""
LARGE = 64 * 1024 * 1024
"""Bytes above which no file is kept."""
RACY = 20_000_000
"""Nanoseconds within which the kernel's clock may stand still: a file written so lately may change unseen."""


def scan(root: str, beyond: Container[bytes]) -> dict[bytes, Status]:
    """Return everything that is no folder below a folder, but for what git keeps and for the folders in `beyond`.

    Raises `DiffError` when there are too many. A folder that cannot be read counts as empty.
    """
    found: dict[bytes, Status] = {}
    top = os.fsencode(root) + b"/"
    folders = [b""]
    while folders:
        more = _within(top, folders.pop(), found)
        folders += [folder for folder in more if folder not in beyond]
        if len(found) > MOST_FILES:
            raise DiffError(f"the workspace holds more than {MOST_FILES:,} files")
    return found


def _within(top: bytes, below: bytes, found: dict[bytes, Status]) -> list[bytes]:
    folders: list[bytes] = []
    with suppress(OSError), os.scandir(top + below) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders += (below + entry.name + b"/",) * (entry.name != b".git")
            elif entry.name != b".git":
                is_ = entry.stat(follow_symlinks=False)
                found[below + entry.name] = (
                    *(is_.st_ctime_ns, is_.st_mtime_ns, is_.st_size, is_.st_ino),
                    *(is_.st_mode, is_.st_uid, is_.st_gid),
                )
    return folders


def is_kept_though_ignored(status: Status, now: int) -> bool:
    """Say whether an ignored file is small or new enough to be kept. `now` is in ns."""
    written, size = status[1], status[2]
    return size <= SMALL or (size <= MIDDLE and now - written < OF_LATE)


def crowded(root: str, folders: Iterable[bytes]) -> set[bytes]:
    """Return which of these folders hold more than is kept of an ignored one."""
    return {folder for folder in folders if _is_crowded(os.fsencode(root) + b"/" + folder)}


def _is_crowded(folder: bytes) -> bool:
    count = 0
    for _, _, names in os.walk(folder):
        count += len(names)
        if count > MOST_BESIDE:
            return True
    return False
