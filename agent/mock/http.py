"""One HTTP/1.1 connection, seen from the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus

import anyio
from anyio.abc import ByteStream

from treadle.agent.mock.delivery import Delivery
from treadle.sandbox.frozen import frozen

RECEIVE = 256 * 1024
WRITE = 64 * 1024
HEAD = 64 * 1024
_HEX = re.compile(rb"[0-9A-Fa-f]{1,16}")
LINGER = 10.0
"""Seconds in which a body that was refused is still read and thrown away."""


class BadRequest(Exception):
    """Bytes that are no HTTP request."""


class Left(Exception):
    """The client has closed the connection, or broken it."""


@frozen
class Head:
    """A request without its body."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    """Lower-case names; of a repeated header, the values joined by a comma."""
    keep_alive: bool


class Connection:
    """Reads requests from a stream and writes deliveries to it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def head(self) -> Head:
        """The next request's head. Raises Left at the end of the connection, BadRequest for anything odd."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEAD:
                raise BadRequest("the request head is too large")
            await self._more()
        lines = bytes(self._buffer[:end]).decode("latin-1").lstrip("\r\n").split("\r\n")
        del self._buffer[: end + 4]
        return _parse(lines)

    async def body(self, head: Head, most: int) -> bytes | None:
        """The request's body; None if it is larger than `most` bytes (what follows is read and dropped)."""
        if head.headers.get("expect", "").lower() == "100-continue":
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return await self._chunks(most)
        announced = head.headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            raise BadRequest("content-length is not a number")
        size = int(announced)
        if size > most:
            await self._drop(size)
            return None
        return await self._exactly(size)

    async def deliver(self, delivery: Delivery, *, head: Head) -> bool:
        """Send an answer at its pace. Says whether the connection can carry another."""
        await self.pause(delivery.first)
        keep = head.keep_alive and not delivery.broken
        after = None if delivery.broken else delivery.after
        chunked = delivery.length is None
        if delivery.status is not None:
            opening = _opening(delivery, keep=keep)
            if head.method == "HEAD":
                await self._send(opening)
            elif delivery.rate:
                await self._send(opening)
                await self._paced(delivery.pieces, delivery.rate, after, chunked=chunked)
            else:
                await self._at_once(opening, delivery.pieces, chunked=chunked)
                if after is not None:
                    after()
        if delivery.broken:
            await self.pause(delivery.stall)
        elif chunked:
            await self._send(b"0\r\n\r\n")
        return keep

    async def pause(self, seconds: float) -> None:
        """Wait, as long as the client does. Raises Left when it goes."""
        if seconds > 0:
            with anyio.move_on_after(seconds):
                while True:
                    await self._more()

    async def _at_once(self, opening: bytes, pieces: Sequence[bytes], *, chunked: bool) -> None:
        pending, size = [opening], 0
        batch: list[bytes] = []
        for piece in pieces:
            batch.append(piece)
            size += len(piece)
            if size >= WRITE:
                pending.append(_framed(batch, size) if chunked else b"".join(batch))
                await self._send(b"".join(pending))
                pending, batch, size = [], [], 0
        if size:
            pending.append(_framed(batch, size) if chunked else b"".join(batch))
        if pending:
            await self._send(b"".join(pending))

    async def _paced(
        self, pieces: Sequence[bytes], rate: float, after: Callable[[], object] | None, *, chunked: bool
    ) -> None:
        started, sent = anyio.current_time(), 0
        while sent < len(pieces):
            due = min(len(pieces), int((anyio.current_time() - started) * rate) + 1)
            if due > sent:
                batch = pieces[sent:due]
                size = sum(map(len, batch))
                await self._send(_framed(batch, size) if chunked else b"".join(batch))
                sent = due
                if after is not None and sent == len(pieces):
                    after()
            await self.pause(started + sent / rate - anyio.current_time())

    async def _more(self) -> None:
        try:
            self._buffer += await self._stream.receive(RECEIVE)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Left from error

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Left from error

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > HEAD:
                raise BadRequest("a line is too long")
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _chunks(self, most: int) -> bytes | None:
        body = bytearray()
        while True:
            announced = (await self._line()).partition(b";")[0].strip()
            if not _HEX.fullmatch(announced):
                raise BadRequest("a chunk's size is not a number")
            size = int(announced, 16)
            if len(body) + size > most:
                await self._drop(None)
                return None
            if size == 0:
                while await self._line():
                    pass
                return bytes(body)
            body += await self._exactly(size)
            await self._exactly(2)

    async def _drop(self, size: int | None) -> None:
        """Read what is still coming, so that the client gets to read the refusal instead of a reset."""
        left = size
        with anyio.move_on_after(LINGER if size is not None else 1.0):
            while left is None or left > 0:
                if not self._buffer:
                    await self._more()
                left = None if left is None else left - len(self._buffer)
                self._buffer.clear()


def _parse(lines: Sequence[str]) -> Head:
    method, _, rest = lines[0].partition(" ")
    target, _, version = rest.rpartition(" ")
    if not method.isalpha() or not target.startswith("/") or version not in {"HTTP/1.0", "HTTP/1.1"}:
        raise BadRequest(f"not an HTTP/1.1 request line: {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if not colon or not name or name != name.strip():
            raise BadRequest(f"not a header line: {line[:80]!r}")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    connection = headers.get("connection", "").lower()
    keep = "keep-alive" in connection if version == "HTTP/1.0" else "close" not in connection
    path, _, query = target.partition("?")
    return Head(method, path, query, headers, keep)


def _opening(delivery: Delivery, *, keep: bool) -> bytes:
    assert delivery.status is not None
    headers = dict(delivery.headers)
    if delivery.length is None:
        headers["transfer-encoding"] = "chunked"
    else:
        headers["content-length"] = str(delivery.length)
    if not keep:
        headers["connection"] = "close"
    try:
        reason = HTTPStatus(delivery.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {delivery.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _framed(pieces: Sequence[bytes], size: int) -> bytes:
    return b"".join((f"{size:x}\r\n".encode(), *pieces, b"\r\n"))
