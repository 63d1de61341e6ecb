"""What a session works with, and what the end of its turns must look like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TypeAlias

from treadle.agent.checks import Check
from treadle.agent.conversation import Conversation
from treadle.agent.events import Body
from treadle.agent.limits import Limits
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import LanguageModel, Output, ProviderError
from treadle.agent.providers.retry import Retries
from treadle.agent.step import Calls
from treadle.agent.warmth import Warmth
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Artifact


@frozen
class Wanted:
    """What the end of a turn must look like."""

    output: Output = field(default_factory=Output)
    """What the provider is asked to hold the model to."""
    checks: tuple[Check, ...] = ()
    """What must hold of the final message, in this order."""
    answer: str | None = None
    """Name of the tool whose call is the final answer; None takes what the model writes last."""


Save: TypeAlias = Callable[[AssistantMessage], Awaitable[tuple[tuple[Artifact, ...], tuple[str, ...]]]]
"""Saves what a reply made in files: returns them, and what the user should know. Raises OSError."""


async def save_nothing(message: AssistantMessage) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """Leave what a reply made in the reply alone."""
    return (), ()


MakeRoom: TypeAlias = Callable[
    [Conversation, LanguageModel, ProviderError | None], Awaitable[tuple[Body, ...]]
]
"""Says what must be kept before the model is asked, so that the request fits: usually nothing.

The error is the provider's own refusal of the request as it was; None before the first try. Raises `ProviderError`
that names the part for which there is no room.
"""


async def room_enough(
    conversation: Conversation, model: LanguageModel, refused: ProviderError | None
) -> tuple[Body, ...]:
    """Make no room. Raises the refusal."""
    if refused is not None:
        raise refused
    return ()


News: TypeAlias = Callable[[Conversation], Awaitable[tuple[Body, ...]]]
"""What has changed around the session since the last step: kept at the tail, so that no earlier byte moves."""


async def no_news(conversation: Conversation) -> tuple[Body, ...]:
    """Say that nothing has changed."""
    return ()


@frozen
class Desk:
    """Everything a session works with. Made once, by `build`."""

    cache_key: str
    """Under which a provider finds the session's cache: a fork keeps its parent's."""
    model: LanguageModel
    calls: Calls
    limits: Limits = field(default_factory=Limits)
    wanted: Wanted = field(default_factory=Wanted)
    retries: Retries = field(default_factory=Retries)
    fallbacks: Mapping[str, LanguageModel] = field(default_factory=dict[str, LanguageModel])
    """By VENDOR/MODEL, in the order in which they take over from `model` and from one another."""
    save: Save = save_nothing
    make_room: MakeRoom = room_enough
    news: News = no_news
    warmth: Warmth = field(default_factory=Warmth)
    """Plans what providers keep, and keeps it warm."""

    def answering(self, name: str) -> LanguageModel:
        """Return the model that answers while the branch says `name`."""
        return self.fallbacks.get(name, self.model)

    def after(self, name: str) -> str | None:
        """Return the name of the model that takes over from another; None when there is none left."""
        names = list(self.fallbacks)
        following = names[names.index(name) + 1 :] if name in names else names
        return following[0] if following else None
