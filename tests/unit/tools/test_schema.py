from __future__ import annotations

from typing import Any

import pytest

from treadle.tools.contract import JsonObject
from treadle.tools.schema import BadSchema, check_schema, misfit

NESTED: JsonObject = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}},
    "required": ["rows"],
    "additionalProperties": False,
    "$defs": {"row": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("value", "schema", "told"),
    [
        ({"rows": [{"n": 1}]}, NESTED, ""),
        ({"rows": [{"n": 1}, {"n": "x"}]}, NESTED, "at rows/1/n: 'x' is not of type 'integer'"),
        (
            {"rows": [{"n": "x"}], "more": 1},
            NESTED,
            "Additional properties are not allowed ('more' was unexpected)",
        ),
        ([], NESTED, "[] is not of type 'object'"),
        (1, {}, ""),
        ("x" * 999, {"maxLength": 1}, "'" + "x" * 299),
        (
            [1, "a"],
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "items": [{"type": "integer"}, {"const": 2}],
            },
            "at 1: 2 was expected",
        ),
    ],
)
def test_what_does_not_fit_is_told_on_one_line_with_its_path(
    value: Any, schema: JsonObject, told: str
) -> None:
    assert misfit(value, schema) == told


@pytest.mark.parametrize(
    "schema",
    [{"type": "thing"}, {"required": "n"}, {"properties": {"n": 3}}, {"items": [{"type": "integer"}]}],
)
def test_what_is_no_schema_is_told(schema: JsonObject) -> None:
    with pytest.raises(BadSchema, match=r"^not a JSON Schema: "):
        check_schema(schema)


def test_a_schema_is_a_schema() -> None:
    check_schema(NESTED)
    check_schema({})
