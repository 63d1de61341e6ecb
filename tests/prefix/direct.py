"""The mock without the network: a model's own request bytes are judged, answered and billed in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from treadle.agent.events import StreamDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.mock.anthropic import VERSION, Anthropic
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment, Prompt
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.clock import Clock
from treadle.agent.mock.compatible import Compatible, compatible_faces
from treadle.agent.mock.completions import Completions
from treadle.agent.mock.contract import PATH, Asked, Face
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.play import Player
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.script import CutFault, Step
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Decoder,
    HttpCall,
    LanguageModel,
    ModelInfo,
    ModelRequest,
    ReplyStream,
)

HEADERS = {VERSION: "2023-06-01"}


@dataclass(frozen=True)
class Sent:
    """A request, the bytes of it, and what it was billed."""

    path: str
    body: bytes
    prompt: Prompt
    said: Step
    request: ModelRequest


@dataclass
class Provider:
    """All vendors at once."""

    say: Callable[[Asked], Step]
    when_asked: Callable[[ModelRequest, str, bytes], None] = lambda request, path, body: None
    clock: Clock = field(default_factory=lambda: Clock(still=True))
    sent: list[Sent] = field(default_factory=list[Sent])
    keep: bool = True
    ledger: Ledger = field(default_factory=Ledger)
    _player: Player = field(default_factory=lambda: Player(None))
    _count: int = 0

    def through(self, model: LanguageModel, client: Client) -> LanguageModel:
        """Return a model whose requests come here, however it would have been reached."""
        return _Model(client, self)

    def answer(self, info: ModelInfo, call: HttpCall, request: ModelRequest) -> Sequence[bytes]:
        """Check a request as its vendor does, bill it, and return the events of the reply. Raises Refused."""
        face = _face(info)
        asked = face.read(json.loads(call.body), {**HEADERS, PATH: call.path})
        self.when_asked(request, call.path, call.body)
        self._count += 1
        now = self.clock.now()
        prompt = face.bill(asked, self.ledger, Moment(now, now, f"{self._count:x}"))
        said = self.say(asked)
        if self.keep:
            self.sent.append(Sent(call.path, call.body, prompt, said, request))
        events = face.events(asked, self._player.reply(asked, said, prompt, self._count, now))
        return events[:2] if any(isinstance(fault, CutFault) for fault in said.faults) else events


class _Model:
    def __init__(self, client: Client, provider: Provider) -> None:
        self._client = client
        self._provider = provider

    @property
    def info(self) -> ModelInfo:
        return self._client.info

    def encode(self, request: ModelRequest) -> HttpCall:
        return self._client.encode(request)

    async def count(self, request: ModelRequest) -> int | None:
        return None

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: ModelRequest) -> AsyncGenerator[ReplyStream]:
        call = self.encode(request)
        events = self._provider.answer(self.info, call, request)
        yield _Reply(self._client.wire.decoder(self.info), events, call)


class _Reply:
    def __init__(self, decoder: Decoder, events: Sequence[bytes], call: HttpCall) -> None:
        self._decoder = decoder
        self._events = events
        self.sent = len(call.body)
        self.received = 0
        self.warnings = call.warnings

    async def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        for event in self._events:
            name, data = _read(event)
            if data and data != "[DONE]":
                yield [*self._decoder.feed(name, data)]
        self._message = self._decoder.finish()

    @property
    def message(self) -> AssistantMessage:
        return self._message

    @property
    def partial(self) -> AssistantMessage:
        return self._decoder.partial()


def _read(event: bytes) -> tuple[str, str]:
    fields = dict(line.split(b": ", 1) for line in event.splitlines() if b": " in line)
    return fields.get(b"event", b"").decode(), fields.get(b"data", b"").decode()


def _face(info: ModelInfo) -> Face:
    match info.wire:
        case "anthropic":
            return Anthropic()
        case "openai_responses":
            return Responses()
        case "openai_completions":
            return Completions()
        case "gemini":
            return Gemini("streamGenerateContent")
        case "gemini_interactions":
            return Interactions()
        case "openai_chat":
            return _VENDORS.get(info.vendor, Chat)()


def _compatible(path: str) -> Compatible:
    return next(face for face in compatible_faces() if face.path == path)


_VENDORS: dict[str, Callable[[], Face]] = {
    "deepseek": partial(_compatible, "/deepseek/v1/chat/completions"),
    "zai": partial(_compatible, "/zai/api/paas/v4/chat/completions"),
}
