from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.standard import Later, builtin_tools
from treadle.tools.contract import Function
from treadle.tools.jobs import Jobs

PARAMETERS = Path(__file__).parents[4] / "tools/builtin/parameters.json"


class NoSpill:
    def path(self, call_id: str) -> str:
        raise AssertionError(call_id)


def later() -> list[Later]:
    tools = builtin_tools(Seen(), Jobs(NoSpill()), None)
    return [tool for tool in tools if isinstance(tool, Later)]


def test_what_is_told_of_a_tool_before_it_is_loaded_is_what_it_says_itself() -> None:
    made = {tool.spec.name: tool.made.spec for tool in later()}
    parameters = {name: spec.parameters for name, spec in made.items() if isinstance(spec, Function)}
    fresh = json.dumps(parameters, ensure_ascii=False, indent=1) + "\n"
    assert PARAMETERS.read_text(encoding="utf-8") == fresh, "`make fmt` writes it anew"
    assert made == {tool.spec.name: tool.spec for tool in later()}


def test_a_tool_is_made_once() -> None:
    tool = later()[0]
    assert tool.made is tool.made


def test_no_tool_is_loaded_before_it_is_called() -> None:
    ask = (
        "import sys; from treadle.tools.builtin.standard import builtin_tools; builtin_tools(None, None, None);"
        "print({'edit', 'plan', 'read', 'search', 'shell', 'write'}"
        " & {name.rpartition('.')[2] for name in sys.modules if name.startswith('treadle.tools.builtin.')})"
    )
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert told == "set()\n"
