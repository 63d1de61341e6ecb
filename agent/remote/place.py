"""Where the next request goes on from: what the provider has of the branch, looked up where that is not sure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal, TypeAlias, cast

from treadle.agent.events import Noted, RemoteGone, RemoteKept
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import ModelInfo, NotFound, ProviderError, StaleState, Stored
from treadle.agent.providers.keeping import last_item, new_conversation
from treadle.agent.remote.branch import Branch, chained, last_reply, open_conversation
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import as_object

State: TypeAlias = Literal["stateless", "chain", "conversation"]


@frozen
class Travel:
    """How requests travel."""

    state: State = "stateless"
    background: bool = False
    ceiling: float = 86_400.0
    """Seconds after which work in the background is given up."""


class Place:
    """Finds what the next request goes on from, and begins a conversation where there is none to go on in."""

    def __init__(self, client: Client, branch: Branch, travel: Travel) -> None:
        self.sure = ""
        """The conversation that is known to hold what we think it holds; empty when that must be looked up."""
        self._client = client
        self._branch = branch
        self._travel = travel
        self._left: set[str] = set()
        """Conversations in which something else goes on."""

    def leave(self, name: str) -> None:
        """Go on in this conversation no more."""
        self._left.add(name)

    async def forget(self, stored: Stored, error: ProviderError) -> None:
        """Note that what was gone on from is there no more."""
        await self._branch.keep(RemoteGone(kind=stored.within, id=stored.id))
        told = f"the provider has forgotten {stored.within} {stored.id} ({error}); all is sent again"
        await self._branch.show(Noted(told))

    def known(self) -> Stored | None:
        """Return what the next request says of what is kept, as far as the log knows."""
        conversation, background = self._branch.conversation(), self._travel.background
        match self._travel.state:
            case "stateless":
                return Stored(background=True) if background else None
            case "chain":
                return replace(chained(conversation, self._client.info), background=background)
            case "conversation":
                open_one = open_conversation(conversation, self._client.info, self._branch.session)
                open_one = None if open_one and open_one.id in self._left else open_one
                found = last_reply(conversation, self._client.info)
                known = found[0] + 1 if found and open_one else 0
                name = open_one.id if open_one else ""
                return Stored("conversation", name, known, background)

    async def found(self) -> Stored | None:
        """Return what is kept, once a conversation was found to hold just what we think, or another was begun."""
        stored = self.known()
        if stored is None or stored.within != "conversation":
            return stored
        more = stored.known < len(self._branch.conversation().messages)
        if stored.id and more and (stored.id == self.sure or await self._holds(stored.id, stored.known)):
            return stored
        return await self._begun(stored)

    async def _begun(self, stored: Stored) -> Stored:
        """Begin a conversation. Its items go with the first request."""
        made = (await self._client.fetch(new_conversation())).get("id")
        if not isinstance(made, str) or not made:
            raise NotFound("the provider began a conversation and did not say which")
        await self._branch.keep(kept_by(self._client.info, "conversation", made, self._branch.session))
        return replace(stored, id=made, known=0)

    async def _holds(self, name: str, known: int) -> bool:
        """Say whether a conversation ends where our newest reply does: a request that was cut off may have gone on."""
        conversation = self._branch.conversation()
        try:
            items = cast(object, (await self._client.fetch(last_item(name))).get("data"))
        except (StaleState, NotFound) as error:
            await self.forget(Stored("conversation", name), error)
            return False
        newest = as_object(cast(list[object], items)[0]) if isinstance(items, list) and items else None
        if known == 0 or newest is None:
            return known == 0 and newest is None
        reply = conversation.messages[known - 1]
        return isinstance(reply, AssistantMessage) and newest.get("id") == _last_item_of(reply)


def kept_by(info: ModelInfo, kind: Literal["response", "conversation"], name: str, of: str) -> RemoteKept:
    """Return what says that a model's provider keeps something."""
    return RemoteKept(kind=kind, vendor=info.vendor, endpoint=info.endpoint, id=name, of=of)


def _last_item_of(reply: AssistantMessage) -> str | None:
    """Return the id of a reply's last item; None when it has none."""
    raw = next((part.raw for part in reversed(reply.parts) if part.raw), "{}")
    name = (as_object(json.loads(raw)) or {}).get("id")
    return name if isinstance(name, str) else None
