"""Conversations to compact, and notes that do or do not do."""

from __future__ import annotations

from datetime import UTC, datetime

from fakes import ORIGIN
from treadle.agent.events import Body, CallFinished, MessageAdded, Prefix, SessionOpened
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, CallPart, Usage, notice, user
from treadle.tools.contract import JsonObject, Status, Text, ToolCall, ToolResult

NOTE = """## Goal
Rename it.
## Constraints
"keep the API stable"
## Decisions
Names are lower case.
## Files
- `src/old.py:12`: the class
## Commands that work
- `pytest -q`: 12 passed
## Dead ends
none
## Next step
Rename the rest.
"""
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def replied(
    number: int, name: str = "shell", arguments: str = '{"command": "make test"}', usage: Usage | None = None
) -> AssistantMessage:
    """Return a reply that makes one call, c<number>."""
    call = CallPart(call=ToolCall(id=f"c{number}", name=name, arguments=arguments))
    return AssistantMessage(parts=(call,), origin=ORIGIN, stop="tool_use", usage=usage or Usage())


def answered(
    number: int, text: str = "exit 0", status: Status = "ok", details: JsonObject | None = None
) -> CallFinished:
    """Return the result of that call."""
    result = ToolResult(call_id=f"c{number}", content=(Text(text=text),), status=status, details=details)
    return CallFinished(result=result)


def log_of(*bodies: Body) -> SessionLog:
    """Return a log in which the user asked for something, and then this happened, each at noon."""
    log = SessionLog(None, lambda: NOON)
    log.append(
        SessionOpened(
            session="s", workspace="/w", model="script/script", prefix=Prefix(system=("S",), tools=())
        ),
        MessageAdded(message=notice("You are in /w.")),
        MessageAdded(message=user("Rename Old in src/old.py. But keep the API stable!")),
        *bodies,
    )
    return log


def steps(count: int, size: int = 4_000, tokens: int = 1_000) -> list[Body]:
    """Return so many steps whose results have so many characters; each prompt counts `tokens` more."""
    bodies: list[Body] = []
    for number in range(1, count + 1):
        usage = Usage(cache_read=2_000 + number * tokens, output=50)
        bodies += [MessageAdded(message=replied(number, usage=usage)), answered(number, "x" * size)]
    return bodies
