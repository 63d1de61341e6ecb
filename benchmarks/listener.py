"""A provider that costs nothing: whatever it is asked, it sends bytes that are ready, and notes when."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from time import perf_counter

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(slots=True)
class Listener:
    """Where it listens and what it saw. Times are on `perf_counter`."""

    url: str
    arrived: list[float] = field(default_factory=list[float])
    """When the first bytes of each request came."""
    sent: list[float] = field(default_factory=list[float])
    """When the last byte of each answer was handed to the kernel."""


@contextmanager
def listening(answer: bytes) -> Generator[Listener]:
    """Answer every request with the same bytes while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(f"http://127.0.0.1:{server.getsockname()[1]}")
        Thread(target=_accept, args=(server, listener, answer), daemon=True).start()
        yield listener
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, listener: Listener, answer: bytes) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        Thread(target=_serve, args=(client, listener, answer), daemon=True).start()


def _serve(client: socket.socket, listener: Listener, answer: bytes) -> None:
    with client, client.makefile("rb") as stream:
        while line := stream.readline():
            listener.arrived.append(perf_counter())
            size = 0
            while line not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
                line = stream.readline()
            stream.read(size)
            client.sendall(answer)
            listener.sent.append(perf_counter())


def streamed(tokens: int, per_chunk: int) -> bytes:
    """Return a reply of so many tokens, an event each, with so many events in a chunk."""
    head: dict[str, object] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "any"}
    choices: list[dict[str, object]] = [
        *({"index": 0, "delta": {"content": " word"}, "finish_reason": None} for _ in range(tokens)),
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    events = [_event(head | {"choices": [choice]}) for choice in choices]
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    last: dict[str, object] = {**head, "choices": (), "usage": usage}
    events += [_event(last), b"data: [DONE]\n\n"]
    chunks = [b"".join(events[at : at + per_chunk]) for at in range(0, len(events), per_chunk)]
    return HEAD + _framed(chunks)


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _framed(chunks: Sequence[bytes]) -> bytes:
    return b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in (*chunks, b""))
