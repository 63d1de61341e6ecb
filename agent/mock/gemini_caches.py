"""`/v1beta/cachedContents` as Gemini has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from treadle.agent.mock import check as c
from treadle.agent.mock.billing_contents import Cached, Caches, parts_of
from treadle.agent.mock.billing_prompt import BYTES_PER_TOKEN, stream
from treadle.agent.mock.check import Refused
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.files import stamp
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.jsontext import Json, JsonObject, members, words, write
from treadle.agent.mock.routes import Request, Route

LIFE = 3600.0
"""Seconds, unless asked otherwise."""
LEAST = 4096
"""Tokens of the smallest contents that are cached."""
_TTL = c.text(2, pattern=r"[0-9]+(\.[0-9]+)?s")
_CREATE = c.record(
    {"model": c.text(8, pattern=r"models/.+")},
    {
        "contents": c.items(c.mapping),
        "systemInstruction": c.mapping,
        "tools": c.items(c.mapping),
        "toolConfig": c.mapping,
        "ttl": _TTL,
        "displayName": c.text(0, 128),
    },
)
_PATCH = c.record({"ttl": _TTL})


@dataclass(slots=True)
class GeminiCaches:
    """Makes, tells, prolongs and deletes cached contents."""

    caches: Caches

    def create(self, request: Request) -> Delivery:
        """Keep contents."""
        body = request.json()
        _CREATE(body, "")
        given = members(body)
        tokens = len(stream(parts_of(given))) // BYTES_PER_TOKEN
        if tokens < LEAST:
            told = f"Cached content is too small. total_token_count={tokens}, min_total_token_count={LEAST}"
            raise Refused(told)
        made = Cached(
            f"cachedContents/{request.number:012x}",
            words(given["model"]).removeprefix("models/"),
            tokens,
            request.now,
            request.now + _seconds(given),
            words(given.get("displayName")),
        )
        self.caches.kept[made.name] = made
        return plain(200, write(_told(made)))

    def listing(self, request: Request) -> Delivery:
        """All contents that are kept."""
        alive: list[Json] = [_told(one) for one in self.caches.kept.values() if one.until >= request.now]
        return plain(200, write({"cachedContents": alive} if alive else {}))

    def retrieve(self, request: Request) -> Delivery:
        """What is known of contents, which are not told."""
        return plain(200, write(_told(self._named(request))))

    def prolong(self, request: Request) -> Delivery:
        """Keep contents for so long from now on."""
        found, body = self._named(request), request.json()
        _PATCH(body, "")
        found.until = request.now + _seconds(members(body))
        return plain(200, write(_told(found)))

    def delete(self, request: Request) -> Delivery:
        """Keep contents no longer."""
        self.caches.drop(self._named(request), request.now)
        return plain(200, b"{}")

    def _named(self, request: Request) -> Cached:
        return self.caches.find(f"cachedContents/{request.names['cache']}", request.now)


def cache_routes(caches: Caches) -> Iterator[Route]:
    """The routes of cached contents, under both versions of the API."""
    made = GeminiCaches(caches)
    for version in ("v1", "v1beta"):
        here, face = f"/{version}/cachedContents", Gemini()
        yield Route("POST", here, face, made.create, max_body=100_000_000)
        yield Route("GET", here, face, made.listing)
        yield Route("GET", here + "/{cache}", face, made.retrieve)
        yield Route("PATCH", here + "/{cache}", face, made.prolong)
        yield Route("DELETE", here + "/{cache}", face, made.delete)


def _seconds(given: Mapping[str, Json]) -> float:
    told = re.match(r"[0-9.]+", words(given.get("ttl")))
    return float(told[0]) if told else LIFE


def _told(cached: Cached) -> JsonObject:
    return {
        "name": cached.name,
        "model": f"models/{cached.model}",
        "displayName": cached.label,
        "usageMetadata": {"totalTokenCount": cached.tokens},
        "createTime": stamp(cached.since),
        "expireTime": stamp(cached.until),
    }
