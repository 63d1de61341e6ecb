"""Spreadsheets as pieces: the rows of each sheet, under its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook

from treadle.agent.retrieval.chunks import Piece
from treadle.agent.retrieval.readers.text import rows


def sheet_pieces(path: Path) -> Iterator[Piece]:
    """Yield the rows of every sheet. Raises OSError."""
    try:
        with path.open("rb") as file:
            book = CalamineWorkbook.from_filelike(file)
            for name in book.sheet_names:
                yield from rows(book.get_sheet_by_name(name).iter_rows(), (name,))
    except CalamineError as error:
        raise OSError(f"{path}: cannot be read as a spreadsheet: {error}") from error
