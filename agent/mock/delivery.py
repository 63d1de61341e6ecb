"""How a reply leaves: the body in pieces, how fast they come, and how a fault breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import assert_never

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Face, Reply
from treadle.agent.mock.jsontext import JsonObject, write
from treadle.agent.mock.script import (
    CutFault,
    Fault,
    ForgetFault,
    HtmlFault,
    NoDoneFault,
    Pace,
    SilentFault,
    StallFault,
    StatusFault,
    StreamErrorFault,
)
from treadle.sandbox.frozen import frozen

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


@frozen
class Delivery:
    """One answer on the wire."""

    status: int | None
    """None sends nothing at all."""
    pieces: tuple[bytes, ...] = ()
    headers: dict[str, str] = field(default_factory=dict[str, str])
    length: int | None = None
    """Bytes of the whole body as announced; None sends chunks."""
    first: float = 0.0
    """Seconds before the first byte."""
    rate: float = 0.0
    """Pieces per second; 0 sends them at once."""
    stall: float = 0.0
    """Seconds of silence after the last piece."""
    broken: bool = False
    """The connection closes before the body is complete."""
    after: Callable[[], object] | None = None
    """Called when the whole body has been sent."""


def plain(status: int, body: bytes, kind: str = JSON) -> Delivery:
    """A whole body."""
    return Delivery(status, (body,), {"content-type": kind}, length=len(body))


def refusal(face: Face, refused: Refused) -> Delivery:
    """An error in the API's shape."""
    return plain(refused.status, face.error(refused))


def speech(face: Face, asked: Asked, reply: Reply, pace: Pace) -> Delivery:
    """A reply, streamed if that was asked for. A whole one takes as long as its tokens do."""
    if not asked.stream:
        generating = reply.usage.output / pace.rate if pace.rate else 0.0
        return replace(plain(200, face.whole(asked, reply)), first=pace.first + generating)
    headers = {"content-type": EVENTS, "cache-control": "no-cache"}
    return Delivery(200, tuple(face.events(asked, reply)), headers, first=pace.first, rate=pace.rate)


def spoil(face: Face, asked: Asked, whole: Delivery, fault: Fault) -> Delivery:
    """What a fault makes of a delivery."""
    pieces = whole.pieces
    match fault:
        case StatusFault():
            spoiled = _status(face, fault)
        case StreamErrorFault():
            given: JsonObject = dict(fault.stream_error)
            error = face.stream_error(given, framed=asked.stream)
            cut = replace(whole, pieces=(*pieces[: fault.after], error))
            spoiled = cut if asked.stream else plain(200, error)
        case StallFault():
            kept = pieces[: fault.after] if asked.stream else ()
            spoiled = replace(whole, pieces=kept, stall=fault.stall, broken=True)
        case CutFault():
            spoiled = replace(whole, pieces=(b"".join(pieces)[: fault.cut],), broken=True)
        case SilentFault():
            spoiled = Delivery(None, stall=fault.silent, broken=True)
        case NoDoneFault():
            spoiled = replace(whole, pieces=pieces[:-1]) if asked.stream else whole
        case HtmlFault():
            spoiled = plain(
                413, _page("nginx" if fault.html_413 is True else fault.html_413), "text/html; charset=utf-8"
            )
        case ForgetFault():
            spoiled = whole
        case _:
            assert_never(fault)
    return spoiled


def _page(server: str) -> bytes:
    """What a proxy says of a body that it does not let through."""
    told = "413 Request Entity Too Large"
    lines = (
        f"<html>\r\n<head><title>{told}</title></head>",
        f"<body>\r\n<center><h1>{told}</h1></center>",
        f"<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n",
    )
    return "\r\n".join(lines).encode()


def _status(face: Face, fault: StatusFault) -> Delivery:
    match fault.body:
        case None:
            made = refusal(face, Refused(f"scripted fault: status {fault.status}", status=fault.status))
        case str() as text:
            kind = (
                "text/html; charset=utf-8" if text.lstrip().startswith("<") else "text/plain; charset=utf-8"
            )
            made = plain(fault.status, text.encode("utf-8", "replace"), kind)
        case body:
            made = plain(fault.status, write(body))
    given = {name.lower(): value for name, value in fault.headers.items()}
    return replace(made, headers={**made.headers, **given})
