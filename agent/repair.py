"""A history mended after a provider refused what its own replies had sealed."""

from __future__ import annotations

from typing import Final

from treadle.agent.conversation import Conversation
from treadle.agent.events import Body, HistoryRepaired
from treadle.agent.messages import AssistantMessage, ReasoningPart
from treadle.agent.providers.contract import LanguageModel, ModelInfo, ProviderError, StaleState

_SEALS: Final = ("thoughtSignature", '"signature"', '"encrypted_content"')
"""In the raw of parts that are no reasoning: what binds them to where they came from."""
_ELSEWHERE: Final = ("previous_response", "thread", "container", "conversation_not_found")
"""What is stale beside reasoning, as codes and messages begin to say it: of that nothing is in the history."""


def without_stale_reasoning(
    conversation: Conversation, info: ModelInfo, refused: ProviderError
) -> HistoryRepaired | None:
    """Return what leaves out the reasoning that a model refuses to have back (`StaleState`: WIRES §4.8, §1.9, §5.5).

    For `Desk.make_room`, when it is called with a `StaleState`: keep what this returns and go on; None says that
    there is nothing to mend, so the refusal stands. Only replies that would go back to this very model as they came
    are touched: the others hold no reasoning any more when they are sent.
    """
    if not isinstance(refused, StaleState) or _is_elsewhere(refused):
        return None
    home = (info.wire, info.vendor, info.endpoint, info.id)
    mended = {
        name: _mended(message)
        for name, message in conversation.items
        if isinstance(message, AssistantMessage) and message.origin.home == home and _is_sealed(message)
    }
    if not mended:
        return None
    return HistoryRepaired(
        reason=f"reasoning that {info.id} no longer takes back is left out: {refused}", replaced=dict(mended)
    )


async def mend(
    conversation: Conversation, model: LanguageModel, refused: ProviderError | None
) -> tuple[Body, ...]:
    """Make room where all there is to do is that repair. Raises the refusal when it is not."""
    if refused is None:
        return ()
    repaired = without_stale_reasoning(conversation, model.info, refused)
    if repaired is None:
        raise refused
    return (repaired,)


def _is_elsewhere(refused: StaleState) -> bool:
    told = f"{refused.code} {refused}".lower().replace(" ", "_")
    return any(word in told for word in _ELSEWHERE) and "different_conversation" not in told


def _is_sealed(message: AssistantMessage) -> bool:
    return any(
        isinstance(part, ReasoningPart) or any(seal in part.raw for seal in _SEALS) for part in message.parts
    )


def _mended(message: AssistantMessage) -> AssistantMessage:
    """Return a reply without its reasoning.

    Anthropic's blocks stand alone, so the others go back as they came. Elsewhere an item may refer to the reasoning
    before it, or carry its seal: such a reply is sent as one that came from another place.
    """
    parts = tuple(part for part in message.parts if not isinstance(part, ReasoningPart))
    if message.origin.wire == "anthropic":
        return message.model_copy(update={"parts": parts})
    away = message.origin.model_copy(update={"endpoint": f"{message.origin.endpoint}, stale"})
    return message.model_copy(update={"parts": parts, "origin": away})
