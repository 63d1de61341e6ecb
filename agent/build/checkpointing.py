"""Pictures of the workspace from before each change, and one of how the session left it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CancelScope, Lock, to_thread

from treadle.agent.build.opening import Opening
from treadle.agent.events import Checkpointed, Noted
from treadle.agent.session import Record
from treadle.agent.sessions import checkpoints_of
from treadle.agent.workspace import DiffError
from treadle.agent.workspace.leavings import note_left
from treadle.sandbox.contract import Access

if TYPE_CHECKING:
    from treadle.agent.workspace.checkpoints import Checkpoints


@asynccontextmanager
async def checkpointing(
    opening: Opening, record: Record, root: Path, session: Path
) -> AsyncGenerator[Callable[[object, Access], Awaitable[None]] | None]:
    """Yield what calls are preceded by; None where nothing is kept or nothing can change.

    At the end it keeps how the session leaves the workspace, so that what is changed later is known to be somebody else's.
    """
    if opening.ephemeral or opening.tools == "none":
        yield None
        return
    taking = _Checkpointing(record, root, checkpoints_of(session), off=not opening.config.checkpoints)
    try:
        yield taking.before
    finally:
        await taking.leave()


class _Checkpointing:
    """Takes checkpoints for one session. That one cannot be taken is said once, and stops nothing."""

    def __init__(self, record: Record, root: Path, store: Path, *, off: bool) -> None:
        self._record = record
        self._root = root
        self._store = store
        self._off = off
        self._checkpoints: Checkpoints | None = None
        self._lock = Lock()
        self._reply: object = None

    async def before(self, reply: object, access: Access) -> None:
        """Once for all calls of a reply, before the first of them that may change anything."""
        if not (access.writes or access.runs or access.opaque):
            return
        async with self._lock:
            if reply is not self._reply:
                self._reply = reply
                await self._record.keep(Checkpointed(snapshot=await self.take()))

    async def leave(self) -> None:
        if self._checkpoints is None or self._off or self._record.log.head is None:
            return
        with CancelScope(shield=True):
            if picture := await self.take():
                note_left(self._store, self._record.log.head, picture)

    async def take(self) -> str:
        if self._off:
            return ""
        try:
            return await to_thread.run_sync(self._picture)
        except DiffError as error:
            self._off = True
            await self._record.show(Noted(text=f"files cannot be rewound: {error}"))
            return ""

    def _picture(self) -> str:
        if self._checkpoints is None:
            self._checkpoints = open_checkpoints(self._root, self._store)
        return self._checkpoints.take()


def open_checkpoints(root: Path, store: Path) -> Checkpoints:
    """Open a session's checkpoints, loading git for it. Raises `DiffError`."""
    try:
        from treadle.agent.workspace.checkpoints import Checkpoints

        return Checkpoints(root, store)
    except ImportError as error:
        raise DiffError("git is needed for it: install git") from error
    except OSError as error:
        raise DiffError(f"{store}: {error.strerror}") from error
