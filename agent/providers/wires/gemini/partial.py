"""Arguments that come in fragments, each at a JSONPath, as Vertex streams them when it is asked to."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final, cast

from treadle.tools.contract import JsonObject

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_VALUES: Final = ("stringValue", "numberValue", "boolValue")
_MOST: Final = 10_000
"""The largest index of an array that is believed."""


def put(args: JsonObject, fragment: JsonObject) -> None:
    """Put a fragment where its path says; a text goes on where there is one.

    A path that cannot be followed is passed over: what the model wrote there is then missing, and the tool says so.
    """
    steps = _steps(str(fragment.get("jsonPath", "")))
    if not steps:
        return
    node: Any = args
    for step, after in pairwise(steps):
        node = _reached(node, step, [] if isinstance(after, int) else {})
    value: Any = next((fragment[name] for name in _VALUES if name in fragment), None)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    before = _reached(node, steps[-1], "")
    _set(node, steps[-1], before + value if isinstance(before, str) and isinstance(value, str) else value)


def _steps(path: str) -> list[str | int]:
    return [
        int(found[2]) if found[2] else str(found[1] or found[3] or found[4] or "")
        for found in _STEP.finditer(path)
    ]


def _reached(node: Any, step: str | int, empty: Any) -> Any:
    """Return what stands at a step, and where nothing does, put `empty` there."""
    if isinstance(node, dict) and isinstance(step, str):
        return cast("JsonObject", node).setdefault(step, empty)
    if isinstance(node, list) and isinstance(step, int) and step < _MOST:
        found = cast("list[Any]", node)
        found.extend([None] * (step + 1 - len(found)))
        if found[step] is None:
            found[step] = empty
        return found[step]
    return empty


def _set(node: Any, step: str | int, value: Any) -> None:
    """Put a value at a step that was reached."""
    if isinstance(node, dict):
        cast("JsonObject", node)[str(step)] = value
    elif isinstance(node, list) and isinstance(step, int) and step < _MOST:
        cast("list[Any]", node)[step] = value
