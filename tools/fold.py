"""What a terminal would show in the end: of lines that were drawn anew, only their last state."""

from __future__ import annotations

import re

_BLOCK = 32 * 1024
"""Bytes that are waited for before lines go on: what redraws comes soon after what it redraws."""
_ROWS = 64
"""Lines of the end that may still be redrawn."""
_LONGEST = 64 * 1024
"""Bytes of those lines at most."""
_FARTHEST = 1000
"""The column beyond which the cursor moves only by writing."""


class Fold:
    """Folds a stream of bytes, in bounded memory. What has no control characters comes out as it went in."""

    def __init__(self) -> None:
        self._held = b""
        self._fresh = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; return what will not be redrawn any more."""
        self._held += chunk
        self._fresh += len(chunk)
        if self._fresh < _BLOCK:
            return b""
        self._fresh = 0
        self._held = folded(self._held, whole=False)
        end = len(self._held)
        for _ in range(_ROWS):
            end = self._held.rfind(b"\n", 0, max(end, 0))
        ready, self._held = self._held[: end + 1], self._held[end + 1 :]
        if len(self._held) > _LONGEST:
            ready, self._held = ready + self._held, b""
        return ready

    @property
    def rest(self) -> bytes:
        """What was held back, as it looks now."""
        return folded(self._held)


def folded(data: bytes, *, whole: bool = True) -> bytes:
    """Return what these bytes leave on a terminal that is as wide as need be and never scrolls away.

    Colours and titles go. Moves of the cursor are followed by rows and columns, but for those to an absolute place; so
    clearing the screen does not lose what was said before. With `whole` the stream ends here; else where the cursor
    stands and an unfinished escape sequence are kept behind the text, for the bytes that follow.
    """
    data = data.replace(b"\r\n", b"\n")
    if not _ACTS.search(data):
        return data
    # A character that is cut in two by the end, or is none at all, comes through byte for byte.
    text = _STYLE.sub("", data.decode("utf-8", "surrogateescape"))
    unfinished = _UNFINISHED.search(text)
    cut = unfinished.group() if unfinished else ""
    screen = _Screen()
    for found in _TOKENS.finditer(text, 0, len(text) - len(cut)):
        screen.take(found.group())
    return (screen.text + ("" if whole else screen.cursor + cut)).encode("utf-8", "surrogateescape")


_ACTS = re.compile(rb"[\r\b\x1b]")
_TITLE = r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"
_STYLE = re.compile(rf"\x1b\[[\d;:]*m|{_TITLE}")
_TOKENS = re.compile(r"[^\n\r\x08\x1b]+|[\n\r\x08]|\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])?")
_MOVE = re.compile(r"\x1b\[(\d{0,6})([A-GJK])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]{0,4096}\x1b?|[ -/]*)\Z")


class _Screen:
    """Rows of text and a place in them."""

    def __init__(self) -> None:
        self._rows = [""]
        self._row = 0
        self._column = 0

    @property
    def text(self) -> str:
        return "\n".join(self._rows)

    @property
    def cursor(self) -> str:
        """The shortest way from the end of the text to where the cursor is."""
        up = len(self._rows) - 1 - self._row
        if not up and self._column == len(self._rows[-1]):
            return ""
        moves = (f"\x1b[{up}A" if up else "", "\r", f"\x1b[{self._column}C" if self._column else "")
        return "".join(moves)

    def take(self, piece: str) -> None:
        """Do what a piece of the stream asks for: a character that acts, an escape sequence, or text."""
        match piece[0]:
            case "\n":
                self._down()
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(self._column - 1, 0)
            case "\x1b":
                if found := _MOVE.fullmatch(piece):
                    self._move(found[2], int(found[1] or 0), self._rows[self._row])
                elif piece == "\x1bM":
                    self._row = max(self._row - 1, 0)
            case _:
                self._write(piece)

    def _write(self, text: str) -> None:
        row, end = self._rows[self._row], self._column + len(text)
        self._rows[self._row] = row[: self._column].ljust(self._column) + text + row[end:]
        self._column = end

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append("")
        self._column = 0

    def _move(self, way: str, count: int, row: str) -> None:
        """Follow a move; `count` is 0 where none was given."""
        match way:
            case "A" | "F":
                self._row = max(self._row - (count or 1), 0)
            case "B" | "E":
                self._row = min(self._row + (count or 1), len(self._rows) - 1)
            case "C":
                self._column = min(self._column + (count or 1), max(len(row), _FARTHEST))
            case "D":
                self._column = max(self._column - (count or 1), 0)
            case "G":
                self._column = min((count or 1) - 1, _FARTHEST)
            case "K":
                after = row[self._column + 1 :] if count == 1 else ""
                blank = " " * (self._column + 1) if after else ""
                self._rows[self._row] = blank + after if count else row[: self._column]
            case _:
                if not count:  # J: all that is below
                    self._rows[self._row :] = [row[: self._column]]
        if way in "EF":
            self._column = 0
