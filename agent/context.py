"""Put a request together so that it begins with the one before it."""

from __future__ import annotations

from treadle.agent.conversation import Conversation
from treadle.agent.messages import AssistantMessage, Message
from treadle.agent.providers.contract import Breakpoint, Caching, ModelRequest, Output


def assemble(conversation: Conversation, cache_key: str, wanted: Output) -> ModelRequest:
    """Return the request for this point of the branch.

    Everything comes from the branch: the prefix as it was rendered when the epoch began, then the messages, each
    the very object it was before, so that nothing that was sent is rendered again.

    Args:
        conversation: What the branch says.
        cache_key: Under which a provider finds the session's cache.
        wanted: What the final reply must look like.
    """
    settings = conversation.settings
    return ModelRequest(
        system=conversation.prefix.system,
        tools=conversation.prefix.tools,
        messages=conversation.messages,
        sampling=settings.sampling,
        caching=Caching(breakpoints=breakpoints(conversation.messages), key=cache_key),
        output=Output(
            schema=wanted.schema,
            json_mode=wanted.json_mode,
            max_tokens=settings.max_output,
            effort=settings.effort,
            verbosity=settings.verbosity,
        ),
        service_tier=settings.service_tier,
    )


def breakpoints(messages: tuple[Message, ...]) -> tuple[Breakpoint, ...]:
    """Return where a provider that keeps what it has read up to marked places should be asked to.

    The end of the system prompt, which other sessions share; the end of the request before this one, where the last
    mark was, so that it is found however many blocks have come since; and the end of this one.
    """
    last = len(messages) - 1
    replies = [index for index, message in enumerate(messages) if isinstance(message, AssistantMessage)]
    before = replies[-1] - 1 if replies else -1
    marked = [index for index in (before, last) if index >= 0]
    return (
        Breakpoint("system"),
        *(Breakpoint("message", index) for index in dict.fromkeys(marked)),
    )
