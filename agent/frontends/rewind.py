"""`treadle sessions rewind`: go back to an earlier point, files and conversation together."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from treadle.agent.build.checkpointing import open_checkpoints
from treadle.agent.config import Folders
from treadle.agent.events import Checkpointed, Entry, MessageAdded
from treadle.agent.frontends.outputs import complain, emit, harmless
from treadle.agent.log import SessionLog
from treadle.agent.messages import UserMessage
from treadle.agent.sessions import NoSuchSession, checkpoints_of, find, opened
from treadle.agent.workspace import DiffError
from treadle.agent.workspace.leavings import note_left, read_left
from treadle.agent.workspace.rewind import Plan, Shown, carried_out, plan
from treadle.sandbox.frozen import frozen

if TYPE_CHECKING:
    from treadle.agent.workspace.checkpoints import Checkpoints


@frozen
class Wishes:
    """How to go back."""

    files: bool = True
    conversation: bool = True
    yes: bool = False
    """Do not ask."""
    overwrite: bool = False
    """Take back also what somebody else has changed after the session."""


def rewind_session(places: Folders, name: str, entry: str | None, wishes: Wishes) -> int:
    """Go back in a session. None goes to before the last prompt. Nothing of the conversation is lost.

    Returns 1 when nothing was done because nobody agreed. Raises `NoSuchSession`, `LogError`, OSError.
    """
    file = find(places.sessions, name)
    log = SessionLog(file)
    try:
        return _rewind(file, log, entry, wishes)
    except DiffError as error:
        complain(f"treadle: {error}")
        return 2
    finally:
        log.close()


def _rewind(file: Path, log: SessionLog, entry: str | None, wishes: Wishes) -> int:
    branch = log.branch()
    if entry is not None:
        _check_known(file, log, entry)
    target = entry or _before_last_prompt(file, branch)
    root, store = Path(opened(branch).workspace), checkpoints_of(file)
    past = _past(file, branch, target, read_left(store)) if wishes.files else []
    doing: AbstractContextManager[None] = nullcontext()
    checkpoints: Checkpoints | None = None
    if past:
        checkpoints = open_checkpoints(root, store)
        wanted = plan(checkpoints, past, overwrite=wishes.overwrite)
        _tell(wanted)
        if any(change.deed != "conflict" for change in wanted.changes):
            if not wishes.yes and not _agreed():
                complain("treadle: nothing was done; --yes goes back without asking")
                return 1
            doing = carried_out(checkpoints, root, wanted)
    with doing:
        head = log.rewind(target).id if wishes.conversation else log.head
    if checkpoints is not None and head:
        note_left(store, head, checkpoints.take())
    if wishes.conversation:
        emit(f"{file.stem} goes on after {target}")
    return 0


def _before_last_prompt(file: Path, branch: Sequence[Entry]) -> str:
    for entry in reversed(branch):
        match entry.body:
            case MessageAdded(message=UserMessage(author="user")) if entry.parent:
                return entry.parent
            case _:
                pass
    raise NoSuchSession(f"session {file.stem} has no prompt to go back from; name an entry")


def _past(file: Path, branch: Sequence[Entry], target: str, left: dict[str, str]) -> list[Shown]:
    """The pictures from the first one after the target; none when nothing was done since.

    Raises `DiffError` when the files of that time were not kept.
    """
    ids = [entry.id for entry in branch]
    if target not in ids:
        raise DiffError(
            f"{target} is on a branch that was left; --conversation-only goes there without the files"
        )
    shown: list[Shown] = []
    for entry in branch[ids.index(target) + 1 :]:
        if isinstance(entry.body, Checkpointed):
            if not entry.body.snapshot:
                raise DiffError(
                    "the files of that time were not kept; --conversation-only goes back without them"
                )
            shown.append(Shown(entry.body.snapshot, by_session=True))
        if shown and entry.id in left:
            shown.append(Shown(left[entry.id], by_session=False))
    return shown


def _check_known(file: Path, log: SessionLog, entry: str) -> None:
    try:
        log.branch(entry)
    except KeyError as error:
        raise NoSuchSession(
            f"session {file.stem} has no entry {entry!r}; `sessions show` lists them"
        ) from error


def _tell(wanted: Plan) -> None:
    for change in wanted.changes:
        why = "  (changed since by somebody else: left alone)" if change.deed == "conflict" else ""
        emit(harmless(f"{change.deed:9} {os.fsdecode(change.name)}{why}"))
    if wanted.others:
        emit(f"left alone  {wanted.others} that the session never touched")


def _agreed() -> bool:
    """Ask the person at the terminal; nobody there does not agree."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    sys.stderr.write("go back? [y]es, [n]o: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
