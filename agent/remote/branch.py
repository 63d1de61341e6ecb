"""The branch of a session that a model is asked from, as far as what providers keep is concerned."""

from __future__ import annotations

from collections.abc import Callable

from treadle.agent.conversation import Conversation
from treadle.agent.events import Keep, RemoteKept, Show
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import ModelInfo, ModelRequest, Stored
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Media


@frozen
class Branch:
    """Where the next request comes from."""

    session: str
    """Its id: a fork has another than its parent."""
    conversation: Callable[[], Conversation]
    keep: Keep
    show: Show
    original: Callable[[str], Media | None]
    """Finds the bytes that a file was made of, by their sha256 in hex; None when they are not in the log."""


def answered(conversation: Conversation) -> str:
    """Return the id of the entry that the next reply answers; empty before the first."""
    return conversation.items[-1][0] if conversation.items else ""


def asks_next(request: ModelRequest, conversation: Conversation) -> bool:
    """Say whether a request is what the branch leads to, and not a question aside: for a summary, or for no answer."""
    messages = conversation.messages
    if request.output.max_tokens is not None and request.output.max_tokens <= 1:
        return False
    return len(request.messages) == len(messages) and all(
        asked is said or asked == said for asked, said in zip(request.messages, messages, strict=True)
    )


def last_reply(conversation: Conversation, info: ModelInfo) -> tuple[int, AssistantMessage] | None:
    """Return the newest whole reply, and which message it is; None when there is none, or it came from elsewhere.

    One that was cut short is no reply to go on from: what came of it is sent like anything else that was said.
    """
    home = (info.wire, info.vendor, info.endpoint, info.id)
    for index, message in reversed(tuple(enumerate(conversation.messages))):
        if isinstance(message, AssistantMessage) and message.state == "complete":
            return (index, message) if message.origin.home == home else None
    return None


def chained(conversation: Conversation, info: ModelInfo) -> Stored:
    """Return what goes on from the newest reply, when the provider has kept it with all that was sent before it.

    That is so within the epoch in which the reply was kept: whatever begins another changes what is sent.
    """
    found = last_reply(conversation, info)
    if found is None:
        return Stored()
    index, reply = found
    kept = reply.response_id in conversation.remote
    ours = conversation.kept_in.get(reply.response_id) == conversation.epoch
    more = index + 1 < len(conversation.messages)
    return Stored(id=reply.response_id, known=index + 1) if kept and ours and more else Stored()


def open_conversation(conversation: Conversation, info: ModelInfo, session: str) -> RemoteKept | None:
    """Return the provider's conversation that this session goes on in, in this epoch; None when there is none yet."""
    found = [
        kept
        for kept in conversation.remote.values()
        if kept.kind == "conversation"
        and (kept.of, kept.vendor, kept.endpoint) == (session, info.vendor, info.endpoint)
        and conversation.kept_in.get(kept.id) == conversation.epoch
    ]
    return found[-1] if found else None


def pending(conversation: Conversation, info: ModelInfo) -> RemoteKept | None:
    """Return the reply that was submitted for this very request and not had yet; None when there is none."""
    at = answered(conversation)
    had = {message.response_id for message in conversation.messages if isinstance(message, AssistantMessage)}
    found = [
        kept
        for kept in conversation.remote.values()
        if kept.kind == "response"
        and (kept.of, kept.vendor, kept.endpoint) == (at, info.vendor, info.endpoint)
        and conversation.kept_in.get(kept.id) == conversation.epoch
        and kept.id not in had
    ]
    return found[-1] if found else None
