from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from inline_snapshot import snapshot
from pydantic import Field

from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Frozen, JsonObject, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define, schema_of

pytestmark = pytest.mark.anyio

PLACE = Place("/w", "/w")


class Point(Frozen):
    x: int
    label: str | None = None


class Example(Frozen):
    path: Annotated[str, Field(description="a file")]
    mode: Literal["fast", "slow"] = "fast"
    only: Literal["this"] = "this"
    count: int = Field(default=3, ge=1, le=9)
    least: int = Field(default=3, ge=1)
    points: tuple[Point, ...] = Field(default=(), min_length=1)
    either: int | str = 0
    free: dict[str, Any] | None = None
    flag: bool = False


class Loop(Frozen):
    inner: Loop | None = None


class Nothing(Frozen):
    pass


def example() -> Tool:
    def access(arguments: Example, place: Place) -> Access:
        return Access(tool="example", reads=(arguments.path,))

    async def run(arguments: Example, ctx: ToolContext) -> Outcome:
        return Outcome((Text(text=repr(arguments)),))

    return define("example", Example, description="An example.", access=access, run=run)


def refusal(arguments: JsonObject) -> str:
    with pytest.raises(ToolError) as caught:
        example().access(arguments, PLACE)
    return str(caught.value)


def test_the_schema_is_plain_and_in_a_fixed_order() -> None:
    assert schema_of(Example) == snapshot({
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "a file"},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "only": {"type": "string", "enum": ["this"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "least": {"type": "integer", "minimum": 1},
            "points": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"x": {"type": "integer"}, "label": {"type": "string"}},
                    "required": ["x"],
                    "additionalProperties": False,
                },
            },
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "free": {"type": "object"},
            "flag": {"type": "boolean"},
        },
        "required": ["path"],
        "additionalProperties": False,
    })
    assert list(schema_of(Example)) == ["type", "properties", "required", "additionalProperties"]


def test_a_tool_without_arguments_has_a_whole_schema() -> None:
    assert schema_of(Nothing) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_a_model_that_contains_itself_is_refused() -> None:
    with pytest.raises(TypeError, match="Loop contains itself"):
        schema_of(Loop)


def test_access_and_run_get_checked_arguments() -> None:
    assert example().access({"path": "a"}, PLACE) == Access(tool="example", reads=("a",))


async def test_lists_and_objects_written_as_json_strings_are_decoded_once(ctx: ToolContext) -> None:
    arguments = {"path": "[1]", "points": '[{"x": 1}]', "free": '{"a": 1}'}
    outcome = await example().run(arguments, ctx)
    expected = Example(path="[1]", points=(Point(x=1),), free={"a": 1})
    assert outcome.content == (Text(text=repr(expected)),)


PROBLEMS: list[tuple[JsonObject, str]] = [
    ({}, "- path: missing; expected a string"),
    ({"path": 3}, "- path: expected a string, got 3"),
    ({"path": None}, "- path: expected a string, got null"),
    ({"pth": "a", "path": "a"}, "- pth: there is no such argument; did you mean path?"),
    (
        {"path": "a", "zzzzzzzzz": 1},
        "- zzzzzzzzz: there is no such argument; it takes path, mode, only, count, least, points, either, free, flag",
    ),
    ({"path": "a", "mode": "quick"}, '- mode: expected one of fast, slow, got "quick"'),
    ({"path": "a", "only": "that"}, '- only: expected one of this, got "that"'),
    ({"path": "a", "count": 10}, "- count: expected an integer from 1 to 9, got 10"),
    ({"path": "a", "least": 0}, "- least: expected an integer of at least 1, got 0"),
    ({"path": "a", "flag": "perhaps"}, '- flag: expected true or false, got "perhaps"'),
    ({"path": "a", "points": []}, "- points: expected a list with at least 1 item, got []"),
    ({"path": "a", "points": "[1"}, '- points: expected a list with at least 1 item, got "[1"'),
    (
        {"path": "a", "points": '{"x": 1}'},
        '- points: expected a list with at least 1 item, got "{\\"x\\": 1}"',
    ),
    ({"path": "a", "points": [{}]}, "- points[0].x: missing; expected an integer"),
    (
        {"path": "a", "points": [{"x": 1, "lable": ""}]},
        "- points[0].lable: there is no such argument; did you mean label?",
    ),
    ({"path": "a", "free": 1}, "- free: expected an object, got 1"),
    ({"path": ["x" * 99]}, f'- path: expected a string, got ["{"x" * 55}...'),
]


@pytest.mark.parametrize(("arguments", "problem"), PROBLEMS)
def test_what_does_not_fit_is_named_in_one_line(arguments: JsonObject, problem: str) -> None:
    assert refusal(arguments) == f"example failed: the arguments do not fit\n{problem}"


def test_a_choice_of_types_is_explained_for_each() -> None:
    assert "either.int" in refusal({"path": "a", "either": []})


def test_many_problems_are_cut() -> None:
    lines = refusal({"path": "a", **{f"field{number}": 1 for number in range(30)}}).split("\n")
    assert len(lines) == 12
    assert lines[-1] == "- and more"


@pytest.mark.parametrize("arguments", [{"path": "\ud800"}, {"path": "a", "free": {"\udfff": 1}}])
def test_half_a_character_is_refused_wherever_it_is(arguments: JsonObject) -> None:
    assert refusal(arguments) == "example failed: a string holds half a character (a lone surrogate)"
