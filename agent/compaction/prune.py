"""Old tool results give way to a line each, when what a provider had cached is lost anyway."""

from __future__ import annotations

from datetime import datetime

from treadle.agent.compaction.note import described
from treadle.agent.compaction.size import tokens
from treadle.agent.conversation import Conversation
from treadle.agent.events import HistoryRepaired
from treadle.agent.messages import AssistantMessage, Message, ReasoningPart, ToolMessage
from treadle.agent.providers.contract import ModelInfo
from treadle.prompts import load
from treadle.tools.contract import Text, ToolCall, ToolResult

COLD = 3600.0
"""Seconds after which nothing is taken to be cached any more."""
_YOUNG = 3
"""Steps whose results stay as they are."""
_LONG = 2_000
"""Characters of a result from which on it is worth a line in its place."""
_LEAST = 4_000
"""Tokens that must be won."""


def is_cold(conversation: Conversation, info: ModelInfo, now: datetime) -> bool:
    """Say whether the next request is read anew by the provider from its first message on, whatever is in it."""
    replies = [message for message in conversation.messages if isinstance(message, AssistantMessage)]
    if not replies or conversation.answered_at is None:
        return False
    asked = replies[-1].origin
    switched = (asked.vendor, asked.model) != (info.vendor, info.id)
    return switched or (now - conversation.answered_at).total_seconds() > COLD


def prune(conversation: Conversation, info: ModelInfo) -> HistoryRepaired | None:
    """Return what takes the place of old results; None when it is not worth it, or not allowed.

    Where a model's reasoning is bound to all that was sent before it, nothing before it may change.
    """
    items = conversation.items
    if any(_is_bound(message, info) for _, message in items):
        return None
    results = [index for index, (_, message) in enumerate(items) if isinstance(message, ToolMessage)]
    replaced: dict[str, Message] = {}
    won = 0.0
    for index in results[:-_YOUNG]:
        entry, message = items[index]
        before = items[index - 1][1]
        assert isinstance(message, ToolMessage)
        shorter = _shorter(entry, message, before.calls if isinstance(before, AssistantMessage) else ())
        if shorter != message:
            replaced[entry] = shorter
            won += tokens([message]) - tokens([shorter])
    return (
        HistoryRepaired(reason="old results, while nothing is cached", replaced=replaced)
        if won >= _LEAST
        else None
    )


def _is_bound(message: Message, info: ModelInfo) -> bool:
    return (
        isinstance(message, AssistantMessage)
        and bool(info.dialect.get("drop_unbound_thinking"))
        and (message.origin.vendor, message.origin.model) == (info.vendor, info.id)
        and any(isinstance(part, ReasoningPart) and part.signature for part in message.parts)
    )


def _shorter(entry: str, message: ToolMessage, calls: tuple[ToolCall, ...]) -> ToolMessage:
    names = {call.id: call for call in calls}
    return ToolMessage(results=tuple(_cleared(entry, one, names.get(one.call_id)) for one in message.results))


def _cleared(entry: str, result: ToolResult, call: ToolCall | None) -> ToolResult:
    length = sum(len(part.model_dump_json()) for part in result.content)
    if length < _LONG or call is None:
        return result
    text = load("compaction/pruned", call=described(call), size=f"{length:,}", entry=entry)
    return result.model_copy(update={"content": (Text(text=text),)})
