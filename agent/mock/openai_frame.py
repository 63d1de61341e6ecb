"""What OpenAI's APIs have in common around a request: the key, errors, the list of models."""

from __future__ import annotations

from collections.abc import Mapping

from treadle.agent.mock.check import Refused
from treadle.agent.mock.jsontext import JsonObject, write

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
    code = refused.code or _CODES.get(status)
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
