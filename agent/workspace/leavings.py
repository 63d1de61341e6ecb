"""How sessions left their workspace: what differs from it afterwards was changed by somebody else."""

from __future__ import annotations

from pathlib import Path

_FILE = "left"


def note_left(store: Path, entry: str, picture: str) -> None:
    """Note which picture shows the workspace as it was after an entry. One that cannot be noted is done without."""
    try:
        with (store / _FILE).open("a", encoding="utf-8") as file:
            file.write(f"{entry} {picture}\n")
    except OSError:
        return


def read_left(store: Path) -> dict[str, str]:
    """Return the pictures by the entries after which they were taken. What a crash cut off is left out."""
    try:
        lines = (store / _FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return {}
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {words[0]: words[1] for words in whole if len(words) == 2}
