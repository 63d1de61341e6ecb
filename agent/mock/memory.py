"""Replies that are kept: how far work on one has come, what it follows, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from treadle.agent.mock.contract import Asked
from treadle.agent.mock.delivery import EVENTS, Delivery
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.script import Forgettable, Pace
from treadle.sandbox.frozen import frozen

State = Literal["queued", "in_progress", "done", "cancelled"]


@dataclass(slots=True)
class Work:
    """The making of a reply, at the script's pace. What was asked for in the foreground is done when it is kept."""

    events: Sequence[bytes]
    """All that a stream of it says, framed."""
    begun: float
    """Seconds since 1970."""
    pace: Pace
    background: bool
    asked_for: int = 0
    """How often the work was asked for while it was not done."""
    stopped: int | None = None
    """Events that had come when it was cancelled; None if it was not."""

    def come(self, now: float) -> int:
        """Events that have come."""
        if self.stopped is not None:
            return self.stopped
        if not self.background:
            return len(self.events)
        if self.pace.polls:
            return len(self.events) if self.asked_for >= self.pace.polls else 0
        waited = now - self.begun - self.pace.first
        if waited < 0:
            return 0
        return min(len(self.events), int(waited * self.pace.rate) + 1) if self.pace.rate else len(self.events)

    def state(self, now: float) -> State:
        """How far it is."""
        if self.stopped is not None:
            return "cancelled"
        come = self.come(now)
        if come >= len(self.events):
            return "done"
        return "in_progress" if come or self.asked_for else "queued"

    def poll(self, now: float) -> State:
        """How far it is, which counts as asking for it."""
        state = self.state(now)
        if state in {"queued", "in_progress"}:
            self.asked_for += 1
        return state

    def cancel(self, now: float) -> None:
        """Stop where it is."""
        self.stopped = self.come(now)

    def stream(self, start: int, now: float) -> Delivery:
        """The events from a number on: what has come at once, the rest as it comes."""
        self.asked_for = max(self.asked_for, self.pace.polls)  # who watches need not ask
        come = max(start, self.come(now))
        ended = len(self.events) if self.stopped is None else self.stopped
        ready, rest = b"".join(self.events[start:come]), self.events[come:ended]
        waiting = max(0.0, self.begun + self.pace.first - now) if self.background and not ready else 0.0
        headers = {"content-type": EVENTS, "cache-control": "no-cache"}
        pieces = (*((ready,) if ready else ()), *rest)
        return Delivery(200, pieces, headers, first=waiting, rate=self.pace.rate if rest else 0.0)


@dataclass(slots=True)
class Kept:
    """A request and its reply, which later requests can follow."""

    id: str
    given: Sequence[JsonObject]
    """What the request added to what it follows."""
    made: Sequence[JsonObject]
    """What the model answered."""
    opening: JsonObject
    """The reply's object while it is being made."""
    ended: JsonObject
    """The same when it is done."""
    work: Work
    follows: Kept | None

    def said(self) -> list[JsonObject]:
        """The whole conversation up to here."""
        turns: list[Kept] = []
        turn: Kept | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.follows
        return [item for kept in reversed(turns) for item in (*kept.given, *kept.made)]


@dataclass(slots=True)
class Conversation:
    """Items under one name."""

    id: str
    created: float
    metadata: Json
    items: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """By their ids, in order."""
    at_work: Kept | None = None
    """The reply that will be added when it is done."""


@frozen
class Recalled:
    """A request with what it leans on put back."""

    body: Json
    given: Sequence[JsonObject] = ()
    """What the request itself brought."""
    follows: Kept | None = None
    conversation: Conversation | None = None


@frozen
class Spoken:
    """A reply as its face words it."""

    asked: Asked
    whole: bytes
    events: Sequence[bytes]
    pace: Pace
    now: float
    """When it began: seconds since 1970."""


class Memory(Protocol):
    """What one API keeps of conversations."""

    def recall(self, body: Json, now: float) -> Recalled:
        """Put back what a request leans on. Raises Refused if that is not here."""
        ...

    def forget(self, what: Forgettable, recalled: Recalled) -> None:
        """Drop what the request leans on. Raises Refused if it did."""
        ...

    def keep(self, recalled: Recalled, spoken: Spoken) -> Kept:
        """Keep a reply."""
        ...

    def submitted(self, kept: Kept) -> JsonObject:
        """What answers a request that is worked on in the background."""
        ...

    def drop(self, kept_id: str) -> None:
        """Forget a reply."""
        ...
