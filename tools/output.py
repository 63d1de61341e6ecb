"""Long output, cut to a head and a tail in bounded memory while a file keeps the whole."""

from __future__ import annotations

import codecs
import os
import re
from types import TracebackType

import anyio
from anyio import AsyncFile

from treadle.sandbox.frozen import frozen

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
    """Collects the output of one command: both ends in memory and, once it is long, all of it in a file.

    Leaving the context closes the file.
    """

    def __init__(self, path: str, kept: int = SPILLED) -> None:
        self.ring = Ring()
        self._path = path
        self._kept = kept
        self._waiting = bytearray()
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
    def spill(self) -> str | None:
        """The file that holds the output; None while it is short enough to be shown whole."""
        return self._path if self._file else None

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes. A file that cannot be written costs the rest of the file, never the command."""
        room = max(self._kept - self.ring.bytes, 0)
        self.ring.feed(chunk)
        if self._trouble or not room:
            return
        self._waiting += chunk[:room]
        if self.ring.bytes <= SHOWN:
            return
        try:
            if self._file is None:
                self._file = await anyio.open_file(self._path, "wb", buffering=0, opener=_private)
            await self._file.write(bytes(self._waiting))
        except OSError as error:
            self._trouble = error.strerror or str(error)
        self._waiting.clear()

    def view(self, *, failed: bool) -> View:
        """Return what a model is shown: more of the end when the command failed."""
        head = SHOWN // 4 if failed else SHOWN // 2
        return self.ring.view(head, SHOWN - head, self._where())

    def _where(self) -> str:
        if self._trouble:
            return f"the rest could not be kept ({self._trouble})"
        if self.ring.bytes > self._kept:
            return f"the first {self._kept:,} bytes are in {self._path}: use read or grep on it"
        return f"all of it is in {self._path}: use read or grep on it"


def clean(data: bytes) -> str:
    """Return bytes of a terminal as plain text.

    Escape sequences go, of a line that was redrawn the last state stays, what is not UTF-8 or cannot be shown
    is replaced.
    """
    text = _ESCAPES.sub("", data.decode("utf-8", "replace"))
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


_NEWLINE = 0x0A
_CONTINUATION = bytes(range(0x80, 0xC0))
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|[ -/]*[0-~])"
)
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
