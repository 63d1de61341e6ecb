"""Messages with something else in place of a piece of content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from treadle.agent.conversation import Conversation
from treadle.agent.events import HistoryRepaired
from treadle.agent.messages import Message, ToolMessage, UserMessage
from treadle.tools.contract import Content

At: TypeAlias = tuple[int, ...]
"""Where content stands in its message: its index, or that of the result and its own."""
Swaps: TypeAlias = dict[int, dict[At, Content]]
"""What comes in place of what, by the index of the message."""


def repaired(conversation: Conversation, swaps: Swaps, reason: str) -> HistoryRepaired | None:
    """Return the entry that puts other content in place. None when there is nothing to put."""
    items = conversation.items
    replaced = {items[index][0]: swapped(items[index][1], swaps[index]) for index in sorted(swaps)}
    return HistoryRepaired(reason=reason, replaced=replaced) if replaced else None


def swapped(message: Message, swaps: Mapping[At, Content]) -> Message:
    """Return a message with other content in the places named."""
    match message:
        case UserMessage(content=content):
            new = tuple(swaps.get((index,), each) for index, each in enumerate(content))
            return message.model_copy(update={"content": new})
        case ToolMessage(results=results):
            changed = tuple(
                result.model_copy(
                    update={
                        "content": tuple(
                            swaps.get((number, index), each) for index, each in enumerate(result.content)
                        )
                    }
                )
                for number, result in enumerate(results)
            )
            return message.model_copy(update={"results": changed})
        case _:
            return message
