"""The `read` tool: numbered lines of a file, a picture, or the names in a folder."""

from __future__ import annotations

from base64 import b64encode
from functools import partial

from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, FileInfo, Files, Place, Version
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.notebook import shown_cells
from treadle.tools.builtin.pages import COUNTED, page, page_of
from treadle.tools.builtin.paths import absolute, explained, find, printable, shown
from treadle.tools.builtin.text import LOOKED_AT, binary_kind, image_type
from treadle.tools.contract import Frozen, Inline, Media, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

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
        version = await files.version(path) if info.size <= COUNTED else Version("", info.size, info.mtime_ns)
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
            text = await _lines(files, info, name, arguments)
            outcome = _text(text)
            if version is not None:
                seen.show(lines, version, ctx.call_id, text)
    if version is not None:
        seen.note(path, version)
    return outcome


def _text(text: str) -> Outcome:
    return Outcome((Text(text=text),))


async def _lines(files: Files, info: FileInfo, name: str, arguments: ReadArguments) -> str:
    if name.endswith(".ipynb") and info.size <= COUNTED:
        cells = shown_cells(await files.read(info.path))
        if cells is not None:
            return page_of(cells, name, arguments.offset, arguments.limit)
    return await page(files, info, name, arguments.offset, arguments.limit)


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
