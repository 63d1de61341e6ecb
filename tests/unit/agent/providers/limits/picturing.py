"""Pictures and documents for tests, real ones and ones that only say how large they are."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from random import Random
from struct import pack
from typing import Any

from PIL import Image

from treadle.agent.messages import UserMessage
from treadle.tools.contract import Inline, Media, Text


def noise(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """Return a picture that no format makes much smaller: the same one for the same size."""
    size = width * height * len(Image.new(mode, (1, 1)).getbands())
    raw = Random(size).randbytes(size)
    into = BytesIO()
    Image.frombytes(mode, (width, height), raw).save(into, kind, **options)
    return into.getvalue()


def claims(width: int, height: int, size: int = 24) -> bytes:
    """Return bytes that begin like a PNG of this size; there is no picture in them."""
    return (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + pack(">II", width, height)).ljust(size, b"\0")


def image(data: bytes, mime: str = "image/png", name: str | None = None) -> Media:
    return Media(kind="image", mime=mime, source=Inline(data=b64encode(data).decode()), filename=name)


def document(data: bytes, name: str = "a.pdf") -> Media:
    source = Inline(data=b64encode(data).decode())
    return Media(kind="document", mime="application/pdf", source=source, filename=name)


def pdf(pages: int, size: int = 0) -> bytes:
    return (b"%PDF-1.7\n" + b"<< /Type /Page >>\n" * pages).ljust(size, b" ")


def shows(*media: Media, text: str = "Look.") -> UserMessage:
    return UserMessage(content=(Text(text=text), *media))
