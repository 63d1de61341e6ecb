"""The mock provider without its connections: what it answers to a request, what it keeps, and what it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from treadle.agent.mock.anthropic import VERSION, Anthropic
from treadle.agent.mock.batches import Batches
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.clock import Clock
from treadle.agent.mock.compatible import compatible_faces
from treadle.agent.mock.completions import Completions
from treadle.agent.mock.contract import PATH, Asked, Face, Reply, Vendor
from treadle.agent.mock.counting import count, counting_routes
from treadle.agent.mock.delivery import EVENTS, Delivery, plain, refusal, speech, spoil
from treadle.agent.mock.embeddings import embedding_routes
from treadle.agent.mock.gemini import KEY, STREAMED, as_array, gemini_faces
from treadle.agent.mock.gemini_caches import cache_routes
from treadle.agent.mock.http import Head
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.jsontext import Json, JsonObject, read, write
from treadle.agent.mock.keeping import Keeping
from treadle.agent.mock.limits import check_images, check_window, limits_of, too_large
from treadle.agent.mock.memory import Kept, Recalled, Spoken
from treadle.agent.mock.own_routes import Own, own_routes
from treadle.agent.mock.play import Player, Turn
from treadle.agent.mock.rented import rented_faces
from treadle.agent.mock.report import Tally
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.routes import Request, Route, Table, decoded, parsed, query_of, shape
from treadle.agent.mock.script import (
    ForgetFault,
    HtmlFault,
    Script,
    SilentFault,
    StatusFault,
    StreamErrorFault,
)
from treadle.sandbox.frozen import frozen

MODELS = "/v1/models"
UNMADE = (StatusFault, SilentFault, HtmlFault)
"""Faults that come before any model is asked."""


@frozen
class Found:
    """Who answers a request."""

    face: Face
    route: Route | None
    """None: the face itself, or nobody."""
    names: Mapping[str, str]
    most: int
    """Bytes of the largest body that is read."""
    shape: str
    """The path, with names in braces for what differs."""


@frozen
class Making:
    """A request that is about to be answered by a step."""

    face: Face
    asked: Asked
    recalled: Recalled
    turn: Turn


class Provider:
    """Every face over one script."""

    def __init__(self, script: Script | None, clock: Clock) -> None:
        self._script, self._clock = script or Script(steps=()), clock
        clock.still = self._script.clock.still
        self._player = Player(script, clock)
        self._ledger, self.tally, self.keeping = Ledger(), Tally(), Keeping(self._script)
        self._faces = {face.path: face for face in _faces()}
        self._shapes = {shape(path): face for path, face in self._faces.items() if "{" in path}
        batches = Batches(self.keeping.files, self.keeping.gemini, self._script.batches, self._batched)
        kept = (*self.keeping.routes(), *batches.routes(), *counting_routes(self.keeping))
        own = own_routes(Own(clock, self.keeping, self.report))
        self._table = Table((*own, *kept, *embedding_routes(), *cache_routes(self._ledger.contents)))

    def find(self, head: Head) -> Found:
        """Who answers; for a path that is nobody's, the client's headers tell whose words it is refused in."""
        found = self._table.find(head.method, head.path, _client(head.headers))
        if found is not None:
            route, names = found
            return Found(route.face, route, decoded(names), route.max_body, route.path)
        face = self._named(head.path) or self._home(head)
        most = self._script.limits.request_bytes
        named = face.path if self._named(head.path) else head.path
        return Found(face, None, {}, face.max_body if most is None else most, named)

    def answer(self, found: Found, head: Head, body: bytes | None, number: int, home: str) -> Delivery:
        """Answer a request; `body` is None if it was too large, `home` the server's URL."""
        try:
            if body is None:
                announced = head.headers.get("content-length", "")
                size = int(announced) if announced.isdigit() else found.most + 1
                raise too_large(found.face, found.most, size)
            if found.route is None or found.route.admits:
                self._check_path(found, head)
                found.face.admit(head.headers)
            if found.route is not None:
                return found.route.answer(self._request(found, head, body, number, home))
            if head.path == MODELS:
                return plain(200, write(found.face.catalogue(self._script.model or "mock")))
            spoken = self._speak(found.face, head, body, number, home)
            arrayed = head.path.endswith(STREAMED) and spoken.headers.get("content-type") == EVENTS
            return as_array(spoken) if arrayed and query_of(head.query).get("alt") != "sse" else spoken
        except Refused as refused:
            delivery = refusal(found.face, refused)
            return replace(delivery, broken=True) if body is None else delivery

    def _batched(self, path: str, body: Json, batch: Request, place: int) -> tuple[int, Json]:
        """Answer one request of a batch."""
        head = Head("POST", path, "", {**batch.headers}, keep_alive=False)
        number = (batch.number << 20) + place
        delivery = self.answer(self.find(head), head, write(body), number, batch.url)
        return delivery.status or 500, read(b"".join(delivery.pieces).decode())

    def report(self) -> JsonObject:
        """What was seen, and what is kept."""
        return {**self.tally.told(), "stored": self.keeping.stored(self._clock.now())}

    def _named(self, path: str) -> Face | None:
        """The face that a path is of."""
        exact = self._faces.get(path)
        return exact or next((face for form, face in self._shapes.items() if form.fullmatch(path)), None)

    def _home(self, head: Head) -> Face:
        match _client(head.headers):
            case "anthropic":
                return self._faces[Anthropic.path]
            case "gemini":
                return gemini_faces()[0]
            case "openai" | "compatible":
                return self._faces[Chat.path]

    def _check_path(self, found: Found, head: Head) -> None:
        if found.route is not None:
            return
        wanted = ["GET"] if head.path == MODELS else self._table.methods(head.path)
        wanted += ["POST"] if self._named(head.path) else []
        if not wanted:
            raise Refused(f"there is no {head.path} here", status=404, code="unknown_url")
        own = "GET" if head.path == MODELS else "POST" if self._named(head.path) else ""
        if head.method != own:
            told = f"{head.path} takes {', '.join(sorted({*wanted}))}, not {head.method}"
            raise Refused(told, status=405, code="method_not_supported")

    def _request(self, found: Found, head: Head, body: bytes, number: int, home: str) -> Request:
        return Request(
            method=head.method,
            path=head.path,
            names=found.names,
            query=query_of(head.query),
            headers=head.headers,
            body=body,
            number=number,
            now=self._clock.now(),
            url=home,
        )

    def _speak(self, face: Face, head: Head, body: bytes, number: int, home: str) -> Delivery:
        now, memory = self._clock.now(), self.keeping.memory(face.path)
        given = parsed(head.headers, body)
        recalled = memory.recall(given, now) if memory is not None else Recalled(given)
        asked = face.read(recalled.body, {**head.headers, PATH: head.path})
        self.keeping.check(face.vendor, asked.body, home, now)
        check_images(face.vendor, asked.body, limits_of(face.vendor, self._script.limits))
        if self._script.window is not None:
            check_window(face, asked, count(face, asked, now), self._script.window)
        turn = self._player.turn(asked)
        if isinstance(turn.fault, ForgetFault):
            self._forget(turn.fault, face, asked, recalled, home)
        return self._reply(Making(face, asked, recalled, turn), number)

    def _forget(self, fault: ForgetFault, face: Face, asked: Asked, recalled: Recalled, home: str) -> None:
        """Forget what the request leans on. Raises Refused if it did."""
        memory = self.keeping.memory(face.path)
        if fault.forget == "file" and face.vendor != "compatible":
            self.keeping.forget_files(face.vendor, asked.body, home)
        elif memory is not None:
            memory.forget(fault.forget, recalled)

    def _reply(self, making: Making, number: int) -> Delivery:
        face, asked, turn, now = making.face, making.asked, making.turn, self._clock.now()
        first = 0.0 if self._clock.still else turn.pace.first
        prompt = face.bill(asked, self._ledger, Moment(now, now + first, f"{number:012x}"))
        reply = self._player.reply(asked, turn.step, prompt, number, now)
        whole = speech(face, asked, reply, turn.pace)
        if not isinstance(turn.fault, UNMADE):
            whole = self._made(making, reply, whole)
        return whole if turn.fault is None else spoil(face, asked, whole, turn.fault)

    def _made(self, making: Making, reply: Reply, whole: Delivery) -> Delivery:
        """Note a reply, and keep it: at once if it is made in the background, else when it has been sent."""
        face, asked, turn, now = making.face, making.asked, making.turn, self._clock.now()
        memory = self.keeping.memory(face.path)
        background = memory is not None and asked.body.get("background") is True
        made = self.tally.generation(face.path, asked, reply, background=background)

        def keep() -> Kept | None:
            made.delivered = True
            if memory is None or asked.body.get("store") is False:
                return None
            said = Spoken(asked, face.whole(asked, reply), face.events(asked, reply), turn.pace, now)
            kept = memory.keep(making.recalled, said)
            if turn.fault == ForgetFault(forget="response"):
                memory.drop(kept.id)
            return kept

        if not background:
            broken = isinstance(turn.fault, StreamErrorFault)
            return whole if broken else replace(whole, after=keep)
        kept = keep()
        if memory is None or kept is None or asked.stream:
            return whole
        return plain(200, write(memory.submitted(kept)))


def _client(headers: Mapping[str, str]) -> Vendor:
    """Whose client sends such headers."""
    if VERSION in headers:
        return "anthropic"
    return "gemini" if KEY in headers else "openai"


def _faces() -> tuple[Face, ...]:
    return (
        Chat(),
        Responses(),
        Completions(),
        Anthropic(),
        *compatible_faces(),
        *rented_faces(),
        *gemini_faces(),
        Interactions(),
    )
