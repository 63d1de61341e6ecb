"""The report: a table, the machine, the imports, and what is to be said about them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.place import Place
from benchmarks.rows import Row

REMARKS = Path(__file__).with_name("remarks.md")
MOST_MODULES = 15


def report(
    rows: Sequence[Row], decoding: Sequence[str], imports: Sequence[tuple[str, float]], circumstances: str
) -> str:
    """Return the whole of RESULTS.md."""
    lines = [
        "# Results",
        "",
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {circumstances}",
        "",
        "| | bare httpx loop | treadle | goal | |",
        "|---|---|---|---|---|",
        *map(in_cells, rows),
        "",
        *decoding,
        "",
        "## Imports of a short run",
        "",
        f"By library, then the {MOST_MODULES} dearest modules, each by itself; `-X importtime`, the least of five runs, ms.",
        "",
        "| library | ms | | module | ms |",
        "|---|---|---|---|---|",
        *_imports(imports),
        "",
        REMARKS.read_text(encoding="utf-8").strip(),
        "",
    ]
    return "\n".join(lines)


def in_cells(row: Row) -> str:
    """Return a row as a line of a table."""
    floor = "none" if row.floor is None else f"{row.floor:,.{row.digits}f}"
    goal = "none" if row.goal is None else f"≤ {row.goal:,}"
    verdict = "" if row.goal is None else "met" if row.ours <= row.goal else "**not met**"
    return f"| {row.name} | {floor} | {row.ours:,.{row.digits}f} | {goal} | {verdict} |"


def _imports(imports: Sequence[tuple[str, float]]) -> list[str]:
    libraries: defaultdict[str, float] = defaultdict(float)
    for name, took in imports:
        top = name.partition(".")[0]
        ours = top == "treadle"
        libraries["treadle" if ours else top if top in _LIBRARIES else "standard library and the rest"] += (
            took
        )
    left = sorted(libraries.items(), key=lambda item: -item[1])[:MOST_MODULES]
    left += [("", 0.0)] * (MOST_MODULES - len(left))
    return [
        f"| {library} | {f'{cost:.1f}' if library else ''} | | `{name}` | {took:.1f} |"
        for (library, cost), (name, took) in zip(left, imports[:MOST_MODULES], strict=True)
    ]


_LIBRARIES = {
    *("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"),
    *("httpx", "httpcore", "h11", "idna", "certifi", "sniffio", "anyio", "asyncio", "click", "email"),
}


def machine(place: Place) -> str:
    """Name the machine and the interpreter."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), ""
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    version = subprocess.run(
        (place.python, "-V"), capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    return (
        f"{os.cpu_count()} cores of {model or platform.machine()}, {memory:.0f} GiB, "
        f"Linux {platform.release()}, {version} of the distribution."
    )
