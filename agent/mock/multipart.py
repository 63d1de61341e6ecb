"""Bodies of several parts: forms with files, and metadata with media."""

from __future__ import annotations

import re

from treadle.agent.mock.check import Refused
from treadle.sandbox.frozen import frozen

_PARAMETER = re.compile(r';\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))')


@frozen
class Part:
    """One part of a body."""

    name: str
    filename: str | None
    """None for a plain field."""
    kind: str
    """Its MIME type; "" if it has none."""
    data: bytes


def parts(content_type: str, body: bytes, expected: str = "multipart/form-data") -> list[Part]:
    """Take a body apart. Raises Refused."""
    kind, _, rest = content_type.partition(";")
    boundary = _parameters(f";{rest}").get("boundary")
    if kind.strip().lower() != expected or not boundary:
        raise Refused(f"expected the header `content-type: {expected}` with a boundary", status=400)
    mark = b"--" + boundary.encode("latin-1")
    opened, _, pieces = (b"\r\n" + body).partition(b"\r\n" + mark)
    cut = pieces.split(b"\r\n" + mark)
    if opened or not cut or not cut[-1].startswith(b"--"):
        raise Refused("the parts of the body do not end where its boundary says", status=400)
    return [_part(piece) for piece in cut[:-1]]


def _part(piece: bytes) -> Part:
    head, found, data = piece.partition(b"\r\n\r\n")
    if not found:
        raise Refused("a part of the body has no end to its headers", status=400)
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    told = _parameters(headers.get("content-disposition", ""))
    filename = told.get("filename")
    for code, meant in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):  # as browsers write them
        filename = filename.replace(code, meant) if filename is not None else None
    return Part(told.get("name", ""), filename, headers.get("content-type", ""), data)


def _parameters(value: str) -> dict[str, str]:
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PARAMETER.findall(value)
    }
