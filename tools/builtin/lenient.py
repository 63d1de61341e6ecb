"""Where a text stands that was copied almost exactly: the ways in which copies differ and mean the same.

Each way must lead to one place, and only what really changes there is replaced, in the bytes of the file. Nothing is
ever guessed by likeness.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import TypeAlias

from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.text import Encoding
from treadle.tools.contract import ToolError

_COMPARED = 400
"""Lines of an edit of which those that stay are found one by one; of a longer one, those at its ends."""
SAME = str.maketrans({
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
})
"""Signs that copies confuse, and what stands for them all."""


@frozen
class Found:
    """Where an edit applies, and what goes there."""

    start: int
    """In bytes, as `end`."""
    end: int
    new: bytes
    ignoring: str
    """What differs between the text looked for and the file's."""


Range: TypeAlias = tuple[int, int, str | None]
"""Where in the text of a file something is replaced, and by what; None when the new text cannot be fitted there."""


Lines: TypeAlias = Sequence[str]
Fit: TypeAlias = Callable[[Lines, Lines, Lines], Lines | None]
"""Makes new lines those of a place, from the old lines and the file's; None when they cannot be."""


def found_leniently(data: bytes, encoding: Encoding, old: str, new: str) -> Found | None:
    """Return where `old` stands but for trailing spaces, a uniform indentation, or the form of its punctuation.

    None when no way leads to a place. Raises `ToolError` when one leads to several.
    """
    try:
        text = data[len(encoding.mark) :].decode(encoding.codec, "surrogateescape")
    except UnicodeDecodeError:
        return None
    wanted, put = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    ways: tuple[tuple[str, Callable[[str, str, str], list[Range]]], ...] = (
        ("spaces at the end of lines", _but_trailing),
        ("the indentation", _but_indentation),
        ("the form of dashes, quotes and spaces", _but_punctuation),
    )
    for ignoring, way in ways:
        places = way(text, wanted, put)
        if len(places) > 1:
            lines = ", ".join(str(text.count("\n", 0, start) + 1) for start, _, _ in places[:10])
            raise ToolError(
                f"old was found {len(places)} times ignoring {ignoring} (lines {lines}); copy it exactly, "
                "with more context"
            )
        for start, end, put_there in places:
            if put_there is None:
                break
            first = len(encoding.mark) + len(text[:start].encode(encoding.codec, "surrogateescape"))
            size = len(text[start:end].encode(encoding.codec, "surrogateescape"))
            return Found(first, first + size, put_there.encode(encoding.codec, "surrogateescape"), ignoring)
    return None


def _but_trailing(text: str, old: str, new: str) -> list[Range]:
    return _by_lines(text, old, new, str.rstrip, lambda wanted, lines, put: put)


def _but_indentation(text: str, old: str, new: str) -> list[Range]:
    return _by_lines(text, old, new, str.strip, _reindented)


def _by_lines(
    text: str,
    old: str,
    new: str,
    normal: Callable[[str], str],
    fitted: Fit,
) -> list[Range]:
    """Return where whole lines are the same once made normal; `fitted` makes the new lines those of a place."""
    if new and old.endswith("\n") != new.endswith("\n"):
        return []
    wanted = old.removesuffix("\n").split("\n")
    put = new.removesuffix("\n").split("\n") if new or not old.endswith("\n") else []
    keys = [normal(line) for line in wanted]
    offset, key = max(enumerate(keys), key=lambda pair: len(pair[1]))
    if not key:
        return []
    lines = text.split("\n")
    places: list[Range] = []
    for index, line in enumerate(lines):
        first = index - offset
        if first < 0 or normal(line) != key:
            continue
        region = lines[first : first + len(wanted)]
        if [normal(each) for each in region] != keys:
            continue
        places.append(_replacement(lines, first, wanted, put, fitted(wanted, region, put)))
    return places


def _reindented(wanted: Sequence[str], region: Sequence[str], put: Sequence[str]) -> Sequence[str] | None:
    """Move the new lines by what the file's lines are moved by. None when they are not all moved alike, or cannot be."""
    pairs = [
        (_indent(line), _indent(want)) for line, want in zip(region, wanted, strict=True) if line.strip()
    ]
    (there, here), *_ = pairs
    more, less = there.removesuffix(here), here.removesuffix(there)
    if there.endswith(here) and all(one == more + other for one, other in pairs):
        return [more + line if line.strip() else line for line in put]
    less_everywhere = all(less + one == other for one, other in pairs)
    if less_everywhere and all(line.startswith(less) for line in put if line.strip()):
        return [line.removeprefix(less) for line in put]
    return None


def _indent(line: str) -> str:
    return "".join(takewhile(str.isspace, line))


def _replacement(
    lines: Sequence[str], first: int, wanted: Sequence[str], put: Sequence[str], fit: Sequence[str] | None
) -> Range:
    """Return the range in which lines change: what stays of them stays as the file has it, to the byte."""
    begin = sum(len(line) + 1 for line in lines[:first])
    if fit is None:
        return begin, begin, None
    region = lines[first : first + len(wanted)]
    carriage = "\r" if any(line.endswith("\r") for line in region) else ""
    last = first + len(wanted) == len(lines)
    pieces: list[str] = []
    tag = "equal"
    for tag, i1, i2, j1, j2 in _opcodes(wanted, put):
        if tag == "equal":
            pieces += region[i1:i2]
        else:
            pieces += [line + carriage for line in fit[j1:j2]]
    size = sum(len(line) + 1 for line in region)
    if not last:
        pieces.append("")
    elif tag != "equal":  # the file ends without a line end, and goes on doing so
        pieces[-1:] = [piece.removesuffix(carriage) for piece in pieces[-1:]]
    return begin, begin + size - last, "\n".join(pieces)


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if max(len(old), len(new)) <= _COMPARED:
        return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    return (
        ("equal", 0, head, 0, head),
        ("replace", head, len(old) - tail, head, len(new) - tail),
        ("equal", len(old) - tail, len(old), len(new) - tail, len(new)),
    )


def _but_punctuation(text: str, old: str, new: str) -> list[Range]:
    normal = text.translate(SAME)
    if not old.strip() or (normal == text and old.translate(SAME) == old):
        return []
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    places: list[Range] = []
    for match in re.finditer(f"(?=({_pattern(old).pattern}))", normal):
        begin = _end(normal, match.start(), old[:head])
        end = _end(normal, match.start(), old[: len(old) - tail])
        crlf = "\r\n" in match[1] or "\r\n" in text[match.end(1) : match.end(1) + 2]
        put = new[head : len(new) - tail]
        places.append((begin, end, put.replace("\n", "\r\n") if crlf else put))
    return places


def _pattern(old: str) -> re.Pattern[str]:
    return re.compile(r"\r?\n".join(map(re.escape, old.translate(SAME).split("\n"))))


def _end(text: str, start: int, old: str) -> int:
    """Return where a part that stands at `start` ends."""
    match = _pattern(old).match(text, start)
    assert match is not None
    return match.end()


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """Count how many items both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
