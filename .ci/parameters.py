"""What a model is told of the built-in tools' arguments: write it anew, for a start that loads no tool (decision 0021)."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import gettempdir

from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.standard import Later, builtin_tools
from treadle.tools.contract import Function
from treadle.tools.jobs import Jobs


class _Anywhere:
    def path(self, call_id: str) -> str:
        return f"{gettempdir()}/{call_id}"


if __name__ == "__main__":
    made = [
        tool.made.spec for tool in builtin_tools(Seen(), Jobs(_Anywhere()), None) if isinstance(tool, Later)
    ]
    found = {spec.name: spec.parameters for spec in made if isinstance(spec, Function)}
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    file = Path(__file__).parents[1] / "tools/builtin/parameters.json"
    file.write_text(text, encoding="utf-8")
