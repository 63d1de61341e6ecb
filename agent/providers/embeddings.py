"""Vectors of texts, from a vendor's embeddings endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import SystemRandom
from typing import Any, Literal, cast

import anyio
from pydantic import TypeAdapter, ValidationError

from treadle.agent.providers.contract import HttpCall, ProviderError, Undecodable, WireName
from treadle.agent.providers.plain import Plain, segment
from treadle.agent.providers.retry import Retries, wait
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import as_object

_AT_ONCE = 4
"""Requests under way."""
_INPUTS = {"openai": 2_048, "gemini": 100}
"""Texts of one request (limits/rows.py; WIRES §5)."""
_BYTES = 600_000
"""Of one request: 300,000 tokens at the least that a token is long."""

_VECTORS: TypeAdapter[list[list[float]]] = TypeAdapter(list[list[float]])


@frozen
class Embedder:
    """One model of one endpoint that turns texts into vectors."""

    plain: Plain
    model: str
    style: Literal["openai", "gemini"]
    retries: Retries

    async def embed(
        self, texts: Sequence[str], purpose: Literal["document", "query"]
    ) -> Sequence[Sequence[float]]:
        """Return a vector for each text, in their order. Raises `ProviderError`."""
        found: dict[int, Sequence[Sequence[float]]] = {}
        gate = anyio.CapacityLimiter(_AT_ONCE)

        async def one(number: int, batch: Sequence[str]) -> None:
            async with gate:
                found[number] = await self._batch(batch, purpose)

        try:
            async with anyio.create_task_group() as group:
                for number, batch in enumerate(batches(texts, _INPUTS[self.style])):
                    group.start_soon(one, number, batch)
        except ExceptionGroup as failures:
            raise _first(failures) from None
        return [vector for number in sorted(found) for vector in found[number]]

    async def _batch(
        self, texts: Sequence[str], purpose: Literal["document", "query"]
    ) -> Sequence[Sequence[float]]:
        call = self._call(texts, purpose)
        attempt = 0
        while True:
            try:
                _, body = await self.plain.fetch(call)
                break
            except ProviderError as error:
                attempt += 1
                seconds = wait(error, attempt, random=SystemRandom().random(), retries=self.retries)
                if seconds is None:
                    raise
                await anyio.sleep(seconds)
        is_openai = self.style == "openai"
        rows = [as_object(row) or {} for row in body.get("data" if is_openai else "embeddings") or ()]
        if is_openai:
            rows.sort(key=lambda row: row.get("index", 0))
        try:
            vectors = _VECTORS.validate_python([
                row.get("embedding" if is_openai else "values") for row in rows
            ])
        except ValidationError as error:
            raise Undecodable("What came back for texts is no vector for each.") from error
        if len(vectors) != len(texts):
            raise Undecodable(f"{len(texts)} texts were sent, and {len(vectors)} vectors came back.")
        return vectors

    def _call(self, texts: Sequence[str], purpose: Literal["document", "query"]) -> HttpCall:
        body: dict[str, Any]
        if self.style == "openai":
            path = "/embeddings"
            body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        else:
            path = f"/models/{segment(self.model)}:batchEmbedContents"
            kind = "RETRIEVAL_DOCUMENT" if purpose == "document" else "RETRIEVAL_QUERY"
            name = f"models/{self.model}"
            body = {
                "requests": [
                    {"model": name, "content": {"parts": [{"text": text}]}, "taskType": kind}
                    for text in texts
                ]
            }
        return HttpCall("POST", path, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def style_of(wire: WireName) -> Literal["openai", "gemini"]:
    """Return how an endpoint that speaks a wire is asked for vectors."""
    return "gemini" if wire in {"gemini", "gemini_interactions"} else "openai"


def batches(texts: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Cut texts into what one request may hold, in their order."""
    held: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if held and (len(held) >= most or size + length > _BYTES):
            yield held
            held, size = [], 0
        held.append(text)
        size += length
    if held:
        yield held


def _first(failure: Exception) -> Exception:
    """Return what really went wrong, from within any number of task groups."""
    while isinstance(failure, ExceptionGroup):
        failure = cast("ExceptionGroup[Exception]", failure).exceptions[0]
    return failure
