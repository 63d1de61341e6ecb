"""Put a request together so that it begins with the one before it."""

from __future__ import annotations

from treadle.agent.conversation import Conversation
from treadle.agent.providers.contract import Caching, ModelRequest, Output


def assemble(conversation: Conversation, session: str, schema: Output) -> ModelRequest:
    """Return the request for this point of the branch.

    Everything comes from the branch: the prefix as it was rendered when the epoch began, then the messages, each
    the very object it was before, so that nothing that was sent is rendered again.

    Args:
        conversation: What the branch says.
        session: Id of the session: the key under which a provider finds its cache.
        schema: What the final reply must look like.
    """
    settings = conversation.settings
    return ModelRequest(
        system=conversation.prefix.system,
        tools=conversation.prefix.tools,
        messages=conversation.messages,
        sampling=settings.sampling,
        caching=Caching(key=session),
        output=Output(
            schema=schema.schema,
            json_mode=schema.json_mode,
            max_tokens=settings.max_output,
            effort=settings.effort,
            verbosity=settings.verbosity,
        ),
        service_tier=settings.service_tier,
    )
