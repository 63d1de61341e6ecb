"""What HEAD is, read from git's own files: nothing is run, and no library is loaded."""

from __future__ import annotations

import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def head_commit(folder: Path) -> str | None:
    """Return the commit that HEAD stands on. None outside a repository and before the first commit."""
    git = _git_folder(folder)
    if git is None:
        return None
    head = _text(git / "HEAD")
    if not head.startswith("ref: "):
        return head if _HASH.fullmatch(head) else None
    name = head.removeprefix("ref: ").strip()
    common = git / _text(git / "commondir") if (git / "commondir").is_file() else git
    for place in (git, common):
        commit = _text(place / name)
        if _HASH.fullmatch(commit):
            return commit
    return _packed(_text(common / "packed-refs"), name)


def repository(folder: Path) -> Path | None:
    """Return the root of the repository that holds this folder. None when there is none."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def _git_folder(folder: Path) -> Path | None:
    root = repository(folder)
    if root is None:
        return None
    link = root / ".git"
    if link.is_dir():
        return link
    return root / _text(link).removeprefix("gitdir: ")


def _packed(packed: str, name: str) -> str | None:
    for line in packed.splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name and _HASH.fullmatch(commit):
            return commit
    return None


def _text(file: Path) -> str:
    """Return a file's text, without trust in what a repository may put in its place: a pipe, a device, a loop."""
    try:
        return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    except (OSError, ValueError):
        return ""
