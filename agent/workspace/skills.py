"""Skills: instructions for one kind of task, each a folder with a SKILL.md (agentskills.io specification)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from treadle.agent.workspace.head import repository
from treadle.sandbox.frozen import frozen

FILE = "SKILL.md"
PLACES = (".agents/skills", ".claude/skills")
"""Below the user's home, below the folder worked on and below each folder above it in the repository."""
MOST_FOLDERS, MOST_DEPTH, MOST_BYTES, MOST_FILES = 2000, 4, 256 * 1024, 500
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FLAT = re.compile(r"([A-Za-z][\w-]*):[ \t]+(?!null$|~$)([^\s'\"\[{&*!|>%@`#].*)")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


Source: TypeAlias = Literal["project", "user"]
Parse: TypeAlias = Callable[[str], Mapping[str, str]]
"""Reads a front matter that is not plain lines, as YAML. Raises ValueError."""


@frozen
class Skill:
    """One skill. Its body and its other files are read when it is used, not before."""

    name: str
    description: str
    """What it does and when to use it; on one line."""
    folder: Path
    source: Source
    hidden: bool = False
    """Left out of what the model is told: only the user calls it, as `/name`."""

    @property
    def file(self) -> Path:
        return self.folder / FILE


def project_skill_files(folder: Path) -> tuple[Path, ...]:
    """Return the SKILL.md files that hold for a folder, the nearest first. They are not read."""
    root = repository(folder) or folder
    chain = [place for place in (folder, *folder.parents) if place == root or root in place.parents]
    return tuple(file for place in chain for name in PLACES for file in _files(place / name))


def user_skill_files(home: Path) -> tuple[Path, ...]:
    """Return the SKILL.md files that are the user's own. They are not read."""
    return tuple(file for name in PLACES for file in _files(home / name))


def resources(folder: Path) -> tuple[Path, ...]:
    """Return the files that belong to a skill beside its SKILL.md, in order, up to a limit."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(names) if Path(place, name) != folder / FILE]
        if len(found) >= MOST_FILES:
            break
    return tuple(found[:MOST_FILES])


def read_skills(
    project: tuple[Path, ...], own: tuple[Path, ...], parse: Parse
) -> tuple[tuple[Skill, ...], tuple[str, ...]]:
    """Read what the files say of themselves. Returns the skills by name, and a line for each that is odd.

    `parse` reads a front matter that is not plain. Lenient: an odd name is taken with a line; a skill without a description is left out with one. Of two with one
    name the nearest to the folder worked on counts, and the project's before the user's.
    """
    skills: dict[str, Skill] = {}
    odd: list[str] = []
    for file in (*project, *(file for file in own if file not in project)):
        skill = _read(file, "project" if file in project else "user", odd, parse)
        if skill is None:
            continue
        if skills.setdefault(skill.name, skill) is not skill:
            odd.append(f"{file}: {skills[skill.name].file} has the same name and counts")
    return tuple(skills[name] for name in sorted(skills)), tuple(odd)


def body(skill: Skill) -> str:
    """Return what a skill tells the model to do. Raises OSError."""
    text = _text(skill.file)
    return _FRONT.sub("", text, count=1).strip()


def _files(place: Path) -> Iterator[Path]:
    """Yield the SKILL.md files below a folder, by name. Links are followed, but never round in a circle."""
    level, seen = [place], set[tuple[int, int]]()
    for _ in range(MOST_DEPTH):
        below: list[Path] = []
        for folder in level:
            if not _is_new(folder, seen):
                continue
            if folder != place and (folder / FILE).is_file():
                yield folder / FILE
            else:
                below += _folders(folder)
        level = below


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    place = (status.st_dev, status.st_ino)
    if place in seen or len(seen) >= MOST_FOLDERS:
        return False
    seen.add(place)
    return True


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(
            Path(entry.path)
            for entry in os.scandir(folder)
            if entry.is_dir() and entry.name not in {".git", "node_modules"}
        )
    except OSError:
        return []


def _read(file: Path, source: Source, odd: list[str], parse: Parse) -> Skill | None:
    try:
        front = _FRONT.match(_text(file))
        given = fields(front[1], parse) if front else dict[str, str]()
    except (OSError, ValueError) as error:
        odd.append(f"{file}: left out: {error}")
        return None
    description = " ".join(given.get("description", "").split())[:1024]
    if not description:
        odd.append(f"{file}: left out: it has no description in its front matter")
        return None
    name = " ".join(given.get("name", "").split()) or file.parent.name
    if not _NAME.fullmatch(name) or len(name) > 64 or name != file.parent.name:
        odd.append(
            f"{file}: its name should be that of its folder, in lower case with single hyphens: {name}"
        )
    hidden = given.get("disable-model-invocation", "").lower() == "true"
    return Skill(name, description, file.parent, source, hidden)


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES).decode("utf-8-sig", "replace").replace("\r\n", "\n")


def fields(front: str, parse: Parse) -> Mapping[str, str]:
    """Return the flat fields of a front matter: line by line where every line is plain, else parsed."""
    lines = [line.rstrip() for line in front.splitlines() if line.strip() and not line.startswith("#")]
    plain = [_FLAT.fullmatch(line) for line in lines]
    return {found[1]: found[2] for found in plain if found} if all(plain) else parse(front)
