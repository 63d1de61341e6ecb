"""The arguments of a call, read strictly: what is not one JSON object is told to the model."""

from __future__ import annotations

import json
from typing import Any

from treadle.tools.contract import JsonObject, ToolCall, ToolError, as_object

MOST_ARGUMENTS = 8 * 1024 * 1024
"""Characters of one call's arguments."""


def parse_arguments(call: ToolCall) -> JsonObject:
    """Return the arguments object. Free text becomes `{"input": text}`, nothing at all an empty object.

    Raises `ToolError` for whatever is not one JSON object: nothing is guessed, nothing repaired.
    """
    if call.input == "text":
        return {"input": call.arguments}
    if len(call.arguments) > MOST_ARGUMENTS:
        raise ToolError(f"The arguments are too long: {len(call.arguments):,} characters.")
    if call.arguments.strip() in {"", "null"}:
        return {}
    try:
        value = _strict(call.arguments)
        if isinstance(value, str):  # some models encode the object twice
            value = _strict(value)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"The arguments are not valid JSON: {error}. The call was not run.") from error
    arguments = as_object(value)
    if arguments is None:
        raise ToolError(f"The arguments must be a JSON object, not {type(value).__name__}.")
    return arguments


def _strict(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    try:
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a surrogate pair") from error
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
