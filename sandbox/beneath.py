"""Folders reached one name at a time, so that no link leads out of the first one.

This is what openat2(2) does with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, on every kernel, and it makes folders.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from treadle.sandbox.contract import OutsideWorkspace

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_PATIENCE, _PAUSE = 2.0, 0.001
"""Seconds."""


@contextmanager
def open_beneath(root: str, steps: Sequence[str], path: str, *, make: bool = True) -> Generator[int]:
    """Open the folder below `root` that the names lead to, making what is missing unless told not to.

    `path` is what messages call it. Raises `OutsideWorkspace` when a name turns out to be a link.
    """
    current = os.open(root, _FOLDER)
    try:
        for step in steps:
            below = _enter(current, step, path, make=make)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _enter(folder: int, name: str, path: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        made = os.open(name, _FOLDER, dir_fd=folder)
        hand_over(made, os.fstat(folder))
        return made
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(name, folder):
            raise OutsideWorkspace(f"{path} turned into a link while it was opened.") from error
        raise


@contextmanager
def alone_in(folder: int) -> Generator[None]:
    """Let no other writer of ours, in whichever process, change the files of a folder meanwhile.

    Whoever else holds the folder for longer is not waited for.
    """
    until = monotonic() + _PATIENCE
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # closing the folder lets go of it
            break
        if monotonic() > until:
            break
        sleep(_PAUSE)
    yield


def hand_over(descriptor: int, owner: os.stat_result) -> None:
    """As root, hand a file to whoever owns the workspace, not to root."""
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
