"""Whether a call may run: what was decided, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import anyio

from treadle.agent.settings import Mode
from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import resolve
from treadle.sandbox.policy import decide
from treadle.sandbox.rules import Rule
from treadle.tools.contract import ToolCall

By: TypeAlias = Literal["rule", "mode", "user", "command", "headless"]


@frozen
class Allowed:
    """The call may run."""

    by: By
    reason: str = ""
    grant: tuple[str, ...] = ()
    """Files that it may write, as the links led when it was judged; what an asker leaves out, the question holds."""


@frozen
class Refused:
    """The call must not run. The model is told the reason."""

    by: By
    reason: str


@frozen
class Unsure:
    """Rules and mode leave it to somebody who can be asked."""

    reason: str
    grant: tuple[str, ...] = ()
    """Files that the call may write when it is allowed."""


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


class Asker(Protocol):
    """Puts a question to somebody: a person at a terminal, a program, an editor, or nobody."""

    async def __call__(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused: ...


async def nobody(call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
    """Answer for a run that nobody watches."""
    return Refused("headless", f"{reason}. Nobody can be asked in this run, so the call was not made.")


class Gate:
    """A permit by the user's rules and the session's mode. What they leave open is asked, one question at a time."""

    def __init__(
        self, rules: Sequence[Rule], mode: Mode, contained: bool, place: Place, asker: Asker
    ) -> None:
        self.mode: Mode = mode
        self._rules = tuple(rules)
        self._contained = contained
        self._place = place
        self._asker = asker
        self._one_at_a_time = anyio.Lock()

    def judge(self, call: ToolCall, access: Access) -> Allowed | Refused | Unsure:
        """Decide from rules and mode alone."""
        judged = resolve(access)
        decision = decide(judged, self._rules, self.mode, self._contained, self._place)
        by: By = "rule" if decision.rule else "mode"
        if decision.verdict == "ask":
            return Unsure(decision.reason, judged.writes)
        if decision.verdict == "allow":
            return Allowed(by, decision.reason, judged.writes)
        return Refused(by, decision.reason)

    async def ask(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        """Put the question that `judge` left open."""
        async with self._one_at_a_time:
            return await self._asker(call, access, reason)
