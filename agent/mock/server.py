"""The mock provider: a server on the loopback interface that plays a script to every face's clients."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import anyio
from anyio.abc import SocketAttribute, SocketStream

from treadle.agent.mock import check
from treadle.agent.mock.anthropic import VERSION, Anthropic
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.clock import Clock
from treadle.agent.mock.compatible import compatible_faces
from treadle.agent.mock.completions import Completions
from treadle.agent.mock.contract import PATH, Asked, Face
from treadle.agent.mock.delivery import Delivery, plain, refusal, speech, spoil
from treadle.agent.mock.gemini import KEY, gemini_faces
from treadle.agent.mock.http import BadRequest, Connection, Head, Left
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.jsontext import Json, members, read, write
from treadle.agent.mock.play import Player
from treadle.agent.mock.rented import rented_faces
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.script import Script, load
from treadle.sandbox.frozen import frozen

SECRET = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
MODELS = "/v1/models"
CLOCK = "/_mock/clock"
_ADVANCE = check.record({}, {"advance": check.number(0, 1e9)})


@frozen
class Recorded:
    """A request as it came, and how it was answered."""

    number: int
    at: float
    """Seconds since 1970."""
    method: str
    path: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes
    """Empty if it was too large to be read."""
    status: int | None
    """None if nothing was sent."""

    @property
    def json(self) -> Json:
        """The body, parsed. Raises ValueError if it is no JSON."""
        return read(self.body.decode())


@dataclass(slots=True)
class Mock:
    """A running mock provider."""

    script: Script | None
    url: str = ""
    """`http://HOST:PORT`, without a path."""
    requests: list[Recorded] = field(default_factory=list[Recorded])
    """Every request whose answer has begun, in that order."""
    connections: int = 0
    """Connections open now."""
    keep: bool = True
    """Whether requests are kept in memory."""
    record: TextIO | None = None
    """Receives a JSON line a request."""
    _count: int = 0
    clock: Clock = field(default_factory=Clock)
    _ledger: Ledger = field(default_factory=Ledger)
    _player: Player = field(init=False)
    _faces: dict[str, Face] = field(init=False)
    _shapes: dict[re.Pattern[str], Face] = field(init=False)
    """Faces whose path holds a name."""

    def __post_init__(self) -> None:
        if self.script is not None:
            self.clock.still = self.script.clock.still
        self._player = Player(self.script, self.clock)
        self._faces = {face.path: face for face in _faces()}
        self._shapes = {_shape(path): face for path, face in self._faces.items() if "{" in path}

    async def attend(self, stream: SocketStream) -> None:
        """Serve one connection until either side has had enough of it."""
        async with stream:
            connection = Connection(stream)
            self.connections += 1
            try:
                while await self._exchange(connection):
                    pass
            except Left:
                return
            finally:
                self.connections -= 1

    async def _exchange(self, connection: Connection) -> bool:
        try:
            head = await connection.head()
            face = self._face(head)
            body = await connection.body(head, face.max_body)
        except BadRequest as error:
            bad = replace(plain(400, str(error).encode(), "text/plain"), broken=True)
            await connection.deliver(bad, head=Head("GET", "/", "", {}, keep_alive=False))
            return False
        self._count += 1
        number = self._count
        delivery = self._answer(face, head, body, number)
        if delivery.status is not None:
            delivery.headers.setdefault(face.request_id, f"req_{number:012x}")
        self._keep(
            Recorded(
                number=number,
                at=time.time(),
                method=head.method,
                path=head.path,
                headers=head.headers,
                body=body or b"",
                status=delivery.status,
            )
        )
        return await connection.deliver(delivery, head=head)

    def _face(self, head: Head) -> Face:
        """The face whose words answer a request; for a path that is no face's, the client's headers tell."""
        home = Anthropic.path if VERSION in head.headers else Chat.path
        home = gemini_faces()[0].path if KEY in head.headers else home
        return self._named(head.path) or self._faces[home]

    def _named(self, path: str) -> Face | None:
        """The face that a path is of."""
        exact = self._faces.get(path)
        return exact or next((face for shape, face in self._shapes.items() if shape.fullmatch(path)), None)

    def _answer(self, face: Face, head: Head, body: bytes | None, number: int) -> Delivery:
        try:
            if head.path == CLOCK:
                return self._tick(body)
            known = self._route(head)
            face.admit(head.headers)
            if not known:
                model = self.script.model if self.script is not None else None
                return plain(200, write(face.catalogue(model or "mock")))
            asked = face.read(_parsed(head, body, face), {**head.headers, PATH: head.path})
            return self._speak(face, asked, number)
        except Refused as refused:
            delivery = refusal(face, refused)
            return replace(delivery, broken=True) if body is None else delivery

    def _tick(self, body: bytes | None) -> Delivery:
        """Put the clock forward by what the body says, and tell the time. Raises Refused."""
        try:
            asked = read(body.decode()) if body else {}
        except ValueError as error:
            raise Refused(f"the body is not JSON: {error}") from error
        _ADVANCE(asked, "")
        seconds = members(asked).get("advance", 0)
        self.clock.advance(float(seconds) if isinstance(seconds, int | float) else 0.0)
        return plain(200, write({"now": self.clock.now()}))

    def _route(self, head: Head) -> bool:
        """Whether the request is for a face; False for the list of models. Raises Refused."""
        wanted = {MODELS: "GET"}.get(head.path) or ("POST" if self._named(head.path) else None)
        if wanted is None:
            raise Refused(f"there is no {head.path} here", status=404, code="unknown_url")
        if head.method != wanted:
            raise Refused(
                f"{head.path} takes {wanted}, not {head.method}", status=405, code="method_not_supported"
            )
        return wanted == "POST"

    def _speak(self, face: Face, asked: Asked, number: int) -> Delivery:
        turn = self._player.turn(asked)
        now = self.clock.now()
        first = 0.0 if self.clock.still else turn.pace.first
        prompt = face.bill(asked, self._ledger, Moment(now, now + first, f"{number:012x}"))
        reply = self._player.reply(asked, turn.step, prompt, number, now)
        whole = speech(face, asked, reply, turn.pace)
        return whole if turn.fault is None else spoil(face, asked, whole, turn.fault)

    def _keep(self, recorded: Recorded) -> None:
        if self.keep:
            self.requests.append(recorded)
        if self.record is not None:
            self.record.write(_line(recorded))
            self.record.flush()


@asynccontextmanager
async def serve(
    script: Script | None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    record: Path | None = None,
    keep: bool = True,
) -> AsyncGenerator[Mock]:
    """Serve a script (None improvises) while the block runs; port 0 takes a free one.

    `record` receives a JSON line a request; `keep` holds them in memory too. Raises OSError if the port or the file cannot be had.
    """
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port, backlog=1024)
    taken = listener.extra_attributes[SocketAttribute.local_port]()
    with _recording(record) as file:
        mock = Mock(script, f"http://{host}:{taken}", keep=keep, record=file)
        try:
            async with listener, anyio.create_task_group() as group:
                group.start_soon(listener.serve, mock.attend)
                yield mock
                group.cancel_scope.cancel()
        except ExceptionGroup as failures:  # what the block raised, as it raised it
            raise failures.exceptions[0] from None


async def run(
    script_path: Path | None, port: int, record: Path | None, announce: Callable[[str], None]
) -> None:
    """Serve until cancelled, after announcing the URL. Raises ScriptError and OSError."""
    script = load(script_path) if script_path is not None else None
    async with serve(script, port=port, record=record, keep=False) as mock:
        announce(mock.url)
        await anyio.sleep_forever()


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


def _shape(path: str) -> re.Pattern[str]:
    """What paths look like in which names stand for `{model}` and the like."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path)))


def _parsed(head: Head, body: bytes | None, face: Face) -> Json:
    if body is None:
        told = f"the body is larger than {face.max_body:,} bytes"
        raise Refused(told, status=413, code="request_too_large")
    if head.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("expected the header `content-type: application/json`", code="unsupported_content_type")
    try:
        return read(body.decode())
    except ValueError as error:
        raise Refused(f"the body is not JSON: {error}", code="invalid_json") from error


@contextmanager
def _recording(path: Path | None) -> Generator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8") as file:
        yield file


def _line(recorded: Recorded) -> str:
    headers = {name: "[redacted]" if name in SECRET else value for name, value in recorded.headers.items()}
    return (
        json.dumps({
            "n": recorded.number,
            "at": recorded.at,
            "method": recorded.method,
            "path": recorded.path,
            "headers": headers,
            "body": recorded.body.decode("utf-8", "replace"),
            "status": recorded.status,
        })
        + "\n"
    )
