"""HTML as pieces: its text under its headings, without scripts and styles."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from treadle.agent.retrieval.chunks import Piece

_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_BLOCKS = frozenset([
    "p",
    "div",
    "section",
    "article",
    "li",
    "tr",
    "table",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "pre",
    "blockquote",
    "br",
    "hr",
    "main",
    "header",
    "footer",
    "nav",
    "td",
    "th",
])
_READ = 256 * 1024


def html_pieces(path: Path) -> Iterator[Piece]:
    """Yield the paragraphs of a page. Raises OSError."""
    parser = _Parser()
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        while part := file.read(_READ):
            parser.feed(part)
            yield from parser.take()
    parser.close()
    parser.end_block()
    yield from parser.take()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[Piece] = []
        self._count = 0
        self._text: list[str] = []
        self._headings: list[tuple[int, str]] = []
        self._silent = 0

    def take(self) -> list[Piece]:
        """Return the pieces that are whole."""
        taken, self._pieces = self._pieces, []
        return taken

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in {"td", "th"}:
            self._text.append(" ")
        elif tag in _BLOCKS or _depth(tag):
            self.end_block()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif depth := _depth(tag):
            title = " ".join("".join(self._text).split())
            if title:
                self._headings = [*(one for one in self._headings if one[0] < depth), (depth, title)]
            self.end_block()
        elif tag in _BLOCKS - {"td", "th"}:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data)

    def end_block(self) -> None:
        """End the paragraph that is being read."""
        text = " ".join("".join(self._text).split())
        self._text.clear()
        if text:
            self._count += 1
            headings = tuple(title for _, title in self._headings)
            self._pieces.append(Piece(text, headings, "paragraph", self._count))


def _depth(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0
