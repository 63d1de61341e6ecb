"""What a call came to, as the result that its model is sent."""

from __future__ import annotations

from treadle.sandbox.contract import SandboxError
from treadle.tools.contract import Outcome, Status, Text, ToolCall, ToolError, ToolResult


def told(call: ToolCall, outcome: Outcome) -> ToolResult:
    """Return what a tool gave."""
    return ToolResult(
        call_id=call.id,
        content=outcome.content,
        status="error" if outcome.is_error else "ok",
        details=outcome.details,
        artifacts=outcome.artifacts,
    )


def failed(call: ToolCall, error: ToolError | SandboxError | OSError) -> ToolResult:
    """Return what went wrong, for the model to learn from."""
    details = error.details if isinstance(error, ToolError) else None
    return ToolResult(call_id=call.id, content=(Text(text=str(error)),), status="error", details=details)


def result(call: ToolCall, text: str, status: Status) -> ToolResult:
    """Return a few words instead of what a tool would have given."""
    return ToolResult(call_id=call.id, content=(Text(text=text),), status=status)
