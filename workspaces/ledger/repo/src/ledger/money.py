"""Amounts of money in whole cents. See docs/amounts.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable

_AMOUNT = re.compile(r"(?P<sign>[-+]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<cents>\d{1,2}))?")


@dataclass(frozen=True, order=True)
class Money:
    cents: int = 0

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read an amount such as `-1,250.5`. Raises ValueError."""
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not an amount: {text!r}")
        whole = int(match["whole"].replace(",", ""))
        cents = int((match["cents"] or "").ljust(2, "0"))
        total = whole * 100 + cents
        return cls(-total if match["sign"] == "-" else total)

    @classmethod
    def sum(cls, amounts: Iterable[Money]) -> Money:
        return cls(sum(amount.cents for amount in amounts))

    def split(self, parts: int) -> list[Money]:
        """Share into `parts` amounts that differ by at most one cent; the first ones get the extra cents."""
        if parts < 1:
            raise ValueError("an amount is split into at least one part")
        share, rest = divmod(self.cents, parts)
        return [Money(share + (1 if index < rest else 0)) for index in range(parts)]

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + other.cents)

    def __sub__(self, other: Money) -> Money:
        return Money(self.cents - other.cents)

    def __neg__(self) -> Money:
        return Money(-self.cents)

    def __bool__(self) -> bool:
        return self.cents != 0

    def __str__(self) -> str:
        whole, cents = divmod(self.cents, 100)
        return f"{whole:,}.{cents:02d}"
