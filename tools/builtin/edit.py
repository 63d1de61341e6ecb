"""The `edit` tool: exact replacements in the bytes of one file, all or none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from itertools import pairwise

import anyio.to_thread
from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place, Version
from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.changes import Seen, change
from treadle.tools.builtin.lenient import found_leniently
from treadle.tools.builtin.misses import why_missed
from treadle.tools.builtin.paths import absolute, explained, find, shown
from treadle.tools.builtin.text import Encoding, encoding_of
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

_MAX_SIZE = 64 * 1024 * 1024
_LINES_NAMED = 10
_AT_ONCE = 2 * 1024 * 1024
"""Bytes that are searched in a moment."""


class Edit(Frozen):
    old: str
    new: str
    replace_all: bool = False


class EditArguments(Frozen):
    path: str
    edits: tuple[Edit, ...] = Field(min_length=1)


def edit_tool(seen: Seen) -> Tool:
    """Return the tool; it refuses a file that is not what `seen` says the model saw."""
    return define(
        "edit", EditArguments, description=load("tools/edit"), access=_access, run=partial(_edit, seen)
    )


def _access(arguments: EditArguments, place: Place) -> Access:
    path = absolute(place, arguments.path)
    return Access(tool="edit", reads=(path,), writes=(path,))


async def _edit(seen: Seen, arguments: EditArguments, ctx: ToolContext) -> Outcome:
    files, place = ctx.sandbox.files, ctx.sandbox.place
    path = absolute(place, arguments.path)
    name = shown(place, path)
    info = await find(files, place, "edit", path)
    if info.kind != "file" or info.size > _MAX_SIZE:
        raise ToolError(f"edit failed: {name} is not a file of at most {_MAX_SIZE:,} bytes")
    with explained("edit", name):
        old = await files.read(path)
        now = Version(sha256(old).hexdigest(), len(old), info.mtime_ns)
        changed = seen.stale(path, now)
        made = await _in_time(old, arguments.edits, name if changed else None)
        written = await files.write(path, made.data, expect=now)
        if changed is False:  # else there is more in it that the model does not know
            seen.note(path, written)
    done = change(name, old, made.data)
    lines = _named([made.data.count(b"\n", 0, spot) + 1 for spot in made.spots])
    told = [f"edited {name}: {len(made.spots)} replaced at {lines} ({done.stat})"]
    told += [f"old was matched ignoring {ignored}" for ignored in dict.fromkeys(made.ignoring)]
    if changed:
        told.append("the file changed on disk since you read it; what lies elsewhere in it may be new")
    return Outcome((Text(text="; ".join(told)),), details={**done.details, "ignoring": list(made.ignoring)})


async def _in_time(data: bytes, edits: Sequence[Edit], changed: str | None) -> Made:
    """Make the edits; a miss in a long file takes its time to explain, and nothing else waits for that."""
    if len(data) <= _AT_ONCE and all(re.search(re.escape(edit.old.encode()), data) for edit in edits):
        return _applied(data, edits, changed)
    return await anyio.to_thread.run_sync(_applied, data, edits, changed)


def _applied(data: bytes, edits: Sequence[Edit], changed: str | None) -> Made:
    """Make the edits; in a file that changed since the model saw it only where it is still what the model saw."""
    if changed is None:
        return apply(data, edits)
    warning = f"edit failed: {changed} changed on disk since you read it"
    if any(edit.replace_all for edit in edits):
        raise ToolError(f"{warning}; read it again before you replace all of anything")
    try:
        made = apply(data, edits)
    except ToolError as error:
        raise ToolError(f"{warning}.\n{error}") from error
    if made.ignoring:
        raise ToolError(f"{warning}, and old is not there exactly; read it again")
    return made


@frozen
class Made:
    """What came of a file's bytes."""

    data: bytes
    spots: tuple[int, ...]
    """Where in them each replacement begins."""
    ignoring: tuple[str, ...] = ()
    """What was ignored in finding the edits that were not copied exactly."""


