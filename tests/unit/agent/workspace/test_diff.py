"""What changed in a folder, whatever it holds, with nothing of the user's repository touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from treadle.agent.workspace import DiffError
from treadle.agent.workspace.diff import Snapshots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="")


def touched(diff: bytes) -> list[str]:
    return [line.split(" b/")[-1] for line in diff.decode().splitlines() if line.startswith("diff --git")]


def test_nothing_changed_is_an_empty_patch(root: Path, tmp_path: Path) -> None:
    write(root / "a", "a")
    snapshots = Snapshots(root, tmp_path / "store")
    assert snapshots.between(snapshots.take(), snapshots.take()) == b""


def test_what_changes_appears_and_goes_can_be_applied_elsewhere(root: Path, tmp_path: Path) -> None:
    write(root / "text", "one\n")
    write(root / "gone", "x\n")
    (root / "link").symlink_to("text")
    other = tmp_path / "other"
    subprocess.run(("cp", "-a", root, other), check=True)
    snapshots = Snapshots(root, tmp_path / "store")
    before = snapshots.take()
    write(root / "text", "two\r\n")
    (root / "gone").unlink()
    (root / "link").unlink()
    (root / "link").symlink_to("/etc/hosts")
    (root / "bytes").write_bytes(bytes(range(256)))
    write(root / "deep/naïve name", "new")
    (root / "deep/naïve name").chmod(0o755)
    (tmp_path / "patch").write_bytes(snapshots.between(before, snapshots.take()))
    git(other, "apply", str(tmp_path / "patch"))
    assert subprocess.run(("diff", "-r", "--no-dereference", root, other), check=False).returncode == 0
    assert os.access(other / "deep/naïve name", os.X_OK)


def test_the_users_index_configuration_and_filters_play_no_part(root: Path, tmp_path: Path) -> None:
    git(root, "init", "--quiet")
    write(root / ".gitattributes", "* text=auto eol=crlf filter=evil diff=evil\n")
    git(root, "config", "filter.evil.clean", f"touch {tmp_path}/ran")
    git(root, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    git(root, "config", "diff.evil.command", f"touch {tmp_path}/ran")
    write(root / "file", "a\n")
    kept = {path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()}
    snapshots = Snapshots(root, tmp_path / "store")
    before = snapshots.take()
    write(root / "file", "b\n")
    assert b"-a\n+b\n" in snapshots.between(before, snapshots.take())
    assert not (tmp_path / "ran").exists()
    assert {path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()} == kept


def test_ignored_files_are_left_out_unless_they_are_tracked(root: Path, tmp_path: Path) -> None:
    git(root, "init", "--quiet")
    write(root / ".gitignore", "*.log\n")
    write(root / ".git/info/exclude", "mine\n")
    for name in ("a.log", "tracked.log", "mine", "plain"):
        write(root / name, "x\n")
    git(root, "add", "--force", "tracked.log")
    snapshots = Snapshots(root, tmp_path / "store")
    before = snapshots.take()
    for name in ("a.log", "tracked.log", "mine", "plain"):
        write(root / name, "y\n")
    assert touched(snapshots.between(before, snapshots.take())) == ["plain", "tracked.log"]


def test_repositories_inside_are_walked_and_odd_files_passed_over(root: Path, tmp_path: Path) -> None:
    (root / "inner").mkdir()
    git(root / "inner", "init", "--quiet")
    os.mkfifo(root / "inner/pipe")
    os.mkfifo(root / "pipe")
    snapshots = Snapshots(root, tmp_path / "store", root / "out")
    before = snapshots.take()
    write(root / "inner/deep/file", "x\n")
    write(root / "out/left", "x\n")
    assert touched(snapshots.between(before, snapshots.take())) == ["inner/deep/file"]


def test_a_store_that_cannot_be_made_is_one_line(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    with pytest.raises(DiffError, match=r"^the workspace cannot be compared: [^\n]+$"):
        Snapshots(root, tmp_path / "file/store").take()
