"""A note, and what can be done with one."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Note:
    id: int
    text: str
    done: bool = False

    def finish(self) -> Note:
        """The same note, done."""
        return replace(self, done=True)


def add(notes: tuple[Note, ...], text: str) -> tuple[Note, ...]:
    """A new note at the end, with the next free id. Raises ValueError if the text is blank."""
    if not text.strip():
        raise ValueError("a note needs some text")
    last = max((note.id for note in notes), default=0)
    return (*notes, Note(last + 1, text.strip()))


def finish(notes: tuple[Note, ...], note_id: int) -> tuple[Note, ...]:
    """Mark a note as done. Raises KeyError if there is none with this id."""
    if all(note.id != note_id for note in notes):
        raise KeyError(note_id)
    return tuple(note.finish() if note.id == note_id else note for note in notes)


def pending(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Those that are not done, in order."""
    return tuple(note for note in notes if not note.done)
