"""Where a request is marked when nobody has planned it."""

from __future__ import annotations

from treadle.agent.messages import AssistantMessage, Message
from treadle.agent.providers.contract import Breakpoint


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
