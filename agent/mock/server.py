"""The mock provider: a server on the loopback interface that plays a script to every face's clients."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import anyio
from anyio.abc import SocketAttribute, SocketStream

from treadle.agent.mock.clock import Clock
from treadle.agent.mock.delivery import plain
from treadle.agent.mock.http import BadRequest, Connection, Head, Left
from treadle.agent.mock.jsontext import Json, JsonObject, read
from treadle.agent.mock.own_routes import OURS
from treadle.agent.mock.provider import Provider
from treadle.agent.mock.script import Script, load
from treadle.sandbox.frozen import frozen

SECRET = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})


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
    clock: Clock = field(default_factory=Clock)
    _count: int = 0
    _provider: Provider = field(init=False)

    def __post_init__(self) -> None:
        self._provider = Provider(self.script, self.clock)

    def report(self) -> JsonObject:
        """What `GET /_mock/report` tells: requests, generations, totals, and what is stored."""
        return self._provider.report()

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
            found = self._provider.find(head)
            body = await connection.body(head, found.most)
        except BadRequest as error:
            bad = replace(plain(400, str(error).encode(), "text/plain"), broken=True)
            await connection.deliver(bad, head=Head("GET", "/", "", {}, keep_alive=False))
            return False
        self._count += 1
        number = self._count
        delivery = self._provider.answer(found, head, body, number, self.url)
        if delivery.status is not None:
            delivery.headers.setdefault(found.face.request_id, f"req_{number:012x}")
        if not head.path.startswith(OURS):
            size = len(body or b"")
            self._provider.tally.request(
                number, head.method, head.path, found.shape, size=size, status=delivery.status
            )
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
