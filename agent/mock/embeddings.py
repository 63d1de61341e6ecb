"""Embeddings: a text's words, hashed into a vector, so that texts with words in common are near one another."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from math import sqrt

from treadle.agent.mock import check as c
from treadle.agent.mock.billing_prompt import tokens
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Face
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.gemini import HERE, VERTEX, Gemini
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, size, words, write
from treadle.agent.mock.routes import Answer, Request, Route

SIZE = 256
MOST_INPUTS, MOST_TOKENS, MOST_REQUESTS = 2_048, 300_000, 100
_WORD = re.compile(r"\w+")
_ALIKE = {
    "car": "vehicle",
    "automobile": "vehicle",
    "physician": "doctor",
    "purchase": "buy",
    "bought": "buy",
}
"""Words that mean the same, for showing what words alone do not find; they weigh more, as what a text is about does."""
_MEANT = frozenset(_ALIKE.values())
_WEIGHT = 5
_OPENAI = c.record(
    {"model": c.text(1), "input": c.text_or(c.items(c.text(1), 1))},
    {"encoding_format": c.one_of("float", "base64"), "dimensions": c.integer(1, SIZE), "user": c.text()},
)
_GEMINI = c.record({"requests": c.items(c.anything, 1)})
_ONE = c.record(
    {"model": c.text(1), "content": c.anything},
    {"taskType": c.text(1), "title": c.text(), "outputDimensionality": c.integer(1, SIZE)},
)


def vector(text: str, length: int = SIZE) -> list[float]:
    """Return the vector of a text, of length one: the sum of one at random for each word that is in it."""
    total = weights = 0
    for stem in {_stem(word) for word in _WORD.findall(text.lower())}:
        weight = _WEIGHT if stem in _MEANT else 1
        total += weight * _lanes(stem)
        weights += weight
    counts = memoryview(total.to_bytes(2 * SIZE, sys.byteorder)).cast("H")
    made = [2 * count - weights for count in counts[:length]]
    norm = sqrt(sum(value * value for value in made)) or 1.0
    return [round(value / norm, 6) for value in made]


def _stem(word: str) -> str:
    return _ALIKE.get(word) or (word.removesuffix("s") if len(word) > 3 else word)


@lru_cache(maxsize=65_536)
def _lanes(stem: str) -> int:
    """Return a number with a lane of 16 bits for each direction, 1 where the word points along it."""
    bits = int.from_bytes(blake2b(stem.encode(), digest_size=SIZE // 8).digest())
    return int("".join("0001" if bit == "1" else "0000" for bit in f"{bits:0{SIZE}b}"), 16)


def openai(request: Request) -> Delivery:
    """`POST /v1/embeddings`."""
    given = request.json()
    _OPENAI(given, "")
    body = members(given)
    if body.get("encoding_format") == "base64":
        raise Refused("this server answers in floats", "encoding_format")
    texts = [words(one) for one in elements(body["input"])] or [words(body["input"])]
    if len(texts) > MOST_INPUTS:
        raise Refused(f"input: at most {MOST_INPUTS} texts, got {len(texts)}", "input", "too_many_inputs")
    count = sum(tokens(size(text)) for text in texts)
    if count > MOST_TOKENS:
        raise Refused(f"input: at most {MOST_TOKENS} tokens, got {count}", "input", "max_tokens_per_request")
    length = int(str(body.get("dimensions", SIZE)))
    rows: list[Json] = [
        {"object": "embedding", "index": index, "embedding": list[Json](vector(text, length))}
        for index, text in enumerate(texts)
    ]
    usage: JsonObject = {"prompt_tokens": count, "total_tokens": count}
    return plain(200, write({"object": "list", "data": rows, "model": body["model"], "usage": usage}))


def gemini(request: Request) -> Delivery:
    """`POST …/models/MODEL:batchEmbedContents`."""
    given = request.json()
    _GEMINI(given, "")
    asked = elements(members(given)["requests"])
    if len(asked) > MOST_REQUESTS:
        raise Refused(f"at most {MOST_REQUESTS} requests can be in one batch")
    made: list[Json] = []
    for index, one in enumerate(asked):
        _ONE(one, f"requests[{index}]")
        if words(members(one)["model"]).removeprefix("models/") != request.names["model"]:
            raise Refused(f"requests[{index}].model is not the model of the path")
        parts = elements(members(members(one)["content"]).get("parts"))
        text = " ".join(words(members(part).get("text")) for part in parts)
        made.append({"values": list[Json](vector(text))})
    return plain(200, write({"embeddings": made}))


def embedding_routes() -> Iterator[Route]:
    """The routes."""
    yield _route("/v1/embeddings", Chat(), openai)
    for place in (HERE, VERTEX):
        yield _route(f"{place}batchEmbedContents", Gemini(), gemini)


def _route(path: str, face: Face, answer: Answer) -> Route:
    return Route("POST", path, face, answer, max_body=face.max_body)
