"""What a provider keeps of replies: how it is named, waited for, cancelled and deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from treadle.agent.events import StreamDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import Decoder, HttpCall, WireName
from treadle.agent.providers.plain import segment
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import as_object

CONVERSATIONS: Final = "/conversations"


@frozen
class Shelf:
    """How a wire names the replies that a provider keeps."""

    path: str
    object: str
    """The key under which events carry the reply."""
    cursor: str
    """The key by which events are told apart."""
    after: str
    """The field of a query that names the last event which was had."""
    headers: Mapping[str, str]

    def look(self, name: str) -> HttpCall:
        """Return the call for the reply as it is now."""
        return HttpCall("GET", f"{self.path}/{segment(name)}", headers=self.headers)

    def resume(self, name: str, cursor: str) -> HttpCall:
        """Return the call for the events after one; after none, for all of them."""
        query = {"stream": "true", **({self.after: cursor} if cursor else {})}
        path = f"{self.path}/{segment(name)}"
        return HttpCall("GET", path, query=query, headers=self.headers, stream=True)

    def cancel(self, name: str) -> HttpCall:
        """Return the call that ends the work on a reply."""
        return HttpCall("POST", f"{self.path}/{segment(name)}/cancel", b"{}", headers=self.headers)

    def delete(self, name: str) -> HttpCall:
        """Return the call that deletes a reply."""
        return HttpCall("DELETE", f"{self.path}/{segment(name)}", headers=self.headers)


def shelf_of(wire: WireName, api_revision: str = "2026-05-20") -> Shelf:
    """Return how a vendor that speaks this wire names the replies it keeps."""
    if wire in {"gemini", "gemini_interactions"}:
        revision = {"api-revision": api_revision}
        return Shelf("/interactions", "interaction", "event_id", "last_event_id", revision)
    return Shelf("/responses", "response", "sequence_number", "starting_after", {})


def new_conversation() -> HttpCall:
    """Return the call for a conversation without items."""
    return HttpCall("POST", CONVERSATIONS, b"{}")


def last_item(conversation: str) -> HttpCall:
    """Return the call for the newest item alone."""
    path = f"{CONVERSATIONS}/{segment(conversation)}/items"
    return HttpCall("GET", path, query={"limit": "1", "order": "desc"})


def delete_conversation(name: str) -> HttpCall:
    """Return the call that deletes a conversation; the replies in it are kept each by itself."""
    return HttpCall("DELETE", f"{CONVERSATIONS}/{segment(name)}")


class Following:
    """A decoder that knows which reply it takes and how far it has come; what it has had it passes over."""

    def __init__(self, inner: Decoder, shelf: Shelf, *, to_the_end: bool) -> None:
        """`to_the_end` remembers every event; else only the reply's name."""
        self.name = ""
        """The reply's id; empty until it is known."""
        self.cursor = ""
        """Of the last event that was had."""
        self._inner = inner
        self._shelf = shelf
        self._to_the_end = to_the_end
        self._had: set[str] = set()

    def feed(self, event: str, data: str) -> Sequence[StreamDelta]:
        """Take one event, unless it was had before."""
        if self.name and not self._to_the_end:
            return tuple(self._inner.feed(event, data))
        cursor = self._look(data)
        if cursor and cursor in self._had:
            return ()
        deltas = tuple(self._inner.feed(event, data))
        if cursor:
            self.cursor = cursor
            self._had.add(cursor)
        return deltas

    def finish(self) -> AssistantMessage:
        """Return the whole message. Raises `StreamCutShort` when it is not whole."""
        return self._inner.finish()

    def partial(self) -> AssistantMessage:
        """Return what came."""
        return self._inner.partial()

    def _look(self, data: str) -> str:
        """Note the reply's name. Returns what tells the event apart; empty when nothing does."""
        try:
            payload = as_object(json.loads(data)) or {}
        except (ValueError, RecursionError):
            return ""
        name = (as_object(payload.get(self._shelf.object)) or {}).get("id")
        if isinstance(name, str):
            self.name = self.name or name
        cursor = payload.get(self._shelf.cursor)
        return str(cursor) if isinstance(cursor, str | int) else ""
