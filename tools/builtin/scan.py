"""A small ripgrep: what `glob` and `grep` run where there is none. Stands alone, as a program of its own.

Its argument is a JSON object; it prints records as ripgrep does with `--null`: `./path NUL` for a list of
files, `./path NUL number : line` for lines found and `./path NUL number - line` for those around them.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

MAX_FILE = 20 * 1024 * 1024
"""Bytes; longer files are left out, except the one that was named."""
MAX_LINE = 2000
"""Characters of a line that are printed."""
_LOOKED_AT = 8000
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def glob_regex(pattern: str, *, braces: bool = True) -> str:
    """Return the regular expression of a glob, with `**` for any folders; `*` and `?` stop at a slash."""
    parts: list[str] = []
    depth = 0
    for match in _TOKENS.finditer(pattern):
        piece = match[0]
        if braces and piece in _BRACES and (depth or piece == "{"):
            depth += _BRACES[piece][0]
            parts.append(_BRACES[piece][1])
        elif match.lastgroup:
            parts.append(_WILD[match.lastgroup])
        elif piece[0] == "[" and len(piece) > 1:
            body = re.sub(r"([\[\\&~|]|(?<=-)-)", r"\\\1", piece[1:-1])
            parts.append(f"(?!/)[{'^' + body[1:] if body[0] in '!^' else body}]")
        else:
            parts.append(re.escape(piece[1:] if piece[0] == "\\" and len(piece) > 1 else piece))
    return "".join(parts) + ")" * depth


_TOKENS = re.compile(
    r"(?P<folders>(?:^|(?<=/))\*\*/)|(?P<all>(?:^|(?<=/))\*\*$)|(?P<some>\*+)|(?P<one>\?)"
    r"|\[[!^]?\]?[^\]]*\]|\\.|[{},]|[^*?\[\\{},]+|.",
    re.DOTALL,
)
_WILD = {"folders": "(?:.*/)?", "all": ".*", "some": "[^/]*", "one": "[^/]"}
_BRACES = {"{": (1, "(?:"), ",": (0, "|"), "}": (-1, ")")}


def path_regex(pattern: str) -> re.Pattern[str]:
    """Return what matches the relative paths that a `glob` argument means.

    A pattern without a slash means names at any depth. Raises ValueError for a pattern that is broken.
    """
    pattern = pattern.removeprefix("./")
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    try:
        return re.compile(anywhere + glob_regex(pattern.removeprefix("/")), re.DOTALL)
    except re.error as error:
        raise ValueError(str(error)) from error


def names_hidden(pattern: str) -> bool:
    """True when a glob asks for names that begin with a dot."""
    return re.search(r"(?:^|[/{,])\.(?![./])", pattern.removeprefix("./")) is not None


class _Rule(NamedTuple):
    regex: re.Pattern[str]
    ignores: bool
    folders_only: bool


class _Level(NamedTuple):
    """The rules of one folder's .gitignore."""

    folder: str
    rules: tuple[_Rule, ...]

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """True when an absolute path is ignored, False when it is taken back in; None without a rule."""
        rest = path[len(self.folder.rstrip("/")) + 1 :]
        for rule in reversed(self.rules):
            if (is_folder or not rule.folders_only) and rule.regex.fullmatch(rest):
                return rule.ignores
        return None


def walk(base: str, *, hidden: bool = False) -> Iterator[str]:
    """Yield the relative paths of the files below a folder that git would not ignore, sorted by name in each.

    Links are not followed. What cannot be read is left out.
    """
    yield from _walk(base, "", _above(base), hidden)


def _walk(folder: str, prefix: str, levels: tuple[_Level, ...], hidden: bool) -> Iterator[str]:
    levels = (*levels, *_level(folder))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError:
        return
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or not (is_folder or entry.is_file(follow_symlinks=False)):
            continue
        verdicts = (
            level.verdict(f"{folder.rstrip('/')}/{entry.name}", is_folder) for level in reversed(levels)
        )
        ignored = next((verdict for verdict in verdicts if verdict is not None), None)
        if ignored or (entry.name[0] == "." and not hidden and ignored is None):
            continue
        if is_folder:
            yield from _walk(entry.path, f"{prefix}{entry.name}/", levels, hidden)
        else:
            yield prefix + entry.name


