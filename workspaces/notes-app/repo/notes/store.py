"""Notes in a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from notes.model import Note


def load(path: Path) -> tuple[Note, ...]:
    """The notes of a file; none if there is no such file."""
    if not path.exists():
        return ()
    return tuple(_from_json(item) for item in json.loads(path.read_text(encoding="utf-8")))


def save(path: Path, notes: tuple[Note, ...]) -> None:
    """Replace the file's notes, in one move."""
    temporary = path.with_suffix(".tmp")
    text = json.dumps([_to_json(note) for note in notes], ensure_ascii=False, indent=1)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def _from_json(item: dict[str, Any]) -> Note:
    return Note(id=item["id"], text=item["text"], done=item.get("done", False))


def _to_json(note: Note) -> dict[str, Any]:
    return {"id": note.id, "text": note.text, "done": note.done}
