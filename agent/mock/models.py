"""The list of models that the mock says it has."""

from __future__ import annotations

from treadle.agent.mock.jsontext import JsonObject


def catalogue(model: str | None) -> JsonObject:
    """`GET /v1/models`: the script's model, or `mock` where a script leaves the name to the client."""
    entry: JsonObject = {"id": model or "mock", "object": "model", "created": 0, "owned_by": "treadle"}
    return {"object": "list", "data": [entry]}
