"""What a server answers besides replies: a request to a store, and the table that finds who answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Face, Vendor
from treadle.agent.mock.delivery import Delivery
from treadle.agent.mock.jsontext import Json, read
from treadle.sandbox.frozen import frozen


@frozen
class Request:
    """A request to something that is kept."""

    method: str
    path: str
    names: Mapping[str, str]
    """What stands in the path for the names in braces, decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    number: int
    """Unlike that of any other request to this server."""
    now: float
    """Seconds since 1970."""
    url: str
    """Where this server is, without a path."""

    def json(self) -> Json:
        """The body, parsed. Raises Refused if it is no JSON, or is not said to be."""
        return parsed(self.headers, self.body)

    def number_of(self, key: str, usual: int, least: int, most: int) -> int:
        """A whole number in the query. Raises Refused."""
        given = self.query.get(key)
        if given is None:
            return usual
        if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
            raise Refused(f"{key}: expected a whole number from {least} to {most}, got {given!r}", key)
        return int(given)

    def only(self, *known: str) -> None:
        """Refuse what the query has beside these. Raises Refused."""
        for key in self.query:
            if key not in known:
                raise Refused(f"{key}: unknown parameter", key, "unknown_parameter")


Answer: TypeAlias = Callable[[Request], Delivery]
"""Answers a request, or raises Refused."""


@frozen
class Route:
    """One method of one path."""

    method: str
    path: str
    """`{id}` and the like stand for any name."""
    face: Face
    """Who is asked for the key, and words the errors."""
    answer: Answer
    max_body: int = 1_000_000
    """Bytes of the largest body that is read."""
    admits: bool = True
    """Whether a key is required; False leaves that to the answer."""


class Table:
    """Finds routes by path, method, and whose client asks."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(shape(route.path), route) for route in routes]

    def find(self, method: str, path: str, client: Vendor) -> tuple[Route, Mapping[str, str]] | None:
        """The route, and what its names stand for. Of several vendors' routes, the client's."""
        here = [
            (route, found.groupdict())
            for pattern, route in self._routes
            if route.method == method and (found := pattern.fullmatch(path))
        ]
        own = [(route, names) for route, names in here if route.face.vendor == client]
        return next(iter(own or here), None)

    def methods(self, path: str) -> list[str]:
        """The methods that a path takes."""
        return sorted({route.method for pattern, route in self._routes if pattern.fullmatch(path)})


def shape(path: str) -> re.Pattern[str]:
    """What paths look like in which names stand for `{model}` and the like."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/:]+)", re.escape(path)))


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query; `[]` after a name is dropped, and repeated values are joined by commas."""
    found: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        name = key.removesuffix("[]")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def decoded(names: Mapping[str, str]) -> dict[str, str]:
    """Names as they are meant."""
    return {key: unquote(value) for key, value in names.items()}


def parsed(headers: Mapping[str, str], body: bytes) -> Json:
    """A body as JSON. Raises Refused."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("expected the header `content-type: application/json`", code="unsupported_content_type")
    try:
        return read(body.decode())
    except ValueError as error:
        raise Refused(f"the body is not JSON: {error}", code="invalid_json") from error
