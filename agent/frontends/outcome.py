"""How a run ended: the result object that scripts read, and the exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from treadle.agent.events import (
    CallFinished,
    Entry,
    Event,
    LimitName,
    MessageAdded,
    OutcomeName,
    PermissionResolved,
)
from treadle.agent.frontends.items import usage_object
from treadle.agent.messages import AssistantMessage, Usage
from treadle.tools.contract import JsonObject

EXIT: dict[OutcomeName, int] = {"done": 0, "usage": 1, "failed": 2, "limit": 3, "denied": 5, "cancelled": 130}


@dataclass(slots=True)
class Result:
    """What a run came to. Filled while it goes on; complete on every way out."""

    outcome: OutcomeName = "usage"
    exit_code: int = 1
    error: str | None = None
    """One line; None when nothing went wrong."""
    limit: LimitName | None = None
    session_id: str | None = None
    log_head: str | None = None
    message: str = ""
    """The last thing the model said."""
    steps: int = 0
    tool_calls: int = 0
    duration_ms: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    request_bytes: int = 0
    sandbox: str | None = None
    denials: list[JsonObject] = field(default_factory=list[JsonObject])
    untrusted: list[str] = field(default_factory=list[str])
    artifacts: list[JsonObject] = field(default_factory=list[JsonObject])
    logprobs: list[JsonObject] = field(default_factory=list[JsonObject])

    def end(self, outcome: OutcomeName, error: str | None = None, exit_code: int | None = None) -> Result:
        """Say how it ended. `exit_code` is the outcome's own when None."""
        self.outcome, self.error = outcome, error
        self.exit_code = EXIT[outcome] if exit_code is None else exit_code
        return self

    def see(self, event: Event) -> None:
        """Take note of what a session says."""
        match event:
            case Entry(body=MessageAdded(message=AssistantMessage() as message)) if message.state != "failed":
                self.message = message.text or self.message
                self.logprobs = [token.model_dump() for token in message.logprobs] or self.logprobs
            case Entry(
                body=PermissionResolved(granted=False, tool=tool, access=access, by=by, reason=reason)
            ):
                self.denials.append({"tool": tool, "access": access, "by": by, "reason": reason})
            case Entry(body=CallFinished(result=result)):
                answer = (result.details or {}).get("answer")
                self.message = self.message if answer is None else json.dumps(answer, ensure_ascii=False)
                self.artifacts += [artifact.model_dump() for artifact in result.artifacts]
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
            "message": self.message,
            "steps": self.steps,
            "tool_calls": self.tool_calls,
            "duration_ms": self.duration_ms,
            "usage": usage_object(self.usage),
            "cost_usd": self.cost_usd,
            "request_bytes": self.request_bytes,
            "sandbox": self.sandbox,
            "denials": self.denials,
            "untrusted": self.untrusted,
            "artifacts": self.artifacts,
        }
        optional = {"limit": self.limit, "logprobs": self.logprobs or None, "error": self.error}
        return result | {name: value for name, value in optional.items() if value is not None}
