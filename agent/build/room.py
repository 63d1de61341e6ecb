"""Makes room in a session, loading what it takes when there may be need of it."""

from __future__ import annotations

from treadle.agent.build.opening import Opening
from treadle.agent.conversation import Conversation
from treadle.agent.desk import MakeRoom
from treadle.agent.events import Body
from treadle.agent.messages import UserMessage
from treadle.agent.providers.contract import LanguageModel, Output, ProviderError
from treadle.agent.session import Record
from treadle.agent.sessions import SpillFolder
from treadle.sandbox.contract import Sandbox
from treadle.tools.contract import Text

_SMALL = 16_000
"""Characters of a first prompt, facts included, that fit every model and every vendor: nothing is loaded to say so."""
_WINDOW = 32_000
"""Tokens of the smallest window of which that is known."""


def room_in(
    opening: Opening, cache_key: str, record: Record, sandbox: Sandbox, *, output: Output, spill: SpillFolder
) -> MakeRoom:
    """Return what makes room in one session."""
    made: list[MakeRoom] = []
    usual = opening.config.context.compact_at == "auto" and not opening.config.models

    async def make_room(
        conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        if not made:
            if usual and refused is None and _is_small(conversation, model):
                return ()
            from treadle.agent.build.making_room import compactor, ladder

            notes = compactor(opening, cache_key, record, sandbox)
            made.append(ladder(notes, output, spill).make_room)
        return await made[0](conversation, model, refused)

    return make_room


def _is_small(conversation: Conversation, model: LanguageModel) -> bool:
    info = model.info
    if info.limits or (info.context_window or _WINDOW) < _WINDOW:
        return False
    size = 0
    for message in conversation.messages:
        if not isinstance(message, UserMessage):
            return False
        for part in message.content:
            if not isinstance(part, Text):
                return False
            size += len(part.text)
    return size < _SMALL
