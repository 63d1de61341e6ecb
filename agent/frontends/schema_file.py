"""The JSON Schema that a user asks answers in."""

from __future__ import annotations

import json
from pathlib import Path

from treadle.tools.contract import JsonObject, as_object
from treadle.tools.schema import BadSchema, check_schema


def read_schema(file: Path) -> JsonObject:
    """Read and check a schema. Raises `BadSchema` with one line for the user."""
    try:
        schema = as_object(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadSchema(f"--output-schema {file}: {error.strerror}") from error
    except ValueError as error:
        raise BadSchema(f"--output-schema {file}: not valid JSON: {error}") from error
    if schema is None:
        raise BadSchema(f"--output-schema {file}: a JSON Schema is an object")
    try:
        check_schema(schema)
    except BadSchema as error:
        raise BadSchema(f"--output-schema {file}: {error}") from error
    return schema
