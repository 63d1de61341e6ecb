"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from notes import model, store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    notes = store.load(options.file)
    try:
        return _COMMANDS[options.command](options, notes)
    except ValueError as error:
        print(f"notes: {error}", file=sys.stderr)
    except KeyError as error:
        print(f"notes: there is no note {error}", file=sys.stderr)
    return 1


def _add(options: argparse.Namespace, notes: tuple[model.Note, ...]) -> int:
    notes = model.add(notes, options.text)
    store.save(options.file, notes)
    print(notes[-1].id)
    return 0


def _done(options: argparse.Namespace, notes: tuple[model.Note, ...]) -> int:
    store.save(options.file, model.finish(notes, options.id))
    return 0


def _list(options: argparse.Namespace, notes: tuple[model.Note, ...]) -> int:
    for note in notes if options.all else model.pending(notes):
        print(f"{note.id}  {'[done] ' if note.done else ''}{note.text}")
    return 0


_COMMANDS = {"add": _add, "done": _done, "list": _list}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="notes", description="Short notes from the command line.")
    parser.add_argument("--file", type=Path, default=Path("notes.json"), help="where the notes are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="write a note")
    add.add_argument("text")
    done = commands.add_parser("done", help="mark a note as done")
    done.add_argument("id", type=int)
    listing = commands.add_parser("list", help="show the notes that are not done")
    listing.add_argument("--all", action="store_true", help="those that are done too")
    return parser
