"""Whether a value fits a JSON Schema."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for

from treadle.tools.contract import JsonObject


class BadSchema(Exception):
    """What was given is no JSON Schema. The message is one line for the user."""


def misfit(value: Any, schema: JsonObject) -> str:
    """Say in one line what does not fit, with its path; empty when everything does. Raises `BadSchema`.

    Follows the draft that `$schema` names, else 2020-12 (https://json-schema.org/draft/2020-12).
    """
    errors: list[Any] = list(_validator(schema).iter_errors(value))
    if not errors:
        return ""
    error = min(errors, key=lambda each: len(each.absolute_path))
    where = "/".join(str(step) for step in error.absolute_path)
    return f"at {where}: {error.message[:300]}" if where else error.message[:300]


def check_schema(schema: JsonObject) -> None:
    """Raises `BadSchema` for what is no JSON Schema."""
    _validator(schema)


def _validator(schema: JsonObject) -> Any:
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise BadSchema(f"not a JSON Schema: {error.message}") from error
    return kind(schema)
