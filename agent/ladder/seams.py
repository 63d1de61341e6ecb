"""What the rungs are made of: given by `build`, so that the ladder itself loads and reaches nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import TypeAlias

from treadle.agent.conversation import Conversation
from treadle.agent.events import Body, Compacted, Delta, Show
from treadle.agent.providers.contract import LanguageModel, ModelRequest, ProviderError
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import FileRef, Media

Shrink: TypeAlias = Callable[[Media, int, int | None], Awaitable[Media | None]]
"""Makes a picture smaller: no side longer than so many pixels, no more bytes of base64. None where it cannot."""
Upload: TypeAlias = Callable[[Media, LanguageModel, Conversation], Awaitable[FileRef | None]]
"""Puts media where the provider keeps files, or finds them there, and keeps a note of it. None: it has no such place.

Raises `ProviderError`.
"""
Write: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Keeps a text under a name where `read` and `grep` find it. Returns the path. Raises OSError."""
Compact: TypeAlias = Callable[[Conversation, LanguageModel], Awaitable[Compacted | None]]
"""Has a note stand for what came before. None where there is nothing for it to stand for."""
Pays: TypeAlias = Callable[[Conversation, LanguageModel], Awaitable[tuple[Body, ...]]]
"""Makes room where that pays, though there is no need yet."""
Count: TypeAlias = Callable[[LanguageModel, ModelRequest], Awaitable[int | None]]
"""Has the vendor count the tokens of a request. None where it does not."""
Mend: TypeAlias = Callable[[Conversation, LanguageModel, ProviderError | None], Awaitable[tuple[Body, ...]]]
"""Repairs a history whose state a provider no longer holds. Raises the refusal when it cannot."""


async def no_shrinking(media: Media, side: int, most: int | None) -> Media | None:
    """Leave a picture as it is."""
    return None


async def no_store(media: Media, model: LanguageModel, conversation: Conversation) -> FileRef | None:
    """Say that the provider keeps no files."""
    return None


async def no_file(name: str, text: str) -> str:
    """Raise OSError: there is no place for files."""
    raise OSError("there is no place for files")


async def no_compacting(conversation: Conversation, model: LanguageModel) -> Compacted | None:
    """Leave a conversation as it is."""
    return None


async def nothing_pays(conversation: Conversation, model: LanguageModel) -> tuple[Body, ...]:
    """Make no room before it is needed."""
    return ()


async def no_count(model: LanguageModel, request: ModelRequest) -> int | None:
    """Say that nobody counts."""
    return None


async def no_mending(
    conversation: Conversation, model: LanguageModel, refused: ProviderError | None
) -> tuple[Body, ...]:
    """Raise the refusal."""
    assert refused is not None
    raise refused


async def unseen(delta: Delta) -> None:
    """Show nothing."""


@frozen
class Seams:
    """The parts of a ladder that reach out. What is not given is a rung that is not there."""

    shrink: Shrink = field(default=no_shrinking)
    upload: Upload = field(default=no_store)
    write: Write = field(default=no_file)
    compact: Compact = field(default=no_compacting)
    pays: Pays = field(default=nothing_pays)
    count: Count = field(default=no_count)
    mend: Mend = field(default=no_mending)
    show: Show = field(default=unseen)
