"""What Gemini's Interactions API keeps: interactions that others can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treadle.agent.mock.check import Refused
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.files import stamp
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.interactions_rules import steps
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.memory import Kept, Recalled, Spoken, Work
from treadle.agent.mock.routes import Request, Route
from treadle.agent.mock.script import Forgettable
from treadle.sandbox.frozen import frozen

PREVIOUS = "previous_interaction_id"
LIFE = 55 * 86_400.0


class InteractionsMemory:
    """Interactions, for as long as those who pay have them kept."""

    def __init__(self) -> None:
        self.interactions: dict[str, Kept] = {}

    def recall(self, body: Json, now: float) -> Recalled:
        """Put the steps of what the request follows before its own. Raises Refused."""
        request, previous = members(body), members(body).get(PREVIOUS)
        input_ = request.get("input")
        if not isinstance(input_, str | list):
            return Recalled(body)  # the API's rules say what is wrong
        given = [dict(step) for step in steps(request)]
        if not isinstance(previous, str):
            return Recalled(body, given)
        follows = self.interactions.get(previous)
        if follows is None or follows.work.begun + LIFE < now:
            raise lost(previous)
        if follows.work.state(now) != "done":
            raise Refused(f"{PREVIOUS}: the interaction {previous} is not completed", PREVIOUS)
        whole: Json = [*follows.said(), *given]
        return Recalled({**request, "input": whole}, given, follows)

    def forget(self, what: Forgettable, recalled: Recalled) -> None:
        """Drop what the request follows. Raises Refused if it follows anything."""
        if what == "chain" and recalled.follows is not None:
            turn: Kept | None = recalled.follows
            while turn is not None:
                self.interactions.pop(turn.id, None)
                turn = turn.follows
            raise lost(recalled.follows.id)

    def keep(self, recalled: Recalled, spoken: Spoken) -> Kept:
        """Keep a reply."""
        whole = dict(members(read(spoken.whole.decode())))
        times: JsonObject = {"created": stamp(spoken.now), "updated": stamp(spoken.now)}
        opening: JsonObject = {key: whole[key] for key in ("id", "object", "model")}
        kept = Kept(
            id=words(whole["id"]),
            given=recalled.given,
            made=[dict(members(step)) for step in elements(whole.get("steps"))],
            opening={**opening, **times, "status": "in_progress"},
            ended={**whole, **times},
            work=Work(spoken.events, spoken.now, spoken.pace, spoken.asked.body.get("background") is True),
            follows=recalled.follows,
        )
        self.interactions[kept.id] = kept
        return kept

    def submitted(self, kept: Kept) -> JsonObject:
        """What answers a request that is worked on in the background."""
        return kept.opening

    def drop(self, kept_id: str) -> None:
        """Forget a reply."""
        self.interactions.pop(kept_id, None)

    def stored(self) -> Mapping[str, Json]:
        """The ids of what is here."""
        return {"interactions": [*self.interactions]}


@frozen
class InteractionPaths:
    """What can be asked of an interaction that is kept."""

    memory: InteractionsMemory

    def retrieve(self, request: Request) -> Delivery:
        """An interaction as far as it is, or the rest of its stream."""
        request.only("include_input", "last_event_id", "stream")
        kept = self._found(request)
        if request.query.get("stream") in {"true", "True", "1"}:
            last = request.query.get("last_event_id")
            mark = b"" if last is None else write({"event_id": last})[1:-1]
            start = next(
                (at + 1 for at, event in enumerate(kept.work.events) if last and mark in event), None
            )
            if last is not None and start is None:
                raise Refused(f"last_event_id: there is no event {last!r}", "last_event_id")
            return kept.work.stream(start or 0, request.now)
        body = told(kept, request.now)
        kept.work.poll(request.now)
        if request.query.get("include_input") in {"true", "True", "1"}:
            before: list[Json] = [*kept.given]
            body = {**body, "steps": [*before, *elements(body.get("steps"))]}
        return plain(200, write(body))

    def cancel(self, request: Request) -> Delivery:
        """Stop work in the background."""
        kept = self._found(request)
        match kept.work.state(request.now):
            case "queued" | "in_progress":
                kept.work.cancel(request.now)
            case "done":
                raise Refused("Only an interaction that is in progress in the background can be cancelled.")
            case "cancelled":
                pass
        return plain(200, write(told(kept, request.now)))

    def delete(self, request: Request) -> Delivery:
        """Delete an interaction. What follows it goes on."""
        del self.memory.interactions[self._found(request).id]
        return plain(200, b"{}")

    def _found(self, request: Request) -> Kept:
        kept = self.memory.interactions.get(request.names["interaction"])
        if kept is None or kept.work.begun + LIFE < request.now:
            raise lost(request.names["interaction"])
        return kept


def interaction_routes(memory: InteractionsMemory) -> Iterator[Route]:
    """The routes."""
    face, paths, one = Interactions(), InteractionPaths(memory), "/{version}/interactions/{interaction}"
    yield Route("GET", one, face, paths.retrieve)
    yield Route("DELETE", one, face, paths.delete)
    yield Route("POST", f"{one}/cancel", face, paths.cancel)


def told(kept: Kept, now: float) -> JsonObject:
    """An interaction as far as it is; what waits is in progress, too."""
    match kept.work.state(now):
        case "done":
            return kept.ended
        case "cancelled":
            return {**kept.opening, "status": "cancelled"}
        case "queued" | "in_progress":
            return kept.opening


def lost(interaction_id: str) -> Refused:
    """What the API says of an interaction that is not there."""
    return Refused(f"Interaction {interaction_id} not found.", code="not_found", status=404)
