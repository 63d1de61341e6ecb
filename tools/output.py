"""Long output, cut to a head and a tail in bounded memory while a file keeps the whole."""

from __future__ import annotations

import codecs
import os
import re
from types import TracebackType

import anyio
from anyio import AsyncFile

from treadle.sandbox.frozen import frozen
from treadle.tools.fold import Fold, folded

SHOWN = 32_000
"""Bytes of output that a model is shown at most."""
SPILLED = 256 * 1024 * 1024
"""Bytes that are kept in the file at most."""


@frozen
class View:
    """Output as a model is shown it."""

    text: str
    cut: bool
    """True when a part in the middle is left out."""


class Ring:
    """The beginning and the end of a stream of bytes; it counts all of it."""

    def __init__(self, head: int = 64 * 1024, tail: int = 64 * 1024) -> None:
        self.bytes = 0
        self._newlines = 0
        self._head = bytearray()
        self._tail = bytearray()
        self._sizes = head, tail

    @property
    def lines(self) -> int:
        """Lines so far; one without a line end counts."""
        last = self._tail or self._head
        return self._newlines + bool(last and last[-1] != _NEWLINE)

    def feed(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self._newlines += chunk.count(b"\n")
        head, tail = self._sizes
        room = head - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[max(room, 0) :]
        if len(self._tail) > 2 * tail:
            del self._tail[:-tail]

    def followed_by(self, more: bytes) -> Ring:
        """Return another one, which was fed more; this one stays."""
        ring = Ring(*self._sizes)
        ring.bytes, ring._newlines = self.bytes, self._newlines
        ring._head, ring._tail = bytearray(self._head), bytearray(self._tail)
        ring.feed(more)
        return ring

    def view(self, head: int, tail: int, rest: str) -> View:
        """Show at most so many bytes of each end; `rest` says where the left-out part is."""
        whole = self.bytes == len(self._head) + len(self._tail)
        if whole and self.bytes <= head + tail:
            return View(clean(bytes(self._head + self._tail)), cut=False)
        first = _whole_lines_first(bytes((self._head + self._tail if whole else self._head)[:head]))
        last = _whole_lines_last(bytes((self._head + self._tail if whole else self._tail)[-tail:]))
        lost = self.bytes - len(first) - len(last)
        lines = self._newlines - first.count(b"\n") - last.count(b"\n")
        notice = f"[cut here: {lost:,} bytes, {lines:,} line ends; {rest}]"
        return View(f"{clean(first).rstrip()}\n{notice}\n{clean(last)}", cut=True)


class Recorder:
    """Collects the output of one command in bounded memory, and in a file as soon as it is long.

    Memory has both ends as a terminal would show them; the file has the bytes as they came. Leaving the context closes
    the file.
    """

    def __init__(self, path: str, kept: int = SPILLED) -> None:
        self.bytes = 0
        """How many came so far."""
        self._ring = Ring()
        self._fold = Fold()
        self._newlines = 0
        self._path = path
        self._kept = kept
        self._recent = bytearray()
        """All that came while there is no file, then the last of it."""
        self._written = 0
        self._file: AsyncFile[bytes] | None = None
        self._trouble = ""

    async def __aenter__(self) -> Recorder:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with anyio.CancelScope(shield=True):
                await self._file.aclose()

    @property
    def lines(self) -> int:
        """Lines so far; one without a line end counts."""
        return self._newlines + bool(self._recent and self._recent[-1] != _NEWLINE)

    @property
    def spill(self) -> str | None:
        """The file that holds the output; None while it is short enough to be shown whole."""
        return self._path if self._file else None

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes. A file that cannot be written costs the rest of the file, never the command."""
        self.bytes += len(chunk)
        self._newlines += chunk.count(b"\n")
        self._ring.feed(self._fold.feed(chunk))
        self._recent += chunk
        if self.bytes > SHOWN:
            await self._write(chunk if self._file else bytes(self._recent))
            if len(self._recent) > 2 * _RECENT:
                del self._recent[:-_RECENT]

    async def _write(self, data: bytes) -> None:
        left = data[: self._kept - self._written]
        while left and not self._trouble:
            try:
                if self._file is None:
                    self._file = await anyio.open_file(self._path, "wb", buffering=0, opener=_private)
                done = await self._file.write(left)  # on a full disk this is a part, without an error
            except OSError as error:
                self._trouble = error.strerror or str(error)
            else:
                self._written += done
                left = left[done:]

    async def since(self, start: int, most: int) -> tuple[int, bytes]:
        """Return bytes as they came: at most so many from `start`, or from the first after it that is still there."""
        oldest = self.bytes - len(self._recent)
        if start < min(self._written, oldest):
            async with await anyio.open_file(self._path, "rb") as file:
                await file.seek(start)
                return start, await file.read(min(most, self._written - start))
        start = min(max(start, oldest), self.bytes)
        return start, bytes(self._recent[start - oldest :][:most])

    def view(self, *, failed: bool) -> View:
        """Return what a model is shown of all so far: more of the end when the command failed."""
        head = SHOWN // 4 if failed else SHOWN // 2
        return self._ring.followed_by(self._fold.rest).view(head, SHOWN - head, self._where())

    def _where(self) -> str:
        if self._trouble:
            return f"the rest could not be kept ({self._trouble})"
        if self.bytes > self._kept:
            return f"the first {self._kept:,} bytes are in {self._path}: use read or grep on it"
        return f"all of it is in {self._path}: use read or grep on it"


def clean(data: bytes) -> str:
    """Return bytes of a terminal as plain text.

    Escape sequences go, of a line that was redrawn the last state stays, what is not UTF-8 or cannot be shown
    is replaced.
    """
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", folded(data).decode("utf-8", "replace"))


_NEWLINE = 0x0A
_RECENT = 64 * 1024
_CONTINUATION = bytes(range(0x80, 0xC0))
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _whole_lines_first(data: bytes) -> bytes:
    """Drop an unfinished line at the end, or only an unfinished character when that line is most of it."""
    end = data.rfind(b"\n") + 1
    return data[:end] if 2 * end > len(data) else data[: codecs.utf_8_decode(data, "replace", False)[1]]


def _whole_lines_last(data: bytes) -> bytes:
    start = data.find(b"\n") + 1
    return data[start:] if 0 < 2 * start < len(data) else data.lstrip(_CONTINUATION)
