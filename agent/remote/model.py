"""A model that is asked with what the provider keeps: the loop asks it as any other."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final, Literal, TypeAlias, cast

from treadle.agent.events import Noted, RemoteGone, RemoteKept, StreamDelta
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
from treadle.agent.providers.keeping import Following, last_item, new_conversation, shelf_of
from treadle.agent.remote.background import Background, KeepReply
from treadle.agent.remote.branch import (
    Branch,
    answered,
    asks_next,
    chained,
    last_reply,
    open_conversation,
    pending,
)
from treadle.agent.remote.uploads import Uploads
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import FileRef, Media, as_object

_LOCKED: Final = "conversation_locked"
State: TypeAlias = Literal["stateless", "chain", "conversation"]


@frozen
class Travel:
    """How requests travel."""

    state: State = "stateless"
    background: bool = False
    ceiling: float = 86_400.0
    """Seconds after which work in the background is given up."""


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
        self._sure = ""
        """The conversation that is known to hold what we think it holds; empty when that must be looked up."""
        self._dead: set[str] = set()
        """Replies that were submitted and will never be whole, and conversations in which something else goes on."""

    @property
    def info(self) -> ModelInfo:
        """What the catalogue says of the model."""
        return self._client.info

    def encode(self, request: ModelRequest) -> HttpCall:
        """The exact request that `stream` would send, if the provider still has what it had."""
        aside = not asks_next(request, self._branch.conversation())
        return self._client.encode(request if aside else replace(request, stored=self._stored()))

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
                await self._forget(stored, error)
                raise Busy(str(error), status=error.status, code=error.code, retry_after=0) from error
            if stored is not None and stored.within == "conversation":
                self._sure = stored.id

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
        stored = await self._placed()
        try:
            return await self._ask(stack, request, stored), stored
        except ProviderError as error:
            request = await self._mended(error, request, stored)
        stored = await self._placed()
        return await self._ask(stack, request, stored), stored

    async def _ask(self, stack: AsyncExitStack, request: ModelRequest, stored: Stored | None) -> ReplyStream:
        self._sure = ""
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
            await self._branch.keep(self._kept("response", name, answered(conversation)))

    def _kept(self, kind: Literal["response", "conversation"], name: str, of: str) -> RemoteKept:
        info = self.info
        return RemoteKept(kind=kind, vendor=info.vendor, endpoint=info.endpoint, id=name, of=of)

    def _stored(self) -> Stored | None:
        """Return what the next request says of what is kept, as far as the log knows."""
        conversation, background = self._branch.conversation(), self._travel.background
        match self._travel.state:
            case "stateless":
                return Stored(background=True) if background else None
            case "chain":
                return replace(chained(conversation, self.info), background=background)
            case "conversation":
                open_one = open_conversation(conversation, self.info, self._branch.session)
                open_one = None if open_one and open_one.id in self._dead else open_one
                found = last_reply(conversation, self.info)
                known = found[0] + 1 if found and open_one else 0
                name = open_one.id if open_one else ""
                return Stored("conversation", name, known, background)

    async def _placed(self) -> Stored | None:
        """Return what is kept, once a conversation was found to hold just what we think, or another was begun."""
        stored = self._stored()
        if stored is None or stored.within != "conversation":
            return stored
        more = stored.known < len(self._branch.conversation().messages)
        if stored.id and more and (stored.id == self._sure or await self._holds(stored.id, stored.known)):
            return stored
        return await self._begun(stored)

    async def _begun(self, stored: Stored) -> Stored:
        """Begin a conversation. Its items go with the first request."""
        made = (await self._client.fetch(new_conversation())).get("id")
        if not isinstance(made, str) or not made:
            raise NotFound("the provider began a conversation and did not say which")
        await self._branch.keep(self._kept("conversation", made, self._branch.session))
        return replace(stored, id=made, known=0)

    async def _holds(self, name: str, known: int) -> bool:
        """Say whether a conversation ends where our newest reply does: a request that was cut off may have gone on."""
        conversation = self._branch.conversation()
        try:
            items = cast(object, (await self._client.fetch(last_item(name))).get("data"))
        except (StaleState, NotFound) as error:
            await self._forget(Stored("conversation", name), error)
            return False
        newest = as_object(cast(list[object], items)[0]) if isinstance(items, list) and items else None
        if known == 0 or newest is None:
            return known == 0 and newest is None
        reply = conversation.messages[known - 1]
        return isinstance(reply, AssistantMessage) and newest.get("id") == _last_item_of(reply)

    async def _mended(
        self, error: ProviderError, request: ModelRequest, stored: Stored | None
    ) -> ModelRequest:
        """Return what to ask in place of what was refused. Raises the refusal when nothing would mend it."""
        if isinstance(error, StaleState | NotFound) and stored is not None and stored.id:
            await self._forget(stored, error)
            return request
        if (
            error.code == _LOCKED and stored is not None
        ):  # a reply that nobody here knows of is worked on in it
            self._dead.add(stored.id)
            return request
        renewed = request if self._uploads is None else await self._uploads.renewed(request, error)
        if renewed is request:
            raise error
        return renewed

    async def _forget(self, stored: Stored, error: ProviderError) -> None:
        await self._branch.keep(RemoteGone(kind=stored.within, id=stored.id))
        told = f"the provider has forgotten {stored.within} {stored.id} ({error}); all is sent again"
        await self._branch.show(Noted(told))


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


def _last_item_of(reply: AssistantMessage) -> str | None:
    """Return the id of a reply's last item; None when it has none."""
    raw = next((part.raw for part in reversed(reply.parts) if part.raw), "{}")
    name = (as_object(json.loads(raw)) or {}).get("id")
    return name if isinstance(name, str) else None
