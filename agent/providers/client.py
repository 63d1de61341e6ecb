"""A live model: a wire, a row of the catalogue and a transport, put together."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field, replace
from typing import cast

import anyio

from treadle.agent.events import CallDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage, CallPart, ReasoningPart, RefusalPart, TextPart, Warned
from treadle.agent.providers.contract import (
    Decoder,
    HttpCall,
    ModelInfo,
    ModelRequest,
    NotFound,
    ProviderError,
    Renderings,
    ReplyStream,
    RequestTooLarge,
    StreamCutShort,
    Undecodable,
    Unreachable,
    Wire,
)
from treadle.agent.providers.counting import count_call, counted
from treadle.agent.providers.limits import limit_of
from treadle.agent.providers.limits.check import breaches
from treadle.agent.providers.limits.sizes import Tally
from treadle.agent.providers.plain import Plain
from treadle.agent.providers.sse import SseParser
from treadle.agent.providers.transport import Reply, Transport
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject

_LAST_EVENTS = frozenset({
    "message_stop",
    "response.completed",
    "response.incomplete",
    "interaction.completed",
})
_LAST_DATA = "[DONE]"
_BLOT = "[redacted]"
_CREDENTIALS = frozenset({
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
})
_GRACE = 0.5
"""Seconds that a server is given to end a body whose reply is whole."""
_BLANK = b" \t\r\n\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b":", b"id", b"retry")
"""What an event stream begins with, and neither JSON nor HTML nor plain words do."""


class Client:
    """A model at one endpoint. Asks once and retries nothing; whatever goes wrong is a `ProviderError`."""

    def __init__(
        self,
        wire: Wire,
        info: ModelInfo,
        transport: Transport,
        *,
        secrets: Sequence[str] = (),
        grants: Mapping[str, str] | None = None,
    ) -> None:
        """`secrets` are never shown. `grants` are secrets too, by what stands for each in a body until it is sent."""
        self._wire = wire
        self._info = info
        self._transport = transport
        self._grants = dict(grants or {})
        self._secrets = (*secrets, *self._grants.values())
        self._kept = Renderings()
        self._tally = Tally()
        self._counts = True
        """Whether the vendor may be asked to count."""

    @property
    def info(self) -> ModelInfo:
        """What the catalogue says of the model."""
        return self._info

    @property
    def wire(self) -> Wire:
        """What reads the model's replies."""
        return self._wire

    def encode(self, request: ModelRequest) -> HttpCall:
        """The exact request that `stream` would send. Raises `InvalidRequest`."""
        streamed = bool(self._info.dialect.get("stream", True))
        return self._wire.encode(request, self._info, self._kept, stream=streamed)

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, decoder: Decoder | None = None
    ) -> AsyncGenerator[ReplyStream]:
        """Ask once. Raises `ProviderError`, in whose message no secret stands.

        `RequestTooLarge` for what is more than the vendor takes, before anything is sent.
        """
        call = self.encode(request)
        self.check(request, call)
        async with self.send(call, decoder) as reply:
            yield reply

    def check(self, request: ModelRequest, call: HttpCall) -> None:
        """Raise `RequestTooLarge`, naming the part, for what is more than the vendor takes."""
        sizes = self._tally.of(request.messages)
        if found := breaches(request, self._info, sizes, len(call.body)):
            raise RequestTooLarge(f"nothing was sent: {found[0]}", code=found[0].what)

    @asynccontextmanager
    async def send(self, call: HttpCall, decoder: Decoder | None = None) -> AsyncGenerator[ReplyStream]:
        """Make a call that a reply answers. A decoder that has had its beginning goes on with the rest.

        Raises `ProviderError`, in whose message no secret stands.
        """
        try:
            async with self._transport.send(self._granted(call)) as reply:
                if not 200 <= reply.status < 300:
                    raise await self._refusal(reply)
                yield _Incoming(self._wire, self._info, call, reply, decoder)
        except ProviderError as error:
            self._scrub(error)
            raise

    async def fetch(self, call: HttpCall) -> JsonObject:
        """Make a call that is no question to the model. Raises `ProviderError`, in whose message no secret stands."""
        return (await Plain(self._transport, self._secrets).fetch(call))[1]

    async def count(self, request: ModelRequest) -> int | None:
        """Have the vendor count the tokens of a request. None where it does not, or does not answer."""
        call = count_call(self.encode(request), self._info) if self._counts else None
        most = limit_of(self._info, "count_bytes")
        if call is None or (most is not None and len(call.body) > most):
            return None
        try:
            async with self._transport.send(self._granted(call)) as reply:
                if reply.status in {404, 405, 501}:
                    self._counts = False
                body = await reply.body() if reply.status == 200 else await reply.error_body()
        except ProviderError:
            return None  # an estimate does too
        return _count(body)

    def preview(self, call: HttpCall) -> tuple[str, Mapping[str, str], bytes]:
        """Return the URL, the headers and the body of what would be sent for a call, secrets blotted out."""
        url, headers, body = self._transport.preview(call)
        shown = {
            name: _BLOT if name in _CREDENTIALS else self._clean(value) for name, value in headers.items()
        }
        return self._clean(url), shown, body

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()

    def _granted(self, call: HttpCall) -> HttpCall:
        """Put each grant where it first stands as a field: before the messages, in which it is a text like any other."""
        body = call.body
        for mark, secret in self._grants.items():
            place = re.search(
                rb'"authorization(?:_token)?":"(?:Bearer )?(%s)"' % re.escape(mark.encode()),
                body,
                re.IGNORECASE,
            )
            if place:
                told = json.dumps(secret)[1:-1].encode()
                body = body[: place.start(1)] + told + body[place.end(1) :]
        return call if body == call.body else replace(call, body=body)

    async def _refusal(self, reply: Reply) -> ProviderError:
        body = await reply.error_body()
        if 300 <= reply.status < 400:
            where = reply.headers.get("location", "somewhere else")
            return NotFound(f"The endpoint has moved to {where}; set its base URL.", status=reply.status)
        return self._wire.error(reply.status, reply.headers, body)

    def _scrub(self, error: ProviderError) -> None:
        error.args = (self._clean(str(error)),)

    def _clean(self, text: str) -> str:
        for secret in (*self._secrets, *self._transport.secrets):
            text = text.replace(secret, _BLOT)
        return text


