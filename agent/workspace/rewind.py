"""Bring a workspace's files back to what they were, in two parts: say what that would do, then do all of it or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Literal, TypeAlias

from treadle.agent.workspace import DiffError
from treadle.sandbox.frozen import frozen

if TYPE_CHECKING:
    from treadle.agent.workspace.checkpoints import Checkpoints, Kept, Picture

Deed: TypeAlias = Literal["restore", "recreate", "delete", "conflict"]


@frozen
class Change:
    """What rewinding does to one file: a conflict is left alone."""

    deed: Deed
    name: bytes
    """Relative to the workspace."""


@frozen
class Shown:
    """One picture in a session's past."""

    picture: str
    by_session: bool
    """Whether what changed after it, up to the next, is the session's work: else the session was not at work."""


@frozen
class Plan:
    """What rewinding would do."""

    target: str
    now: str
    changes: tuple[Change, ...]
    """By name."""
    others: int
    """Files that differ and that the session never touched: they are left alone."""


def plan(checkpoints: Checkpoints, past: Sequence[Shown], *, overwrite: bool) -> Plan:
    """Compare the workspace as it is with the first picture of the past.

    A file is the session's when it changed while that was at work. What somebody else changed after that is a
    conflict, unless `overwrite`. Raises `DiffError`.
    """
    now = checkpoints.take()
    target = past[0].picture
    session, others = set[bytes](), set[bytes]()
    following = [*(one.picture for one in past[1:]), now]
    for one, after in zip(past, following, strict=True):
        changed = _differing(checkpoints, one.picture, after)
        if one.by_session:
            session |= changed
            others -= changed
        else:
            others |= changed
    then, there = checkpoints.read(target), checkpoints.read(now)
    differing = _differing(checkpoints, target, now)
    changes = [
        Change("conflict" if name in others and not overwrite else _deed(name, then, there), name)
        for name in sorted(differing & session)
    ]
    return Plan(target, now, tuple(changes), len(differing - session))


def _differing(checkpoints: Checkpoints, before: str, after: str) -> frozenset[bytes]:
    """The files that differ in content, kind or rights."""
    if before == after:
        return frozenset()
    old, new = checkpoints.read(before).files, checkpoints.read(after).files
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _deed(name: bytes, then: Picture, there: Picture) -> Deed:
    if name not in then.files:
        return "conflict" if then.left_out(name) else "delete"
    if name in there.files:
        return "restore"
    return "conflict" if there.left_out(name) else "recreate"


@contextmanager
def carried_out(checkpoints: Checkpoints, root: Path, wanted: Plan) -> Generator[None]:
    """Do what was planned. When that fails, or what is done meanwhile does, every file is put back.

    The new files are made in a folder inside the workspace, so that each takes its place by a rename. Raises
    `DiffError`, and OSError.
    """
    stage = root / f".treadle-rewind-{token_hex(4)}"
    todo = [change for change in wanted.changes if change.deed != "conflict"]
    todo.sort(key=lambda change: change.deed != "delete")  # a folder may have taken the place of a file
    brought = [change.name for change in todo if change.deed != "delete"]
    undo: list[tuple[Path, Path]] = []
    (stage / "new").mkdir(parents=True, mode=0o700)
    try:
        if brought:
            files = checkpoints.read(wanted.target).files
            checkpoints.write(wanted.target, brought, stage / "new")
            for name in brought:
                _give_rights(stage / "new" / os.fsdecode(name), files[name])
        for number, change in enumerate(todo):
            _swap(root, stage, change, stage / f"old-{number}", undo)
        yield
    except BaseException:
        for moved, back in reversed(undo):
            back.parent.mkdir(parents=True, exist_ok=True)
            moved.rename(back)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _give_rights(file: Path, kept: Kept) -> None:
    """Give a file its owner, where we may, and its permissions."""
    mode, owner, group = kept.rights
    if file.is_symlink():
        return
    status = file.stat()
    if owner >= 0 and (status.st_uid, status.st_gid) != (owner, group) and os.geteuid() == 0:
        os.chown(file, owner, group)
    file.chmod(mode)


def _swap(root: Path, stage: Path, change: Change, old: Path, undo: list[tuple[Path, Path]]) -> None:
    """Put the present file aside and the earlier one into its place."""
    file = root / os.fsdecode(change.name)
    _check_inside(root, file)
    if file.is_symlink() or file.exists():
        if file.is_dir() and not file.is_symlink():
            _remove_empty(root, file)
        else:
            file.rename(old)
            undo.append((old, file))
    if change.deed == "delete":
        _remove_empty(root, file.parent)
    else:
        new = stage / "new" / os.fsdecode(change.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        new.rename(file)
        undo.append((file, new))


def _check_inside(root: Path, file: Path) -> None:
    """Refuse to follow a link out of the workspace. Raises `DiffError`."""
    above = file.parent
    while above != root:
        if above.is_symlink():
            raise DiffError(f"{above} is a link now: remove it and rewind again")
        above = above.parent


def _remove_empty(root: Path, folder: Path) -> None:
    """Remove a folder, and those above it, as far as they are empty."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = folder.parent
