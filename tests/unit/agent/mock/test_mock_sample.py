"""A sampled value is valid under its schema."""

from __future__ import annotations

import pytest
from jsonschema import validate

from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.sample import sample

NODE: JsonObject = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]}, "v": {"type": "integer"}},
    "required": ["next", "v"],
}
SCHEMAS: dict[str, JsonObject] = {
    "anything": {},
    "an empty object": {"type": "object"},
    "required members only": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "boolean"}},
        "required": ["a", "c"],
        "additionalProperties": False,
    },
    "a const": {"const": 7},
    "an enum": {"enum": ["x", "y"]},
    "a default": {"type": "integer", "default": 3},
    "a long string": {"type": "string", "minLength": 9},
    "a short string": {"type": "string", "maxLength": 2},
    "an integer above": {"type": "integer", "exclusiveMinimum": 4},
    "an integer below": {"type": "integer", "maximum": -3},
    "an integer strictly below": {"type": "integer", "exclusiveMaximum": 0},
    "a multiple": {"type": "integer", "minimum": 10, "multipleOf": 7},
    "a number": {"type": "number", "minimum": 0.5},
    "a null": {"type": "null"},
    "a list": {"type": "array", "items": {"type": "number"}, "minItems": 2},
    "an empty list": {"type": "array", "items": {"type": "number"}},
    "a list of types": {"type": ["integer", "null"], "minimum": 0.5},
    "any of": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "one of": {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
    "all of": {
        "allOf": [
            {"$ref": "#/$defs/A"},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ],
        "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
    },
    "a reference": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}},
    "a recursive reference": {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_sample_is_valid(schema: JsonObject) -> None:
    found: Json = sample(schema)
    validate(found, schema)


def test_a_schema_without_an_end_is_cut_short() -> None:
    loop: JsonObject = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert sample(loop) is None
