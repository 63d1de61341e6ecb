"""`python -m benchmarks [RUNS]`: measure every row and write benchmarks/RESULTS.md. Stops by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.cache.report import replaced
from benchmarks.cache.report import section as bills
from benchmarks.checkpoints import checkpoints
from benchmarks.decode import section, speeds
from benchmarks.place import prepared
from benchmarks.report import in_cells, machine, report
from benchmarks.rows import ROWS, Row, imports
from benchmarks.tools import tools

PYTHON = "/usr/bin/python3"
RESULTS = Path(__file__).with_name("RESULTS.md")


def main(runs: int) -> None:
    """Measure and write. A goal that is not met is said in the report, and is no error."""
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with prepared(PYTHON) as place:
        for measure in (*ROWS, checkpoints):
            for row in measure(place, runs):
                sys.stdout.write(f"{in_cells(row)}\n")
                sys.stdout.flush()
                rows.append(row)
        rows += tools(runs)
        circumstances = f"medians of {runs} runs. {machine(place)} Load when it began: {load:.1f}."
        text = report(rows, section(speeds()), imports(place), circumstances)
    RESULTS.write_text(replaced(text, bills()), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
