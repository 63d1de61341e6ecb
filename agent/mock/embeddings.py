"""Embeddings: a text's words, hashed into a vector, so that texts with words in common are near one another."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
"""Words that mean the same, for showing what words alone do not find."""
_OPENAI = c.record(
    {"model": c.text(1), "input": c.text_or(c.items(c.text(1), 1))},
    {"encoding_format": c.one_of("float", "base64"), "dimensions": c.integer(1, SIZE), "user": c.text()},
)
_GEMINI = c.record({"requests": c.items(c.anything, 1)})
_ONE = c.record(
    {"model": c.text(1), "content": c.anything},
    {"taskType": c.text(1), "title": c.text(), "outputDimensionality": c.integer(1, SIZE)},
)


def _words_in(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def vector(text: str, length: int = SIZE) -> list[float]:
    """Return the vector of a text, of length one."""
    made = [0.0] * length
    for word in _words_in(text):
        stem: str = _ALIKE.get(word) or (word.removesuffix("s") if len(word) > 3 else word)
        digest = blake2b(stem.encode(), digest_size=8).digest()
        made[int.from_bytes(digest[:4]) % length] += 1 if digest[4] & 1 else -1
    norm = sqrt(sum(value * value for value in made)) or 1.0
    return [round(value / norm, 6) for value in made]


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
