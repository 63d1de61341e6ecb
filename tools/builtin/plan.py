"""The `plan` tool: the steps of the work, for the user to follow."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext
from treadle.tools.define import define


class Item(Frozen):
    step: str
    status: Literal["pending", "active", "done"]


class PlanArguments(Frozen):
    items: tuple[Item, ...]


def plan_tool() -> Tool:
    """Return the tool. It keeps nothing: the log has the plan, in `details`."""
    return define("plan", PlanArguments, description=load("tools/plan"), access=_access, run=_run)


def _access(arguments: PlanArguments, place: Place) -> Access:
    return Access(tool="plan", free=True)


async def _run(arguments: PlanArguments, ctx: ToolContext) -> Outcome:
    count = Counter(item.status for item in arguments.items)
    text = f"Plan noted: {count['done']} done, {count['active']} active, {count['pending']} pending."
    return Outcome((Text(text=text),), details={"items": [item.model_dump() for item in arguments.items]})
