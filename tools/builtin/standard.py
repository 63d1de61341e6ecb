"""The built-in tools of a session, each of which is loaded by its first call."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.builtin.changes import Seen
from treadle.tools.contract import (
    Freeform,
    Function,
    Grammar,
    JsonObject,
    Outcome,
    Tool,
    ToolContext,
)
from treadle.tools.jobs import Jobs


def builtin_tools(seen: Seen, jobs: Jobs, ripgrep: str | None) -> tuple[Tool, ...]:
    """Return the tools that every session has; `dispatch.tools_tool` reaches what is beyond them.

    `ripgrep` is the absolute path of the program, from outside the workspace; None searches without it.
    """

    def edit() -> Tool:
        from treadle.tools.builtin.edit import edit_tool

        return edit_tool(seen)

    def glob() -> Tool:
        from treadle.tools.builtin.search import glob_tool

        return glob_tool(ripgrep)

    def grep() -> Tool:
        from treadle.tools.builtin.search import grep_tool

        return grep_tool(ripgrep)

    def job() -> Tool:
        from treadle.tools.builtin.job import job_tool

        return job_tool(jobs)

    def patch() -> Tool:
        from treadle.tools.builtin.patch import PatchTool

        return PatchTool(patch_spec, seen)

    def plan() -> Tool:
        from treadle.tools.builtin.plan import plan_tool

        return plan_tool()

    def read() -> Tool:
        from treadle.tools.builtin.read import read_tool

        return read_tool(seen)

    def shell() -> Tool:
        from treadle.tools.builtin.shell import shell_tool

        return shell_tool(jobs)

    def write() -> Tool:
        from treadle.tools.builtin.write import write_tool

        return write_tool(seen)

    here = files("treadle.tools.builtin")
    grammar = Grammar(syntax="lark", definition=here.joinpath("patch.lark").read_text("utf-8"))
    patch_spec = Freeform(name="patch", description=load("tools/patch"), grammar=grammar)
    parameters = json.loads(here.joinpath("parameters.json").read_text("utf-8"))
    makers = {
        "edit": edit,
        "glob": glob,
        "grep": grep,
        "job": job,
        "plan": plan,
        "read": read,
        "shell": shell,
        "write": write,
    }
    told = (
        Later(Function(name=name, description=load(f"tools/{name}"), parameters=parameters[name]), make)
        for name, make in makers.items()
    )
    return (*told, Later(patch_spec, patch))


class Later:
    """A tool that is known by its description and made by its first call.

    A start tells the model of all tools and calls none: their modules and argument models would take a twentieth of it.
    """

    def __init__(self, spec: Function | Freeform, make: Callable[[], Tool]) -> None:
        self._spec = spec
        self._make = make
        self._made: Tool | None = None

    @property
    def spec(self) -> Function | Freeform:
        return self._spec

    @property
    def made(self) -> Tool:
        """The tool itself."""
        self._made = self._made or self._make()
        return self._made

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return self.made.access(arguments, place)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        return await self.made.run(arguments, ctx)
