"""Why the text that an edit looks for is not in the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from treadle.tools.builtin.text import Encoding

_SHOWN = 12
_LOOKED_AT = 20_000
"""Lines of the file that are compared."""
_LINE = 200
"""Characters of a line that are compared and shown."""
_NUMBERED = re.compile(r"^\s*\d+[\t|:]")


def why_missed(
    data: bytes, encoding: Encoding, old: str, new: str, names: tuple[str, str] = ("old", "new")
) -> str:
    """Say what is likely wrong with `old`, and show the region of the file that is nearest to it.

    `names` are what the two texts are called.
    """
    text = data.removeprefix(encoding.mark).decode(encoding.codec, "replace").replace("\r\n", "\n")
    wanted = old.replace("\r\n", "\n").strip("\n").split("\n")
    lines = text.split("\n")
    start = _nearest(lines[:_LOOKED_AT], wanted)
    region = lines[start : start + len(wanted)] if start is not None else []
    there = _line_of(text, new.replace("\r\n", "\n"))
    why = _cause(text, wanted, region) if there is None else f"{names[1]} is already there, at line {there}"
    if start is None:
        return f"{names[0]} was not found; {why}"
    first = max(start - 1, 0)
    near = lines[first : first + min(len(wanted) + 2, _SHOWN)]
    numbered = [f"{number}\t{line[:_LINE]}" for number, line in enumerate(near, first + 1)]
    return "\n".join((f"{names[0]} was not found; {why}. The nearest lines:", *numbered))


def _line_of(text: str, new: str) -> int | None:
    return text.count("\n", 0, text.find(new)) + 1 if len(new.strip()) > 3 and new in text else None


def _cause(text: str, wanted: Sequence[str], region: Sequence[str]) -> str:
    bare = [_NUMBERED.sub("", line) for line in wanted]
    if all(map(_NUMBERED.match, wanted)) and "\n".join(bare) in text:
        return "it holds the line numbers that read shows; leave them out"
    if "\N{REPLACEMENT CHARACTER}" in "".join(wanted):
        return "it holds the sign for bytes that are not UTF-8; pick a part without it"
    if [line.rstrip() for line in wanted] == [line.rstrip() for line in region]:
        return "spaces at the end of lines differ"
    if [line.split() for line in wanted] == [line.split() for line in region]:
        tabs = any("\t" in line for line in wanted) != any("\t" in line for line in region)
        return "tabs and spaces differ" if tabs else "the indentation or spacing differs"
    return "read the file again and copy the text exactly"


def _nearest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the index of the line where the best counterpart of the wanted lines begins."""
    keys = [line.strip() for line in wanted[:50]]
    where: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        where.setdefault(line.strip(), []).append(index)
    # Lines that occur often say little about the place.
    votes = Counter(
        index - offset
        for offset, key in enumerate(keys)
        if key and len(where.get(key, ())) <= 20
        for index in where.get(key, ())
    )
    if votes:
        most = max(votes.values())
        return max(min(start for start, count in votes.items() if count == most), 0)
    offset, key = max(enumerate(keys), key=lambda pair: len(pair[1]))
    similar = _most_similar(lines, key[:_LINE])
    return None if similar is None else max(similar - offset, 0)


def _most_similar(lines: Sequence[str], key: str) -> int | None:
    best, ratio = None, 0.6
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(key)
    for index, line in enumerate(lines):
        matcher.set_seq1(line.strip()[:_LINE])
        if matcher.real_quick_ratio() > ratio and matcher.quick_ratio() > ratio and matcher.ratio() > ratio:
            best, ratio = index, matcher.ratio()
    return best
