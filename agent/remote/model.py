"""A model that is asked with what the provider keeps: the loop asks it as any other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from treadle.agent.events import RemoteGone, StreamDelta
from treadle.agent.messages import AssistantMessage, Warned
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Busy,
    HttpCall,
    ModelInfo,
    ModelRequest,
    NotFound,
    ProviderError,
    ReplyStream,
    StaleState,
    Stored,
)
from treadle.agent.providers.keeping import Following, shelf_of
from treadle.agent.remote.background import Background, KeepReply
from treadle.agent.remote.branch import (
    Branch,
    answered,
    asks_next,
    pending,
)
from treadle.agent.remote.place import Place, Travel, kept_by
from treadle.agent.remote.uploads import Uploads
from treadle.tools.contract import FileRef, Media

_LOCKED: Final = "conversation_locked"


class RemoteModel:
    """A model together with what its provider keeps of one session.

    The whole transcript stays in the log. What the provider has is only a shorter way to say it: when it has forgotten,
    all is sent again, once.
    """

    def __init__(self, client: Client, branch: Branch, travel: Travel, uploads: Uploads | None) -> None:
        """`uploads` keep the session's files at this provider; None where it keeps none."""
        self._client = client
        self._branch = branch
        self._travel = travel
        self._uploads = uploads
        self._shelf = shelf_of(client.info.wire, client.info.dialect.get("api_revision", "2026-05-20"))
        self._place = Place(client, branch, travel)
        self._dead: set[str] = set()
        """Replies that were submitted and will never be whole."""

    @property
    def info(self) -> ModelInfo:
        """What the catalogue says of the model."""
        return self._client.info

    def encode(self, request: ModelRequest) -> HttpCall:
        """The exact request that `stream` would send, if the provider still has what it had."""
        aside = not asks_next(request, self._branch.conversation())
        return self._client.encode(request if aside else replace(request, stored=self._place.known()))

    async def count(self, request: ModelRequest) -> int | None:
        """Have the vendor count the tokens of the whole request. None where it does not."""
        return await self._client.count(request)

    async def upload(self, media: Media) -> FileRef | None:
        """Put media into the provider's store, if they are not there. None when it has none. Raises `ProviderError`."""
        return None if self._uploads is None else await self._uploads.upload(media)

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncGenerator[ReplyStream]:
        """Ask once, or take what was asked for before. Raises `ProviderError`.

        A question aside goes as it is, and nothing is kept of it.
        """
        if not asks_next(request, self._branch.conversation()):
            async with self._client.stream(request) as reply:
                yield reply
            return
        async with AsyncExitStack() as stack:
            reply, stored = await self._submitted(stack), None
            if reply is None:
                if self._uploads is not None:
                    request = await self._uploads.renewed(request, None)
                reply, stored = await self._asked(stack, request)
            try:
                yield reply
            except (StaleState, NotFound) as error:  # told in the stream itself
                if stored is None or not stored.id:
                    raise
                await self._place.forget(stored, error)
                raise Busy(str(error), status=error.status, code=error.code, retry_after=0) from error
            if stored is not None and stored.within == "conversation":
                self._place.sure = stored.id

    async def _submitted(self, stack: AsyncExitStack) -> ReplyStream | None:
        """Take up the reply that was asked for before, by this process or one that died. None when there is none.

        One that was not asked for in the background is only taken when it is whole.
        """
        kept = pending(self._branch.conversation(), self.info)
        if kept is None or kept.id in self._dead:
            return None
        waiting = self._waiting()
        try:
            if await waiting.take_up(kept.id, wait=self._travel.background):
                await stack.enter_async_context(waiting)
                return waiting
        except (StaleState, NotFound):
            await self._branch.keep(RemoteGone(kind="response", id=kept.id))
        self._dead.add(kept.id)
        return None

    async def _asked(self, stack: AsyncExitStack, request: ModelRequest) -> tuple[ReplyStream, Stored | None]:
        stored = await self._place.found()
        try:
            return await self._ask(stack, request, stored), stored
        except ProviderError as error:
            request = await self._mended(error, request, stored)
        stored = await self._place.found()
        return await self._ask(stack, request, stored), stored

    async def _ask(self, stack: AsyncExitStack, request: ModelRequest, stored: Stored | None) -> ReplyStream:
        self._place.sure = ""
        request = replace(request, stored=stored)
        if stored is None:
            return await stack.enter_async_context(self._client.stream(request))
        if stored.background:
            waiting = await stack.enter_async_context(self._waiting())
            await waiting.submit(request)
            return waiting
        follow = Following(self._client.wire.decoder(self.info), self._shelf, to_the_end=False)
        incoming = await stack.enter_async_context(self._client.stream(request, follow))
        return _Kept(incoming, follow, self._keep_reply)

    def _waiting(self) -> Background:
        follow = Following(self._client.wire.decoder(self.info), self._shelf, to_the_end=True)
        return Background(self._client, self._shelf, follow, self._keep_reply, self._travel.ceiling)

    async def _keep_reply(self, name: str) -> None:
        """Say in the log what the provider keeps, before anything waits for it."""
        conversation = self._branch.conversation()
        if name not in conversation.remote:
            await self._branch.keep(kept_by(self.info, "response", name, answered(conversation)))

    async def _mended(
        self, error: ProviderError, request: ModelRequest, stored: Stored | None
    ) -> ModelRequest:
        """Return what to ask in place of what was refused. Raises the refusal when nothing would mend it."""
        if isinstance(error, StaleState | NotFound) and stored is not None and stored.id:
            await self._place.forget(stored, error)
            return request
        if error.code == _LOCKED and stored is not None:
            self._place.leave(stored.id)  # a reply that nobody here knows of is worked on in it
            return request
        renewed = request if self._uploads is None else await self._uploads.renewed(request, error)
        if renewed is request:
            raise error
        return renewed


class _Kept:
    """A reply that the provider keeps: its id is in the log as soon as it is known."""

    def __init__(self, incoming: ReplyStream, follow: Following, keep: KeepReply) -> None:
        self._incoming = incoming
        self._follow = follow
        self._keep = keep

    async def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        """The deltas. Raises `ProviderError`."""
        told = False
        async for deltas in self._incoming:
            if self._follow.name and not told:
                told = True
                await self._keep(self._follow.name)
            yield deltas
        if not told and (name := self.message.response_id):
            await self._keep(name)

    @property
    def message(self) -> AssistantMessage:
        return self._incoming.message

    @property
    def partial(self) -> AssistantMessage:
        return self._incoming.partial

    @property
    def sent(self) -> int:
        return self._incoming.sent

    @property
    def received(self) -> int:
        return self._incoming.received

    @property
    def warnings(self) -> tuple[Warned, ...]:
        return self._incoming.warnings
