"""The `glob` and `grep` tools, over ripgrep or the program in `scan`; both give the same results."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Literal

from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.builtin import scan
from treadle.tools.builtin.finder import Query, find_all
from treadle.tools.builtin.paths import absolute, find, shown
from treadle.tools.builtin.text import LOOKED_AT, binary_kind
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define
from treadle.tools.output import clean

MAX_FILES = 200
MAX_LINE = 500
"""Characters of a line that are shown."""
_MAX_SHOWN = 40_000
"""Characters of one result."""
_COUNTED = 100_000
"""Matches after which counting ends."""
_HELD = 20_000
"""Lines of files that come in any order, of which a few are shown."""
_LONGEST = 10_000


class GlobArguments(Frozen):
    pattern: str
    path: str = "."


class GrepArguments(Frozen):
    pattern: str
    path: str = "."
    glob: str | None = None
    ignore_case: bool = False
    context: int = Field(default=0, ge=0, le=20)
    output: Literal["content", "files", "count"] = "content"
    limit: int = Field(default=100, ge=1, le=1000)


def glob_tool(ripgrep: str | None) -> Tool:
    """Return the tool. `ripgrep` is the program's absolute path; None searches without it."""
    run = partial(_glob, ripgrep)
    return define(
        "glob", GlobArguments, description=load("tools/glob"), access=partial(_access, "glob"), run=run
    )


def grep_tool(ripgrep: str | None) -> Tool:
    """Return the tool. `ripgrep` is the program's absolute path; None searches without it."""
    run = partial(_grep, ripgrep)
    return define(
        "grep", GrepArguments, description=load("tools/grep"), access=partial(_access, "grep"), run=run
    )


def _access(tool: str, arguments: GlobArguments | GrepArguments, place: Place) -> Access:
    return Access(tool=tool, reads=(absolute(place, arguments.path),))


async def _glob(ripgrep: str | None, arguments: GlobArguments, ctx: ToolContext) -> Outcome:
    place = ctx.sandbox.place
    base = absolute(place, arguments.path)
    info = await find(ctx.sandbox.files, place, "glob", base)
    if info.kind != "folder":
        raise ToolError(f"glob failed: {shown(place, base)} is not a folder")
    pattern = arguments.pattern.removeprefix(base.rstrip("/") + "/")
    if pattern.startswith("/"):
        raise ToolError(f"glob failed: the pattern is relative to path, which is {shown(place, base)}")
    query = Query(base, "", _globbed("glob", pattern))
    paths: list[str] = []

    async def take(path: str, number: int, matches: bool, line: bytes) -> bool:
        paths.append(path)
        return True

    note = await find_all("glob", ripgrep, query, ctx, take)
    paths.sort(key=_by_names)
    lines = [shown(place, posixpath.join(base, path)) for path in paths[:MAX_FILES]]
    if len(paths) > MAX_FILES:
        note = f"[{MAX_FILES} of {len(paths):,} files; narrow the pattern]{note}"
    return _text(lines or ["No files match."], note)


async def _grep(ripgrep: str | None, arguments: GrepArguments, ctx: ToolContext) -> Outcome:
    place = ctx.sandbox.place
    path = absolute(place, arguments.path)
    if _NEWLINE.search(arguments.pattern) or "\0" in arguments.pattern or len(arguments.pattern) > _LONGEST:
        raise ToolError(f"grep failed: the pattern must fit in one line of at most {_LONGEST:,} characters")
    info = await find(ctx.sandbox.files, place, "grep", path)
    base, target = (path, "") if info.kind == "folder" else posixpath.split(path)
    glob = None if target or arguments.glob is None else _globbed("grep", arguments.glob)
    most = 1 if arguments.output == "files" else None
    query = Query(base, target, glob, arguments.pattern, arguments.ignore_case, arguments.context, most)
    hits = _Hits(query, ctx, arguments)
    note = await find_all("grep", ripgrep, query, ctx, hits.take)
    if hits.full:  # there is more: what is shown must be the first of it
        query = replace(query, ordered=True)
        hits = _Hits(query, ctx, arguments)
        note = await find_all("grep", ripgrep, query, ctx, hits.take)
    return _text(hits.lines() or ["No matches."], hits.note() + note)


def _by_names(path: str) -> list[bytes]:
    return os.fsencode(path).split(b"/")


def _globbed(tool: str, glob: str) -> str:
    try:
        scan.path_regex(glob)
    except ValueError as error:
        raise ToolError(f"{tool} failed: the glob {glob} is broken: {error}") from error
    return glob