def _count(body: bytes) -> int | None:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return counted(cast(JsonObject, value)) if isinstance(value, dict) else None


def recorded(wire: Wire, info: ModelInfo, body: bytes) -> ReplyStream:
    """Return a reply whose body was kept: an event stream, or one that came whole."""
    return _Incoming(wire, info, HttpCall("POST", "/"), _Recorded(body))


@frozen
class _Recorded:
    """The part of `Reply` that a kept body has."""

    kept: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.kept


class _Incoming:
    """A reply as it arrives, streamed or whole, whatever was asked for."""

    def __init__(
        self,
        wire: Wire,
        info: ModelInfo,
        call: HttpCall,
        reply: Reply | _Recorded,
        decoder: Decoder | None = None,
    ) -> None:
        self._wire = wire
        self._info = info
        self._call = call
        self._reply = reply
        self._decoder = decoder or wire.decoder(info)
        self._each = decoder is not None
        """Each read is told of, even one that brought no deltas: whoever gave the decoder looks at it."""
        self._message: AssistantMessage | None = None
        self._cut: ProviderError | None = None
        self._received = 0
        self._ended = False
        """The event that ends a reply was seen."""

    @property
    def message(self) -> AssistantMessage:
        """The whole reply. Raises RuntimeError before the deltas have ended."""
        if self._message is None:
            raise RuntimeError("The reply is not whole yet.")
        return self._message

    @property
    def partial(self) -> AssistantMessage:
        """What came so far."""
        return self._message or self._decoder.partial()

    @property
    def sent(self) -> int:
        """Bytes of the request's body."""
        return len(self._call.body)

    @property
    def received(self) -> int:
        """Bytes of the reply's body so far."""
        return self._received

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What could not be sent as asked."""
        return self._call.warnings

    async def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        """The deltas. Raises `ProviderError`."""
        chunks = self._chunks()
        first = b""
        async for chunk in chunks:
            if first := chunk.lstrip(_BLANK):
                break
        if not any(first[: len(name)] == name[: len(first)] for name in _FIELDS):
            rest = [chunk async for chunk in chunks]
            yield self._unstreamed(b"".join([first, *rest]))
            return
        async for deltas in self._streamed(first, chunks):
            yield deltas
        self._message = self._finish()

    async def _streamed(self, first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[list[StreamDelta]]:
        parser = SseParser()
        chunk: bytes | None = first
        while chunk:
            deltas, error = self._take(parser.feed(chunk))
            if deltas or self._each:
                yield deltas
            if error:
                raise error
            chunk = None if self._ended else await anext(chunks, None)
        if self._ended:
            with anyio.move_on_after(_GRACE):
                async for _ in chunks:
                    pass
        elif deltas := self._last(parser.close()):
            yield deltas

    async def _chunks(self) -> AsyncGenerator[bytes]:
        """The bytes; a connection that breaks ends them, because the reply may be whole all the same."""
        try:
            async for chunk in self._reply.chunks():
                self._received += len(chunk)
                yield chunk
        except (StreamCutShort, Unreachable) as error:
            self._cut = error

    def _take(self, events: Sequence[tuple[str, str]]) -> tuple[list[StreamDelta], ProviderError | None]:
        """Decode events. What came before an error is to be shown before it is raised."""
        deltas: list[StreamDelta] = []
        feed = self._decoder.feed
        try:
            for event, data in events:
                if data:
                    deltas.extend(feed(event, data))
                if data == _LAST_DATA or event in _LAST_EVENTS:
                    self._ended = True
        except ProviderError as error:
            return deltas, error
        return deltas, None

    def _last(self, events: Sequence[tuple[str, str]]) -> list[StreamDelta]:
        """Decode what the end of the bytes left over. Half an event is not one; any other error is."""
        deltas, error = self._take(events)
        if error and not isinstance(error, Undecodable):
            raise error
        return deltas

    def _finish(self) -> AssistantMessage:
        try:
            return self._decoder.finish()
        except StreamCutShort as error:
            raise self._cut or error from None

    def _unstreamed(self, body: bytes) -> list[StreamDelta]:
        """Read a body that is no event stream: one reply, an array of what would be events, or a stranger's page."""
        try:
            value: object = json.loads(body)
        except (ValueError, RecursionError):
            kind = self._reply.headers.get("content-type", "something else")
            begin = " ".join(body[:200].decode("utf-8", "replace").split())
            raise self._cut or Undecodable(
                f"The endpoint answered with {kind}, which is no reply: {begin}", status=self._reply.status
            ) from None
        if isinstance(value, dict):
            self._message = self._wire.decode(cast(JsonObject, value), self._info)
            return _deltas(self._message)
        items = cast(list[object], value) if isinstance(value, list) else []
        deltas, error = self._take([("", json.dumps(item)) for item in items])
        if error:
            raise error
        self._message = self._finish()
        return deltas


def _deltas(message: AssistantMessage) -> list[StreamDelta]:
    """Return what a stream would have shown of a reply that came whole."""
    deltas: list[StreamDelta] = []
    for index, part in enumerate(message.parts):
        match part:
            case TextPart(text=text) | RefusalPart(text=text):
                deltas.append(TextDelta(text))
            case ReasoningPart(text=text) if text:
                deltas.append(ReasoningDelta(text))
            case CallPart(call=call):
                deltas.append(CallDelta(index, call.id, call.name, call.arguments))
            case _:
                pass
    return deltas
