from __future__ import annotations

import pytest

from treadle.sandbox.contract import Access, Place
from treadle.tools.builtin.answer import AnswerTool
from treadle.tools.contract import JsonObject, Outcome, Text, ToolContext, ToolError

SCHEMA: JsonObject = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TOOL = AnswerTool(SCHEMA)


@pytest.mark.anyio
async def test_an_answer_that_fits_is_taken_and_given_to_frontends(ctx: ToolContext) -> None:
    assert await TOOL.run({"n": 1}, ctx) == Outcome((Text(text="Taken."),), details={"answer": {"n": 1}})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "told"),
    [({}, "'n' is a required property"), ({"n": "1"}, "at n: '1' is not of type 'integer'")],
)
async def test_any_other_is_refused_with_what_does_not_fit(
    answer: JsonObject, told: str, ctx: ToolContext
) -> None:
    with pytest.raises(ToolError, match=f"The answer does not fit: {told}"):
        await TOOL.run(answer, ctx)


def test_its_arguments_are_the_schema_itself_and_it_touches_nothing() -> None:
    assert (TOOL.spec.name, TOOL.spec.parameters) == ("answer", SCHEMA)
    assert TOOL.spec.description
    assert TOOL.access({"n": 1}, Place("/w", "/w")) == Access("answer", free=True)
