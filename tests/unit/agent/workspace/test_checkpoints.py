"""Pictures of a workspace, and the way back to one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from treadle.agent.workspace import DiffError
from treadle.agent.workspace.checkpoints import Checkpoints
from treadle.agent.workspace.rewind import Plan, Shown, carried_out, plan
from treadle.agent.workspace.scan import MIDDLE, MOST_BESIDE, SMALL


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def checkpoints(root: Path, tmp_path: Path) -> Checkpoints:
    return Checkpoints(root, tmp_path / "session.checkpoints")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    return subprocess.run(
        ("git", *who, *arguments), cwd=folder, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="")
    return file


def tree(root: Path) -> dict[str, tuple[int, str]]:
    return {
        str(file.relative_to(root)): (
            file.lstat().st_mode,
            str(file.readlink()) if file.is_symlink() else file.read_bytes().hex(),
        )
        for file in root.rglob("*")
        if file.is_symlink() or file.is_file()
    }


def deeds(wanted: Plan) -> dict[str, str]:
    return {os.fsdecode(change.name): change.deed for change in wanted.changes}


def go_back(checkpoints: Checkpoints, root: Path, *past: Shown, overwrite: bool = False) -> dict[str, str]:
    wanted = plan(checkpoints, past, overwrite=overwrite)
    with carried_out(checkpoints, root, wanted):
        pass
    return deeds(wanted)


def at_work(picture: str) -> Shown:
    return Shown(picture, by_session=True)


def test_all_that_was_done_to_a_workspace_is_undone(checkpoints: Checkpoints, root: Path) -> None:
    write(root / "changed", "one\r\n")
    write(root / "gone/deep", "x")
    write(root / "tool", "#!/bin/sh\n").chmod(0o755)
    write(root / "secret", "s").chmod(0o600)
    (root / "link").symlink_to("changed")
    write(root / "file", "was a file")
    write(root / "folder/inner", "was a folder")
    before, then = tree(root), checkpoints.take()
    write(root / "changed", "two\n")
    subprocess.run(
        "rm -r gone folder file; chmod 644 tool secret; ln -sf /etc/hosts link",
        shell=True,
        cwd=root,
        check=True,
    )
    write(root / "folder", "is a file")
    write(root / "file/below/inner", "is a folder")
    write(root / "naïve\nname", "new")
    done = go_back(checkpoints, root, at_work(then))
    assert tree(root) == before
    assert (done["changed"], done["gone/deep"], done["naïve\nname"]) == ("restore", "recreate", "delete")
    assert sorted(path.name for path in root.iterdir() if path.name.startswith(".")) == []


def test_nothing_changed_is_the_same_picture_without_git(
    checkpoints: Checkpoints, root: Path, tmp_path: Path
) -> None:
    file = write(root / "a", "a")
    os.utime(file, ns=(0, 0))
    first = checkpoints.take()
    (tmp_path / "session.checkpoints").rename(tmp_path / "elsewhere")
    assert checkpoints.take() == first


def test_a_change_of_the_same_length_at_once_is_seen(checkpoints: Checkpoints, root: Path) -> None:
    pictures: list[str] = []
    for number in range(5):
        write(root / "a", str(number))
        pictures.append(checkpoints.take())
    assert len(set(pictures)) == 5


def test_what_others_changed_is_left_alone(checkpoints: Checkpoints, root: Path) -> None:
    for name in ("both", "session", "theirs"):
        write(root / name, "old")
    then = checkpoints.take()
    write(root / "both", "of the session")
    write(root / "session", "of the session")
    left = checkpoints.take()
    write(root / "both", "by hand")
    write(root / "theirs", "by hand")
    past = (at_work(then), Shown(left, by_session=False))
    assert go_back(checkpoints, root, *past) == {"both": "conflict", "session": "restore"}
    assert {name: (root / name).read_text() for name in ("both", "session", "theirs")} == {
        "both": "by hand",
        "session": "old",
        "theirs": "by hand",
    }
    assert go_back(checkpoints, root, *past, overwrite=True)["both"] == "restore"
    assert ((root / "both").read_text(), (root / "theirs").read_text()) == ("old", "by hand")


def test_ignored_files_are_kept_by_size_and_age(checkpoints: Checkpoints, root: Path) -> None:
    git(root, "init", "--quiet")
    write(root / ".gitignore", "*.log\nheap/\n")
    write(root / "small.log", "s")
    write(root / "new.log", "n" * (SMALL + 1))
    os.utime(write(root / "old.log", "o" * (SMALL + 1)), ns=(0, 0))
    write(root / "big.log", "b" * (MIDDLE + 1))
    for number in range(MOST_BESIDE + 1):
        write(root / f"heap/{number}", "")
    kept = checkpoints.read(checkpoints.take())
    assert sorted(kept.files) == [b".gitignore", b"new.log", b"small.log"]
    assert [kept.left_out(name) for name in (b"heap/1", b"old.log", b"other.log")] == [True, True, False]


def test_a_file_that_was_not_kept_is_never_deleted(checkpoints: Checkpoints, root: Path) -> None:
    git(root, "init", "--quiet")
    write(root / ".gitignore", "*.log\n")
    os.utime(write(root / "old.log", "o" * (SMALL + 1)), ns=(0, 0))
    then = checkpoints.take()
    write(root / "old.log", "small now")
    assert go_back(checkpoints, root, at_work(then)) == {"old.log": "conflict"}
    assert (root / "old.log").read_text() == "small now"


def test_the_users_repository_is_not_touched_and_nested_ones_are_files(
    checkpoints: Checkpoints, root: Path
) -> None:
    git(root, "init", "--quiet")
    write(root / ".gitattributes", "* text=auto eol=crlf filter=evil\n")
    git(root, "config", "filter.evil.clean", "exit 1")
    write(root / "nested/file", "n\n")
    git(root / "nested", "init", "--quiet")
    git(root, "config", "--unset", "filter.evil.clean")
    write(root / "staged", "a")
    git(root, "add", "staged")
    git(root, "commit", "--quiet", "-m", "one")
    write(root / "staged", "b")
    git(root, "stash", "--quiet")
    write(root / ".git/hooks/post-index-change", f"#!/bin/sh\ntouch {root}/ran\n").chmod(0o755)

    def state() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and ".git" in path.parts
        }

    before, then = state(), checkpoints.take()
    write(root / "nested/file", "changed")
    assert go_back(checkpoints, root, at_work(then)) == {"nested/file": "restore"}
    assert (root / "nested/file").read_bytes() == b"n\n"
    assert state() == before
    assert not (root / "ran").exists()


def test_when_going_back_fails_every_file_is_put_back(checkpoints: Checkpoints, root: Path) -> None:
    write(root / "a", "old")
    write(root / "b", "old")
    then = checkpoints.take()
    write(root / "a", "new")
    (root / "b").unlink()
    write(root / "c/d", "new")
    now, wanted = tree(root), plan(checkpoints, (at_work(then),), overwrite=False)
    seen: list[str] = []

    def fails() -> None:
        with carried_out(checkpoints, root, wanted):
            seen.append((root / "a").read_text())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == ["old"]
    assert tree(root) == now


def test_a_folder_that_became_a_link_is_not_followed(
    checkpoints: Checkpoints, root: Path, tmp_path: Path
) -> None:
    write(root / "d/a", "old")
    then = checkpoints.take()
    (tmp_path / "outside").mkdir()
    subprocess.run(f"rm -r d && ln -s {tmp_path}/outside d", shell=True, cwd=root, check=True)
    wanted = plan(checkpoints, (at_work(then),), overwrite=False)
    with carried_out(checkpoints, root, wanted):
        pass
    assert (list((tmp_path / "outside").iterdir()), (root / "d/a").read_text()) == ([], "old")


def test_a_store_whose_user_was_killed_is_used_again(root: Path, tmp_path: Path) -> None:
    write(root / "a", "a")
    first = Checkpoints(root, tmp_path / "store").take()
    write(tmp_path / "store/index.lock", "")
    write(root / "a", "b")
    again = Checkpoints(root, tmp_path / "store")
    assert again.changed(first, again.take()) == {b"a"}


def test_a_picture_that_is_not_there_is_an_error_of_one_line(checkpoints: Checkpoints) -> None:
    with pytest.raises(DiffError) as caught:
        checkpoints.read("0" * 40)
    assert "\n" not in str(caught.value)


def test_a_small_workspace_in_which_nothing_changed_pays_next_to_nothing(
    checkpoints: Checkpoints, root: Path
) -> None:
    for number in range(50):
        os.utime(write(root / str(number), "x"), ns=(0, 0))
    checkpoints.take()
    took: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        checkpoints.take()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.002
