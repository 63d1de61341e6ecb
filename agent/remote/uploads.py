"""The files of one session at one provider: put there once, renewed when they are gone."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeVar

from treadle.agent.events import HistoryRepaired, Noted, RemoteGone, RemoteKept
from treadle.agent.messages import Message, ToolMessage, UserMessage
from treadle.agent.providers.contract import ModelInfo, ModelRequest, ProviderError, Rejected
from treadle.agent.providers.files import FileStore, Upload, names_file
from treadle.agent.remote.branch import Branch
from treadle.tools.contract import Content, FileRef, Inline, Media

_MARGIN: Final = timedelta(minutes=5)
"""A file that goes sooner than this is renewed before it is named."""
_ENDINGS: Final = {"image": "img", "audio": "audio", "video": "video", "document": "pdf", "other": "bin"}
M = TypeVar("M", bound=Message)


class Uploads:
    """Keeps media of a session at its provider, each once, by the hash of its bytes."""

    def __init__(
        self,
        store: FileStore,
        info: ModelInfo,
        branch: Branch,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._info = info
        self._branch = branch
        self._now = now

    async def upload(self, media: Media) -> FileRef | None:
        """Return the file that holds these bytes at the provider, putting it there when it is not.

        None for media that hold no bytes, and for what the store refuses. Raises `ProviderError` when the store cannot
        be reached.
        """
        if not isinstance(media.source, Inline):
            return None
        data = b64decode(media.source.data)
        digest = sha256(data).hexdigest()
        for kept in self._branch.conversation().remote.values():
            if kept.of == digest and self._is_here(kept):
                return FileRef(vendor=self._info.vendor, id=kept.id)
        name = media.filename or f"{digest[:16]}.{_ending(media)}"
        try:
            stored = await self._store.upload(Upload(name, media.mime, data), self._tell)
        except Rejected as error:
            await self._tell(f"{name} cannot be put into the provider's store: {error}")
            return None
        await self._branch.keep(
            RemoteKept(
                kind="file",
                vendor=self._info.vendor,
                endpoint=self._info.endpoint,
                id=stored.id,
                of=digest,
                expires=stored.expires,
            )
        )
        return FileRef(vendor=self._info.vendor, id=stored.id)

    async def renewed(self, request: ModelRequest, refused: ProviderError | None) -> ModelRequest:
        """Return a request whose files are all there; the very same when they are.

        Before it is sent, those are put there anew that have expired or lie at another provider; after it was refused,
        those that the refusal names. The log says what is sent in their place from here on.
        """
        remote = self._branch.conversation().remote
        gone = {
            source.id: remote[source.id]
            for message in request.messages
            for media in _media(message)
            if isinstance(source := media.source, FileRef)
            and source.id in remote
            and self._is_gone(remote[source.id], refused)
        }
        if not gone:
            return request
        new = {name: await self._again(kept) for name, kept in gone.items()}
        conversation = self._branch.conversation()
        replaced = {
            name: changed
            for name, message in conversation.items
            if (changed := _with(message, new)) is not message
        }
        if not replaced:
            return request
        reason = f"files that are no longer there were put there anew: {', '.join(gone)}"
        await self._branch.keep(HistoryRepaired(reason=reason, replaced=replaced))
        return replace(request, messages=self._branch.conversation().messages)

    def _is_here(self, kept: RemoteKept) -> bool:
        ours = (kept.kind, kept.vendor, kept.endpoint) == ("file", self._info.vendor, self._info.endpoint)
        return ours and (kept.expires is None or kept.expires > self._now() + _MARGIN)

    def _is_gone(self, kept: RemoteKept, refused: ProviderError | None) -> bool:
        return not self._is_here(kept) if refused is None else names_file(refused, kept.id)

    async def _again(self, kept: RemoteKept) -> Media | None:
        """Put the bytes of a file there anew. Returns what stands for it; None when its bytes are not to be had."""
        original = self._branch.original(kept.of)
        if original is None:
            return None
        if (kept.vendor, kept.endpoint) == (self._info.vendor, self._info.endpoint):
            await self._branch.keep(RemoteGone(kind="file", id=kept.id))
        file = await self.upload(original)
        return original.model_copy(update={"source": file}) if file is not None else original

    async def _tell(self, text: str) -> None:
        await self._branch.show(Noted(text))


def _ending(media: Media) -> str:
    kind = media.mime.partition("/")[2].partition("+")[0].lower()
    return kind if kind.isalnum() and len(kind) <= 5 else _ENDINGS[media.kind]


def _media(message: Message) -> list[Media]:
    match message:
        case UserMessage(content=content):
            return [item for item in content if isinstance(item, Media)]
        case ToolMessage(results=results):
            return [item for result in results for item in result.content if isinstance(item, Media)]
        case _:
            return []


def _with(message: Message, new: dict[str, Media | None]) -> Message:
    """Return a message with other media for those whose files are gone; the very same when it names none."""

    def changed(content: tuple[Content, ...]) -> tuple[Content, ...]:
        return tuple(
            (new.get(item.source.id) or item)
            if isinstance(item, Media) and isinstance(item.source, FileRef)
            else item
            for item in content
        )

    match message:
        case UserMessage(content=content) if (now := changed(content)) != content:
            return message.model_copy(update={"content": now})
        case ToolMessage(results=results):
            made = tuple(result.model_copy(update={"content": changed(result.content)}) for result in results)
            return message if made == results else message.model_copy(update={"results": made})
        case _:
            return message
