"""PDF as pieces, a page each, under the entries of its table of contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import Destination

from treadle.agent.retrieval.chunks import Piece


def pdf_pieces(path: Path) -> Iterator[Piece]:
    """Yield the pages. Raises OSError for what is no PDF, or one that needs a password."""
    try:
        reader = PdfReader(path)
        contents = _contents(reader)
        headings: tuple[str, ...] = ()
        for number, page in enumerate(reader.pages):
            headings = contents.get(number, headings)
            yield Piece(page.extract_text(), headings, "page", number + 1)
    except (PyPdfError, ValueError, KeyError, RecursionError) as error:
        raise OSError(f"{path}: cannot be read as PDF: {error}") from error


def _contents(reader: PdfReader) -> dict[int, tuple[str, ...]]:
    """Return the headings that hold from each page on at which one begins."""
    found: dict[int, tuple[str, ...]] = {}

    def walk(entries: Sequence[object], above: tuple[str, ...]) -> None:
        here = above
        for entry in entries:
            if isinstance(entry, list):
                walk(cast("list[object]", entry), here)
            elif isinstance(entry, Destination):
                here = (*above, str(entry.title))
                page = reader.get_destination_page_number(entry)
                if page is not None:
                    found.setdefault(page, here)

    walk(reader.outline, ())
    return found
