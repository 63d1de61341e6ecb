"""The built-in tools of a session."""

from __future__ import annotations

from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.edit import edit_tool
from treadle.tools.builtin.plan import plan_tool
from treadle.tools.builtin.read import read_tool
from treadle.tools.builtin.search import glob_tool, grep_tool
from treadle.tools.builtin.shell import shell_tool
from treadle.tools.builtin.write import write_tool
from treadle.tools.contract import Spill, Tool


def builtin_tools(seen: Seen, spill: Spill, ripgrep: str | None) -> tuple[Tool, ...]:
    """Return the tools that every session has; `dispatch.tools_tool` reaches what is beyond them.

    `ripgrep` is the absolute path of the program, from outside the workspace; None searches without it.
    """
    return (
        edit_tool(seen),
        glob_tool(ripgrep),
        grep_tool(ripgrep),
        plan_tool(),
        read_tool(seen),
        shell_tool(spill),
        write_tool(seen),
    )
