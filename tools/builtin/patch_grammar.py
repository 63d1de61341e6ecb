"""A patch taken apart: what `patch.lark` describes, and a little more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from treadle.sandbox.frozen import frozen
from treadle.tools.contract import ToolError

_BEGIN, _END, _END_OF_FILE = "*** Begin Patch", "*** End Patch", "*** End of File"
_FILE = re.compile(r"\*\*\* (Add|Delete|Update) File: *(.*)")
_MOVE = re.compile(r"\*\*\* Move to: *(.*)")
_NUMBERS = re.compile(r"-\d+(,\d+)? \+\d+(,\d+)? @@ ?")
"""What stands in the header of a unified diff before the line that a header is for."""
_SHOWN = 60


@frozen
class Hunk:
    """Lines that follow each other in a file, and what they become."""

    number: int
    """The line of the patch that it begins at, from 1."""
    headers: tuple[str, ...]
    """Lines of the file that stand somewhere before it, each after the one before."""
    lines: tuple[tuple[Literal["+", "-", " "], str], ...]
    at_end: bool = False
    """True when it must be where the file ends."""

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(text for sign, text in self.lines if sign != "+")

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(text for sign, text in self.lines if sign != "-")


@frozen
class Add:
    path: str
    text: str


@frozen
class Delete:
    path: str


@frozen
class Update:
    path: str
    target: str | None
    """The name that the file gets; None to keep its own."""
    hunks: tuple[Hunk, ...]


Part: TypeAlias = Add | Delete | Update


def parse(text: str) -> tuple[Part, ...]:
    """Take a patch apart. Raises `ToolError` that names the line which does not fit."""
    lines = text.strip().split("\n")
    if all(line.endswith("\r") for line in lines[:-1]):  # the patch itself was written with CRLF
        lines = [line.removesuffix("\r") for line in lines]
    if lines[0].rstrip() != _BEGIN:
        raise _misfit(lines, 0, f"a patch begins with {_BEGIN!r}")
    if len(lines) < 2 or lines[-1].rstrip() != _END:
        raise _misfit(lines, len(lines) - 1, f"a patch ends with {_END!r}")
    parts: list[Part] = []
    at = 1
    while at < len(lines) - 1:
        part, at = _part(lines, at)
        if part is not None:
            parts.append(part)
    if not parts:
        raise _misfit(lines, 1, "a patch changes at least one file")
    _check_names(parts)
    return tuple(parts)


def _misfit(lines: Sequence[str], at: int, wanted: str) -> ToolError:
    shown = lines[at] if len(lines[at]) <= _SHOWN else f"{lines[at][:_SHOWN]}..."
    return ToolError(f"patch failed: line {at + 1} of the patch is {shown!r}; {wanted}")


def _check_names(parts: Sequence[Part]) -> None:
    named: set[str] = set()
    for part in parts:
        for path in (part.path, part.target if isinstance(part, Update) else None):
            if path in named:
                raise ToolError(
                    f"patch failed: {path} is named twice; make it one section with several hunks"
                )
            if path is not None:
                named.add(path)


def _part(lines: Sequence[str], at: int) -> tuple[Part | None, int]:
    """Return the section that begins at a line, None for an empty line, and where the next one begins."""
    match = _FILE.fullmatch(lines[at].rstrip())
    if match is None:
        if not lines[at].strip():
            return None, at + 1
        raise _misfit(lines, at, "expected '*** Add File: ', '*** Delete File: ' or '*** Update File: '")
    kind, path = match.groups()
    if not path:
        raise _misfit(lines, at, "the path is missing")
    match kind:
        case "Add":
            return _added(lines, at + 1, path)
        case "Delete":
            return Delete(path), at + 1
        case _:
            return _updated(lines, at, path)


def _added(lines: Sequence[str], at: int, path: str) -> tuple[Part, int]:
    content: list[str] = []
    while lines[at].startswith("+"):
        content.append(lines[at][1:] + "\n")
        at += 1
    if lines[at].strip() and not _FILE.match(lines[at]) and lines[at].rstrip() != _END:
        raise _misfit(lines, at, "each line of a new file begins with '+'")
    return Add(path, "".join(content)), at


def _updated(lines: Sequence[str], first: int, path: str) -> tuple[Part, int]:
    at = first + 1
    target = _MOVE.fullmatch(lines[at].rstrip())
    if target is not None:
        if not target[1]:
            raise _misfit(lines, at, "the path is missing")
        at += 1
    hunks: list[Hunk] = []
    while not _over(lines, at):
        hunk, at = _hunk(lines, at)
        hunks.append(hunk)
    if not hunks and target is None:
        raise _misfit(lines, first, "nothing is said of what changes in it")
    return Update(path, target and target[1], tuple(hunks)), at


def _over(lines: Sequence[str], at: int) -> bool:
    """Say whether nothing more comes for this file."""
    while not lines[at].strip() and lines[at][:1] != " ":
        at += 1
    return bool(_FILE.match(lines[at])) or at == len(lines) - 1


def _hunk(lines: Sequence[str], first: int) -> tuple[Hunk, int]:
    at = first
    headers: list[str] = []
    while lines[at].startswith("@@"):
        header = _NUMBERS.sub("", lines[at][2:].strip(), count=1)
        headers += [header] if header else []
        at += 1
    begin = at
    found: list[tuple[Literal["+", "-", " "], str]] = []
    while not _over(lines, at) and not lines[at].startswith(("@@", "***")):
        found.append(_line(lines, at))
        at += 1
    while found and not lines[begin + len(found) - 1]:  # it parts this hunk from the next
        found.pop()
    at_end = lines[at].rstrip() == _END_OF_FILE
    if not found or (not at_end and not _over(lines, at) and not lines[at].startswith("@@")):
        raise _misfit(lines, at, "each line of a change begins with ' ', '+', '-' or '@@'")
    if all(sign == " " for sign, _ in found):
        raise _misfit(lines, first, "this hunk changes nothing: no line of it begins with '+' or '-'")
    return Hunk(first + 1, tuple(headers), tuple(found), at_end), at + at_end


def _line(lines: Sequence[str], at: int) -> tuple[Literal["+", "-", " "], str]:
    match lines[at][:1]:
        case "+":
            return "+", lines[at][1:]
        case "-":
            return "-", lines[at][1:]
        case " " | "":  # an empty line is one whose space was forgotten
            return " ", lines[at][1:]
        case _:
            raise _misfit(lines, at, "each line of a change begins with ' ', '+', '-' or '@@'")