def apply(data: bytes, edits: Sequence[Edit]) -> Made:
    """Return the bytes with all edits made.

    Every edit is looked up in the original. Raises `ToolError` that explains all edits that cannot be made.
    """
    encoding = encoding_of(data)
    found: list[_Span] = []
    problems: list[str] = []
    for number, edit in enumerate(edits, 1):
        try:
            found += _spans(data, encoding, edit, number)
        except ToolError as error:
            problems.append(f"edit failed: {f'edit {number}: ' if len(edits) > 1 else ''}{error}")
    found.sort(key=lambda span: span.start)
    for one, two in pairwise(found):
        if two.start < one.end:
            problems.append(f"edit failed: edits {one.edit} and {two.edit} overlap; make them one")
    if problems:
        note = ["Nothing was changed."] if len(edits) > 1 else []
        raise ToolError("\n".join(problems + note))
    result = bytearray()
    spots: list[int] = []
    end = 0
    for span in found:
        result += data[end : span.start]
        spots.append(len(result))
        result += span.new
        end = span.end
    ignoring = tuple(span.ignoring for span in found if span.ignoring)
    return Made(bytes(result + data[end:]), tuple(spots), ignoring)


@frozen
class _Span:
    start: int
    end: int
    new: bytes
    edit: int
    ignoring: str = ""


def _spans(data: bytes, encoding: Encoding, edit: Edit, number: int) -> list[_Span]:
    """Return where one edit applies, with the bytes to put there."""
    if not edit.old:
        raise ToolError("old is empty; use write to make or replace a whole file")
    if edit.old == edit.new:
        raise ToolError("old and new are the same")
    old, new = edit.old.encode(encoding.codec), edit.new.encode(encoding.codec)
    places = _places(data, encoding, old, overlapping=not edit.replace_all)
    if not places:
        found = found_leniently(data, encoding, edit.old, edit.new)
        if found is None:
            raise ToolError(why_missed(data, encoding, edit.old, edit.new))
        return [_Span(found.start, found.end, found.new, number, found.ignoring)]
    if len(places) > 1 and not edit.replace_all:
        lines = _named([_line(data, encoding, start) for start, _ in places])
        raise ToolError(
            f"old was found {len(places)} times ({lines}); include more context or set replace_all"
        )
    if not edit.new.isascii() and not _decodes(data, encoding):
        raise ToolError("the file is not UTF-8; only ASCII text can be put into it")
    return [_Span(start, end, _with_ends(data, encoding, start, old, new), number) for start, end in places]


def _decodes(data: bytes, encoding: Encoding) -> bool:
    try:
        data.decode(encoding.codec)
    except UnicodeDecodeError:
        return False
    return True


def _places(data: bytes, encoding: Encoding, old: bytes, *, overlapping: bool) -> list[tuple[int, int]]:
    """Return where the text occurs; when it does not, where it does with CRLF line ends."""
    cr, lf = ("\r".encode(encoding.codec), "\n".encode(encoding.codec))
    exact = _found(re.compile(re.escape(old)), data, encoding, overlapping=overlapping)
    if old.startswith(lf):  # a line end is replaced whole
        exact = [(start - len(cr) if data.endswith(cr, 0, start) else start, end) for start, end in exact]
    if exact or lf not in old:
        return exact
    newline = b"(?:" + re.escape(cr) + b")?" + re.escape(lf)
    pattern = re.compile(newline.join(map(re.escape, old.replace(cr + lf, lf).split(lf))))
    return _found(pattern, data, encoding, overlapping=overlapping)


def _found(
    pattern: re.Pattern[bytes], data: bytes, encoding: Encoding, *, overlapping: bool
) -> list[tuple[int, int]]:
    places: dict[
        int, tuple[int, int]
    ] = {}  # by their end: a line end may be found with its CR and without it
    start = len(encoding.mark)
    while match := pattern.search(data, start):
        aligned = match.start() % encoding.width == 0
        if aligned:
            places.setdefault(match.end(), match.span())
        start = match.end() if aligned and not overlapping else match.start() + 1
    return list(places.values())


def _with_ends(data: bytes, encoding: Encoding, start: int, old: bytes, new: bytes) -> bytes:
    """Give the new text the line ends that the file has at this place; those that the old one did not have stay."""
    cr, lf = ("\r".encode(encoding.codec), "\n".encode(encoding.codec))
    at = data.find(lf, start)
    if at < 0:
        at = data.rfind(lf, 0, start)
    crlf = at >= len(cr) and data[at - len(cr) : at] == cr
    if crlf:
        return new.replace(cr + lf, lf).replace(lf, cr + lf)
    return new.replace(cr + lf, lf) if cr + lf in old else new


def _line(data: bytes, encoding: Encoding, position: int) -> int:
    return data.count("\n".encode(encoding.codec), 0, position) + 1


def _named(lines: Sequence[int]) -> str:
    more = ", ..." if len(lines) > _LINES_NAMED else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines[:_LINES_NAMED]))}{more}"
