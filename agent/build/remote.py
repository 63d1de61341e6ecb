"""What providers keep for sessions: put into a session, and deleted with it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import anyio

from treadle.agent.build.model import transport_to
from treadle.agent.build.opening import Opening
from treadle.agent.config import Config, ConfigError
from treadle.agent.conversation import Conversation
from treadle.agent.events import CallFinished, Entry, HistoryRepaired, MessageAdded, RemoteGone, RemoteKept
from treadle.agent.log import SessionLog
from treadle.agent.messages import Message, ToolMessage, UserMessage
from treadle.agent.providers import vendors
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    InvalidRequest,
    LanguageModel,
    NotFound,
    ProviderError,
    StaleState,
)
from treadle.agent.providers.files import FileStore, store_of
from treadle.agent.providers.keeping import delete_conversation, shelf_of
from treadle.agent.providers.limits import limit
from treadle.agent.providers.plain import Plain
from treadle.agent.providers.vendor_rows import FILE_STORES, FileStoreName
from treadle.agent.remote.branch import Branch
from treadle.agent.remote.model import RemoteModel
from treadle.agent.remote.place import Travel
from treadle.agent.remote.uploads import Uploads
from treadle.agent.session import Record
from treadle.tools.contract import Content, FileRef, Inline, Media

_LAST_SECONDS: Final = 5.0


def check_travel(config: Config, clients: Iterable[Client]) -> None:
    """Raise `ConfigError` where a provider does not keep what is asked for: before anything is sent."""
    asked = [config.state] if config.state != "stateless" else []
    asked += ["background"] if config.background else []
    for client in clients:
        info = client.info
        keeps = info.dialect.get("keeps", ())
        for way in asked:
            if way not in keeps:
                option = "--background" if way == "background" else f"--state {way}"
                offered = f"it has {', '.join(keeps)}" if keeps else "it keeps nothing between requests"
                raise ConfigError(
                    f"{option}: {info.vendor}/{info.id} over {info.wire} has no such: {offered}"
                )


class RemoteModels:
    """Makes models that are asked with what their providers keep of one session."""

    def __init__(self, session: str, opening: Opening, record: Record) -> None:
        self._config = opening.config
        self._env = opening.env
        self._ephemeral = opening.ephemeral
        self._stack = AsyncExitStack()
        self._log = log = record.log
        self._branch = Branch(
            session,
            lambda: log.conversation,
            record.keep,
            record.show,
            lambda digest: _original(log.branch(), digest),
        )

    def around(self, client: Client) -> LanguageModel:
        """Return a model around a client; the client itself where its provider keeps nothing."""
        config = self._config
        kind = FILE_STORES.get(client.info.vendor)
        if kind is None and config.state == "stateless" and not config.background:
            return client
        uploads = None
        if kind is not None:
            endpoint = vendors.resolve(client.info.vendor, self._env, config.providers)
            plain = _plain_for_files(kind, endpoint, config)
            self._stack.push_async_callback(plain.aclose)
            uploads = Uploads(_store(kind, plain, endpoint, config), client.info, self._branch)
        travel = Travel(config.state, config.background, config.connection.background)
        return RemoteModel(client, self._branch, travel, uploads)

    async def aclose(self) -> None:
        """Close the connections to stores. What was kept for a session that is not kept itself is deleted."""
        if self._ephemeral and (kept := still_kept(self._log.branch())):
            with anyio.move_on_after(_LAST_SECONDS, shield=True):
                await delete_kept(self._log, kept.values(), self._config, self._env)
        await self._stack.aclose()


async def upload(media: Media, model: LanguageModel, conversation: Conversation) -> FileRef | None:
    """Put media where a model's provider keeps files. None where it keeps none. Raises `ProviderError`."""
    return await model.upload(media) if isinstance(model, RemoteModel) else None


@asynccontextmanager
async def file_store(vendor: str, config: Config, env: Mapping[str, str]) -> AsyncGenerator[FileStore]:
    """Yield a vendor's store of files. Raises `ProviderError` when it has none, or is not to be reached so."""
    kind = FILE_STORES.get(vendor)
    if kind is None:
        if vendor not in vendors.VENDORS:
            vendors.resolve(vendor, env, config.providers)
        raise InvalidRequest(f"{vendor} keeps no files; these do: {', '.join(FILE_STORES)}")
    endpoint = vendors.resolve(vendor, env, config.providers)
    plain = _plain_for_files(kind, endpoint, config)
    try:
        yield _store(kind, plain, endpoint, config)
    finally:
        await plain.aclose()


