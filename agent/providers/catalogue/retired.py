"""The day from which a vendor no longer serves a model, where it has said so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from typing import Final

_DAYS: Final[Mapping[str, date]] = {
    "openai/gpt-5": date(2026, 12, 11),
    "openai/gpt-5-mini": date(2026, 12, 11),
    "openai/gpt-5-nano": date(2026, 12, 11),
    "openai/gpt-5-pro": date(2026, 12, 11),
    "openai/o3": date(2026, 12, 11),
    "openai/o3-pro": date(2026, 12, 11),
    "openai/gpt-4.1-nano": date(2026, 10, 23),
    "openai/gpt-4.1*": date(2027, 1, 14),
    "openai/gpt-4o*": date(2027, 1, 14),
    "openai/gpt-5.1": date(2027, 4, 1),
    "openai/gpt-5.4-nano": date(2027, 4, 1),
    "openai/gpt-4": date(2026, 10, 23),
    "openai/gpt-4-*": date(2026, 10, 23),
    "openai/gpt-3.5-turbo*": date(2026, 10, 23),
    "openai/o[134]-mini": date(2026, 10, 23),
    "openai/o1": date(2026, 10, 23),
    "openai/codex-mini*": date(2026, 7, 23),
    "openai/*-search-preview*": date(2026, 7, 23),
    "openai/computer-use-preview*": date(2026, 7, 23),
}
"""By VENDOR/GLOB; the first that matches holds. As OpenAI announced them."""


def last_day(vendor: str, model: str) -> date | None:
    """Return the day from which a model is no longer served; None where none was announced."""
    name = f"{vendor}/{model.lower()}"
    return next((day for glob, day in _DAYS.items() if fnmatchcase(name, glob)), None)
