from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from treadle.sandbox.contract import Access
from treadle.tools.contract import Outcome, Text, Tool, ToolContext

pytestmark = pytest.mark.anyio


async def test_a_plan_is_confirmed_and_given_to_frontends(run: Callable[..., Awaitable[Outcome]]) -> None:
    items = [{"step": "look", "status": "done"}, {"step": "fix", "status": "active"}]
    assert await run("plan", items=items) == Outcome(
        (Text(text="Plan noted: 1 done, 1 active, 0 pending."),), details={"items": items}
    )


def test_a_plan_touches_nothing(tools: dict[str, Tool], ctx: ToolContext) -> None:
    assert tools["plan"].access({"items": []}, ctx.sandbox.place) == Access(tool="plan", free=True)
