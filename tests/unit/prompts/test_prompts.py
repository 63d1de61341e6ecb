from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from treadle import prompts
from treadle.prompts import load
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.dispatch import tools_tool
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import Function, JsonObject, ToolResult
from treadle.tools.jobs import Jobs

NAMES = sorted(
    [path.name.removesuffix(".md") for path in files(prompts).iterdir() if path.name.endswith(".md")]
    + [f"tools/{path.name.removesuffix('.md')}" for path in (files(prompts) / "tools").iterdir()]
)
VOLATILE = re.compile(
    r"20\d\d|(?<!\w)/(?:home|work|tmp|usr|root)\b|\b(?:claude|gpt|openai|anthropic|gemini|google|deepseek)\b",
    re.IGNORECASE,
)


class NoSpill:
    def path(self, call_id: str) -> str:
        raise NotImplementedError


class NoCaller:
    async def call(self, name: str, arguments: JsonObject, *, parent: str) -> ToolResult:
        raise NotImplementedError


def first_request() -> str:
    """Render what the model is told in the shape that Chat Completions has it."""
    tools = (*builtin_tools(Seen(), Jobs(NoSpill()), None), tools_tool(dict, NoCaller()))
    functions: list[JsonObject] = []
    for tool in tools:
        if not isinstance(tool.spec, Function):
            continue  # patch, which is there in place of edit
        parts = {
            "name": tool.spec.name,
            "description": tool.spec.description,
            "parameters": tool.spec.parameters,
        }
        functions.append({"type": "function", "function": parts})
    return json.dumps({"messages": [{"role": "system", "content": load("system")}], "tools": functions})


def test_what_a_model_is_told_first_is_small() -> None:
    assert len(load("system")) <= 2500
    assert len(first_request()) <= 8000


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert first_request() == first_request()


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_says_nothing_that_changes_or_depends_on_the_place(name: str) -> None:
    text = (files(prompts).joinpath(*f"{name}.md".split("/"))).read_text(encoding="utf-8")
    assert text.strip()
    assert text.isascii()
    assert not VOLATILE.search(text)


def test_every_tool_has_its_own_description() -> None:
    tools = (*builtin_tools(Seen(), Jobs(NoSpill()), None), tools_tool(dict, NoCaller()))
    described = {f"tools/{tool.spec.name}" for tool in tools}
    assert described <= set(NAMES)


def test_a_value_that_a_prompt_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match=r"prompt system takes \[\], was given \['date'\]"):
        load("system", date="today")


def test_a_missing_prompt_is_a_bug_that_shows() -> None:
    with pytest.raises(FileNotFoundError):
        load("tools/none")
