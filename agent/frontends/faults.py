"""A fault of ours: one line for the user, the traceback in a file for whoever mends it."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path


def told_fault(error: Exception, state: Path) -> str:
    """Keep the traceback for a bug report and return one line for the user."""
    text = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = state / f"fault-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
        file.touch(mode=0o600)
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
    except OSError:
        return text
    return f"{text}; details are in {file}"
