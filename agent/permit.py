"""Whether a call may run: what was decided, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from treadle.sandbox.contract import Access
from treadle.tools.contract import ToolCall

By: TypeAlias = Literal["rule", "mode", "user", "command", "headless"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call may run."""

    by: By
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The call must not run. The model is told the reason."""

    by: By
    reason: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """Rules and mode leave it to somebody who can be asked."""

    reason: str


class Permit(Protocol):
    """Decides about calls. `judge` at once from rules and mode; `ask` whoever there is to ask."""

    def judge(self, call: ToolCall, access: Access) -> Allowed | Refused | Unsure:
        """Decide from rules and mode alone."""
        ...

    async def ask(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        """Put the question that `judge` left open. Without anybody to ask the answer is no."""
        ...


def in_words(access: Access) -> str:
    """Return one line that says what a call would touch."""
    parts = [
        *(f"run: {line}" for line in access.runs),
        *(f"write: {path}" for path in access.writes),
        *(f"read: {path}" for path in access.reads),
        *(f"reach: {host}" for host in access.hosts),
    ]
    return f"{access.tool}({'; '.join(parts)})"
