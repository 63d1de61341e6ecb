"""Tools in a folder of their own, in the sandbox that confines nothing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from treadle.sandbox.contract import Place, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.local import local_processes
from treadle.sandbox.masks import Masks
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import Outcome, Text, Tool, ToolContext
from treadle.tools.jobs import Jobs


class FolderSpill:
    """Keeps long output in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, call_id: str) -> str:
        return str(self.folder / f"{call_id}.txt")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    return root


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def ctx(root: Path, reports: list[str]) -> ToolContext:
    async def report(text: str) -> None:
        reports.append(text)

    sandbox = Sandbox(
        Place(str(root), str(root)),
        HostFiles((str(root),), Masks()),
        local_processes({"PATH": os.defpath}),
        Profile(write_roots=(str(root),)),
    )
    return ToolContext("c1", sandbox, report)


@pytest.fixture
def spills(tmp_path: Path) -> Path:
    folder = tmp_path / "spills"
    folder.mkdir()
    return folder


@pytest.fixture
def jobs(spills: Path) -> Jobs:
    """The jobs of the session; commands run while the context is entered."""
    return Jobs(FolderSpill(spills))


@pytest.fixture
def tools(jobs: Jobs) -> dict[str, Tool]:
    return {tool.spec.name: tool for tool in builtin_tools(Seen(), jobs, None)}


@pytest.fixture
def run(tools: dict[str, Tool], ctx: ToolContext) -> Callable[..., Awaitable[Outcome]]:
    """Run one call of a tool by name."""

    async def run(name: str, /, **arguments: Any) -> Outcome:
        tools[name].access(arguments, ctx.sandbox.place)
        return await tools[name].run(arguments, ctx)

    return run


@pytest.fixture
def text(run: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[str]]:
    """Run one call and return the text that the model is shown."""

    async def text(name: str, /, **arguments: Any) -> str:
        outcome = await run(name, **arguments)
        assert isinstance(outcome.content[0], Text)
        return outcome.content[0].text

    return text
