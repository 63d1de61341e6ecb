"""What a run leaves in a folder: its result, its events, the diff of the workspace and the session's file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from treadle.agent.build import snapshots
from treadle.agent.events import Event
from treadle.agent.frontends.outcome import Result
from treadle.agent.frontends.outputs import Lines, Output, OutputClosed, complain
from treadle.agent.session import Session
from treadle.agent.workspace import DiffError
from treadle.tools.contract import as_object

if TYPE_CHECKING:
    from treadle.agent.workspace.diff import Snapshots

RESULT, EVENTS, DIFF, SESSION = "result.json", "events.jsonl", "workspace.diff", "session.jsonl"
MADE = "artifacts"
"""The folder in which the pictures and other files that were made are copied."""


class FolderOutput:
    """Another output, with everything kept in a folder too. What an earlier run left there is replaced."""

    def __init__(self, folder: Path, shown: Output) -> None:
        """Make the folder. Raises OSError when it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _made_before(folder / RESULT):
            (folder / MADE / name).unlink(missing_ok=True)
        for name in (RESULT, DIFF, SESSION):
            (folder / name).unlink(missing_ok=True)
        self._folder = folder.resolve()
        self._shown = shown
        self._events = (folder / EVENTS).open("w", encoding="utf-8")
        self._lines = Lines(self._write)
        self._store = TemporaryDirectory(prefix="treadle-diff-", ignore_cleanup_errors=True)
        self._snapshots: Snapshots | None = None
        self._before = ""
        self._session: Path | None = None

    def begin(self, session: Session, root: Path) -> None:
        self._session = session.record.log.path
        try:
            made = snapshots(root, Path(self._store.name), self._folder)
            self._before = made.take()
            self._snapshots = made
        except DiffError as error:
            complain(f"treadle: {DIFF}: {error}")
        self._lines.begin(session, root)
        self._shown.begin(session, root)

    def show(self, event: Event) -> None:
        self._lines.show(event)
        self._shown.show(event)

    def end(self, result: Result) -> None:
        """Write what is left to write. A file that cannot be written is told and spoils no other."""
        self._attempt(DIFF, self._write_diff)
        self._attempt(SESSION, self._copy_session)
        for number, artifact in enumerate(result.found.artifacts):
            made = Path(str(artifact["path"]))
            self._attempt(f"{MADE}/{made.name}", partial(self._copy_made, made, number, result))
        self._store.cleanup()
        try:
            self._shown.end(result)
        except OutputClosed:
            if result.outcome == "done":
                result.end("failed", "standard output was closed before the result could be written")
            raise
        finally:
            self._attempt(EVENTS, lambda: self._finish(result))

    def _attempt(self, name: str, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, DiffError) as error:
            complain(f"treadle: {self._folder / name}: {error}")

    def _write_diff(self) -> None:
        if self._snapshots is not None:
            changes = self._snapshots.between(self._before, self._snapshots.take())
            (self._folder / DIFF).write_bytes(changes)

    def _copy_session(self) -> None:
        if self._session is not None:
            shutil.copyfile(self._session, self._folder / SESSION)
            (self._folder / SESSION).chmod(0o600)

    def _copy_made(self, made: Path, number: int, result: Result) -> None:
        """Copy a file that was made. Of two with one name the later one gets its number; a link is no file."""
        if made.is_symlink():
            raise OSError(f"{made} is a link")
        earlier = {Path(str(each["path"])).name for each in result.found.artifacts[:number]}
        to = self._folder / MADE / (f"{number}-{made.name}" if made.name in earlier else made.name)
        to.parent.mkdir(exist_ok=True)
        shutil.copyfile(made, to)
        to.chmod(0o600)

    def _finish(self, result: Result) -> None:
        self._lines.end(result)
        self._events.close()
        text = json.dumps(result.as_object(), indent=2)
        (self._folder / RESULT).write_text(text + "\n", encoding="utf-8")

    def _write(self, line: str) -> None:
        self._events.write(line + "\n")
        self._events.flush()


def _made_before(result: Path) -> list[str]:
    """Return the names of what an earlier run copied, as its result tells them."""
    try:
        told = as_object(json.loads(result.read_text(encoding="utf-8"))) or {}
    except (OSError, ValueError, RecursionError):
        return []
    paths = [str((as_object(each) or {}).get("path") or "") for each in told.get("artifacts") or ()]
    names = [Path(path).name for path in paths]
    return [name for number, kept in enumerate(names) if kept for name in (kept, f"{number}-{kept}")]


def leave_result(folder: Path, result: Result) -> None:
    """Leave the result of a run that did not begin, as a line of events too."""
    try:
        kept = FolderOutput(folder, _Unseen())
    except OSError as error:
        complain(f"treadle: --output-dir {folder}: cannot be written: {error.strerror or error}")
        return
    kept.end(result)


class _Unseen:
    """An output that shows nothing."""

    def begin(self, session: Session, root: Path) -> None: ...

    def show(self, event: Event) -> None: ...

    def end(self, result: Result) -> None: ...
