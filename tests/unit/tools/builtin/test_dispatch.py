from __future__ import annotations

import json
from typing import Any

import pytest

from treadle.sandbox.contract import Access, Place
from treadle.tools.builtin.dispatch import rank, tools_tool
from treadle.tools.contract import (
    Artifact,
    Frozen,
    Function,
    Hosted,
    JsonObject,
    Outcome,
    Text,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
    ToolSpec,
)
from treadle.tools.define import define

pytestmark = pytest.mark.anyio


class Url(Frozen):
    url: str


class Query(Frozen):
    sql: str
    database: str = ""


class RecordingCaller:
    """Answers every call alike and remembers it."""

    def __init__(self, result: ToolResult) -> None:
        self.result = result
        self.calls: list[tuple[str, JsonObject, str]] = []

    async def call(self, name: str, arguments: JsonObject, *, parent: str) -> ToolResult:
        self.calls.append((name, arguments, parent))
        return self.result


def deferred_tool(name: str, arguments: type[Frozen], description: str) -> Tool:
    def access(arguments: Frozen, place: Place) -> Access:
        raise AssertionError("the dispatcher only asks its caller")

    async def run(arguments: Frozen, ctx: ToolContext) -> Outcome:
        raise AssertionError("the dispatcher only asks its caller")

    return define(name, arguments, description=description, access=access, run=run)


DEFERRED = {
    tool.spec.name: tool
    for tool in (
        deferred_tool(
            "mcp__browser__openPage", Url, "Open a web page in the browser and wait until it is loaded."
        ),
        deferred_tool("mcp__browser__screenshot", Url, "Take a picture of the page."),
        deferred_tool("mcp__db__query", Query, "Run a statement.\nIt cannot write." + " More." * 50),
        deferred_tool("lsp_rename", Frozen, "Rename a symbol in every file that uses it."),
    )
}


async def ask(ctx: ToolContext, caller: RecordingCaller | None = None, **arguments: Any) -> Outcome:
    caller = caller or RecordingCaller(ToolResult(call_id="c2", content=()))
    return await tools_tool(lambda: DEFERRED, caller).run(arguments, ctx)


async def said(ctx: ToolContext, **arguments: Any) -> str:
    (part,) = (await ask(ctx, **arguments)).content
    assert isinstance(part, Text)
    return part.text


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("open a page", "mcp__browser__openPage"),
        ("screenshots", "mcp__browser__screenshot"),
        ("sql", "mcp__db__query"),
        ("database statement", "mcp__db__query"),
        ("rename a function", "lsp_rename"),
        ("mcp__db__query", "mcp__db__query"),
        ("QUERY", "mcp__db__query"),
    ],
)
def test_the_tool_that_is_meant_is_ranked_first(query: str, first: str) -> None:
    assert rank(query, {name: tool.spec for name, tool in DEFERRED.items()})[0] == first


def test_tools_that_share_no_word_are_not_found() -> None:
    assert rank("weather", {name: tool.spec for name, tool in DEFERRED.items()}) == []
    assert rank("weather", {}) == []


def test_a_name_given_exactly_comes_first_even_when_all_share_its_words() -> None:
    specs: dict[str, ToolSpec] = {
        name: Function(name=name, description="", parameters={}) for name in ("get", "get_get", "get_get_get")
    }
    assert rank("get_get", specs)[0] == "get_get"
    hosted: dict[str, ToolSpec] = {"web_search": Hosted(kind="web_search"), "...": Hosted(kind="mcp")}
    assert rank("...", hosted) == ["..."]
    assert rank("search provider", hosted) == ["web_search", "..."]


async def test_search_lists_names_with_one_line_each(ctx: ToolContext) -> None:
    text = await said(ctx, action="search", query="query")
    assert text.startswith("mcp__db__query: Run a statement. It cannot write. More.")
    assert text.endswith("...")
    assert len(text) == len("mcp__db__query: ") + 160


async def test_search_without_a_query_lists_all_by_name(ctx: ToolContext) -> None:
    lines = (await said(ctx, action="search")).split("\n")
    assert [line.split(":")[0] for line in lines] == sorted(DEFERRED)


async def test_long_lists_are_cut_with_a_count(ctx: ToolContext) -> None:
    many = {f"get_{number:02}": deferred_tool(f"get_{number:02}", Frozen, "Get it.") for number in range(60)}
    tool = tools_tool(lambda: many, RecordingCaller(ToolResult(call_id="c2", content=())))
    for query, count in (("get", 10), ("", 50)):
        (part,) = (await tool.run({"action": "search", "query": query}, ctx)).content
        assert isinstance(part, Text)
        lines = part.text.split("\n")
        assert len(lines) == count + 1
        assert lines[-1] == f"[{count} of 60; search with a query for the others]"


async def test_nothing_found_is_said(ctx: ToolContext) -> None:
    assert await said(ctx, action="search", query="weather") == "No tool matches; 4 can be reached."
    empty = tools_tool(dict, RecordingCaller(ToolResult(call_id="c2", content=())))
    assert await empty.run({"action": "search"}, ctx) == Outcome((Text(text="There are no more tools."),))


async def test_describe_gives_the_whole_description_and_the_arguments(ctx: ToolContext) -> None:
    spec = DEFERRED["mcp__db__query"].spec
    assert isinstance(spec, Function)
    assert json.loads(await said(ctx, action="describe", name="mcp__db__query")) == {
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
    }


@pytest.mark.parametrize("status", ["ok", "error", "denied", "interrupted"])
async def test_call_goes_through_the_caller_as_a_child(ctx: ToolContext, status: Any) -> None:
    result = ToolResult(
        call_id="c2",
        content=(Text(text="rows"),),
        status=status,
        details={"rows": 1},
        artifacts=(Artifact(path="/x"),),
    )
    caller = RecordingCaller(result)
    outcome = await ask(ctx, caller, action="call", name="mcp__db__query", arguments={"sql": "select 1"})
    assert caller.calls == [("mcp__db__query", {"sql": "select 1"}, ctx.call_id)]
    assert outcome == Outcome(result.content, status != "ok", {"rows": 1}, result.artifacts)


async def test_call_without_arguments_sends_an_empty_object(ctx: ToolContext) -> None:
    caller = RecordingCaller(ToolResult(call_id="c2", content=()))
    await ask(ctx, caller, action="call", name="lsp_rename")
    assert caller.calls == [("lsp_rename", {}, ctx.call_id)]


@pytest.mark.parametrize("action", ["describe", "call"])
async def test_a_name_that_is_not_there_is_told_with_what_is_near(ctx: ToolContext, action: str) -> None:
    with pytest.raises(ToolError, match=r"no tool 'lsp_renam' to reach from here; near names: lsp_rename$"):
        await ask(ctx, action=action, name="lsp_renam")
    with pytest.raises(
        ToolError, match=r"no tool 'shell' to reach from here; search finds the ones there are$"
    ):
        await ask(ctx, action=action, name="shell")


def test_the_dispatcher_itself_touches_nothing(ctx: ToolContext) -> None:
    tool = tools_tool(dict, RecordingCaller(ToolResult(call_id="c2", content=())))
    assert tool.access({"action": "search"}, ctx.sandbox.place) == Access(tool="tools", free=True)