def still_kept(entries: Iterable[Entry]) -> dict[str, RemoteKept]:
    """Return what providers keep for a session, on every branch of it, by id."""
    kept: dict[str, RemoteKept] = {}
    gone: set[str] = set()
    for entry in entries:
        match entry.body:
            case RemoteKept(id=name) as body:
                kept[name] = body
            case RemoteGone(id=name):
                gone.add(name)
            case _:
                pass
    return {name: body for name, body in kept.items() if name not in gone}


async def delete_kept(
    log: SessionLog, kept: Iterable[RemoteKept], config: Config, env: Mapping[str, str]
) -> list[str]:
    """Delete what providers keep; the log says of each that it is gone. Returns a line for each that is not."""
    left: list[str] = []
    for one in kept:
        try:
            await _delete(one, config, env)
        except (NotFound, StaleState):
            pass  # it is gone already
        except ProviderError as error:
            left.append(f"{one.kind} {one.id} at {one.vendor}: {error}")
            continue
        log.append(RemoteGone(kind=one.kind, id=one.id))
    return left


async def _delete(kept: RemoteKept, config: Config, env: Mapping[str, str]) -> None:
    endpoint = vendors.resolve(kept.vendor, env, config.providers)
    if endpoint.hash != kept.endpoint:
        raise InvalidRequest(
            f"it was put there at another address or for another account than {kept.vendor}'s now"
        )
    if kept.kind == "file":
        async with file_store(kept.vendor, config, env) as store:
            await store.remove(kept.id)
        return
    call = (
        delete_conversation(kept.id)
        if kept.kind == "conversation"
        else shelf_of(endpoint.wire).delete(kept.id)
    )
    plain = Plain(transport_to(endpoint, endpoint.address("", endpoint.wire), config), endpoint.secrets)
    try:
        await plain.fetch(call)
    finally:
        await plain.aclose()


def _plain_for_files(kind: FileStoreName, endpoint: vendors.Endpoint, config: Config) -> Plain:
    """Return what reaches a store. Gemini's uploads go beside the version's path, so its calls begin above it."""
    url = endpoint.address("", endpoint.wire)
    if kind == "gemini":
        parts = urlsplit(endpoint.base_url)
        url = urlunsplit(parts._replace(path=parts.path.rpartition("/")[0]))
    return Plain(transport_to(endpoint, url, config), endpoint.secrets)


def _store(kind: FileStoreName, plain: Plain, endpoint: vendors.Endpoint, config: Config) -> FileStore:
    said = config.providers.get(endpoint.vendor)
    most = limit(endpoint.vendor, endpoint.wire, "file_bytes", own=said.limits.given if said else None)
    return store_of(kind, plain, _version(endpoint.base_url), most)


def _version(base_url: str) -> str:
    return urlsplit(base_url).path.rpartition("/")[2]


def _original(entries: Iterable[Entry], digest: str) -> Media | None:
    """Find the bytes with this hash among all that was said, or was once sent in place of it."""
    for entry in entries:
        for media in _media(entry):
            if (
                isinstance(media.source, Inline)
                and sha256(b64decode(media.source.data)).hexdigest() == digest
            ):
                return media
    return None


def _media(entry: Entry) -> Iterator[Media]:
    match entry.body:
        case MessageAdded(message=message):
            yield from _shown(message)
        case CallFinished(result=result):
            yield from _only(result.content)
        case HistoryRepaired(replaced=replaced):
            for message in replaced.values():
                yield from _shown(message)
        case _:
            pass


def _shown(message: Message) -> Iterator[Media]:
    match message:
        case UserMessage(content=content):
            yield from _only(content)
        case ToolMessage(results=results):
            for result in results:
                yield from _only(result.content)
        case _:
            pass


def _only(content: Iterable[Content]) -> Iterator[Media]:
    return (item for item in content if isinstance(item, Media))
