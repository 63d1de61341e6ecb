"""What a repository tells agents: its instruction files, from its root down to the folder worked on (agents.md)."""

from __future__ import annotations

from pathlib import Path

from treadle.agent.workspace.head import repository
from treadle.sandbox.frozen import frozen

NAMES = ("AGENTS.override.md", "AGENTS.md", "CLAUDE.md")
"""In each folder the first of these counts."""
MOST_BYTES = 32 * 1024
"""Of all files of a chain together. What lies nearer to the folder worked on is kept."""


@frozen
class Instructions:
    """One instruction file."""

    path: Path
    text: str
    cut: bool = False
    """Whether the text ends before the file does."""


def instruction_files(folder: Path) -> tuple[Path, ...]:
    """Return the instruction files that hold for a folder, the repository's root first. They are not read."""
    root = repository(folder) or folder
    chain = [place for place in (folder, *folder.parents) if place == root or root in place.parents]
    return tuple(file for place in reversed(chain) if (file := instruction_file(place)))


def instruction_file(folder: Path) -> Path | None:
    """Return the instruction file of one folder. None when it has none."""
    return next((file for name in NAMES if (file := folder / name).is_file()), None)


def read_instructions(files: tuple[Path, ...]) -> tuple[Instructions, ...]:
    """Read instruction files, within the limit on all of them.

    One that cannot be read is left out; one for which there is no room is there without text, so that it is named.
    """
    left = MOST_BYTES
    read: list[Instructions] = []
    for file in reversed(files):
        try:
            data = file.read_bytes()
        except OSError:
            continue
        text, cut = data[:left].decode("utf-8", "replace"), len(data) > left
        if text.strip() or cut:
            read.append(Instructions(file, text, cut))
        left -= min(len(data), left)
    return tuple(reversed(read))
