"""The search program, ripgrep or the one in `scan`, and what it finds."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

import anyio
from anyio.lowlevel import checkpoint

from treadle.sandbox.contract import Command, Process, Profile
from treadle.sandbox.frozen import frozen
from treadle.tools.builtin import scan
from treadle.tools.builtin.paths import explained, shown
from treadle.tools.contract import ToolContext, ToolError

_DEADLINE = 30.0
_FOUND = re.compile(rb"\./([^\0]*)\0(\d+)([:-])([^\n]*)\n")
_LISTED = re.compile(rb"\./([^\0]*)\0()()()")
_SIMPLE = re.compile(r"[\w.*?-]*(?:\{[\w.*?,-]+\})?[\w.*?-]*", re.ASCII)
_RIPGREP = (
    "--no-config",
    "--no-messages",
    "--no-ignore-global",
    "--no-ignore-exclude",
    "--no-ignore-dot",
    "--no-require-git",
    "--color=never",
    "--null",
)
_SEARCH = (
    "--text",
    "--crlf",
    "--no-heading",
    "--with-filename",
    "--line-number",
    "--no-context-separator",
    "--max-columns-preview",
    f"--max-columns={scan.MAX_LINE}",
    f"--max-filesize={scan.MAX_FILE}",
)


class Take(Protocol):
    """Takes one record and says whether more is wanted."""

    async def __call__(self, path: str, number: int, matches: bool, line: bytes) -> bool: ...


@frozen
class Query:
    base: str
    target: str
    """The name of one file in `base`; empty means all of it."""
    glob: str | None
    pattern: str | None = None
    """None lists the files."""
    ignore_case: bool = False
    context: int = 0
    most: int | None = None
    """Matches of one file; None means all."""
    ordered: bool = False
    """True to be told of files in the order of their paths, which takes several times as long."""

    @property
    def hidden(self) -> bool:
        return self.glob is not None and scan.names_hidden(self.glob)

    def argv(self, ripgrep: str | None) -> tuple[str, ...]:
        if ripgrep is None:
            words = json.dumps({**asdict(self), "hidden": self.hidden})
            return (sys.executable, "-I", "-X", "utf8", "-W", "ignore", scan.__file__, words)
        flags = (*_RIPGREP, *(("--hidden", "--glob=!.git") if self.hidden else ()))
        where = ("--", f"./{self.target}")
        flags += self._type()
        if self.pattern is None:
            return (ripgrep, *flags, "--files", *where)
        flags = (*flags, *_SEARCH, f"--context={self.context}", *(("--sort=path",) if self.ordered else ()))
        flags += ("--ignore-case",) if self.ignore_case else ()
        flags += () if self.most is None else (f"--max-count={self.most}",)
        return (ripgrep, *flags, f"--regexp={self.pattern}", *where)

    def _type(self) -> tuple[str, ...]:
        """Leave out what the last name of the glob does not match. A type, unlike a glob, keeps to .gitignore."""
        name = (self.glob or "").rpartition("/")[2]
        if name.strip("*") and _SIMPLE.fullmatch(name):
            return (f"--type-add=wanted:{name}", "--type=wanted")
        return ()


def _filter(query: Query) -> Callable[[str], bool]:
    """Return what tells whether a file that was found is meant: here is done what the programs do not do alike."""
    regex = None if query.glob is None else scan.path_regex(query.glob)
    hidden = query.hidden

    def wants(path: str) -> bool:
        if path.startswith(".") or "/." in path:
            parts = path.split("/")
            if not hidden or ".git" in parts:
                return False
        return regex is None or regex.fullmatch(path) is not None

    return wants if not query.target else lambda path: True


async def find_all(tool: str, ripgrep: str | None, query: Query, ctx: ToolContext, take: Take) -> str:
    """Run the search and hand over its records in order; return a note when it took too long.

    Raises `ToolError` with what the program said when it failed.
    """
    reader = _Reader(_LISTED if query.pattern is None else _FOUND)
    command = Command(query.argv(ripgrep), query.base)
    with explained(tool, shown(ctx.sandbox.place, query.base)):
        async with ctx.sandbox.processes.spawn(command, Profile(write_roots=())) as process:
            with anyio.move_on_after(_DEADLINE):
                await _follow(tool, process, reader, query, take)
                return ""
    return f"[stopped after {_DEADLINE:.0f} s: there may be more; narrow the search]"


async def _follow(tool: str, process: Process, reader: _Reader, query: Query, take: Take) -> None:
    """Hand over what is found until that is all, or `take` has enough."""
    wants = _filter(query)
    async for chunk in process.output:
        for path, number, mark, line in reader.feed(chunk):
            if wants(path) and not await take(path, number, mark == b":", line):
                return
        await checkpoint()
    code = await process.wait()
    said = reader.rest.decode("utf-8", "replace").strip()
    if not reader.found and (said or code not in {0, 1}):
        raise ToolError(f"{tool} failed: {said or f'the search program ended with {code}'}")


class _Reader:
    """Splits what the program prints into records."""

    def __init__(self, record: re.Pattern[bytes]) -> None:
        self.rest = b""
        """What is no record, or not yet."""
        self.found = False
        self._record = record

    def feed(self, chunk: bytes) -> list[tuple[str, int, bytes, bytes]]:
        self.rest += chunk
        matches = list(self._record.finditer(self.rest))
        if matches:
            self.found = True
            self.rest = self.rest[matches[-1].end() :]
        return [(os.fsdecode(each[1]), int(each[2] or 0), each[3], each[4]) for each in matches]
