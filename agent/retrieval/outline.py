"""What a prompt says of a document that is too long for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treadle.agent.retrieval.chunks import SEPARATOR, Chunk

MOST = 1_600
"""Characters of an outline, about."""
_DEEPEST = 4
_SAMPLE = 16


class Outline:
    """Notes the headings of chunks as they pass by, and tells them as far as there is room."""

    def __init__(self) -> None:
        self.characters = 0
        self.chunks = 0
        self._begins: dict[tuple[str, ...], int] = {}
        self._opening = ""

    def noting(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks as they are."""
        for chunk in chunks:
            headings = tuple(chunk.title.split(SEPARATOR)) if chunk.title else ()
            for depth in range(1, len(headings) + 1):
                self._begins.setdefault(headings[:depth], self.chunks)
            self._opening = self._opening or chunk.text[:300]
            self.characters += len(chunk.text)
            self.chunks += 1
            yield chunk

    def text(self, first: int) -> str:
        """Return the outline; `first` is the id of the first chunk."""
        if not self._begins:
            return f"(no headings) It begins: {self._opening}"
        for depth in range(_DEEPEST, 0, -1):
            lines = self._lines(depth, first)
            if sum(map(len, lines)) <= MOST:
                return "\n".join(lines)
        lines = self._lines(1, first)
        step = -(-len(lines) // _SAMPLE)
        return "\n".join([*lines[::step], f"({len(lines)} headings; every {step}. is shown)"])

    def _lines(self, depth: int, first: int) -> list[str]:
        return [
            f"{'  ' * (len(headings) - 1)}- {headings[-1][:80]} (from #{first + at})"
            for headings, at in self._begins.items()
            if len(headings) <= depth
        ]
