from __future__ import annotations

import json

import pytest

from treadle.agent.arguments import MOST_ARGUMENTS, parse_arguments
from treadle.tools.contract import JsonObject, ToolCall, ToolError


def call(text: str) -> ToolCall:
    return ToolCall(id="c", name="n", arguments=text)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        (json.dumps('{"a": 1}'), {"a": 1}),
        ("", {}),
        (" null\n", {}),
        ('{"": "\\u0000"}', {"": "\0"}),
    ],
)
def test_one_json_object_is_taken_as_it_is(text: str, arguments: JsonObject) -> None:
    assert parse_arguments(call(text)) == arguments


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": 1,}', "not valid JSON"),
        ('{"a": 1} {"a": 2}', "not valid JSON"),
        ('{"a": Infinity}', "Infinity is not JSON"),
        ('{"a": {"b": 1, "b": 1}}', "a key stands twice"),
        ('{"a": "\\ud800"}', "half a surrogate pair"),
        ("[]", "must be a JSON object, not list"),
        (json.dumps("[]"), "must be a JSON object, not list"),
        (json.dumps(json.dumps("{}")), "must be a JSON object, not str"),
        ("[" * 100_000, "not valid JSON"),
        (" " * (MOST_ARGUMENTS + 1), "too long: 8,388,609 characters"),
    ],
)
def test_nothing_else_is_guessed_or_repaired(text: str, told: str) -> None:
    with pytest.raises(ToolError) as raised:
        parse_arguments(call(text))
    assert told in str(raised.value)


def test_free_text_is_the_one_argument() -> None:
    free = ToolCall(id="c", name="n", arguments="{not JSON", input="text")
    assert parse_arguments(free) == {"input": "{not JSON"}
