"""The `skill` tool: loads the instructions for one kind of task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

SkillText: TypeAlias = Callable[[], Awaitable[str]]
"""Reads a skill. Raises `ToolError`."""


class SkillArguments(Frozen):
    name: str


def skill_tool(skills: Mapping[str, SkillText]) -> Tool:
    """Return the tool over skills by name. Loaded again, a skill is read anew."""

    async def run(arguments: SkillArguments, ctx: ToolContext) -> Outcome:
        text = skills.get(arguments.name)
        if text is None:
            raise ToolError(f"There is no skill named {arguments.name!r}. There are: {', '.join(skills)}.")
        return Outcome((Text(text=await text()),), details={"skill": arguments.name})

    return define("skill", SkillArguments, description=load("tools/skill"), access=_access, run=run)


def _access(arguments: SkillArguments, place: Place) -> Access:
    """Free: the user chose what is on offer, and nothing else can be read with it."""
    return Access(tool="skill", free=True)
