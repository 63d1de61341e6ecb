"""Searching by meaning: vectors of chunks, cached on disk by the content that they are of."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from heapq import nsmallest
from math import sqrt
from pathlib import Path
from typing import Literal, TypeAlias

from anyio import to_thread

from treadle.agent.retrieval.shelf import Kept, Shelf

Vector: TypeAlias = Sequence[float]
Embed: TypeAlias = Callable[[Sequence[str], Literal["document", "query"]], Awaitable[Sequence[Vector]]]
"""Asks a vendor for the vectors of texts, in their order. Raises `ProviderError`."""

_CANDIDATES = 400
"""Chunks that are compared exactly, after their signs were."""
_BATCH = 2_048


class VectorCache:
    """Vectors by model and content, in a file that all sessions of a user share."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model

    def digest(self, text: str) -> str:
        """Return the name of a text's vector."""
        return sha256(f"{self._model}\n{text}".encode("utf-8", "replace")).hexdigest()

    def get(self, digests: Collection[str]) -> dict[str, array[float]]:
        """Return the vectors that are there. Raises OSError."""
        if not self._path.exists():
            return {}
        found: dict[str, array[float]] = {}
        with self._open() as db:
            for digest in digests:
                row = db.execute("SELECT vector FROM vectors WHERE digest = ?", (digest,)).fetchone()
                if row is not None:
                    found[digest] = array("f", row[0])
        return found

    def put(self, vectors: Mapping[str, array[float]]) -> None:
        """Keep vectors. Raises OSError."""
        with self._open() as db:
            rows = [(digest, vector.tobytes()) for digest, vector in vectors.items()]
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, timeout=30)
        try:
            db.execute(
                "CREATE TABLE IF NOT EXISTS vectors(digest TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID"
            )
            with db:
                yield db
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error
        finally:
            db.close()


class Meaning:
    """Finds chunks of a shelf by the meaning of a query.

    All chunks are compared by the signs of their vectors, as one exclusive or of two whole numbers; the nearest few
    hundred then by the vectors themselves.
    """

    def __init__(self, shelf: Shelf, cache: VectorCache, embed: Embed) -> None:
        self._shelf = shelf
        self._cache = cache
        self._embed = embed
        self._signs: list[tuple[int, int, str]] = []

    async def take_in(self, sources: Collection[str]) -> int:
        """Give every chunk of these sources a vector; returns how many were asked for. Raises `ProviderError`, OSError."""
        bare = await to_thread.run_sync(self._shelf.without_vectors, sources)
        asked = 0
        for start in range(0, len(bare), _BATCH):
            asked += await self._take_in(bare[start : start + _BATCH])
        self._signs = []
        return asked

    async def search(self, query: str, most: int) -> list[int]:
        """Return the ids of the chunks that are nearest in meaning, nearest first. Raises `ProviderError`, OSError."""
        if not self._signs:
            marks = await to_thread.run_sync(self._shelf.marks)
            self._signs = [(number, int.from_bytes(signs), digest) for number, signs, digest in marks]
        if not self._signs:
            return []
        wanted = _normal((await self._embed([query], "query"))[0])
        return await to_thread.run_sync(self._nearest, wanted, most)

    def _nearest(self, wanted: array[float], most: int) -> list[int]:
        signs = int.from_bytes(_signs(wanted))
        near = nsmallest(_CANDIDATES, self._signs, key=lambda one: (one[1] ^ signs).bit_count())
        vectors = self._cache.get({digest for _, _, digest in near})
        scored = [(-_dot(wanted, vectors[digest]), number) for number, _, digest in near if digest in vectors]
        return [number for _, number in nsmallest(most, scored)]

    async def _take_in(self, batch: Sequence[Kept]) -> int:
        texts = {self._cache.digest(text): text for text in map(_text, batch)}
        vectors = await to_thread.run_sync(self._cache.get, texts.keys())
        new = [digest for digest in texts if digest not in vectors]
        if new:
            made = await self._embed([texts[digest] for digest in new], "document")
            fresh = {digest: _normal(vector) for digest, vector in zip(new, made, strict=True)}
            await to_thread.run_sync(self._cache.put, fresh)
            vectors |= fresh
        digests = ((one.id, self._cache.digest(_text(one))) for one in batch)
        rows = [(number, _signs(vectors[digest]), digest) for number, digest in digests]
        await to_thread.run_sync(self._shelf.mark, rows)
        return len(new)


def fused(*rankings: Sequence[int], most: int) -> list[int]:
    """Join rankings by the reciprocal of each rank (k = 60), so that no scores need be comparable."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking):
            scores[number] = scores.get(number, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda number: -scores[number])[:most]


def _text(kept: Kept) -> str:
    return f"{kept.chunk.title}\n{kept.chunk.text}".strip()


def _normal(vector: Vector) -> array[float]:
    length = sqrt(sum(value * value for value in vector)) or 1.0
    return array("f", [value / length for value in vector])


def _signs(vector: Vector) -> bytes:
    bits = int("".join("1" if value > 0 else "0" for value in vector) or "0", 2)
    return bits.to_bytes((len(vector) + 7) // 8)


def _dot(one: Vector, two: Vector) -> float:
    return sum(a * b for a, b in zip(one, two, strict=False))
