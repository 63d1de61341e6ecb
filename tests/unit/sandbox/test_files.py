from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from treadle.sandbox.contract import ChangedOnDisk, OutsideWorkspace, Version
from treadle.sandbox.files import HostFiles
from treadle.sandbox.masks import Masks, user_masks

pytestmark = pytest.mark.anyio

BIG = 300 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    return root


@pytest.fixture
def files(root: Path) -> HostFiles:
    return HostFiles((str(root),), Masks())


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def _seen(files: HostFiles, path: Path) -> Version:
    version = await files.version(str(path))
    assert version is not None
    return version


async def test_a_grant_is_for_its_own_path_and_for_no_link_that_takes_its_place(
    files: HostFiles, root: Path, tmp_path: Path
) -> None:
    outside, other = tmp_path / "new" / "x", tmp_path / "y"
    granted = files.granting([str(outside), str(tmp_path / ".git" / "config")])
    await granted.write(str(outside), b"1", expect=None)
    assert outside.read_bytes() == b"1"
    outside.unlink()
    outside.symlink_to(other)
    for path in (outside, other, tmp_path / ".git" / "config"):
        with pytest.raises(OutsideWorkspace):
            await granted.write(str(path), b"2", expect=None)
    with pytest.raises(OutsideWorkspace):
        await files.write(str(tmp_path / "new" / "z"), b"3", expect=None)
    assert not other.exists()


@pytest.mark.parametrize("data", [b"", b"a\r\n\x00\xff", b"x" * BIG], ids=["empty", "bytes", "big"])
async def test_what_was_written_is_read_back_byte_for_byte(files: HostFiles, root: Path, data: bytes) -> None:
    path = root / "a" / "b" / "file"

    version = await files.write(str(path), data, expect=None)

    assert await files.read(str(path)) == data
    assert version == Version(sha256(data).hexdigest(), len(data), path.stat().st_mtime_ns)
    assert await files.version(str(path)) == version
    assert _names(path.parent) == ["file"]


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [(0, 3, b"012"), (8, None, b"89"), (8, 5, b"89"), (20, None, b""), (20, 5, b""), (0, 0, b"")],
)
async def test_a_range_is_cut_out(
    files: HostFiles, root: Path, start: int, size: int | None, expected: bytes
) -> None:
    (root / "f").write_bytes(b"0123456789")

    assert await files.read(str(root / "f"), start, size) == expected


async def test_a_range_of_a_big_file_is_read_whole(files: HostFiles, root: Path) -> None:
    data = os.urandom(3 * 1024 * 1024)
    (root / "f").write_bytes(data)

    assert await files.read(str(root / "f"), 5, 2 * 1024 * 1024) == data[5 : 5 + 2 * 1024 * 1024]
    assert await files.read(str(root / "f"), 7) == data[7:]


async def test_a_file_keeps_its_mode(files: HostFiles, root: Path) -> None:
    path = root / "run.sh"
    path.write_bytes(b"old")
    path.chmod(0o751)

    await files.write(str(path), b"new", expect=await _seen(files, path))

    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"new", 0o751)


async def test_a_link_to_a_file_inside_stays_a_link(files: HostFiles, root: Path) -> None:
    (root / "real").write_bytes(b"old")
    link = root / "link"
    link.symlink_to("real")

    await files.write(str(link), b"new", expect=await _seen(files, link))

    assert link.is_symlink()
    assert (root / "real").read_bytes() == b"new"


@pytest.mark.parametrize("way", ["../out/f", "link/f", "filelink", "dangling", "new/../../out/f"])
async def test_no_way_leads_outside(files: HostFiles, root: Path, way: str) -> None:
    out = root.parent / "out"
    out.mkdir()
    (out / "f").write_bytes(b"old")
    (root / "link").symlink_to(out)
    (root / "filelink").symlink_to(out / "f")
    (root / "dangling").symlink_to(out / "fresh")
    path = root / way

    with pytest.raises(OutsideWorkspace):
        await files.write(str(path), b"new", expect=await files.version(str(path)))

    assert _names(out) == ["f"]
    assert (out / "f").read_bytes() == b"old"


async def test_a_folder_that_becomes_a_link_meanwhile_is_no_way_out(shared: Path) -> None:
    root, out = shared / "work", shared / "out"
    folder = root / "d"
    for made in (folder, out):
        made.mkdir(parents=True)
    (root / "link").symlink_to(out)
    files = HostFiles((str(root),), Masks())
    done = anyio.Event()

    async def swapping() -> None:
        await anyio.to_thread.run_sync(_exchange, root / "link", folder, 20_000)
        done.set()

    async def writing() -> None:
        number = 0
        while not done.is_set():
            number += 1
            await anyio.lowlevel.checkpoint()
            with suppress(OutsideWorkspace, OSError):
                await files.write(str(folder / str(number)), b"x", expect=None)

    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(swapping)
            group.start_soon(writing)

    assert _names(out) == []
    assert _names(folder) + _names(root / "link") != []


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in memory, where nothing waits for a disk."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def _exchange(one: Path, other: Path, times: int) -> None:
    """Let two names change places, in one step each time (renameat2(2), RENAME_EXCHANGE)."""
    libc = ctypes.CDLL(None)
    for _ in range(times):
        assert libc.renameat2(-100, bytes(one), -100, bytes(other), 2) == 0


