"""The `answer` tool: a final answer as arguments, for models that cannot be held to a schema otherwise."""

from __future__ import annotations

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Function, JsonObject, Outcome, Text, ToolContext, ToolError
from treadle.tools.schema import misfit

NAME = "answer"


@frozen
class AnswerTool:
    """Takes an answer that fits the schema, and refuses any other."""

    schema: JsonObject

    @property
    def spec(self) -> Function:
        return Function(name=NAME, description=load("tools/answer"), parameters=self.schema)

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return Access(NAME, free=True)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        if wrong := misfit(arguments, self.schema):
            raise ToolError(f"The answer does not fit: {wrong}")
        return Outcome((Text(text="Taken."),), details={"answer": arguments})
