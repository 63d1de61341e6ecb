"""The `write` tool: a file made or replaced whole."""

from __future__ import annotations

from functools import partial

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place, Version
from treadle.tools.builtin.changes import Seen, change
from treadle.tools.builtin.pages import page
from treadle.tools.builtin.paths import absolute, explained, shown
from treadle.tools.builtin.text import LOOKED_AT, binary_kind
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

_SHOWN = 400
"""Lines of a file that is not as the model knows it."""


class WriteArguments(Frozen):
    path: str
    content: str


def write_tool(seen: Seen) -> Tool:
    """Return the tool; it replaces only what `seen` says the model has seen as it is now."""
    return define(
        "write", WriteArguments, description=load("tools/write"), access=_access, run=partial(_write, seen)
    )


def _access(arguments: WriteArguments, place: Place) -> Access:
    return Access(tool="write", writes=(absolute(place, arguments.path),))


async def _write(seen: Seen, arguments: WriteArguments, ctx: ToolContext) -> Outcome:
    files, place = ctx.sandbox.files, ctx.sandbox.place
    path = absolute(place, arguments.path)
    name = shown(place, path)
    data = arguments.content.encode()
    with explained("write", name):
        now = await files.version(path)
        old = None if now is None else await _replaceable(seen, name, path, now, ctx)
        seen.note(path, await files.write(path, data, expect=now))
    done = change(name, old, data)
    verb = "created" if old is None else "replaced"
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    text = f"{verb} {name}: {lines:,} lines, {len(data):,} bytes ({done.stat})"
    return Outcome((Text(text=text),), details=done.details)


async def _replaceable(seen: Seen, name: str, path: str, now: Version, ctx: ToolContext) -> bytes:
    """Return what the file holds. Raises `ToolError` when the model does not know it."""
    files = ctx.sandbox.files
    match seen.stale(path, now):
        case True:
            why = f"write failed: {name} changed on disk since you read it; nothing was written"
            if kind := binary_kind(await files.read(path, 0, LOOKED_AT)):
                raise ToolError(f"{why}. It is {kind} now")
            text = await page(files, await files.info(path), name, 1, _SHOWN)
            seen.note(path, now)
            raise ToolError(f"{why}. It holds now, and you have seen it with this:\n{text}")
        case None:
            raise ToolError(
                f"write failed: {name} exists and you have not read it; read it first, or use edit"
            )
        case False:
            return await files.read(path)
