from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from treadle.tools.contract import Outcome, ToolError

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[3] / "data/edits"
CASES: list[dict[str, Any]] = [
    json.loads(line)
    for file in sorted(DATA.glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]


def content(told: str | dict[str, Any]) -> bytes:
    """Return the bytes of a file: UTF-8 text, text in another encoding, hexadecimal, or many numbered lines."""
    match told:
        case str():
            return told.encode()
        case {"bytes": str(digits)}:
            return bytes.fromhex(digits)
        case {"lines": int(count), "line": str(line), "end": str(end), "change": list()}:
            changed: dict[int, str] = dict(told["change"])
            return "".join(
                changed.get(n, line.replace("{n}", str(n))) + end for n in range(1, count + 1)
            ).encode()
        case _:
            return told["text"].encode(told.get("codec", "utf-8"))


def mode(told: str | dict[str, Any]) -> int:
    return int(told.get("mode", "644"), 8) if isinstance(told, dict) else 0o644


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o7777)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_there_are_enough_cases() -> None:
    assert len(CASES) == len({case["id"] for case in CASES}) >= 300


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_an_edit_or_a_patch_does_what_its_format_says(
    case: dict[str, Any], run: Callable[..., Awaitable[Outcome]], root: Path
) -> None:
    for name, told in case["tree"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(told))
        path.chmod(mode(told))
    before = tree(root)
    with anyio.fail_after(5):
        if "error" in case:
            with pytest.raises(ToolError) as caught:
                await run(case["tool"], **case["call"])
            assert case["error"] in str(caught.value)
            assert tree(root) == before
            assert [path.name for path in root.parent.iterdir()].count("out") == 0
        else:
            await run(case["tool"], **case["call"])
            assert tree(root) == {name: (content(told), mode(told)) for name, told in case["after"].items()}
