"""What the model has seen of files, told from what a tool changed in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import unified_diff
from typing import Literal, TypeAlias

from treadle.sandbox.contract import Version
from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.text import encoding_of
from treadle.tools.contract import JsonObject

_DIFF_SHOWN = 64_000
_CONTEXT = 3


Sent: TypeAlias = Callable[[str], tuple[str, int] | None]
"""What a model is still sent as the result of a call, and how many replies ago that was; None when it no longer is."""

Range: TypeAlias = tuple[str, int, int | None]
"""A path, the first line, and how many."""

_WORTH = 400
"""Characters from which on a result is worth a line in its place."""


def never_sent(call_id: str) -> tuple[str, int] | None:
    """Say of every call that its result is no longer sent."""
    return None


class Seen:
    """Which version of each file the model saw last; shared by the tools of one session."""

    def __init__(self, sent: Sent = never_sent) -> None:
        self._sent = sent
        self._versions: dict[str, Version] = {}
        self._shown: dict[Range, tuple[str, str, str]] = {}

    def show(self, lines: Range, version: Version, call_id: str, text: str) -> None:
        """Note that a call is answered with these lines of a file."""
        if len(text) >= _WORTH and version.sha256:
            self._shown[lines] = (version.sha256, call_id, text)

    def repeats(self, lines: Range, version: Version) -> int | None:
        """Return how many replies ago the model was shown just this, if it still stands there; None to show it.

        Says so once: whoever asks again wants it.
        """
        digest, call_id, text = self._shown.pop(lines, ("", "", ""))
        sent = self._sent(call_id) if digest and digest == version.sha256 else None
        return sent[1] if sent is not None and sent[0] == text else None

    def note(self, path: str, version: Version) -> None:
        """Note what a file is now; without a hash it is known again by its size and time."""
        self._versions[path] = version

    def stale(self, path: str, now: Version) -> bool | None:
        """True when the file is not what the model saw; None when it never saw it."""
        seen = self._versions.get(path)
        if seen is None:
            return None
        if not seen.sha256:
            return (seen.size, seen.mtime_ns) != (now.size, now.mtime_ns)
        return seen.sha256 != now.sha256


@frozen
class Change:
    """One file that a call changed."""

    path: str
    """As the model is shown it."""
    kind: Literal["add", "update", "delete"]
    diff: str
    """Unified; cut when it is very long."""
    added: int
    removed: int

    @property
    def stat(self) -> str:
        return f"+{self.added} -{self.removed} lines"

    @property
    def details(self) -> JsonObject:
        return {"changes": [{"path": self.path, "kind": self.kind}], "diff": self.diff}


def change(path: str, old: bytes | None, new: bytes | None) -> Change:
    """Compare what a file held before with what it holds now; None when there was or is no such file."""
    lines = _diff(old or b"", new or b"")
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    before, after = "/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}"
    names = [f"--- {before}\n", f"+++ {after}\n"] if lines else []
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in names + lines
    )
    if len(text) > _DIFF_SHOWN:
        text = text[: text.rfind("\n", 0, _DIFF_SHOWN) + 1] + "[the rest of this diff is left out]\n"
    kind = "add" if old is None else "delete" if new is None else "update"
    return Change(path, kind, text, added, removed)


def _diff(old: bytes, new: bytes) -> list[str]:
    """Return the hunks of a unified diff. Only the lines around what differs are decoded and compared."""
    old, new = _plain(old), _plain(new)
    first = _same(old, new)
    for _ in range(_CONTEXT + 1):
        first = old.rfind(b"\n", 0, max(first - 1, 0)) + 1
    last = _same_end(old, new, min(len(old), len(new)) - first)
    after = 0  # of what both end with so many bytes are compared all the same
    for _ in range(_CONTEXT + 1):
        found = old.find(b"\n", len(old) - last + after)
        after = last if found < 0 else found + 1 - (len(old) - last)
    kept = last - after
    begin = old.count(b"\n", 0, first)
    before, now = (_lines(data[first : len(data) - kept].decode("utf-8", "replace")) for data in (old, new))
    return [
        _HUNK.sub(lambda head: _moved(head, begin), line) if line.startswith("@@") else line
        for line in list(unified_diff(before, now, n=_CONTEXT))[2:]
    ]


def _plain(data: bytes) -> bytes:
    """Return a text as UTF-8 without a mark; bytes that are none are left."""
    encoding = encoding_of(data)
    text = data.removeprefix(encoding.mark)
    return text if encoding.width == 1 else text.decode(encoding.codec, "replace").encode()


def _same(one: bytes, two: bytes) -> int:
    """Count how many bytes both begin with."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _same_end(one: bytes, two: bytes, most: int) -> int:
    """Count how many bytes both end with, and no more than `most`."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == two[len(two) - middle : len(two) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _lines(text: str) -> list[str]:
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + [rest] * bool(rest)


_HUNK = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


def _moved(head: re.Match[str], by: int) -> str:
    return f"@@ -{int(head[1]) + by}{head[2] or ''} +{int(head[3]) + by}{head[4] or ''} @@"
