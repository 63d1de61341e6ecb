"""Files of this machine: reads that skip secrets, writes that cannot leave their folders."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from anyio import to_thread

from treadle.sandbox.beneath import alone_in, hand_over, open_beneath
from treadle.sandbox.contract import ChangedOnDisk, FileInfo, OutsideWorkspace, Version
from treadle.sandbox.masks import Masks
from treadle.sandbox.paths import inside

_INLINE = 256 * 1024
"""Bytes up to which work is done at once; more goes to a thread."""
_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")


class HostFiles:
    """The user's own files. Writes stay in `roots`, or go to just what was granted, and out of every `.git`.

    Links are resolved once; from the root down each folder is then opened by its name alone, refusing links, so
    a folder that is swapped for a link meanwhile is an error and never a way out. This needs no openat2(2).
    """

    def __init__(
        self,
        roots: tuple[str, ...],
        masks: Masks,
        granted: Sequence[str] = (),
        denied: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`denied` says of a path without links whether the user's rules forbid to read it, whoever comes upon it."""
        self._roots = roots
        self._masks = masks
        self._denied = denied
        self._granted = frozenset(granted)

    async def info(self, path: str) -> FileInfo:
        return _info(path, path)

    async def read(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        with self._open(path) as (descriptor, length):
            wanted = max(0, length - start) if size is None else size
            return await _somewhere(min(wanted, length), _read, descriptor, start, size)

    async def version(self, path: str) -> Version | None:
        try:
            with self._open(path) as (descriptor, length):
                return await _somewhere(length, _version, descriptor)
        except FileNotFoundError:
            return None

    async def write(self, path: str, data: bytes, *, expect: Version | None) -> Version:
        size = max(len(data), expect.size if expect else 0)
        return await _somewhere(size, self._write, path, data, expect)

    async def remove(self, path: str, *, expect: Version) -> None:
        await _somewhere(expect.size, self._remove, path, expect)

    async def move(self, path: str, target: str, *, expect: Version) -> None:
        await _somewhere(expect.size, self._move, path, target, expect)

    async def list(self, path: str) -> Sequence[FileInfo]:
        return await to_thread.run_sync(_list, path, self._masks)

    def granting(self, paths: Sequence[str]) -> HostFiles:
        return HostFiles(self._roots, self._masks, paths, self._denied)

    @contextmanager
    def _open(self, path: str) -> Generator[tuple[int, int]]:
        """Open a regular file for reading; gives its descriptor and its length."""
        _refuse_special(path, Path(path).stat().st_mode)
        descriptor = os.open(path, _READ)
        try:
            status = os.fstat(descriptor)
            _refuse_special(path, status.st_mode)
            # What was really opened, whatever happened to the links on the way.
            real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            if self._masks.hide(real):
                raise PermissionError(errno.EACCES, "hidden from tools because it holds secrets", path)
            if self._denied(real):
                raise PermissionError(errno.EACCES, "a rule of the user denies reading it", path)
            yield descriptor, status.st_size
        finally:
            os.close(descriptor)

    def _write(self, path: str, data: bytes, expect: Version | None) -> Version:
        root, steps = self._located(Path(os.path.realpath(path)), path)
        with open_beneath(root, steps[:-1], path) as folder, alone_in(folder):
            return _replace(folder, steps[-1], data, expect, path)

    def _remove(self, path: str, expect: Version) -> None:
        with self._named(path, make=False) as (folder, name), alone_in(folder):
            _check(folder, name, expect, path)
            os.unlink(name, dir_fd=folder)

    def _move(self, path: str, target: str, expect: Version) -> None:
        with self._named(path, make=False) as (folder, name), alone_in(folder):
            _check(folder, name, expect, path)
            with self._named(target, make=True) as (other, new):
                try:
                    _take(folder, name, other, new)
                except FileExistsError as error:
                    raise ChangedOnDisk(f"{target} exists already.") from error

    @contextmanager
    def _named(self, path: str, *, make: bool) -> Generator[tuple[int, str]]:
        """Open the folder that a name lies in; what the name itself leads to does not count."""
        real = Path(os.path.realpath(Path(path).parent), Path(path).name)
        root, steps = self._located(real, path)
        with open_beneath(root, steps[:-1], path, make=make) as folder:
            yield folder, steps[-1]

    def _located(self, real: Path, path: str) -> tuple[str, tuple[str, ...]]:
        """Return the root that a path without links lies in and the names from there to it.

        Raises `OutsideWorkspace` for what may not be written.
        """
        root = next((root for root in map(os.path.realpath, self._roots) if inside(str(real), (root,))), None)
        if root is None and str(real) in self._granted:
            root = next(str(folder) for folder in real.parents if folder.is_dir())
        if root is None or str(real) == root:
            raise OutsideWorkspace(
                f"{path} is outside the folders that may be written: {', '.join(self._roots)}"
            )
        if self._masks.hide(str(real)):
            raise OutsideWorkspace(f"{path} is hidden from tools because it holds secrets.")
        if any(step.lower() == ".git" for step in real.parts):
            raise OutsideWorkspace(f"{path} is inside .git, which file tools do not write.")
        return root, real.relative_to(root).parts


def _replace(folder: int, name: str, data: bytes, expect: Version | None, path: str) -> Version:
    """Write beside, then take the file's place in one step."""
    old = _old(folder, name, path)
    state = os.fstat(old) if old is not None else None
    before = _version(old) if old is not None else None
    try:
        if (before and (before.sha256, before.size)) != (expect and (expect.sha256, expect.size)):
            raise ChangedOnDisk(_change(path, before, expect))
        temporary = f".treadle-{token_hex(6)}.tmp"
        descriptor = os.open(temporary, _NEW, 0o666, dir_fd=folder)
        try:
            _fill(descriptor, data)
            _dress(descriptor, old, folder)
            os.fsync(descriptor)
            version = Version(hashlib.sha256(data).hexdigest(), len(data), os.fstat(descriptor).st_mtime_ns)
            if state is not None and not _stands(folder, name, state):
                raise ChangedOnDisk(f"{path} has changed since it was read.")
            _place(folder, temporary, name, new=old is None)
        except FileExistsError as error:
            raise ChangedOnDisk(f"{path} was made by someone else meanwhile.") from error
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
        return version
    finally:
        if old is not None:
            os.close(old)


def _check(folder: int, name: str, expect: Version, path: str) -> None:
    """Raise `ChangedOnDisk` unless the file is this version."""
    descriptor = _old(folder, name, path)
    if descriptor is None:
        raise ChangedOnDisk(_change(path, None, expect))
    try:
        now = _version(descriptor)
    finally:
        os.close(descriptor)
    if (now.sha256, now.size) != (expect.sha256, expect.size):
        raise ChangedOnDisk(_change(path, now, expect))


def _old(folder: int, name: str, path: str) -> int | None:
    try:
        _refuse_special(path, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        return os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return None


def _change(path: str, before: Version | None, expect: Version | None) -> str:
    if before is None:
        return f"{path} does not exist any more."
    if expect is None:
        return f"{path} exists already."
    return f"{path} has changed since it was read."


def _stands(folder: int, name: str, state: os.stat_result) -> bool:
    """Say whether a name still leads to the file of this state: writing and flushing took its time."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (state.st_ino, state.st_size, state.st_mtime_ns)


def _fill(descriptor: int, data: bytes) -> None:
    """Write everything: a full disk first shows as a short write, then as an error."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _dress(descriptor: int, old: int | None, folder: int) -> None:
    """Give the new file its predecessor's owner, mode and attributes; a first one gets its folder's owner."""
    if old is None:
        hand_over(descriptor, os.fstat(folder))
        return
    before = os.fstat(old)
    hand_over(descriptor, before)
    with suppress(PermissionError):
        os.fchown(descriptor, -1, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    with suppress(OSError):
        for name in os.listxattr(old):
            os.setxattr(descriptor, name, os.getxattr(old, name))


def _place(folder: int, temporary: str, name: str, *, new: bool) -> None:
    """Rename within a folder, over what is there unless it must be new."""
    if new:
        _take(folder, temporary, folder, name)
    else:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _take(folder: int, name: str, other: int, new: str) -> None:
    """Give a file a new name by linking it there, which fails when something has that name, however late it came."""
    try:
        os.link(name, new, src_dir_fd=folder, dst_dir_fd=other, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:  # no hard links here
            raise
        with suppress(FileNotFoundError):
            os.stat(new, dir_fd=other, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=other)
        return
    os.unlink(name, dir_fd=folder)


def _read(descriptor: int, start: int, size: int | None) -> bytes:
    parts: list[bytes] = []
    while size is None or size > 0:
        part = os.pread(descriptor, _CHUNK if size is None else min(size, _CHUNK), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
        size = None if size is None else size - len(part)
    return b"".join(parts)


def _version(descriptor: int) -> Version:
    digest, size = hashlib.sha256(), 0
    while part := os.pread(descriptor, _CHUNK, size):
        digest.update(part)
        size += len(part)
    return Version(digest.hexdigest(), size, os.fstat(descriptor).st_mtime_ns)


def _list(path: str, masks: Masks) -> Sequence[FileInfo]:
    real = os.path.realpath(path)
    if masks.hide(real):
        raise PermissionError(errno.EACCES, "hidden from tools because it holds secrets", path)
    with os.scandir(real) as entries:
        names = sorted(entry.name for entry in entries)
    return [_info(str(Path(real, name)), str(Path(path, name))) for name in names]


def _info(real: str, path: str) -> FileInfo:
    """Describe what is at `real`; a link that leads nowhere counts as other."""
    try:
        status = Path(real).stat()
    except OSError:
        status = Path(real).lstat()
    kind = "file" if stat.S_ISREG(status.st_mode) else "folder" if stat.S_ISDIR(status.st_mode) else "other"
    return FileInfo(path, kind, status.st_size, status.st_mtime_ns)


def _refuse_special(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "neither a file nor a folder (a pipe, socket, link or device)", path)


async def _somewhere(size: int, work: Callable[..., T], *arguments: object) -> T:
    """Do small work at once and big work in a thread."""
    if size <= _INLINE:
        return work(*arguments)
    return await to_thread.run_sync(work, *arguments)
