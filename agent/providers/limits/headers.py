"""How large a picture is and how many pages a PDF has, read from their bytes without decoding them."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from struct import unpack_from
from typing import Final

_HEAD: Final = 1 << 16
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})")
_LONE: Final = {0x01, *range(0xD0, 0xD9)}
"""JPEG markers without a length."""
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that carry the picture's size."""


def decoded(data: str, most: int | None = None) -> bytes:
    """Return the bytes of base64, at most so many. What is no base64 gives none."""
    try:
        return a2b_base64(data if most is None else data[: most * 4 // 3 // 4 * 4])
    except (Error, ValueError):
        return b""


def picture_size(data: str) -> tuple[int, int] | None:
    """Return width and height of a PNG, JPEG, GIF or WebP in base64; None for what is none of them."""
    head = decoded(data, _HEAD)
    size = _size(head)
    if size is None and head[:2] == b"\xff\xd8" and len(data) > _HEAD:
        return _size(decoded(data))  # a profile or a preview stands before the size
    return size


def pdf_pages(data: str) -> int:
    """Return how many pages a PDF in base64 has at least: what stands in packed streams is not seen."""
    raw = decoded(data)
    counted = max((int(found) for found in _COUNT.findall(raw)), default=0)
    return max(counted, sum(1 for _ in _PAGE.finditer(raw)))


def _size(raw: bytes) -> tuple[int, int] | None:
    if raw[:8] == b"\x89PNG\r\n\x1a\n" and len(raw) >= 24:
        return unpack_from(">II", raw, 16)
    if raw[:6] in {b"GIF87a", b"GIF89a"} and len(raw) >= 10:
        return unpack_from("<HH", raw, 6)
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP" and len(raw) >= 30:
        return _webp(raw)
    if raw[:2] == b"\xff\xd8":
        return _jpeg(raw)
    return None


def _webp(raw: bytes) -> tuple[int, int] | None:
    match raw[12:16]:
        case b"VP8X":
            return int.from_bytes(raw[24:27], "little") + 1, int.from_bytes(raw[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(raw[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = unpack_from("<HH", raw, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _jpeg(raw: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(raw):
        if raw[at] != 0xFF:
            return None
        marker = raw[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _LONE:
            at += 2
        elif marker in _FRAMES:
            height, width = unpack_from(">HH", raw, at + 5)
            return width, height
        else:
            at += 2 + unpack_from(">H", raw, at + 2)[0]
    return None
