from __future__ import annotations

from collections.abc import Sequence

import pytest

from treadle.agent.build.recall import PARAMETERS
from treadle.tools.builtin.recall import Hit, recall_tool
from treadle.tools.contract import Function, JsonObject, Text, ToolContext, ToolError

pytestmark = pytest.mark.anyio
LONG = "abc" * 3_000


class Everything:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        self.asked.append((query, most))
        return (
            [Hit("e7", "read a.py", "class Old"), Hit("#3", "book.md, page 2", "…old…")]
            if query != "x"
            else []
        )

    async def whole(self, name: str) -> str | None:
        return {"e7": LONG}.get(name)


async def told(ctx: ToolContext, **arguments: object) -> str:
    given: JsonObject = dict(arguments)
    outcome = await recall_tool(Everything()).run(given, ctx)
    assert isinstance(outcome.content[0], Text)
    return outcome.content[0].text


async def test_what_is_found_comes_with_its_id(ctx: ToolContext) -> None:
    assert await told(ctx, query="old") == "[e7] read a.py\nclass Old\n[#3] book.md, page 2\n…old…"
    assert (await told(ctx, query="x")).startswith("Nothing found.")


async def test_the_whole_comes_in_pages(ctx: ToolContext) -> None:
    first = await told(ctx, id="e7")
    assert first == f"{LONG[:6_000]}\n[9,000 characters; go on with offset=6000]"
    assert await told(ctx, id="e7", offset=6_000) == LONG[6_000:]


@pytest.mark.parametrize("arguments", [{}, {"query": "  "}, {"id": "e8"}])
async def test_what_cannot_be_looked_up_is_said(ctx: ToolContext, arguments: JsonObject) -> None:
    with pytest.raises(ToolError, match="recall failed"):
        await told(ctx, **arguments)


def test_what_is_told_of_it_before_it_is_loaded_is_what_it_says_itself() -> None:
    spec = recall_tool(Everything()).spec
    assert isinstance(spec, Function)
    assert spec.parameters == PARAMETERS
