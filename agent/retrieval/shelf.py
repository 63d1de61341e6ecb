"""Chunks on disk, beside the session: a full-text index that ranks by BM25, over SQLite's FTS5."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from treadle.agent.retrieval.chunks import Chunk

_WORD = re.compile(r"\w+")
_WORDS = 32
"""Words of a query that are looked for."""
_BATCH = 1_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sources(name TEXT PRIMARY KEY, title TEXT, digest TEXT);
CREATE TABLE IF NOT EXISTS vectors(chunk INTEGER PRIMARY KEY, signs BLOB, digest TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS chunks USING fts5(
    title, text, source UNINDEXED, place UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2'
);
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A chunk on the shelf."""

    id: int
    source: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Source:
    """Where chunks come from: a document, a long output, an entry of the log."""

    name: str
    title: str
    """For whoever finds something in it."""
    digest: str
    """Of its content; empty for what never changes."""
    chunks: Iterable[Chunk]


class Shelf:
    """The chunks of one session. Each call opens the file for itself, so any thread may make it."""

    def __init__(self, path: Path) -> None:
        """The file is made when something is first put there."""
        self.path = path

    @property
    def is_empty(self) -> bool:
        return not self.path.exists()

    def put(self, sources: Iterable[Source]) -> None:
        """Take in sources, their chunks a batch at a time. Raises OSError.

        One that is there already with the same digest is left as it is.
        """
        with self._open() as db:
            for source in sources:
                had = db.execute("SELECT digest FROM sources WHERE name = ?", (source.name,)).fetchone()
                if had is not None and had[0] == source.digest:
                    continue
                if had is not None:
                    db.execute("DELETE FROM chunks WHERE source = ?", (source.name,))
                db.execute(
                    "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)",
                    (source.name, source.title, source.digest),
                )
                rows = ((one.title, one.text, source.name, one.place) for one in source.chunks)
                while batch := list(islice(rows, _BATCH)):
                    db.executemany(_INSERT, batch)

    def first_of(self, source: str) -> int | None:
        """Return the id of a source's first chunk; None when it has none. Raises OSError."""
        if self.is_empty:
            return None
        with self._open() as db:
            return db.execute("SELECT min(rowid) FROM chunks WHERE source = ?", (source,)).fetchone()[0]

    def sources(self) -> dict[str, str]:
        """Return the titles of what is there, by name."""
        if self.is_empty:
            return {}
        with self._open() as db:
            return dict(db.execute("SELECT name, title FROM sources"))

    def search(self, query: str, most: int, leave_out: Collection[str] = ()) -> list[Kept]:
        """Return the chunks that hold words of the query, best first; where no word does, those that hold it as it is.

        Raises OSError.
        """
        words = words_of(query)
        if self.is_empty or not words:
            return []
        wanted = " OR ".join(f'"{word}"' for word in words)
        with self._open() as db:
            rows = map(_kept, db.execute(_MATCHING, (wanted,)))
            found = list(islice((one for one in rows if one.source not in leave_out), most))
            if not found:
                rows = map(_kept, db.execute(_HOLDING, (query.strip(),)))
                found = list(islice((one for one in rows if one.source not in leave_out), most))
        return found

    def take(self, ids: Iterable[int]) -> list[Kept]:
        """Return chunks by id, in this order; those that are not there are left out. Raises OSError."""
        if self.is_empty:
            return []
        with self._open() as db:
            rows = [db.execute(_ONE, (one,)).fetchone() for one in ids]
        return [_kept(row) for row in rows if row is not None]

    def without_vectors(self, sources: Collection[str]) -> list[Kept]:
        """Return the chunks of these sources that have no vector yet. Raises OSError."""
        if self.is_empty:
            return []
        with self._open() as db:
            return [kept for row in db.execute(_BARE) if (kept := _kept(row)).source in sources]

    def mark(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        """Keep for chunks the signs of their vectors and the digest under which each is cached. Raises OSError."""
        with self._open() as db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def marks(self) -> list[tuple[int, bytes, str]]:
        """Return what `mark` has kept. Raises OSError."""
        if self.is_empty:
            return []
        with self._open() as db:
            return db.execute("SELECT chunk, signs, digest FROM vectors").fetchall()

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600)
        db = sqlite3.connect(self.path, timeout=30)
        try:
            db.executescript(_SCHEMA)
            with db:
                yield db
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from error
        finally:
            db.close()


_MATCHING = "SELECT rowid, source, title, text, place FROM chunks WHERE chunks MATCH ? ORDER BY bm25(chunks, 2.0, 1.0)"
_HOLDING = "SELECT rowid, source, title, text, place FROM chunks WHERE instr(lower(text), lower(?)) > 0"
_INSERT = "INSERT INTO chunks(title, text, source, place) VALUES (?, ?, ?, ?)"
_ONE = "SELECT rowid, source, title, text, place FROM chunks WHERE rowid = ?"
_BARE = "SELECT rowid, source, title, text, place FROM chunks WHERE rowid NOT IN (SELECT chunk FROM vectors)"


def words_of(text: str) -> list[str]:
    """Return the words of a query, each once."""
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(text)))[:_WORDS]


def _kept(row: tuple[int, str, str, str, str]) -> Kept:
    number, source, title, text, place = row
    return Kept(number, source, Chunk(text, title, place))
