"""Where the hunks of a patch stand in a file, and what the file's bytes become."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TypeAlias

from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.lenient import SAME
from treadle.tools.builtin.misses import why_missed
from treadle.tools.builtin.patch_grammar import Hunk
from treadle.tools.builtin.text import Encoding, encoding_of
from treadle.tools.contract import ToolError

Line: TypeAlias = tuple[str, str]
"""What a line holds, and how it ends; nothing ends the last one of some files."""
Span: TypeAlias = tuple[int, int]
"""The first line, from 0, and the one after the last."""

_NAMED = 10
_WAYS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", str),
    ("spaces at the end of lines", str.rstrip),
    ("the form of dashes, quotes and spaces", lambda line: line.translate(SAME).rstrip()),
)


_OPENS = re.compile(r"\s*(?!\w+:\s*$)[^\W\d]|\s*[$@]")


@frozen
class Patched:
    """What came of a file's bytes."""

    data: bytes
    spots: tuple[int, ...]
    """The line, from 1, at which each hunk begins to change them."""
    ignoring: tuple[str, ...] = ()
    """What was ignored in finding the hunks that were not copied exactly."""


def apply_hunks(data: bytes, hunks: Sequence[Hunk]) -> Patched:
    """Return the bytes with all hunks made; what no hunk changes stays as it is, to the byte.

    Raises `ToolError` that explains all hunks that cannot be made.
    """
    if not hunks:
        return Patched(data, ())
    encoding = encoding_of(data)
    text = _decoded(data, encoding, hunks)
    lines = _split(text)
    file = _File(data, encoding, tuple(content for content, _ in lines))
    places: list[int] = []
    ignoring: list[str] = []
    problems: list[str] = []
    cursor = 0
    for number, hunk in enumerate(hunks, 1):
        try:
            place, ignored = _place(file, hunk, cursor)
        except ToolError as error:
            which = f"hunk {number} (line {hunk.number} of the patch)"
            problems.append(f"{which}: {error}" if len(hunks) > 1 else str(error))
        else:
            cursor = place + len(hunk.old)
            places.append(place)
            ignoring += [ignored] if ignored else []
    if problems:
        raise ToolError("\n".join(problems))
    made, spots = _made(lines, hunks, places)
    written = "".join(content + end for content, end in made).encode(encoding.codec, "surrogateescape")
    return Patched(encoding.mark + written, tuple(spots), tuple(ignoring))


def _decoded(data: bytes, encoding: Encoding, hunks: Sequence[Hunk]) -> str:
    body = data[len(encoding.mark) :]
    try:
        return body.decode(encoding.codec)
    except UnicodeDecodeError as error:
        if encoding.width > 1:
            raise ToolError(f"the file is not {encoding.codec}, as its first bytes say") from error
        if not all(text.isascii() for hunk in hunks for sign, text in hunk.lines if sign == "+"):
            raise ToolError("the file is not UTF-8; only ASCII text can be put into it") from error
        return body.decode(encoding.codec, "surrogateescape")


def _split(text: str) -> list[Line]:
    *whole, last = text.split("\n")
    lines = [(line[:-1], "\r\n") if line.endswith("\r") else (line, "\n") for line in whole]
    return [*lines, (last, "")] if last else lines


@frozen
class _File:
    data: bytes
    encoding: Encoding
    lines: tuple[str, ...]

    def missed(self, what: str, wanted: str, new: str = "") -> ToolError:
        return ToolError(why_missed(self.data, self.encoding, wanted, new, (what, "its new text")))


def _place(file: _File, hunk: Hunk, cursor: int) -> tuple[int, str]:
    """Return the line at which a hunk begins, and what was ignored to find it. Raises `ToolError`."""
    if not hunk.old:
        return _insertion(file, hunk, cursor), ""
    spans = _ahead(_sections(file, hunk.headers), cursor)
    # Behind the header, else with the header itself.
    scopes = (spans, [(max(start - 1, cursor), stop) for start, stop in spans] if hunk.headers else [])
    elsewhere: list[int] = []
    for ignoring, way in _WAYS:
        found = _found(tuple(map(way, file.lines)) if ignoring else file.lines, tuple(map(way, hunk.old)))
        there = [place for place in found if not hunk.at_end or place + len(hunk.old) == len(file.lines)]
        for scope in scopes:
            places = [place for place in there if any(start <= place < stop for start, stop in scope)]
            if len(places) > 1:
                raise _ambiguous("its text", places, ignoring)
            if places:
                return places[0], ignoring
        elsewhere = elsewhere or found
    if elsewhere and hunk.at_end:
        raise ToolError(f"its text was found at {_lines(elsewhere)}, not at the end of the file")
    if elsewhere and hunk.headers:
        raise ToolError(f"its text was found at {_lines(elsewhere)}, not in the section of its header")
    if elsewhere:
        raise _too_early("its text", elsewhere)
    raise file.missed("its text", "\n".join(hunk.old), "\n".join(hunk.new))


