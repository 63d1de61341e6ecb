"""The page `docs/limits.md`, made of the table of limits: `cd tests && ../.venv/bin/python -m limits_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from treadle.agent.providers.limits import MEANINGS, ROWS, Row

PAGE: Final = Path(__file__).parents[1] / "docs" / "limits.md"
_HEAD: Final = """# Limits

This page is generated: `cd tests && ../.venv/bin/python -m limits_page`. A test fails when it is stale.

How much vendors take, and what becomes of it here:

- **enforced**: no request goes out above it. What is too big is made smaller first, rung by rung: pictures are scaled down,
  files go by id where the vendor keeps files, notes stand for the oldest media, long texts are kept in files, the
  conversation is compacted; and when nothing helps, the turn fails and names the part
- **warned**: it is said once in a session, and sent: another source says that the vendor takes more
- **not applicable**: of no use here, for the reason that is given

Where a vendor says nothing of how it counts, a megabyte is 1,000,000 bytes: the smaller reading holds. How many tokens a
model reads stands in the catalogue (`treadle models`); a request over it is not sent either.

Each figure that is enforced or warned can be replaced, for a vendor or for models:

```toml
[providers.openai.limits]
request_bytes = 50_000_000

[models."anthropic/claude-*".limits]
images = 20
```
"""


def page() -> str:
    """Return the whole page."""
    vendors = dict.fromkeys(row.vendor for row in ROWS)
    tables = (_table(vendor) for vendor in vendors)
    names = (f"| `{what}` | {unit or '-'} | {meaning} |" for what, (unit, meaning) in MEANINGS.items())
    words = "\n".join(("## Names", "", "| name | unit | what it limits |", "|---|---|---|", *names))
    return "\n".join((_HEAD, *tables, words, ""))


def _table(vendor: str) -> str:
    head = "| | limit | holds for | status | source | read |\n|---|---|---|---|---|---|"
    lines = (_line(row) for row in ROWS if row.vendor == vendor)
    return "\n".join((f"## {vendor.rstrip('*')}", "", head, *lines, ""))


def _line(row: Row) -> str:
    value = "-" if row.value is None else f"{row.value:,} {MEANINGS[row.what][0]}"
    status = row.status if not row.because else f"{row.status}: {row.because}"
    holds = ", ".join(_holds(row)) or "all"
    return f"| `{row.what}` | {value} | {holds} | {status} | {row.source} | {row.date} |"


def _holds(row: Row) -> Iterator[str]:
    if row.wire != "*":
        yield f"`{row.wire}`"
    if row.model != "*":
        yield f"`{row.model}`"
    if row.window_to is not None:
        yield f"windows up to {row.window_to:,} tokens"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
