"""Documents as chunks: pieces of text that know under which headings and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHUNK = 1_200
"""Characters of a chunk, about."""
SEPARATOR = " > "
"""Between headings."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document as a reader of its format gives it: a line, a paragraph, a row, a page."""

    text: str
    headings: tuple[str, ...] = ()
    """From the outermost one inwards."""
    unit: str = "line"
    """What is counted in this document."""
    number: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document that is found as one."""

    text: str
    title: str
    """Its headings, joined."""
    place: str
    """Where in the document it stands, as in `lines 12-40`."""


def chunks(pieces: Iterable[Piece]) -> Iterator[Chunk]:
    """Join pieces under the same headings until a chunk is full; cut the pieces that are longer than one."""
    held: list[Piece] = []
    size = 0
    for piece in pieces:
        for part in _cut(piece):
            if held and (part.headings != held[0].headings or size + len(part.text) > CHUNK):
                yield from _joined(held)
                held, size = [], 0
            held.append(part)
            size += len(part.text) + 1
    yield from _joined(held)


def _cut(piece: Piece) -> Iterator[Piece]:
    text = piece.text
    while len(text) > CHUNK:
        end = max(text.rfind("\n", 0, CHUNK), text.rfind(". ", 0, CHUNK) + 1)
        end = end if end > CHUNK // 2 else max(text.rfind(" ", 0, CHUNK), CHUNK // 2)
        yield Piece(text[:end], piece.headings, piece.unit, piece.number)
        text = text[end:].lstrip()
    yield piece if text is piece.text else Piece(text, piece.headings, piece.unit, piece.number)


def _joined(held: list[Piece]) -> Iterator[Chunk]:
    text = "\n".join(piece.text for piece in held).strip("\n")
    if not text.strip():
        return
    first, last = held[0], held[-1]
    many = last.number > first.number
    place = f"{first.unit}s {first.number}-{last.number}" if many else f"{first.unit} {first.number}"
    yield Chunk(text, SEPARATOR.join(first.headings), place)
