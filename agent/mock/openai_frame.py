"""What OpenAI's APIs have in common: the key, errors, the list of models, strict schemas."""

from __future__ import annotations

from collections.abc import Mapping

from treadle.agent.mock.check import Refused, mapping, text, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write

SCHEMA = "invalid_function_parameters"

_TYPES = {401: "invalid_request_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    401: "invalid_api_key",
    404: "not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "server_is_overloaded",
}


def error_of(refused: Refused) -> bytes:
    """`{"error": {message, type, param, code}}`; what the refusal leaves open follows from its status."""
    status = refused.status
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = _CODES.get(status) if refused.code is None else refused.code or None
    return write({"error": {"message": refused.message, "type": kind, "param": refused.param, "code": code}})


def require_bearer(headers: Mapping[str, str]) -> None:
    """Require `Authorization: Bearer TOKEN`. Raises Refused."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        told = "You didn't provide an API key: send it as `Authorization: Bearer KEY`"
        raise Refused(told, status=401)


def models_of(model: str) -> JsonObject:
    """The answer to `GET /v1/models`, with one model in it."""
    entry: JsonObject = {"id": model, "object": "model", "created": 0, "owned_by": "treadle"}
    return {"object": "list", "data": [entry]}


def check_metadata(value: Json, path: str) -> None:
    """At most 16 pairs of short strings."""
    mapping(value, path)
    pairs = members(value)
    if len(pairs) > 16:
        raise wrong(path, "at most 16 pairs")
    for key, member in pairs.items():
        text(0, 64)(key, path)
        text(0, 512)(member, f"{path}.{key}")


def check_parameters(value: Json, path: str) -> None:
    """The schema of a function's parameters."""
    mapping(value, path)
    kind = members(value).get("type", "object")
    if kind != "object":
        raise wrong(path, f"the schema of a function's parameters has type object, got {kind!r}", SCHEMA)


def check_strict(schema: Json, path: str) -> None:
    """What `strict: true` asks of a schema: every object closed, and every property required."""
    rules = members(schema)
    properties = members(rules.get("properties"))
    kind = rules.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        if rules.get("additionalProperties") is not False:
            raise wrong(path, "a strict schema needs 'additionalProperties': false in every object", SCHEMA)
        if {words(name) for name in elements(rules.get("required"))} != set(properties):
            raise wrong(path, "a strict schema names every property in 'required', and no other", SCHEMA)
    inner = {**properties, **members(rules.get("$defs")), **members(rules.get("definitions"))}
    for name, value in inner.items():
        check_strict(value, f"{path}.{name}")
    for index, value in enumerate(elements(rules.get("anyOf"))):
        check_strict(value, f"{path}.anyOf[{index}]")
    if "items" in rules:
        check_strict(rules["items"], f"{path}.items")


def check_strict_root(schema: Json, path: str) -> None:
    """A strict schema whose root is an object."""
    if members(schema).get("type") != "object":
        raise wrong(path, "the root of a strict schema has type object", SCHEMA)
    check_strict(schema, path)
