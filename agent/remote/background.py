"""A reply that a provider works on though nobody listens: submitted, waited for, taken up again, cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import chain, repeat
from types import TracebackType
from typing import Final, TypeAlias

import anyio

from treadle.agent.events import StreamDelta
from treadle.agent.messages import AssistantMessage, Warned
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import ModelRequest, ProviderError, Rejected, ReplyStream
from treadle.agent.providers.keeping import Following, Shelf

KeepReply: TypeAlias = Callable[[str], Awaitable[None]]
"""Says in the log that the provider keeps a reply of this id."""

_WAITING: Final = frozenset({"queued", "in_progress"})
_DEAD: Final = frozenset({"cancelled", "failed"})
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between looks; the last one for ever."""
_FAILURES: Final = 8
"""Looks in a row that may fail before the wait is given up. The reply can be waited for again."""
_CANCEL_SECONDS: Final = 2.0


class Background:
    """Waits for one reply, however often the connection breaks. A stream that broke is resumed after its last event."""

    def __init__(
        self, client: Client, shelf: Shelf, follow: Following, keep: KeepReply, ceiling: float
    ) -> None:
        """`ceiling` is the seconds after which the work is given up."""
        self._client = client
        self._shelf = shelf
        self._follow = follow
        self._keep = keep
        self._ceiling = ceiling
        self._stack = AsyncExitStack()
        self._incoming: ReplyStream | None = None
        self._message: AssistantMessage | None = None
        self._broken: ProviderError | None = None
        """What ended the last stream before its end."""
        self._failures = 0
        self._pauses = _pauses()
        self._until = 0.0
        self._told = False
        self._submitted: tuple[int, tuple[Warned, ...]] = (0, ())

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cancelled = kind is not None and issubclass(kind, anyio.get_cancelled_exc_class())
        if cancelled and self._message is None:
            await self._cancel()
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    async def submit(self, request: ModelRequest) -> None:
        """Have the provider begin. Until the first line of its answer is here nobody knows what it began."""
        self._incoming = await self._stack.enter_async_context(self._client.stream(request, self._follow))
        self._submitted = (self._incoming.sent, self._incoming.warnings)

    async def take_up(self, name: str, *, wait: bool) -> bool:
        """Go on with a reply that was submitted before. False when it will never be whole.

        With `wait` one that is still worked on is waited for; else it counts as one that never will be.
        """
        self._follow.name = name
        body = await self._client.fetch(self._shelf.look(name))
        status = body.get("status")
        if status in _DEAD or (status in _WAITING and not wait):
            return False
        if status not in _WAITING:
            self._message = self._client.wire.decode(body, self._client.info)
        return True

    @property
    def message(self) -> AssistantMessage:
        """The whole reply, after the deltas have ended."""
        if self._message is None:
            raise RuntimeError("The reply is not whole yet.")
        return self._message

    @property
    def partial(self) -> AssistantMessage:
        """What came so far."""
        return self._message or self._follow.partial()

    @property
    def sent(self) -> int:
        """Bytes of the request's body; 0 when it was another process that sent it."""
        return self._submitted[0]

    @property
    def received(self) -> int:
        """0: what was asked for again and again is not one body."""
        return 0

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What could not be sent as asked."""
        return self._submitted[1]

    async def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        """The deltas. Raises `ProviderError`."""
        self._until = anyio.current_time() + self._ceiling
        while self._message is None:
            if self._incoming is None:
                await self._look()
                continue
            try:
                async for deltas in self._incoming:
                    self._failures, self._pauses = 0, _pauses()
                    await self._tell(self._follow.name)
                    await self._pause(0.0)
                    yield deltas
                self._message = self._incoming.message
            except ProviderError as error:
                if not self._follow.name or not error.retryable:
                    raise
                self._incoming, self._broken = None, error
                await self._pause(next(self._pauses))
        await self._tell(self._message.response_id)

    async def _tell(self, name: str) -> None:
        """Have the log say which reply the provider is at, before anything waits for it."""
        if name and not self._told:
            self._told = True
            await self._keep(name)

    async def _look(self) -> None:
        """Ask how the reply is, and take it when it is whole; else open its stream again where it broke off."""
        await self._stack.aclose()
        try:
            body = await self._client.fetch(self._shelf.look(self._follow.name))
            if body.get("status") in _WAITING:
                call = self._shelf.resume(self._follow.name, self._follow.cursor)
                self._incoming = await self._stack.enter_async_context(self._client.send(call, self._follow))
                return
        except ProviderError as error:
            self._failures += 1
            if not error.retryable or self._failures > _FAILURES:
                raise
            await self._pause(next(self._pauses))
            return
        if body.get("status") in _DEAD and self._broken is not None:
            raise self._broken
        self._message = self._client.wire.decode(body, self._client.info)

    async def _pause(self, seconds: float) -> None:
        """Wait a while, unless the ceiling is reached."""
        if anyio.current_time() > self._until:
            await self._cancel()
            raise Rejected(f"the provider did not answer within {self._ceiling:g} s: the work was cancelled")
        if seconds:
            await anyio.sleep(seconds)

    async def _cancel(self) -> None:
        """Have the work stopped, as far as the provider can be reached: nobody will read what comes of it."""
        if self._follow.name:
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                try:
                    await self._client.fetch(self._shelf.cancel(self._follow.name))
                except ProviderError:
                    return  # it is over, or out of reach


def _pauses() -> Iterator[float]:
    return chain(_PAUSES, repeat(_PAUSES[-1]))
