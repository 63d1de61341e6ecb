"""How a run ended: the result object that scripts read, and the exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from treadle.agent.events import (
    CallFinished,
    Entry,
    Event,
    MessageAdded,
    OutcomeName,
    PermissionResolved,
    TurnEnded,
)
from treadle.agent.frontends.items import usage_object
from treadle.agent.messages import AssistantMessage
from treadle.tools.contract import JsonObject

EXIT: dict[OutcomeName, int] = {"done": 0, "usage": 1, "failed": 2, "limit": 3, "denied": 5, "cancelled": 130}


NOTHING = TurnEnded(outcome="usage")


@dataclass(slots=True)
class Found:
    """What was met on the way."""

    message: str = ""
    """The last thing the model said."""
    denials: list[JsonObject] = field(default_factory=list[JsonObject])
    untrusted: list[str] = field(default_factory=list[str])
    artifacts: list[JsonObject] = field(default_factory=list[JsonObject])
    logprobs: list[JsonObject] = field(default_factory=list[JsonObject])


@dataclass(slots=True)
class Result:
    """What a run came to. Filled while it goes on; complete on every way out."""

    outcome: OutcomeName = "usage"
    exit_code: int = 1
    error: str | None = None
    """One line; None when nothing went wrong."""
    session_id: str | None = None
    log_head: str | None = None
    sandbox: str | None = None
    duration_ms: int = 0
    turn: TurnEnded = NOTHING
    """What the turn spent; nothing before it has ended."""
    found: Found = field(default_factory=Found)

    def end(self, outcome: OutcomeName, error: str | None = None, exit_code: int | None = None) -> Result:
        """Say how it ended. `exit_code` is the outcome's own when None."""
        self.outcome, self.error = outcome, error
        self.exit_code = EXIT[outcome] if exit_code is None else exit_code
        return self

    def see(self, event: Event) -> None:
        """Take note of what a session says."""
        found = self.found
        match event:
            case Entry(body=MessageAdded(message=AssistantMessage() as message, artifacts=artifacts)) if (
                message.state != "failed"
            ):
                found.artifacts += [artifact.model_dump() for artifact in artifacts]
                found.message = message.text or found.message
                found.logprobs = [
                    token.model_dump(mode="json") for token in message.logprobs
                ] or found.logprobs
            case Entry(
                body=PermissionResolved(granted=False, tool=tool, access=access, by=by, reason=reason)
            ):
                found.denials.append({"tool": tool, "access": access, "by": by, "reason": reason})
            case Entry(body=TurnEnded() as ended):
                self.turn = ended
            case Entry(body=CallFinished(result=result)):
                answer = (result.details or {}).get("answer")
                found.message = found.message if answer is None else json.dumps(answer, ensure_ascii=False)
                found.artifacts += [artifact.model_dump() for artifact in result.artifacts]
            case _:
                pass

    def as_object(self) -> JsonObject:
        """Return the result as scripts read it."""
        result: JsonObject = {
            "type": "result",
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "session_id": self.session_id,
            "log_head": self.log_head,
            "message": self.found.message,
            "steps": self.turn.steps,
            "tool_calls": self.turn.tool_calls,
            "duration_ms": self.duration_ms,
            "usage": usage_object(self.turn.usage),
            "cost_usd": self.turn.cost_usd,
            "request_bytes": self.turn.request_bytes,
            "sandbox": self.sandbox,
            "denials": self.found.denials,
            "untrusted": self.found.untrusted,
            "artifacts": self.found.artifacts,
        }
        optional = {"limit": self.turn.limit, "logprobs": self.found.logprobs or None, "error": self.error}
        return result | {name: value for name, value in optional.items() if value is not None}
