from __future__ import annotations

import os
from pathlib import Path

import pytest

from treadle.sandbox.beneath import open_beneath
from treadle.sandbox.contract import OutsideWorkspace


def test_missing_folders_are_made_and_existing_ones_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").touch()

    with open_beneath(str(tmp_path), ("a", "b", "c"), "x") as folder:
        os.close(os.open("made", os.O_CREAT, dir_fd=folder))

    assert (tmp_path / "a" / "b" / "c" / "made").exists()
    assert (tmp_path / "a" / "kept").exists()


@pytest.mark.parametrize("steps", [("link",), ("link", "new"), ("a", "inner"), ("a", "dangling", "b")])
def test_a_link_is_never_followed(tmp_path: Path, steps: tuple[str, ...]) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    (root / "a").mkdir(parents=True)
    out.mkdir()
    (root / "link").symlink_to(out)
    (root / "a" / "inner").symlink_to(root)
    (root / "a" / "dangling").symlink_to(out / "new")

    with pytest.raises(OutsideWorkspace), open_beneath(str(root), steps, "x"):
        raise AssertionError

    assert list(out.iterdir()) == []


def test_a_file_in_the_way_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "f").touch()

    with pytest.raises(NotADirectoryError), open_beneath(str(tmp_path), ("f", "g"), "x"):
        raise AssertionError