def _text(lines: list[str], note: str) -> Outcome:
    return Outcome((Text(text="\n".join([*lines, note] if note else lines)),))


_NEWLINE = re.compile(r"\n|(?<!\\)(?:\\\\)*\\n")


class _Hits:
    """What was found, as much of it as is shown, with counts of all of it."""

    def __init__(self, query: Query, ctx: ToolContext, arguments: GrepArguments) -> None:
        self._query = query
        self._ctx = ctx
        self._arguments = arguments
        self._counts: Counter[str] = Counter()
        self._found: dict[str, list[tuple[int, bool, bytes]]] = {}
        """What may be among the first, by path."""
        self._held, self._room = 0, _HELD
        self._kept: dict[str, list[tuple[int, str]]] = {}
        self._matches = 0
        self._shown = 0
        self._characters = 0
        self._last = 0
        """The number of the last match that is shown."""
        self._skipped = ""
        """The file that was last seen to be binary."""

    async def take(self, path: str, number: int, matches: bool, line: bytes) -> bool:
        if path == self._skipped:
            return True
        if path not in self._counts and not await self._is_text(path):
            self._skipped = path
            return True
        self._counts[path] += matches
        self._matches += matches
        if self._arguments.output == "content" and self._counts[path] <= self._arguments.limit:
            self._found.setdefault(path, []).append((number, matches, line))
            self._held += 1
            if self._held > self._room:
                self._forget()
        return not self.full

    @property
    def full(self) -> bool:
        """True when it was not searched to the end."""
        return self._matches >= _COUNTED

    def _forget(self) -> None:
        """Let go of what comes behind the first that are shown: files come in any order."""
        matches = self._held = 0
        for path in sorted(self._found, key=_by_names):
            if matches > self._arguments.limit:
                del self._found[path]
                continue
            matches += self._counts[path]
            self._held += len(self._found[path])
        self._room = 2 * self._held + _HELD

    async def _is_text(self, path: str) -> bool:
        try:
            start = await self._ctx.sandbox.files.read(posixpath.join(self._query.base, path), 0, LOOKED_AT)
        except OSError:
            return False
        return binary_kind(start) is None

    def _keep(self, path: str, number: int, matches: bool, line: bytes) -> None:
        full = self._shown >= self._arguments.limit or self._characters >= _MAX_SHOWN
        if full and (matches or number > self._last + self._arguments.context or path not in self._kept):
            self._characters = max(self._characters, _MAX_SHOWN)
            return
        text = clean(line.removesuffix(b"\r"))
        text = text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} [line cut]"
        self._kept.setdefault(path, []).append((number, f"{number}{':' if matches else '-'}{text}"))
        self._characters += len(text)
        self._shown += matches
        self._last = number if matches else self._last

    def lines(self) -> list[str]:
        """Return what is shown, without the note."""
        if self._arguments.output == "files":
            return [self._name(path) for path in self._first()]
        if self._arguments.output == "count":
            return [f"{self._name(path)}: {self._counts[path]}" for path in self._first()]
        for path in sorted(self._found, key=_by_names):
            for number, matches, line in self._found[path]:
                self._keep(path, number, matches, line)
        return [line for path, kept in self._kept.items() for line in (self._name(path), *_with_gaps(kept))]

    def note(self) -> str:
        """Say how much is not shown; empty when all is."""
        more = "at least " if self.full else ""
        if self._arguments.output != "content":
            files = len(self._first())
            return f"[{files} of {more}{len(self._counts):,} files; raise limit or narrow the search]" * (
                files < len(self._counts)
            )
        if self._shown == self._matches:
            return ""
        return (
            f"[{self._shown} of {more}{self._matches:,} matching lines in {len(self._counts):,} files; "
            "raise limit or narrow the search]"
        )

    def _first(self) -> list[str]:
        return sorted(self._counts, key=_by_names)[: self._arguments.limit]

    def _name(self, path: str) -> str:
        return shown(self._ctx.sandbox.place, posixpath.join(self._query.base, path))


def _with_gaps(kept: list[tuple[int, str]]) -> list[str]:
    """Return the lines, with a sign where context leaves some out."""
    lines: list[str] = []
    around = any("-" in text[: len(str(number)) + 1] for number, text in kept)
    for (before, _), (number, text) in pairwise([(kept[0][0], ""), *kept]):
        lines += ["--"] * (around and number > before + 1)
        lines.append(text)
    return lines
