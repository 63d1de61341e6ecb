"""Media that are kept in a provider's store: put there once, named, and put there anew when they are gone."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from treadle.agent.build import Opening, language_model
from treadle.agent.build.remote import RemoteModels
from treadle.agent.config import Config, Folders
from treadle.agent.context import assemble
from treadle.agent.events import (
    HistoryRepaired,
    MessageAdded,
    ModelChanged,
    Prefix,
    RemoteGone,
    RemoteKept,
    SessionOpened,
)
from treadle.agent.log import SessionLog
from treadle.agent.messages import UserMessage
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.contract import Output, ProviderError
from treadle.agent.remote.model import RemoteModel
from treadle.agent.session import Record
from treadle.tools.contract import FileRef, Inline, Media, Text

pytestmark = pytest.mark.anyio
PDF = b"%PDF-1.4 one page"
MEDIA = Media(
    kind="document", mime="application/pdf", source=Inline(data=b64encode(PDF).decode()), filename="a.pdf"
)
ANSWERS = "steps: [{text: Seen.}]\nthen: repeat"
MODELS = {
    "responses": ("openai/m", "openai_responses"),
    "chat": ("openai/m", "openai_chat"),
    "anthropic": ("anthropic/claude-sonnet-5-5", "anthropic"),
    "gemini": ("gemini/gemini-4-flash", "gemini"),
    "interactions": ("gemini/gemini-4-flash", "gemini_interactions"),
}
each = pytest.mark.parametrize("name", MODELS)


class Asker:
    """A model with its session."""

    def __init__(self, model: RemoteModel, log: SessionLog, mock: Mock) -> None:
        self.model = model
        self.log = log
        self.mock = mock

    async def put(self) -> FileRef:
        """Upload the attachment and have it named from here on."""
        file = await self.model.upload(MEDIA)
        assert file is not None
        self.log.append(
            HistoryRepaired(
                reason="it is large", replaced={"e2": said(MEDIA.model_copy(update={"source": file}))}
            )
        )
        return file

    async def ask(self) -> str:
        async with self.model.stream(assemble(self.log.conversation, "k", Output())) as stream:
            async for _ in stream:
                pass
            return stream.message.text

    @property
    def last(self) -> str:
        """The body of what was asked last."""
        return self.mock.requests[-1].body.decode()

    @property
    def uploads(self) -> int:
        return sum(
            (request.path.endswith("/files"), request.method, request.status) == (True, "POST", 200)
            and request.headers.get("x-goog-upload-command") != "start"
            for request in self.mock.requests
        )


def said(media: Media) -> UserMessage:
    return UserMessage(content=(Text(text="What does it say?"), media))


@asynccontextmanager
async def asking(tmp: Path, name: str, script: str = ANSWERS) -> AsyncGenerator[Asker]:
    spec, wire = MODELS[name]
    vendor = spec.partition("/")[0]
    log = SessionLog(None)
    log.append(
        SessionOpened(session="s", workspace="/w", model=spec, prefix=Prefix(system=(), tools=())),
        MessageAdded(message=said(MEDIA)),
    )
    with anyio.fail_after(10):
        async with serve(parse(script)) as mock:
            env = {
                **{
                    f"{each.upper()}_API_KEY": "key-of-the-user" for each in ("openai", "anthropic", "gemini")
                },
                "OPENAI_BASE_URL": f"{mock.url}/v1",
                "ANTHROPIC_BASE_URL": mock.url,
                "GEMINI_BASE_URL": mock.url,
            }
            config = Config.model_validate({"providers": {vendor: {"wire": wire}}})
            opening = Opening(tmp, config, env, Folders(tmp, tmp))
            remote, client = RemoteModels("s", opening, Record(log)), language_model(spec, config, env)
            model = remote.around(client)
            assert isinstance(model, RemoteModel)
            yield Asker(model, log, mock)
            await remote.aclose()
            await client.aclose()


async def forget(mock: Mock) -> None:
    stream = await anyio.connect_tcp("127.0.0.1", int(mock.url.rpartition(":")[2]))
    body = json.dumps({"what": "files"}).encode()
    async with stream:
        await stream.send(
            b"POST /_mock/forget HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert b" 200 " in await stream.receive()


def told(log: SessionLog) -> list[Any]:
    """What the log says of files, after what it began with."""
    kinds = (RemoteKept, RemoteGone, HistoryRepaired)
    return [type(entry.body) for entry in log.branch() if isinstance(entry.body, kinds)]


@each
async def test_media_are_put_there_once_and_named(tmp_path: Path, name: str) -> None:
    async with asking(tmp_path, name) as asker:
        file = await asker.put()
        assert (await asker.model.upload(MEDIA), asker.uploads) == (file, 1)
        assert await asker.ask() == "Seen."
        assert (file.id in asker.last, b64encode(PDF).decode() in asker.last) == (True, False)
        kept = asker.log.conversation.remote[file.id]
        assert (kept.kind, kept.of, kept.expires is None) == (
            "file",
            sha256(PDF).hexdigest(),
            "gemini" not in MODELS[name][0],
        )


@each
async def test_a_file_that_is_gone_is_put_there_anew_once(tmp_path: Path, name: str) -> None:
    async with asking(tmp_path, name) as asker:
        old = await asker.put()
        await forget(asker.mock)
        assert await asker.ask() == "Seen."
        (new,) = asker.log.conversation.remote
        assert (new == old.id, new in asker.last, old.id in asker.last, asker.uploads) == (
            False,
            True,
            False,
            2,
        )
        assert told(asker.log) == [RemoteKept, HistoryRepaired, RemoteGone, RemoteKept, HistoryRepaired]
        assert (await asker.ask(), asker.uploads) == ("Seen.", 2)


@each
async def test_what_is_refused_again_stands_as_refused(tmp_path: Path, name: str) -> None:
    twice = "steps: [{faults: [{forget: file}, {forget: file}], text: Seen.}]"
    async with asking(tmp_path, name, twice) as asker:
        await asker.put()
        with pytest.raises(ProviderError):
            await asker.ask()
        assert asker.uploads == 2


async def test_a_file_that_is_about_to_go_is_renewed_before_it_is_named(tmp_path: Path) -> None:
    async with asking(tmp_path, "gemini", f"files: {{life: 200}}\n{ANSWERS}") as asker:
        old = await asker.put()
        assert (await asker.ask(), asker.uploads, old.id in asker.last) == ("Seen.", 2, False)


async def test_what_another_provider_keeps_is_put_where_the_conversation_goes_on(tmp_path: Path) -> None:
    async with asking(tmp_path, "anthropic") as asker:
        away = RemoteKept(
            kind="file", vendor="gemini", endpoint="g", id="https://g/v1/files/a", of=sha256(PDF).hexdigest()
        )
        named = said(MEDIA.model_copy(update={"source": FileRef(vendor="gemini", id=away.id)}))
        asker.log.append(away, HistoryRepaired(reason="it is large", replaced={"e2": named}))
        asker.log.append(
            ModelChanged(model="anthropic/claude-sonnet-5-5", prefix=asker.log.conversation.prefix)
        )
        assert (await asker.ask(), asker.uploads) == ("Seen.", 1)
        assert away.id in asker.log.conversation.remote  # it goes with the session


async def test_a_file_that_was_never_ours_is_not_put_there_anew(tmp_path: Path) -> None:
    async with asking(tmp_path, "anthropic") as asker:
        named = said(MEDIA.model_copy(update={"source": FileRef(vendor="anthropic", id="file_own")}))
        asker.log.append(HistoryRepaired(reason="the user's own", replaced={"e2": named}))
        with pytest.raises(ProviderError, match="file_own"):
            await asker.ask()
        assert (asker.uploads, told(asker.log)) == (0, [HistoryRepaired])


async def test_what_a_store_refuses_is_told_and_stays_with_the_request(tmp_path: Path) -> None:
    async with asking(tmp_path, "responses", f"limits: {{file_bytes: 10}}\n{ANSWERS}") as asker:
        assert await asker.model.upload(MEDIA) is None
        assert (await asker.ask(), told(asker.log)) == ("Seen.", [])
