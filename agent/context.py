"""Put a request together so that it begins with the one before it."""

from __future__ import annotations

from treadle.agent.cache.marks import breakpoints
from treadle.agent.conversation import Conversation
from treadle.agent.providers.contract import Caching, ModelRequest, Output


def assemble(conversation: Conversation, cache_key: str, wanted: Output) -> ModelRequest:
    """Return the request for this point of the branch.

    Everything comes from the branch: the prefix as it was rendered when the epoch began, then the messages, each
    the very object it was before, so that nothing that was sent is rendered again. What its provider is to keep of it
    is the usual until a plan says better (agent/cache).

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
