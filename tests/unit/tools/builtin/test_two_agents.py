from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.edit import edit_tool
from treadle.tools.builtin.patch import PatchTool
from treadle.tools.builtin.read import read_tool
from treadle.tools.builtin.write import write_tool
from treadle.tools.contract import Freeform, Outcome, Text, Tool, ToolContext, ToolError

pytestmark = pytest.mark.anyio


def tools_of(seen: Seen) -> dict[str, Tool]:
    patch = PatchTool(Freeform(name="patch", description=""), seen)
    return {tool.spec.name: tool for tool in (edit_tool(seen), patch, read_tool(seen), write_tool(seen))}


class Agent:
    """One of two that work on the same file and each add marks of their own."""

    def __init__(self, name: str, ctx: ToolContext, rng: random.Random) -> None:
        self.name = name
        self.marks: list[str] = []
        """Those that it was told are written."""
        self._ctx = ctx
        self._rng = rng
        self._known = self._meant = ""
        self._tools = tools_of(Seen())

    async def look(self) -> None:
        outcome = await self._tools["read"].run({"path": "f"}, self._ctx)
        assert isinstance(outcome.content[0], Text)
        self._known = "".join(
            line.partition("\t")[2] + "\n" for line in outcome.content[0].text.split("\n") if "\t" in line
        )

    async def act(self) -> None:
        """Add a mark to what it last saw, which may long be different."""
        mark = f"{self.name}{self._rng.randrange(10**9)}"
        way = self._rng.choice([self._edited, self._patched, self._written])
        try:
            await way(mark)
        except ToolError:
            await self.look()
        else:
            self.marks.append(mark)
            self._known = self._meant

    async def tries(self, tool: str, arguments: dict[str, Any]) -> bool:
        try:
            await self._tools[tool].run(arguments, self._ctx)
        except ToolError:
            return False
        return True

    def _pick(self, mark: str) -> str:
        """Choose a line to put a mark behind."""
        line = self._rng.choice(self._known.splitlines())
        self._meant = self._known.replace(f"{line}\n", f"{line}\n{mark}\n", 1)
        return line

    async def _edited(self, mark: str) -> Outcome:
        line = self._pick(mark)
        edit = {"old": f"{line}\n", "new": f"{line}\n{mark}\n"}
        return await self._tools["edit"].run({"path": "f", "edits": [edit]}, self._ctx)

    async def _patched(self, mark: str) -> Outcome:
        text = f"*** Begin Patch\n*** Update File: f\n {self._pick(mark)}\n+{mark}\n*** End Patch"
        return await self._tools["patch"].run({"input": text}, self._ctx)

    async def _written(self, mark: str) -> Outcome:
        self._meant = f"{self._known}{mark}\n"
        return await self._tools["write"].run({"path": "f", "content": self._meant}, self._ctx)


async def works(root: Path, ctx: ToolContext, seed: int) -> tuple[int, int]:
    """Let two agents take turns in a random order; return how much was written and how much was not."""
    rng = random.Random(seed)
    (root / "f").write_text("one\ntwo\nthree\n", encoding="utf-8")
    agents = [Agent("a", ctx, rng), Agent("b", ctx, rng)]
    for agent in agents:
        await agent.look()
    acts = 0
    for _ in range(12):
        agent = rng.choice(agents)
        if rng.random() < 0.3:
            await agent.look()
        else:
            acts += 1
            await agent.act()
    lines = (root / "f").read_text(encoding="utf-8").splitlines()
    written = [mark for agent in agents for mark in agent.marks]
    assert sorted(lines) == sorted(["one", "two", "three", *written])
    return len(written), acts - len(written)


async def test_two_agents_lose_nothing_of_each_other_in_200_orders(root: Path, ctx: ToolContext) -> None:
    written = refused = 0
    with anyio.fail_after(30):
        for seed in range(200):
            done, not_done = await works(root, ctx, seed)
            written, refused = written + done, refused + not_done
    assert min(written, refused) > 100


async def test_two_agents_at_once_lose_nothing_of_each_other(root: Path, ctx: ToolContext) -> None:
    (root / "f").write_text(
        "one\ntwo\nthree\n" + "x" * 300_000 + "\n", encoding="utf-8"
    )  # long: work in threads
    agents = [Agent(name, ctx, random.Random(name)) for name in "ab"]

    async def work(agent: Agent) -> None:
        for number in range(10):
            await write(agent, number)

    async def write(agent: Agent, number: int) -> None:
        tool, mark = ("edit", "patch")[number % 2], f"{agent.name}{number}"
        calls: dict[str, dict[str, Any]] = {
            "edit": {"path": "f", "edits": [{"old": "one\n", "new": f"one\n{mark}\n"}]},
            "patch": {"input": f"*** Begin Patch\n*** Update File: f\n two\n+{mark}\n*** End Patch"},
        }
        if await agent.tries(tool, calls[tool]):
            agent.marks.append(mark)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for agent in agents:
                group.start_soon(work, agent)
    lines = (root / "f").read_text(encoding="utf-8").splitlines()
    written = [mark for agent in agents for mark in agent.marks]
    assert sorted(line for line in lines if len(line) < 1000) == sorted(["one", "two", "three", *written])
    assert len(written) >= 10
