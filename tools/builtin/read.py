"""The `read` tool: numbered lines of a file, a picture, or the names in a folder."""

from __future__ import annotations

from base64 import b64encode
from functools import partial

from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, FileInfo, Files, Place
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.paths import absolute, explained, find, printable, shown
from treadle.tools.builtin.text import LOOKED_AT, binary_kind, encoding_of, image_type
from treadle.tools.contract import Frozen, Inline, Media, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

MAX_LINES = 2000
MAX_BYTES = 50 * 1024
MAX_LINE = 2000
"""Characters of one line that are shown."""
_LINE_BYTES = 4 * MAX_LINE + 4
"""Bytes of one line that are kept: enough for its characters, and to see that there are more."""
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
_CHUNK = 256 * 1024
_COUNTED = 64 * 1024 * 1024
"""Up to this size a file is read to its end to say how many lines it has."""
_MAX_IMAGE = 3_750_000
"""Five million bytes in base64: a picture that a provider refuses would have every later request refused too."""
_MAX_LISTED = 500


class ReadArguments(Frozen):
    path: str
    offset: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=1)


def read_tool(seen: Seen) -> Tool:
    """Return the tool; it notes in `seen` which version of a file the model was shown."""
    return define(
        "read", ReadArguments, description=load("tools/read"), access=_access, run=partial(_read, seen)
    )


def _access(arguments: ReadArguments, place: Place) -> Access:
    return Access(tool="read", reads=(absolute(place, arguments.path),))


async def _read(seen: Seen, arguments: ReadArguments, ctx: ToolContext) -> Outcome:
    files, place = ctx.sandbox.files, ctx.sandbox.place
    path = absolute(place, arguments.path)
    name = shown(place, path)
    info = await find(files, place, "read", path)
    with explained("read", name):
        if info.kind == "folder":
            return _text(await _listing(files, path))
        if info.kind == "other":
            raise ToolError(f"read failed: {name} is a device, pipe or socket")
        # Asked for before the content, so that a change in between is noticed later.
        version = await files.version(path) if info.size <= _COUNTED else None
        lines = (path, arguments.offset, arguments.limit)
        if version is not None and (ago := seen.repeats(lines, version)) is not None:
            told = "in your last reply" if ago <= 1 else f"{ago} replies ago"
            return _text(load("notices/unchanged", file=name, ago=told))
        start = await files.read(path, 0, LOOKED_AT)
        if mime := image_type(start):
            outcome = await _picture(files, info, name, mime)
        else:
            if kind := binary_kind(start):
                raise ToolError(f"read failed: {name} is not text: {kind}, {info.size:,} bytes")
            text = await _numbered(files, info, name, arguments)
            outcome = _text(text)
            if version is not None:
                seen.show(lines, version, ctx.call_id, text)
    if version is not None:
        seen.note(path, version)
    return outcome


def _text(text: str) -> Outcome:
    return Outcome((Text(text=text),))


async def _listing(files: Files, path: str) -> str:
    entries = await files.list(path)
    marks = {"folder": "/", "file": "", "other": "@"}
    names = [printable(entry.path.rsplit("/", 1)[-1]) + marks[entry.kind] for entry in entries[:_MAX_LISTED]]
    if len(entries) > _MAX_LISTED:
        names.append(f"[{_MAX_LISTED} of {len(entries)} names; use glob for the rest]")
    return "\n".join(names) or "[empty folder]"


async def _picture(files: Files, info: FileInfo, name: str, mime: str) -> Outcome:
    if info.size > _MAX_IMAGE:
        raise ToolError(
            f"read failed: {name} is an image of {info.size:,} bytes; {_MAX_IMAGE:,} can be shown"
        )
    data = b64encode(await files.read(info.path)).decode()
    picture = Media(kind="image", mime=mime, source=Inline(data=data), filename=name.rsplit("/", 1)[-1])
    return Outcome((Text(text=f"[{mime}, {info.size:,} bytes]"), picture))


async def _numbered(files: Files, info: FileInfo, name: str, arguments: ReadArguments) -> str:
    window = _Window(arguments.offset, min(arguments.limit or MAX_LINES, MAX_LINES))
    encoding = encoding_of(await files.read(info.path, 0, 4))
    if encoding.width > 1:
        if info.size > _COUNTED:
            raise ToolError(
                f"read failed: {name} is {encoding.codec} of {info.size:,} bytes; that is too long"
            )
        data = await files.read(info.path, len(encoding.mark))
        window.feed(data.decode(encoding.codec, "replace").encode())
    else:
        await _fill(window, files, info, len(encoding.mark))
    return _shown(window, name, arguments.offset)


async def _fill(window: _Window, files: Files, info: FileInfo, start: int) -> None:
    while chunk := await files.read(info.path, start, _CHUNK):
        window.feed(chunk)
        start += len(chunk)
        if window.full and info.size > _COUNTED:
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
