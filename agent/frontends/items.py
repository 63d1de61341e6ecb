"""Events as the lines of `--output stream-json`: plain objects, one an event, the same for every frontend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import assert_never, cast

from treadle.agent.arguments import parse_arguments
from treadle.agent.events import (
    Body,
    CallDelta,
    CallFinished,
    CallProgress,
    CallStarted,
    Compacted,
    Entry,
    Event,
    HostedDelta,
    MessageAdded,
    Noted,
    PermissionAsked,
    PermissionResolved,
    ReasoningDelta,
    RetryScheduled,
    StepStarted,
    TextDelta,
    TurnEnded,
)
from treadle.agent.messages import (
    AssistantMessage,
    HostedCallPart,
    HostedResultPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Usage,
)
from treadle.tools.contract import (
    Content,
    Json,
    JsonObject,
    Media,
    Resource,
    Text,
    ToolCall,
    ToolError,
    ToolRef,
    ToolResult,
    as_object,
)


def usage_object(usage: Usage) -> JsonObject:
    """Return token counts under the names that scripts rely on."""
    return {
        "input_tokens": usage.input_total,
        "cached_input_tokens": usage.cache_read,
        "cache_write_input_tokens": usage.cache_write.total,
        "output_tokens": usage.output,
        "reasoning_output_tokens": usage.reasoning,
    }


def plain(content: tuple[Content, ...]) -> str:
    """Return what a tool said as text for people."""
    return "\n".join(_plain(part) for part in content)


def _plain(part: Content) -> str:
    match part:
        case Text(text=text):
            return text
        case Media(kind=kind, mime=mime, filename=filename):
            return f"[{kind} {filename or mime}]"
        case Json(value=value):
            return json.dumps(value, ensure_ascii=False)
        case Resource(uri=uri, text=text):
            return text if text is not None else f"[{uri}]"
        case ToolRef(name=name):
            return f"[tool {name}]"
        case _:
            assert_never(part)


def remark(event: RetryScheduled | Noted) -> str:
    """Return what the user should know, on one line."""
    match event:
        case Noted(text=text):
            return text
        case RetryScheduled(reason=reason, seconds=seconds, attempt=attempt):
            return f"{reason} (attempt {attempt}; again in {seconds:.1f} s)"


class Items:
    """Turns the events of one session into lines. Remembers which item a call became."""

    def __init__(self) -> None:
        self._count = 0
        self._calls: dict[str, tuple[str, ToolCall]] = {}

    def of(self, event: Event) -> list[JsonObject]:
        """Return the lines for one event: often none."""
        match event:
            case Entry(body=body):
                return self._entry(body)
            case CallProgress(call_id=call_id, text=text) if call_id in self._calls:
                name, call = self._calls[call_id]
                return [_line("item.updated", _call_item(name, call, None) | {"output": text})]
            case RetryScheduled() | Noted():
                return [self._completed("error", message=remark(event))]
            case TextDelta() | ReasoningDelta() | CallDelta() | HostedDelta():
                return []
            case CallProgress() | PermissionAsked() | StepStarted():
                return []
            case _:
                assert_never(event)

    def _entry(self, body: Body) -> list[JsonObject]:
        lines: list[JsonObject] = []
        match body:
            case MessageAdded(message=AssistantMessage() as message):
                lines = self._reply(message)
            case CallStarted(call=call):
                lines = [_line("item.started", _call_item(self._item_of(call), call, None))]
            case CallFinished(result=result):
                lines = self._finished(result)
            case PermissionResolved(tool=tool, access=access, granted=granted, reason=reason):
                decision = "allow" if granted else "deny"
                fields = {"tool": tool, "access": access, "decision": decision, "reason": reason}
                lines = [self._completed("permission", **fields)]
            case Compacted(summary=summary, usage=usage, cost_usd=cost):
                billed = {"usage": usage_object(usage), "cost_usd": cost}
                lines = [self._completed("compaction", summary=summary, **billed)]
            case TurnEnded():
                lines = [_turn_line(body)]
            case _:
                pass
        return lines

    def _reply(self, message: AssistantMessage) -> list[JsonObject]:
        lines: list[JsonObject] = []
        for part in message.parts:
            match part:
                case TextPart(text=text) | RefusalPart(text=text) if text:
                    odds = {"logprobs": [token.model_dump(mode="json") for token in message.logprobs]}
                    said = odds if message.logprobs else {}
                    lines.append(self._completed("agent_message", text=text, state=message.state, **said))
                case ReasoningPart(text=text, summary=summary) if text or summary:
                    lines.append(self._completed("reasoning", text=text or "\n".join(summary)))
                case HostedCallPart():
                    lines.append(self._hosted(part, message))
                case _:
                    pass
        self._calls.update({call.id: (self._next(), call) for call in message.calls})
        return lines

    def _hosted(self, part: HostedCallPart, message: AssistantMessage) -> JsonObject:
        """Return the line for what the provider ran, with what it told of the outcome."""
        results = [
            each for each in message.parts if isinstance(each, HostedResultPart) and each.call_id == part.id
        ]
        status = "failed" if any(each.is_error for each in results) else "completed"
        fields = {"status": status, "arguments": part.arguments}
        output = "\n".join(plain(each.content) for each in results)
        if part.kind == "web_search":
            sources = [url for each in results for url in _sources(each.content)]
            return self._completed("web_search", query=_query(part.arguments), sources=sources, **fields)
        return self._completed("tool_call", name=part.kind, **fields, output=output)

    def _finished(self, result: ToolResult) -> list[JsonObject]:
        if result.call_id not in self._calls:
            return []
        name, call = self._calls.pop(result.call_id)
        return [_line("item.completed", _call_item(name, call, result))]

    def _item_of(self, call: ToolCall) -> str:
        if call.id not in self._calls:
            self._calls[call.id] = (self._next(), call)
        return self._calls[call.id][0]

    def _completed(self, kind: str, **fields: object) -> JsonObject:
        return _line("item.completed", {"id": self._next(), "type": kind, **fields})

    def _next(self) -> str:
        self._count += 1
        return f"item_{self._count - 1}"


def _query(arguments: str) -> str:
    """Return what was searched for; empty where that is not told."""
    try:
        asked = as_object(json.loads(arguments)) or {}
    except ValueError:
        return ""
    return str(asked.get("query") or " · ".join(map(str, asked.get("queries") or ())))


def _sources(content: tuple[Content, ...]) -> Iterator[str]:
    """Yield the addresses of what was found."""
    for part in content:
        match part:
            case Resource(uri=uri):
                yield uri
            case Json(value=list()):
                told = (as_object(each) or {} for each in cast("list[object]", part.value))
                yield from (str(each["url"]) for each in told if each.get("url"))
            case _:
                pass


def _line(kind: str, item: JsonObject) -> JsonObject:
    return {"type": kind, "item": item}


def _turn_line(ended: TurnEnded) -> JsonObject:
    if ended.error is not None:
        return {"type": "turn.failed", "error": {"message": ended.error}}
    return {
        "type": "turn.completed",
        "usage": usage_object(ended.usage),
        "cost_usd": ended.cost_usd,
    }


def _call_item(name: str, call: ToolCall, result: ToolResult | None) -> JsonObject:
    """Return the item that a call is shown as. None: it is still running."""
    status = "in_progress" if result is None else "completed" if result.status == "ok" else "failed"
    if result is not None and result.status == "denied":
        status = "denied"
    details: JsonObject = (result.details if result is not None else None) or {}
    output = plain(result.content) if result is not None else ""
    item: JsonObject = {"id": name, "type": "tool_call", "status": status}
    match call.name:
        case "shell":
            command = details.get("command") or told_arguments(call).get("command", "")
            item |= {"type": "command_execution", "command": command}
            return item | {"exit_code": details.get("exit_code"), "output": output}
        case "write" | "edit" | "patch":
            changes = details.get("changes") or [
                {"path": str(told_arguments(call).get("path", "")), "kind": "update"}
            ]
            return item | {"type": "file_change", "changes": changes, "output": output}
        case "plan":
            return item | {"type": "todo_list", "items": details.get("items", [])}
        case _:
            return item | {"name": call.name, "arguments": call.arguments, "output": output}


def told_arguments(call: ToolCall) -> JsonObject:
    """Return the arguments for showing; nothing when they are no object."""
    try:
        return parse_arguments(call)
    except ToolError:
        return {}
