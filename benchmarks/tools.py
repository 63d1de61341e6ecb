"""`python -m benchmarks.tools`: how long the file and search tools take, beside ripgrep alone where it does the same."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio

from benchmarks.report import in_cells
from benchmarks.rows import Row
from treadle.sandbox.contract import Place, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.local import local_processes
from treadle.sandbox.masks import Masks
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.edit import edit_tool
from treadle.tools.builtin.read import read_tool
from treadle.tools.builtin.search import glob_tool, grep_tool
from treadle.tools.contract import JsonObject, Tool, ToolContext

FOLDERS, FILES = 1_000, 100
"""Of the tree that is searched, and in each folder."""
TIMES = 1.3
"""How many times as long as ripgrep alone a search may take."""


async def _silent(text: str) -> None:
    """Show no progress."""


def _context(root: Path) -> ToolContext:
    sandbox = Sandbox(
        Place(str(root), str(root)),
        HostFiles((str(root),), Masks()),
        local_processes({"PATH": "/usr/bin:/bin"}),
        Profile(write_roots=(str(root),)),
    )
    return ToolContext("bench", sandbox, _silent)


async def _took(runs: int, *works: Callable[[int], Awaitable[object]]) -> list[float]:
    """Return the median of some runs of each in ms, by turns, after one that fills the caches."""
    times: list[list[float]] = [[] for _ in works]
    for run in range(runs + 1):
        for work, its in zip(works, times, strict=True):
            began = perf_counter()
            await work(run)
            its.append((perf_counter() - began) * 1e3)
    return [median(its[1:]) for its in times]


async def _files(root: Path, runs: int) -> list[Row]:
    ctx = _context(root)
    lines = [f"    value_{number} = compute({number}, 'some text')" for number in range(20_000)]
    (root / "big.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "long.log").write_bytes(b"2026-01-01T00:00:00 something happened somewhere\n" * 1_070_000)
    edit, read = edit_tool(Seen()), read_tool(Seen())

    async def edited(run: int) -> object:
        old, new = ("compute(1500,", "changed(1500,") if run % 2 == 0 else ("changed(1500,", "compute(1500,")
        return await edit.run({"path": "big.py", "edits": [{"old": old, "new": new}]}, ctx)

    async def paged(run: int) -> object:
        return await read.run({"path": "long.log", "offset": run + 1}, ctx)

    edits, pages = await _took(runs, edited, paged)
    size = (root / "big.py").stat().st_size / 2**20
    return [
        Row(f"edit in a file of {size:.1f} MiB, ms", None, edits, 5, 1),
        Row("first page of a file of 50 MiB, ms", None, pages, 20, 1),
    ]


def _tree(root: Path) -> None:
    for folder in range(FOLDERS):
        (root / f"d{folder:03}").mkdir()
        for file in range(FILES):
            text = f"def f{file}():\n    return {folder * FILES + file}\n" + (
                "# needle\n" if file == 50 else ""
            )
            (root / f"d{folder:03}" / f"m{file:02}.py").write_text(text, encoding="utf-8")


async def _searches(root: Path, ripgrep: str, runs: int) -> list[Row]:
    _tree(root)
    ctx = _context(root)

    def bare(*argv: str) -> Callable[[int], Awaitable[object]]:
        async def run(_: int) -> object:
            return await anyio.run_process((ripgrep, *argv), cwd=root)

        return run

    def ours(tool: Tool, arguments: JsonObject) -> Callable[[int], Awaitable[object]]:
        async def run(_: int) -> object:
            return await tool.run(arguments, ctx)

        return run

    rows: list[Row] = []
    pairs: Sequence[tuple[str, tuple[str, ...], Tool, JsonObject]] = (
        ("grep", ("needle",), grep_tool(ripgrep), {"pattern": "needle", "output": "content"}),
        ("glob", ("--files", "--glob=**/m50.py"), glob_tool(ripgrep), {"pattern": "**/m50.py"}),
    )
    for name, argv, tool, arguments in pairs:
        floor, took = await _took(runs, bare(*argv), ours(tool, arguments))
        rows.append(
            Row(f"{name} in 100,000 files, beside ripgrep alone, ms", floor, took, round(floor * TIMES))
        )
    return rows


async def _measured(runs: int) -> list[Row]:
    with TemporaryDirectory(prefix="treadle-bench-") as folder:
        rows = await _files(Path(folder), runs)
    ripgrep = which("rg")
    if ripgrep is not None:
        with TemporaryDirectory(prefix="treadle-bench-") as folder:
            rows += await _searches(Path(folder), ripgrep, runs)
    return rows


def tools(runs: int) -> list[Row]:
    """Measure them. Without ripgrep there is nothing to hold the searches against."""
    return anyio.run(_measured, runs)


if __name__ == "__main__":
    for row in tools(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        sys.stdout.write(f"{in_cells(row)}\n")
