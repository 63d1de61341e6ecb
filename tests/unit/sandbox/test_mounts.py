from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from treadle.sandbox.bubblewrap import arguments, bubblewrap_processes, find, git_folders, probe
from treadle.sandbox.contract import Profile, SandboxUnavailable
from treadle.sandbox.masks import Masks


def _mounts(arguments: tuple[str, ...], root: Path) -> list[tuple[str, str]]:
    """Mounts below a folder in their order: what kind, where."""
    kinds = {"--bind": 2, "--ro-bind": 2, "--tmpfs": 1, "--remount-ro": 1}
    return [
        (word, arguments[at + kinds[word]].removeprefix(f"{root}/"))
        for at, word in enumerate(arguments)
        if word in kinds and arguments[at + kinds[word]].startswith(f"{root}/")
    ]


def test_deeper_mounts_come_later_so_that_each_holds_in_the_one_around_it(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "home" / "state" / "trees" / "work"
    for folder in (work / ".git", home / "state" / "spill", home / ".ssh"):
        folder.mkdir(parents=True)
    (home / ".netrc").touch()
    masks = Masks(
        (str(home / "state"), str(home / ".ssh"), str(home / ".netrc"), str(home / "missing")),
        (str(home / "state" / "spill"),),
    )

    mounts = _mounts(arguments(Profile((str(work),)), masks, {}), tmp_path)

    assert mounts == [
        ("--tmpfs", "home/state"),
        ("--tmpfs", "home/.ssh"),
        ("--ro-bind", "home/.netrc"),
        ("--ro-bind", "home/state/spill"),
        ("--bind", "home/state/trees/work"),
        ("--ro-bind", "home/state/trees/work/.git"),
        ("--remount-ro", "home/state"),
        ("--remount-ro", "home/.ssh"),
    ]


def test_a_root_can_be_read_when_nobody_may_write_it(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    roots = (str(tmp_path / "work"),)

    assert _mounts(arguments(Profile(()), Masks(), {}, roots), tmp_path) == [("--ro-bind", "work")]
    assert _mounts(arguments(Profile(roots), Masks(), {}, roots), tmp_path) == [("--bind", "work")]


def test_what_the_one_who_runs_it_cannot_reach_is_left_out(tmp_path: Path) -> None:
    closed, open_, work = (tmp_path / name for name in ("closed", "open", "work"))
    for folder in (closed / "secret", open_ / "secret", work):
        folder.mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o011)
    closed.chmod(0o700)
    open_.chmod(0o701)
    masks = Masks((str(closed / "secret"), str(open_ / "secret")))

    mounts = _mounts(arguments(Profile((str(work),)), masks, {}, (), (4242, 4242)), tmp_path)

    assert [path for _, path in mounts] == ["work", "open/secret", "open/secret"]


def test_git_itself_may_write_all_but_what_runs_programs(tmp_path: Path) -> None:
    git = tmp_path / "work" / ".git"
    git.mkdir(parents=True)
    (git / "config").touch()
    (git / "HEAD").touch()
    (git / "info").mkdir()

    mounts = _mounts(arguments(Profile((str(tmp_path / "work"),), git="write"), Masks(), {}), tmp_path)

    assert mounts == [
        ("--bind", "work"),
        ("--bind", "work/.git"),
        ("--ro-bind", "work/.git/config"),
        ("--tmpfs", "work/.git/hooks"),
        ("--ro-bind", "work/.git/info"),
        ("--remount-ro", "work/.git/hooks"),
    ]


def test_a_network_is_shared_only_when_it_is_on() -> None:
    assert "--unshare-net" in arguments(Profile(()), Masks(), {})
    assert "--unshare-net" not in arguments(Profile((), network="on"), Masks(), {})


def test_programs_in_folders_that_are_emptied_stay_visible(tmp_path: Path) -> None:
    env = {"PATH": f"{tmp_path}/tool/bin:{tmp_path}/flat:/usr/bin", "VIRTUAL_ENV": str(tmp_path / "venv")}
    for name in ("tool/bin", "flat", "venv", "home"):
        (tmp_path / name).mkdir(parents=True)

    visible = _mounts(arguments(Profile(()), Masks(), env | {"HOME": str(tmp_path / "home")}), tmp_path)

    expected = {"tool", "flat", "venv", "home"} if tmp_path.is_relative_to("/tmp") else set[str]()
    assert {path for _, path in visible} == expected


def test_the_session_folder_of_the_user_is_emptied(tmp_path: Path) -> None:
    assert "/usr" in arguments(Profile(()), Masks(), {"XDG_RUNTIME_DIR": "/usr"})
    assert "/no" not in arguments(Profile(()), Masks(), {"XDG_RUNTIME_DIR": "/no"})


def _git(*words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(("git", *identity, *words), check=True, capture_output=True)


def test_all_that_git_keeps_for_a_linked_worktree_is_found(tmp_path: Path) -> None:
    main, tree = tmp_path / "main", tmp_path / "tree"
    _git("init", "-q", str(main))
    _git("-C", str(main), "commit", "-q", "--allow-empty", "-m", "one")
    _git("-C", str(main), "worktree", "add", "-q", str(tree))

    assert list(git_folders(str(main))) == [str(main / ".git")]
    assert list(git_folders(str(tree))) == [
        str(tree / ".git"),
        str(main / ".git" / "worktrees" / "tree"),
        str(main / ".git"),
    ]


def test_odd_git_entries_do_no_harm(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    assert list(git_folders(str(tmp_path))) == []
    git.symlink_to("nowhere")
    assert list(git_folders(str(tmp_path))) == []
    git.unlink()
    (tmp_path / "real").mkdir()
    git.symlink_to("real")
    assert list(git_folders(str(tmp_path))) == [str(tmp_path / "real")]
    git.unlink()
    git.write_text("nonsense", encoding="utf-8")
    assert list(git_folders(str(tmp_path))) == [str(git)]
    git.write_text("gitdir: nowhere", encoding="utf-8")
    assert list(git_folders(str(tmp_path))) == [str(git)]


def test_a_bubblewrap_that_others_could_have_changed_is_not_taken(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\n", encoding="utf-8")
    fake.chmod(0o777)

    with pytest.raises(SandboxUnavailable, match=r"could have been changed.*install the package"):
        find(f"relative:{tmp_path}", ())
    with pytest.raises(SandboxUnavailable, match=r"^bubblewrap is not installed"):
        bubblewrap_processes({}, Masks(), ())


def test_a_probe_tells_in_one_line_why_it_does_not_work(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="does not work here: exit code 1") as caught:
        probe("/bin/false")
    assert "\n" not in str(caught.value)
    with pytest.raises(SandboxUnavailable, match="does not start"):
        probe(str(tmp_path / "missing"))
    probe("/bin/true")