def _insertion(file: _File, hunk: Hunk, cursor: int) -> int:
    """Return where lines go that stand beside no others."""
    if hunk.at_end or not file.lines:
        return len(file.lines)
    if not hunk.headers:
        raise ToolError(
            "it only adds lines and does not say where; give a line of context, a @@ header, or *** End of File"
        )
    sections = _sections(file, hunk.headers)
    after = [start for start, _ in sections if start >= cursor]
    if not after:
        raise _too_early("its header", [start - 1 for start, _ in sections])
    if len(after) > 1:
        raise _ambiguous("its header", [start - 1 for start in after], "")
    return after[0]


def _sections(file: _File, headers: Sequence[str]) -> list[Span]:
    """Return what follows each line that the last header names, up to where another section of its rank begins.

    Each header is looked for in the sections of the one before; without any the file is one.
    """
    spans = [(0, len(file.lines))]
    for header in headers:
        found = _headed(file, header, spans)
        if not found:
            raise file.missed(f"its header {header!r}", header)
        spans = [(line + 1, _section_end(file.lines, line)) for line in found]
    return spans


def _ahead(sections: Sequence[Span], cursor: int) -> list[Span]:
    """Leave out what lies before the cursor."""
    ahead = [(max(start, cursor), stop) for start, stop in sections if cursor <= max(start, stop)]
    if not ahead:
        raise _too_early("the section of its header", [start - 1 for start, _ in sections])
    return ahead


def _too_early(what: str, places: Sequence[int]) -> ToolError:
    return ToolError(
        f"{what} was found at {_lines(places)}, before the hunk above; hunks follow the file's order"
    )


def _headed(file: _File, header: str, spans: Sequence[Span]) -> list[int]:
    for _, way in _WAYS:
        wanted = way(header).strip()
        found = {
            line
            for start, stop in spans
            for line in range(start, stop)
            if way(file.lines[line]).strip() == wanted
        }
        if found:
            return sorted(found)
    return []


def _section_end(lines: Sequence[str], header: int) -> int:
    """Return the first line behind a header that is indented no deeper and begins like a name; brackets and labels do not.

    What follows a header that is not indented deeper is no block: its section goes on to the end.
    """
    depth = _depth(lines[header])
    behind = [line for line in range(header + 1, len(lines)) if lines[line].strip()]
    if not behind or _depth(lines[behind[0]]) <= depth:
        return len(lines)
    return next(
        (line for line in behind if _depth(lines[line]) <= depth and _OPENS.match(lines[line])), len(lines)
    )


def _depth(line: str) -> int:
    return len("".join(takewhile(str.isspace, line)).expandtabs(8))


def _found(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return every line at which the wanted lines begin."""
    offset, key = max(enumerate(wanted), key=lambda pair: len(pair[1]))
    found: list[int] = []
    at = offset - 1
    while True:
        try:
            at = lines.index(key, at + 1)
        except ValueError:
            return found
        if tuple(lines[at - offset : at - offset + len(wanted)]) == wanted:
            found.append(at - offset)


def _ambiguous(what: str, places: Sequence[int], ignoring: str) -> ToolError:
    how = f" ignoring {ignoring}" if ignoring else ""
    more = "add lines of context, or the header of the section it is in"
    return ToolError(f"{what} was found {len(places)} times{how} ({_lines(places)}); {more}")


def _lines(places: Sequence[int]) -> str:
    more = ", ..." if len(places) > _NAMED else ""
    numbers = ", ".join(str(place + 1) for place in places[:_NAMED])
    return f"{'line' if len(places) == 1 else 'lines'} {numbers}{more}"


def _made(
    lines: Sequence[Line], hunks: Sequence[Hunk], places: Sequence[int]
) -> tuple[list[Line], list[int]]:
    """Return the lines with the hunks made, and the numbers of the lines at which they begin to differ."""
    made: list[Line] = []
    spots: list[int] = []
    at = 0
    for hunk, place in zip(hunks, places, strict=True):
        made += lines[at:place]
        spots.append(len(made) + 1 + sum(1 for _ in takewhile(lambda line: line[0] == " ", hunk.lines)))
        _rewrite(made, lines, place, hunk)
        at = place + len(hunk.old)
    ended = not lines or bool(lines[-1][1])
    new_last = (
        at == len(lines) and next((sign for sign, _ in hunks[-1].lines[::-1] if sign != "-"), "") == "+"
    )
    made += lines[at:]
    if new_last and not ended:
        made[-1] = (made[-1][0], "")  # the file ended without a line end, and goes on doing so
    return [
        (content, end or (_end_near(made, index) if index < len(made) - 1 else ""))
        for index, (content, end) in enumerate(made)
    ], spots


def _rewrite(made: list[Line], lines: Sequence[Line], place: int, hunk: Hunk) -> None:
    """Append what a hunk makes of the lines at its place. A new line ends as the one it stands for, or one beside it."""
    removed: list[str] = []
    at = place
    for sign, text in hunk.lines:
        if sign == "+":
            beside = made[-1][1] if made else lines[at][1] if at < len(lines) else "\n"
            made.append((text, removed.pop(0) if removed else beside))
            continue
        if sign == "-":
            removed.append(lines[at][1])
        else:
            removed.clear()
            made.append(lines[at])
        at += 1


def _end_near(made: Sequence[Line], index: int) -> str:
    """Return how the lines end that are nearest to one that ends in nothing."""
    before = next((end for _, end in reversed(made[:index]) if end), "")
    return before or next((end for _, end in made[index:] if end), "\n")
