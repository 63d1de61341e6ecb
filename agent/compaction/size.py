"""How large a conversation is, in tokens, and how fast it grows."""

from __future__ import annotations

from collections.abc import Sequence

from treadle.agent.conversation import Conversation
from treadle.agent.messages import AssistantMessage, Message, ToolMessage
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Media

_NOTE = 2_500
"""Tokens that a note with what stands behind it comes to."""
_MEDIA = 1_500
"""Tokens of a picture or a page, roughly."""


@frozen
class Size:
    """A conversation in tokens. What a provider counted is taken as it is; the rest is bytes by four."""

    static: float
    """System prompt, tools and what stands before the first prompt."""
    kept: float
    """What a request comes to right after a compaction."""
    prompt: float
    """What the next request comes to."""
    step: float
    """What a step adds."""
    output: float
    """What a reply is long, of that."""
    steps: int
    """Replies of this epoch that are still there."""


def size(conversation: Conversation, kept: Sequence[Message] = ()) -> Size:
    """Measure a conversation; `kept` are the messages that a compaction would leave as they are."""
    items = conversation.messages
    replies = [index for index, message in enumerate(items) if isinstance(message, AssistantMessage)]
    fixed = _text(
        *conversation.prefix.system, *(tool.model_dump_json() for tool in conversation.prefix.tools)
    )
    lead = tokens(items[: replies[0]] if replies else items)
    prompt = _prompt(items, replies, fixed)
    whole = fixed + lead
    count = len(replies)
    written = sum(reply.usage.output for reply in items if isinstance(reply, AssistantMessage))
    return Size(
        static=fixed,
        kept=fixed + tokens(kept) + _NOTE,
        prompt=prompt,
        step=max(prompt - whole, 0) / count if count else 0,
        output=written / count if count else 0,
        steps=count,
    )


def _prompt(items: Sequence[Message], replies: Sequence[int], fixed: float) -> float:
    """Go by what was counted last, if it was: what came since is estimated."""
    for index in reversed(replies):
        reply = items[index]
        if isinstance(reply, AssistantMessage) and reply.usage.input_total:
            counted = reply.usage.input_total + reply.usage.output
            # A reply that stayed while other things were cut was counted with them.
            return min(counted, fixed + 2 * tokens(items[: index + 1])) + tokens(items[index + 1 :])
    return fixed + tokens(items)


def tokens(messages: Sequence[Message]) -> float:
    """Estimate messages."""
    return sum(_message(message) for message in messages)


def _message(message: Message) -> float:
    match message:
        case AssistantMessage(parts=parts):
            return sum(_text(part.raw or part.model_dump_json()) for part in parts)
        case ToolMessage(results=results):
            return sum(_content(result.content) + 8 for result in results)
        case _:
            return _content(message.content) + 4


def _content(content: Sequence[Content]) -> float:
    return sum(
        _MEDIA
        if isinstance(part, Media)
        else _text(part.text if part.type == "text" else part.model_dump_json())
        for part in content
    )


def _text(*texts: str) -> float:
    return sum(len(text.encode("utf-8", "replace")) for text in texts) / 4