@pytest.mark.parametrize("way", [".git/config", ".git/hooks/pre-commit", "sub/.git/config", ".GIT/x", ".git"])
async def test_git_is_not_written(files: HostFiles, root: Path, way: str) -> None:
    with pytest.raises(OutsideWorkspace):
        await files.write(str(root / way), b"x", expect=None)

    assert _names(root) == []


async def test_the_root_itself_is_not_a_file(files: HostFiles, root: Path) -> None:
    with pytest.raises(OutsideWorkspace):
        await files.write(str(root), b"x", expect=None)


async def test_a_file_that_changed_is_not_overwritten(files: HostFiles, root: Path) -> None:
    path = root / "f"
    path.write_bytes(b"one")
    seen = await _seen(files, path)
    path.write_bytes(b"two")

    with pytest.raises(ChangedOnDisk, match="changed"):
        await files.write(str(path), b"three", expect=seen)
    with pytest.raises(ChangedOnDisk, match="exists already"):
        await files.write(str(path), b"three", expect=None)
    assert path.read_bytes() == b"two"

    path.unlink()
    with pytest.raises(ChangedOnDisk, match="not exist"):
        await files.write(str(path), b"three", expect=seen)
    assert _names(root) == []


async def test_a_touched_file_with_the_same_bytes_may_be_written(files: HostFiles, root: Path) -> None:
    path = root / "f"
    path.write_bytes(b"one")

    await files.write(str(path), b"two", expect=replace(await _seen(files, path), mtime_ns=1))

    assert path.read_bytes() == b"two"


async def test_what_is_no_file_is_refused(files: HostFiles, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()

    with anyio.fail_after(5):
        with pytest.raises(OSError, match="neither a file"):
            await files.read(str(root / "pipe"))
        with pytest.raises(OSError, match="neither a file"):
            await files.write(str(root / "pipe"), b"x", expect=None)
        with pytest.raises(OSError, match="neither a file"):
            await files.read("/dev/zero")
        with pytest.raises(IsADirectoryError):
            await files.read(str(root / "folder"))
        with pytest.raises(IsADirectoryError):
            await files.write(str(root / "folder"), b"x", expect=None)


async def test_missing_files_say_so(files: HostFiles, root: Path) -> None:
    assert await files.version(str(root / "no")) is None
    with pytest.raises(FileNotFoundError):
        await files.read(str(root / "no"))
    with pytest.raises(FileNotFoundError):
        await files.info(str(root / "no"))
    with pytest.raises(FileNotFoundError):
        await files.list(str(root / "no"))


async def test_a_folder_is_listed_by_name_with_links_followed(files: HostFiles, root: Path) -> None:
    (root / "b").mkdir()
    (root / "a").write_bytes(b"12")
    (root / "c").symlink_to("a")
    (root / "d").symlink_to("nowhere")

    listed = await files.list(str(root))

    assert [(Path(one.path), one.kind) for one in listed] == [
        (root / "a", "file"),
        (root / "b", "folder"),
        (root / "c", "file"),
        (root / "d", "other"),
    ]
    assert listed[2].size == 2
    assert await files.info(str(root / "c")) == listed[2]


async def test_secrets_are_hidden_also_behind_links(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_bytes(b"secret")
    (home / ".netrc").write_bytes(b"secret")
    (home / "state" / "spill").mkdir(parents=True)
    (home / "state" / "log").write_bytes(b"secret")
    (home / "state" / "spill" / "out").write_bytes(b"shown")
    (root / "link").symlink_to(home / ".ssh")
    masks = user_masks(str(home), [str(home / "state")], [str(home / "state" / "spill")])
    files = HostFiles((str(root), str(home)), masks)

    for path in (
        home / ".ssh/id",
        home / ".netrc",
        home / "state/log",
        root / "link/id",
        Path("/proc/self/environ"),
    ):
        with pytest.raises(PermissionError):
            await files.read(str(path))
        with pytest.raises(PermissionError):
            await files.version(str(path))
    for path in (home / ".ssh", root / "link", Path("/proc/self")):
        with pytest.raises(PermissionError):
            await files.list(str(path))
    with pytest.raises(OutsideWorkspace):
        await files.write(str(home / ".ssh" / "authorized_keys"), b"x", expect=None)
    assert await files.read(str(home / "state" / "spill" / "out")) == b"shown"


async def test_a_failed_write_leaves_nothing_behind(files: HostFiles, root: Path) -> None:
    with pytest.raises(OSError, match="name too long"):
        await files.write(str(root / ("n" * 300)), b"x", expect=None)

    assert _names(root) == []


async def test_the_extended_attributes_of_a_file_stay(files: HostFiles, root: Path) -> None:
    path = root / "f"
    path.write_bytes(b"one")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")

    await files.write(str(path), b"two", expect=await _seen(files, path))

    assert os.getxattr(path, "user.note") == b"kept"
