"""A server that sends exact bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketStream

Step: TypeAlias = bytes | float | Literal["close", "reset", "hold"]
"""Bytes to send; or seconds to keep silent; or end the connection, end it rudely, or keep silent until the client has gone."""


@dataclass
class Server:
    url: str
    requests: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    left: anyio.Event = field(default_factory=anyio.Event)
    """Set when a client went away from a held connection."""


@asynccontextmanager
async def serving(*answers: Sequence[Step]) -> AsyncGenerator[Server]:
    """Answer the n-th request with the n-th answer, whichever connection it comes over."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server = Server(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1")

    async def attend(stream: SocketStream) -> None:
        server.connections += 1
        async with stream:
            while request := await _request(stream):
                server.requests.append(request)
                if not await _play(stream, answers[len(server.requests) - 1], server):
                    return

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, attend)
        yield server
        group.cancel_scope.cancel()


async def _request(stream: SocketStream) -> bytes:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""
    return head + b"\r\n\r\n" + body


async def _play(stream: SocketStream, steps: Sequence[Step], server: Server) -> bool:
    for step in steps:
        match step:
            case bytes():
                await stream.send(step)
            case float() | int():
                await anyio.sleep(step)
            case "close":
                return False
            case "reset":
                raw = stream.extra(SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case "hold":
                try:
                    await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    server.left.set()
                return False
    return True


def whole(status: int, body: bytes, *headers: str) -> bytes:
    """A reply with a length."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
