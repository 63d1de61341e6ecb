from __future__ import annotations

import os
from pathlib import Path

import pytest
from git.cmd import Git

from treadle.agent.workspace.head import head_commit, repository

HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    git(repo, "config", "user.name", "T")
    git(repo, "config", "user.email", "t@example.org")
    return repo


def git(folder: Path, *arguments: str) -> str:
    return str(Git(str(folder)).execute(["git", *arguments]))


COMMIT = ("commit", "--allow-empty", "-qm", "more")


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("pack-refs", "--all")],
        [("checkout", "--detach", "-q")],
        [("checkout", "-q", "-b", "feature/one")],
        [("pack-refs", "--all"), COMMIT],
    ],
)
def test_the_commit_is_the_one_that_git_names(repo: Path, changes: list[tuple[str, ...]]) -> None:
    for change in (COMMIT, *changes):
        git(repo, *change)
    below = repo / "a/b"
    below.mkdir(parents=True)
    assert head_commit(repo) == head_commit(below) == git(repo, "rev-parse", "HEAD")
    assert repository(below) == repo


def test_a_worktree_has_a_head_of_its_own(repo: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    git(repo, *COMMIT)
    git(repo, "worktree", "add", "-q", str(tree), "-b", "other")
    git(tree, *COMMIT)
    assert head_commit(tree) == git(tree, "rev-parse", "HEAD") != git(repo, "rev-parse", "HEAD")
    git(repo, "pack-refs", "--all")
    assert head_commit(tree) == git(tree, "rev-parse", "HEAD")


def test_before_the_first_commit_and_outside_a_repository_there_is_none(repo: Path, tmp_path: Path) -> None:
    assert head_commit(repo) is None
    assert head_commit(tmp_path) is None
    assert repository(tmp_path) is None


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": b"ref: \0\n"},
        {".git/HEAD": b"ref: refs/heads/\xff\n"},
        {".git/HEAD": b"not a hash\n"},
        {".git/HEAD": b"ref: refs/heads/main\n", ".git/refs/heads/main": b"ref: refs/heads/main\n"},
        {".git/HEAD": b"ref: refs/heads/main\n", ".git/packed-refs": b"# pack-refs\nxyz refs/heads/main\n"},
        {".git": b""},
        {".git": b"gitdir: \0"},
        {".git": b"gitdir: nowhere"},
        {".git": b"gitdir: loop"},
    ],
)
def test_a_repository_that_is_none_does_no_harm(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "loop").symlink_to("loop")
    assert head_commit(tmp_path) is None


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_would_never_end_is_not_read(tmp_path: Path, what: str) -> None:
    (tmp_path / ".git").mkdir()
    if what == "pipe":
        os.mkfifo(tmp_path / ".git/HEAD")
    else:
        (tmp_path / ".git/HEAD").symlink_to("/dev/zero")
    assert head_commit(tmp_path) is None


def test_a_hash_of_sha256_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(HASH + HASH[:24] + "\n", encoding="utf-8")
    assert head_commit(tmp_path) == HASH + HASH[:24]