def _above(base: str) -> tuple[_Level, ...]:
    """Return the rules of the folders above, up to the root of the repository."""
    levels: list[_Level] = []
    for folder, parent in pairwise((Path(base), *Path(base).parents)):
        if os.path.lexists(folder / ".git"):
            break
        levels[:0] = _level(str(parent))
    return tuple(levels)


def _level(folder: str) -> tuple[_Level, ...]:
    try:
        lines = Path(folder, ".gitignore").read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return ()
    rules = tuple(_rules(lines))
    return (_Level(folder, rules),) if rules else ()


def _rules(lines: Iterable[str]) -> Iterator[_Rule]:
    for line in lines:
        pattern = re.sub(r"(?<!\\)[ \t\r]+$", "", line)
        if not pattern or pattern.startswith("#"):
            continue
        ignores = not pattern.startswith("!")
        pattern = pattern[not ignores :]
        folders_only = pattern.endswith("/")
        pattern = pattern.rstrip("/") if folders_only else pattern
        anywhere = "" if "/" in pattern else "(?:.*/)?"
        try:
            regex = re.compile(anywhere + glob_regex(pattern.removeprefix("/"), braces=False), re.DOTALL)
        except re.error:
            continue
        yield _Rule(regex, ignores, folders_only)


def search(
    data: bytes, pattern: re.Pattern[str], context: int, most: int | None
) -> Iterator[tuple[int, str, bool]]:
    """Yield line number, line and whether it matches, for matching lines and those around them."""
    lines = _decoded(data).split("\n")
    if not lines[-1]:
        lines.pop()
    around = 0
    printed = 0
    for index, line in enumerate(map(_bare, lines)):
        if most != 0 and pattern.search(line):
            for before in range(max(printed, index - context), index):
                yield before + 1, _bare(lines[before]), False
            yield index + 1, line, True
            around, printed, most = context, index + 1, None if most is None else most - 1
        elif around:
            yield index + 1, line, False
            around, printed = around - 1, index + 1


def _bare(line: str) -> str:
    return line.removesuffix("\r")


def _decoded(data: bytes) -> str:
    codec = next((codec for mark, codec in _UTF16.items() if data.startswith(mark)), None)
    if codec:
        return data[2:].decode(codec, "replace")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def main(query: dict[str, Any]) -> int:
    """Do what the query says and return the exit code as ripgrep has it: 1 for nothing found, 2 for an error."""
    base, target = str(Path.cwd()), query["target"]
    found = False
    paths = [target] if target else walk(base, hidden=query["hidden"])
    wanted = path_regex(query["glob"]) if query["glob"] else None
    if query["pattern"] is None:
        for path in paths:
            found = _print(f"./{path}\0")
        return 0 if found else 1
    try:
        pattern = re.compile(query["pattern"], re.IGNORECASE if query["ignore_case"] else 0)
    except (re.error, RecursionError, OverflowError) as error:
        _print(f"regex error: {error}\n")
        return 2
    for path in paths:
        if wanted and not wanted.fullmatch(path):
            continue
        data = _content(Path(base, path), named=bool(target))
        for number, line, matches in search(data, pattern, query["context"], query["most"]):
            found = _print(f"./{path}\0{number}{':' if matches else '-'}{line[:MAX_LINE]}\n")
    return 0 if found else 1


def _content(path: Path, *, named: bool) -> bytes:
    """Return what is worth searching in a file: nothing of one that is binary, too long or not to be read."""
    try:
        if not named and path.stat().st_size > MAX_FILE:
            return b""
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
            binary = b"\0" in start and start[:2] not in _UTF16
            return b"" if binary else start + file.read()
    except OSError:
        return b""


def _print(text: str) -> bool:
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    return True


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
