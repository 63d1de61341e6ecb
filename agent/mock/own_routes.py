"""The paths that are about the mock itself: its clock, what it has seen, and what it should forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treadle.agent.mock import check as c
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.clock import Clock
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.jsontext import Json, JsonObject, members, read, words, write
from treadle.agent.mock.keeping import Keeping
from treadle.agent.mock.routes import Request, Route
from treadle.sandbox.frozen import frozen

OURS = "/_mock/"
_ADVANCE = c.record({}, {"advance": c.number(0, 1e9)})
_FORGET = c.record({"what": c.text(1)}, {"id": c.text(1)})


@frozen
class Own:
    """Answers about the mock itself, without a key."""

    clock: Clock
    keeping: Keeping
    report: Callable[[], JsonObject]

    def tick(self, request: Request) -> Delivery:
        """Put the clock forward by what the body says, and tell the time."""
        asked = _said(request)
        _ADVANCE(asked, "")
        seconds = members(asked).get("advance", 0)
        self.clock.advance(float(seconds) if isinstance(seconds, int | float) else 0.0)
        return plain(200, write({"now": self.clock.now()}))

    def tell(self, request: Request) -> Delivery:
        """What was seen, and what is kept."""
        request.only()
        return plain(200, write(self.report()))

    def drop(self, request: Request) -> Delivery:
        """Forget what the body names."""
        asked = _said(request)
        _FORGET(asked, "")
        self.keeping.drop(words(members(asked)["what"]), words(members(asked).get("id")))
        return plain(200, b"{}")


def own_routes(own: Own) -> Iterator[Route]:
    """The routes."""
    for method in ("GET", "POST"):
        yield Route(method, f"{OURS}clock", Chat(), own.tick, admits=False)
    yield Route("GET", f"{OURS}report", Chat(), own.tell, admits=False)
    yield Route("POST", f"{OURS}forget", Chat(), own.drop, admits=False)


def _said(request: Request) -> Json:
    try:
        return read(request.body.decode()) if request.body else {}
    except ValueError as error:
        raise Refused(f"the body is not JSON: {error}", code="invalid_json") from error
