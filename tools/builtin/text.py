"""How the bytes of a file are text: byte order mark, encoding, line ends."""

from __future__ import annotations

import codecs

from treadle.sandbox.frozen import frozen


@frozen
class Encoding:
    """What a file's first bytes say about the rest."""

    codec: str
    mark: bytes
    """The byte order mark; empty when there is none."""
    width: int
    """Bytes of one unit; a character starts at a multiple of it."""


PLAIN = Encoding("utf-8", b"", 1)
_MARKS = (
    Encoding("utf-8", codecs.BOM_UTF8, 1),
    Encoding("utf-32-le", codecs.BOM_UTF32_LE, 4),  # before UTF-16, whose mark it begins with
    Encoding("utf-32-be", codecs.BOM_UTF32_BE, 4),
    Encoding("utf-16-le", codecs.BOM_UTF16_LE, 2),
    Encoding("utf-16-be", codecs.BOM_UTF16_BE, 2),
)
LOOKED_AT = 8000
"""Bytes that decide whether a file is binary."""
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "PDF document"),
    (b"\x7fELF", "ELF program or library"),
    (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"SQLite format 3\x00", "SQLite database"),
    (b"\x00asm", "WebAssembly module"),
    (b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
)


def encoding_of(data: bytes) -> Encoding:
    """Return the encoding that a byte order mark names, else UTF-8."""
    return next((each for each in _MARKS if data.startswith(each.mark)), PLAIN)


def image_type(data: bytes) -> str | None:
    """Return the MIME type of a picture that models can be shown; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    kind = _kind(data)
    return kind if kind and kind.startswith("image/") else None


def binary_kind(data: bytes) -> str | None:
    """Say what a file is that starts with these bytes; None when it is text."""
    if b"\0" in data[:LOOKED_AT] and not encoding_of(data).mark:
        return _kind(data) or "binary data"
    return "PDF document" if data.startswith(b"%PDF-") else None


def _kind(data: bytes) -> str | None:
    return next((kind for magic, kind in _KINDS if data.startswith(magic)), None)
