"""`python -m benchmarks.cache`: measure what sessions cost, and write that section of benchmarks/RESULTS.md."""

from __future__ import annotations

import sys

from benchmarks.cache.report import put, section

if __name__ == "__main__":
    lines = section()
    sys.stdout.write("\n".join(lines) + "\n")
    put(lines)
