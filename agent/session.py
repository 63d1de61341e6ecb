"""A session: one conversation over one workspace, that frontends drive and watch."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

import anyio

from treadle.agent.desk import Desk
from treadle.agent.events import Body, Event, Noted, TurnEnded
from treadle.agent.log import SessionLog
from treadle.agent.loop import Turn
from treadle.agent.messages import UserMessage

Sink: TypeAlias = Callable[[Event], Awaitable[None]]
"""Receives events in order. While it waits the session waits too, so a slow reader is never buried."""


class SessionBusy(Exception):
    """The session is at work; steer it or cancel it first."""


class Record:
    """The log of a session together with who is watching it."""

    def __init__(self, log: SessionLog) -> None:
        self.log = log
        self._watchers: list[Sink] = []

    async def keep(self, *bodies: Body) -> None:
        """Append to the log with one write, then show the entries."""
        for entry in self.log.append(*bodies):
            await self.show(entry)
        while self.log.notices:
            await self.show(Noted(text=self.log.notices.pop(0)))

    async def show(self, event: Event) -> None:
        """Hand an event to everybody who watches."""
        for watcher in tuple(self._watchers):
            await watcher(event)

    @contextmanager
    def watch(self, sink: Sink) -> Generator[None]:
        """Receive what happens from now on."""
        self._watchers.append(sink)
        try:
            yield
        finally:
            self._watchers.remove(sink)


class Session:
    """Owns the record, the inbox and the running scope. The work itself is `loop.Turn`."""

    def __init__(self, session_id: str, desk: Desk, record: Record) -> None:
        self.id = session_id
        self.record = record
        self.calls = desk.calls
        self._desk = desk
        self._inbox: deque[UserMessage] = deque()
        self._scope: anyio.CancelScope | None = None

    async def prompt(self, *messages: UserMessage) -> TurnEnded:
        """Do what the messages ask. Returns when there is nothing left to do; the log then ends with the outcome.

        Raises `SessionBusy`. When the caller is cancelled, the outcome is kept before the cancellation goes on.
        """
        if self._scope is not None:
            raise SessionBusy
        self._inbox.extend(messages)
        turn = Turn(self._desk, self.record.log, self._inbox, self.record.keep, self.record.show)
        ended: TurnEnded | None = None
        try:
            with anyio.CancelScope() as self._scope:
                ended = await turn.work()
        except Exception as error:
            ended = turn.ended("failed", error=f"internal error: {type(error).__name__}: {error}")
            raise
        finally:
            self._scope = None
            ended = ended or turn.ended("cancelled")
            with anyio.move_on_after(2, shield=True):
                await self.record.keep(ended)
        return ended

    def steer(self, message: UserMessage) -> None:
        """Say something more before the next step."""
        self._inbox.append(message)

    def cancel(self) -> None:
        """Stop at once. What was done stays in the log."""
        if self._scope is not None:
            self._scope.cancel()
