"""Account names and how they nest."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("Assets", "Liabilities", "Equity", "Income", "Expenses")


@dataclass(frozen=True, order=True)
class Account:
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Account:
        """Read a name such as `Expenses:Food`. Raises ValueError."""
        parts = tuple(part.strip() for part in text.split(":"))
        if not all(parts):
            raise ValueError(f"an account name has an empty part: {text!r}")
        if parts[0] not in KINDS:
            raise ValueError(f"{parts[0]!r} is not one of {', '.join(KINDS)}")
        return cls(parts)

    @property
    def kind(self) -> str:
        return self.parts[0]

    @property
    def depth(self) -> int:
        return len(self.parts)

    @property
    def ancestors(self) -> list[Account]:
        """The accounts above this one, outermost first."""
        return [Account(self.parts[:length]) for length in range(1, self.depth)]

    def is_within(self, other: Account) -> bool:
        """This account is the other one or lies below it."""
        return self.parts[: other.depth] == other.parts

    def __str__(self) -> str:
        return ":".join(self.parts)
