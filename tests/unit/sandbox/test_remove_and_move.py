from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from treadle.sandbox.contract import ChangedOnDisk, OutsideWorkspace, Version
from treadle.sandbox.files import HostFiles
from treadle.sandbox.masks import Masks

pytestmark = pytest.mark.anyio

NOTHING = Version("", 0, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    return root


@pytest.fixture
def files(root: Path) -> HostFiles:
    return HostFiles((str(root),), Masks())


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def seen(files: HostFiles, path: Path) -> Version:
    version = await files.version(str(path))
    assert version is not None
    return version


async def test_a_file_is_removed(files: HostFiles, root: Path) -> None:
    (root / "f").write_bytes(b"x")
    await files.remove(str(root / "f"), expect=await seen(files, root / "f"))
    assert names(root) == []


async def test_a_moved_file_is_the_same_one(files: HostFiles, root: Path) -> None:
    path, target = root / "f", root / "a/b/g"
    path.write_bytes(b"x")
    path.chmod(0o751)
    before = path.stat()
    await files.move(str(path), str(target), expect=await seen(files, path))
    after = target.stat()
    assert not path.exists()
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, 1)


async def test_what_changed_is_neither_removed_nor_moved(files: HostFiles, root: Path) -> None:
    path = root / "f"
    path.write_bytes(b"x")
    old = replace(await seen(files, path), sha256="0")
    with pytest.raises(ChangedOnDisk, match="changed"):
        await files.remove(str(path), expect=old)
    with pytest.raises(ChangedOnDisk, match="changed"):
        await files.move(str(path), str(root / "g"), expect=old)
    with pytest.raises(ChangedOnDisk, match="not exist"):
        await files.remove(str(root / "no"), expect=old)
    assert names(root) == ["f"]


@pytest.mark.parametrize("target", ["file", "folder", "link", "dangling"])
async def test_nothing_is_moved_over(files: HostFiles, root: Path, target: str) -> None:
    (root / "f").write_bytes(b"x")
    (root / "file").write_bytes(b"y")
    (root / "folder").mkdir()
    (root / "link").symlink_to("file")
    (root / "dangling").symlink_to("nothing")
    with pytest.raises(ChangedOnDisk, match="exists already"):
        await files.move(str(root / "f"), str(root / target), expect=await seen(files, root / "f"))
    assert ((root / "f").read_bytes(), (root / "file").read_bytes()) == (b"x", b"y")


async def test_links_and_folders_are_neither_removed_nor_moved(files: HostFiles, root: Path) -> None:
    (root / "f").write_bytes(b"x")
    (root / "link").symlink_to("f")
    (root / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(OSError, match=r"neither a file|directory"):
            await files.remove(str(root / name), expect=NOTHING)
        with pytest.raises(OSError, match=r"neither a file|directory"):
            await files.move(str(root / name), str(root / "g"), expect=NOTHING)
    assert names(root) == ["f", "folder", "link"]


@pytest.mark.parametrize("way", ["../out/f", "link/f", ".git/config"])
async def test_no_way_leads_outside(files: HostFiles, root: Path, way: str) -> None:
    out = root.parent / "out"
    for folder in (out, root / ".git"):
        folder.mkdir()
    (out / "f").write_bytes(b"x")
    (root / ".git/config").write_bytes(b"x")
    (root / "f").write_bytes(b"x")
    (root / "link").symlink_to(out)
    version = await seen(files, root / "f")
    with pytest.raises(OutsideWorkspace):
        await files.remove(str(root / way), expect=version)
    with pytest.raises(OutsideWorkspace):
        await files.move(str(root / way), str(root / "g"), expect=version)
    with pytest.raises(OutsideWorkspace):
        await files.move(str(root / "f"), str(root / f"{way}2"), expect=version)
    assert [(path / "f").read_bytes() for path in (out, root)] == [b"x", b"x"]
    assert names(out) == ["f"]


async def test_no_folder_is_made_to_remove_what_is_not_there(files: HostFiles, root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await files.remove(str(root / "a/b"), expect=NOTHING)
    assert names(root) == []
