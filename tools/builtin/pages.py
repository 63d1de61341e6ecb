"""Text as a model is shown it: numbered lines, a page at a time."""

from __future__ import annotations

from treadle.sandbox.contract import FileInfo, Files
from treadle.tools.builtin.text import encoding_of
from treadle.tools.contract import ToolError

MAX_LINES = 2000
MAX_BYTES = 50 * 1024
MAX_LINE = 2000
"""Characters of one line that are shown."""
_LINE_BYTES = 4 * MAX_LINE + 4
"""Bytes of one line that are kept: enough for its characters, and to see that there are more."""
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
_CHUNK = 256 * 1024
COUNTED = 4 * 1024 * 1024
"""Up to this size a file is read to its end, to say how many lines it has and to know it again by its content."""
_DECODED = 64 * 1024 * 1024


async def page(files: Files, info: FileInfo, name: str, offset: int, limit: int | None) -> str:
    """Return numbered lines of a text file, with a note of what is left out. Raises `ToolError` behind its end."""
    window = _Window(offset, min(limit or MAX_LINES, MAX_LINES))
    encoding = encoding_of(await files.read(info.path, 0, 4))
    if encoding.width > 1:
        if info.size > _DECODED:
            raise ToolError(
                f"read failed: {name} is {encoding.codec} of {info.size:,} bytes; that is too long"
            )
        data = await files.read(info.path, len(encoding.mark))
        window.feed(data.decode(encoding.codec, "replace").encode())
    else:
        await _fill(window, files, info, len(encoding.mark))
    return _shown(window, name, offset)


def page_of(text: str, name: str, offset: int, limit: int | None) -> str:
    """Return numbered lines of a text that is no file, as `page` does."""
    window = _Window(offset, min(limit or MAX_LINES, MAX_LINES))
    window.feed(text.encode("utf-8", "replace"))
    return _shown(window, name, offset)


async def _fill(window: _Window, files: Files, info: FileInfo, start: int) -> None:
    while chunk := await files.read(info.path, start, _CHUNK):
        window.feed(chunk)
        start += len(chunk)
        if window.full and info.size > COUNTED:
            window.unfinished = True
            return


def _shown(window: _Window, name: str, offset: int) -> str:
    lines = window.finish()
    total = window.total
    if not total:
        return "[empty file]"
    if not lines:
        raise ToolError(f"read failed: {name} has {total:,} lines; offset {offset:,} is behind its end")
    notes: list[str] = []
    last = offset + len(lines) - 1
    if last < total or window.unfinished:
        of = "more" if window.unfinished else f"{total:,}"
        notes.append(f"[lines {offset:,} to {last:,} of {of}; go on with offset={last + 1}]")
    text = [line.decode("utf-8", "replace") for line in lines]
    if sum(line.count("\N{REPLACEMENT CHARACTER}") for line in text) > sum(
        line.count(_REPLACED) for line in lines
    ):
        notes.append("[bytes that are not UTF-8 are shown as \N{REPLACEMENT CHARACTER}]")
    numbered = [f"{number}\t{_cut(line)}" for number, line in enumerate(text, offset)]
    return "\n".join(numbered + notes)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} [line cut: it is longer]"


class _Window:
    """The wanted lines of a file that comes in chunks, in bounded memory."""

    def __init__(self, first: int, count: int) -> None:
        self.unfinished = False
        """True when the rest of the file was not read."""
        self._first = first
        self._count = count
        self._kept: list[bytes] = []
        self._size = 0
        self._current = bytearray()
        self._ended = 0
        self._open = False

    @property
    def full(self) -> bool:
        return len(self._kept) >= self._count or self._size >= MAX_BYTES

    @property
    def total(self) -> int:
        """Lines so far."""
        return self._ended + self._open

    def feed(self, chunk: bytes) -> None:
        ends = chunk.count(b"\n")
        if self.full or self._ended + ends + 1 < self._first:
            self._ended += ends
            self._open = not chunk.endswith(b"\n")
            return
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._add(piece)
            self._close()
        self._add(rest)
        self._open = bool(rest) or (self._open and not whole)

    def finish(self) -> list[bytes]:
        """Return the wanted lines without their ends."""
        if self._open:
            self._close()
        return self._kept

    def _add(self, piece: bytes) -> None:
        room = _LINE_BYTES - len(self._current)
        self._current += piece[:room]

    def _close(self) -> None:
        self._ended += 1
        self._open = False
        if self._ended >= self._first and not self.full:
            self._kept.append(bytes(self._current).removesuffix(b"\r"))
            self._size += len(self._current) + 1
        self._current.clear()
