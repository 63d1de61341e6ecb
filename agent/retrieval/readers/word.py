"""DOCX as pieces: paragraphs and rows of tables under the headings above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

from docx import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.table import Table
from docx.text.paragraph import Paragraph

from treadle.agent.retrieval.chunks import Piece

_HEADING = re.compile(r"heading (\d)|title")


def word_pieces(path: Path) -> Iterator[Piece]:
    """Yield the paragraphs and rows. Raises OSError."""
    try:
        document = Document(str(path))
    except (PackageNotFoundError, BadZipFile, KeyError, ValueError) as error:
        raise OSError(f"{path}: cannot be read as DOCX: {error}") from error
    headings: list[tuple[int, str]] = []
    number = 0
    for block in document.iter_inner_content():
        for text, style in _texts(block):
            number += 1
            if (found := _HEADING.fullmatch(style.lower())) and text.strip():
                depth = int(found[1] or 0)
                headings = [*(one for one in headings if one[0] < depth), (depth, text.strip())]
            if text.strip():
                yield Piece(text, tuple(title for _, title in headings), "paragraph", number)


def _texts(block: object) -> Iterator[tuple[str, str]]:
    if isinstance(block, Paragraph):
        yield block.text, str(block.style.name if block.style else "")
    elif isinstance(block, Table):
        for row in block.rows:
            yield " | ".join(cell.text.strip() for cell in row.cells), ""
