"""The paths below `/v1/responses` and `/v1/conversations`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Refused
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.files import page
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write
from treadle.agent.mock.memory import Conversation
from treadle.agent.mock.openai_frame import check_metadata
from treadle.agent.mock.rented import ResponsesOnAzure
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.responses_items import check_input, kind
from treadle.agent.mock.responses_memory import PREFIXES, ResponsesMemory, input_items, listed, no_item, told
from treadle.agent.mock.routes import Request, Route
from treadle.sandbox.frozen import frozen

ADDED = 20
"""Items that can be added at once."""


def _some(value: Json, path: str) -> None:
    c.items(c.mapping, most=ADDED)(value, path)
    if value != []:
        check_input(value, path)


_NEW = c.record({}, {"items": c.nullable(_some), "metadata": c.nullable(check_metadata)})
_CHANGED = c.record({"metadata": check_metadata})
_MORE = c.record({"items": _some})


@frozen
class ResponsePaths:
    """What can be asked of a response that is kept."""

    memory: ResponsesMemory

    def retrieve(self, request: Request) -> Delivery:
        """A response as far as it is, or the rest of its stream."""
        request.only("include", "include_obfuscation", "starting_after", "stream")
        kept = self.memory.response(request.names["response"], request.now)
        if request.query.get("stream") in {"true", "True", "1"}:
            start = request.number_of("starting_after", -1, 0, 10**9) + 1
            return kept.work.stream(start, request.now)
        if "starting_after" in request.query:
            raise Refused("starting_after: only allowed when stream is true", "starting_after")
        state = told(kept, request.now)
        kept.work.poll(request.now)
        return plain(200, write(state))

    def cancel(self, request: Request) -> Delivery:
        """Stop work in the background; what was stopped stays so."""
        kept = self.memory.response(request.names["response"], request.now)
        if not kept.work.background:
            raise Refused("Cannot cancel a synchronous response.", code="")
        match kept.work.state(request.now):
            case "queued" | "in_progress":
                kept.work.cancel(request.now)
            case "done":
                raise Refused("Cannot cancel a completed response.", code="")
            case "cancelled":
                pass
        return plain(200, write(told(kept, request.now)))

    def delete(self, request: Request) -> Delivery:
        """Delete a response. What follows it goes on."""
        kept = self.memory.response(request.names["response"], request.now)
        del self.memory.responses[kept.id]
        return plain(200, write({"id": kept.id, "object": "response", "deleted": True}))

    def input_items(self, request: Request) -> Delivery:
        """A page of what a response answered, newest first unless `order` says asc."""
        kept = self.memory.response(request.names["response"], request.now)
        return _page(request, input_items(kept))


@frozen
class ConversationPaths:
    """What can be asked of conversations."""

    memory: ResponsesMemory

    def create(self, request: Request) -> Delivery:
        """Begin a conversation, perhaps with items."""
        body = request.json() if request.body else {}
        _NEW(body, "")
        mark = hashlib.sha256(f"{request.now}/{request.number}".encode()).hexdigest()[:24]
        given = members(body)
        begun = Conversation(f"conv_{mark}", request.now, given.get("metadata") or {})
        _add(begun, elements(given.get("items")))
        self.memory.conversations[begun.id] = begun
        return plain(200, write(_conversation(begun)))

    def retrieve(self, request: Request) -> Delivery:
        """A conversation without its items."""
        return plain(200, write(_conversation(self._found(request))))

    def update(self, request: Request) -> Delivery:
        """Change a conversation's metadata."""
        found, body = self._found(request), request.json()
        _CHANGED(body, "")
        found.metadata = members(body)["metadata"]
        return plain(200, write(_conversation(found)))

    def delete(self, request: Request) -> Delivery:
        """Delete a conversation and its items."""
        found = self._found(request)
        del self.memory.conversations[found.id]
        return plain(200, write({"id": found.id, "object": "conversation.deleted", "deleted": True}))

    def items(self, request: Request) -> Delivery:
        """A page of items, newest first unless `order` says asc."""
        return _page(request, [listed(item) for item in self._found(request).items.values()])

    def add(self, request: Request) -> Delivery:
        """Add items at the end."""
        found, body = self._found(request), request.json()
        _MORE(body, "")
        added: list[Json] = [*map(listed, _add(found, elements(members(body)["items"])))]
        ids = [members(item)["id"] for item in added]
        ends: JsonObject = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        return plain(200, write({"object": "list", "data": added, "has_more": False, **ends}))

    def item(self, request: Request) -> Delivery:
        """One item."""
        found = self._found(request)
        return plain(200, write(listed(found.items[self._item(request, found)])))

    def remove(self, request: Request) -> Delivery:
        """Delete one item."""
        found = self._found(request)
        del found.items[self._item(request, found)]
        return plain(200, write(_conversation(found)))

    def _found(self, request: Request) -> Conversation:
        return self.memory.conversation(request.names["conversation"], request.now)

    def _item(self, request: Request, found: Conversation) -> str:
        item_id = request.names["item"]
        if item_id not in found.items:
            raise no_item(item_id, found.id)
        return item_id


def response_routes(memory: ResponsesMemory) -> Iterator[Route]:
    """The routes, also below Azure's path."""
    responses, conversations = ResponsePaths(memory), ConversationPaths(memory)
    for base, face in (("/v1", Responses()), ("/azure/openai/v1", ResponsesOnAzure())):
        one, talk = base + "/responses/{response}", base + "/conversations/{conversation}"
        yield Route("GET", one, face, responses.retrieve)
        yield Route("DELETE", one, face, responses.delete)
        yield Route("POST", f"{one}/cancel", face, responses.cancel)
        yield Route("GET", f"{one}/input_items", face, responses.input_items)
        yield Route("POST", f"{base}/conversations", face, conversations.create, max_body=face.max_body)
        yield Route("GET", talk, face, conversations.retrieve)
        yield Route("POST", talk, face, conversations.update)
        yield Route("DELETE", talk, face, conversations.delete)
        yield Route("GET", f"{talk}/items", face, conversations.items)
        yield Route("POST", f"{talk}/items", face, conversations.add, max_body=face.max_body)
        yield Route("GET", talk + "/items/{item}", face, conversations.item)
        yield Route("DELETE", talk + "/items/{item}", face, conversations.remove)


def _add(conversation: Conversation, items: list[Json]) -> list[JsonObject]:
    """Put items at the end under ids of their own. Raises Refused for one that is there already."""
    added: list[JsonObject] = []
    mark, numbers = conversation.id.partition("_")[2], count(len(conversation.items))
    for given in items:
        item = dict(members(given))
        own = words(item.get("id")) or f"{PREFIXES.get(kind(item), 'item')}_{mark}_{next(numbers)}"
        while own in conversation.items and not item.get("id"):
            own = f"{PREFIXES.get(kind(item), 'item')}_{mark}_{next(numbers)}"
        if own in conversation.items:
            raise Refused(f"Duplicate item found with id {own}.", "items")
        conversation.items[own] = {**item, "id": own}
        added.append(conversation.items[own])
    return added


def _conversation(conversation: Conversation) -> JsonObject:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": int(conversation.created),
        "metadata": conversation.metadata,
    }


def _page(request: Request, items: list[JsonObject]) -> Delivery:
    request.only("after", "include", "limit", "order")
    ordered = items if request.query.get("order") == "asc" else items[::-1]
    return plain(200, write(page(request, ordered, request.number_of("limit", 20, 1, 100))))
