"""Plain text, Markdown and CSV as pieces."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from treadle.agent.retrieval.chunks import Piece

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"\s*(```|~~~)")


def text_pieces(path: Path) -> Iterator[Piece]:
    """Yield the lines of a file, a line at a time in memory. Raises OSError."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            yield Piece(line.rstrip("\r\n"), (), "line", number)


def markdown_pieces(path: Path) -> Iterator[Piece]:
    """Yield the lines of a file with the headings above each. Raises OSError."""
    headings: list[tuple[int, str]] = []
    fenced = False
    for piece in text_pieces(path):
        fenced ^= bool(_FENCE.match(piece.text))
        heading = None if fenced else _HEADING.match(piece.text)
        if heading:
            depth = len(heading[1])
            headings = [*(one for one in headings if one[0] < depth), (depth, heading[2])]
        yield Piece(piece.text, tuple(title for _, title in headings), "line", piece.number)


def csv_pieces(path: Path) -> Iterator[Piece]:
    """Yield the rows of a file as `column: value`. Raises OSError."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        start = file.read(8_192)
        file.seek(0)
        try:
            dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(start, ",;\t|")
        except csv.Error:
            dialect = csv.excel
        try:
            yield from rows(csv.reader(file, dialect))
        except csv.Error as error:
            raise OSError(f"{path}: is no CSV: {error}") from error


def rows(table: Iterable[Iterable[object]], headings: tuple[str, ...] = ()) -> Iterator[Piece]:
    """Yield the rows of a table, each value named by the first row."""
    names: list[str] = []
    for number, row in enumerate(table, 1):
        values = [str(value).strip() for value in row]
        if not names:
            names = values
            text = " | ".join(values)
        else:
            named = zip([*names, *[""] * len(values)], values, strict=False)
            text = "; ".join(f"{name}: {value}" if name else value for name, value in named if value)
        if text.strip(" |"):
            yield Piece(text, headings, "row", number)
