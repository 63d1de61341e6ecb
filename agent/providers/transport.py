"""Sends a call over one kept connection and hands over the bytes that come back."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from treadle.agent.providers.contract import (
    HttpCall,
    InvalidRequest,
    ProviderError,
    StreamCutShort,
    Undecodable,
    Unreachable,
)
from treadle.agent.providers.httpx_alone import httpx
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Frozen

_ERROR_BYTES = 1 << 20
_PHASES: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "cannot be reached (connect): it did not answer in time"),
    (httpx.ConnectError, "cannot be reached (connect)"),
    (httpx.ProxyError, "cannot be reached (proxy)"),
    (httpx.WriteTimeout, "did not take the request in time (write)"),
    (httpx.WriteError, "did not take the request (write)"),
    (httpx.ReadTimeout, "sent nothing in time (read)"),
    (httpx.ReadError, "broke off without an answer (read)"),
    (httpx.RemoteProtocolError, "sent no proper answer (read)"),
)
_FAILURES: tuple[type[Exception], ...] = tuple(kind for kind, _ in _PHASES)


class Timeouts(Frozen):
    """How long each wait may take, in seconds. The whole of a reply has no limit."""

    connect: float = 15.0
    first_byte: float = 60.0
    """From the end of the request to the first byte of an answer."""
    idle: float = 120.0
    """Between two bytes of an answer; a comment is a byte too. Also for a write that does not move."""


class Authenticator(Protocol):
    """Proves who asks, where that takes more than a key that is known from the start."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        ...

    async def headers(self) -> Mapping[str, str]:
        """The headers that prove it, for one request. Raises `ProviderError`."""
        ...

    async def aclose(self) -> None: ...


@frozen
class Address:
    """Where calls go: a base URL, what is sent with each, and the proxy on the way, if any."""

    base_url: str
    headers: Mapping[str, str]
    proxy: str | None = None
    authenticator: Authenticator | None = None


class Reply:
    """An answer whose body is still arriving. Header names are in lower case."""

    def __init__(self, response: httpx.Response, timeouts: Timeouts, max_bytes: int) -> None:
        self.status = response.status_code
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw
        }
        self._response = response
        self._timeouts = timeouts
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises `Unreachable` when it falls silent, `StreamCutShort` when the connection breaks, `Undecodable` when it
        is larger than anything a model says.
        """
        left = self._max_bytes
        try:
            async for chunk in self._response.aiter_raw():
                left -= len(chunk)
                if left < 0:
                    raise Undecodable(
                        f"The reply is larger than {self._max_bytes} bytes.", status=self.status
                    )
                yield chunk
        except httpx.ReadTimeout as error:
            raise Unreachable(
                f"The reply fell silent for {self._timeouts.idle:g} s.", status=self.status
            ) from error
        except _FAILURES as error:
            raise StreamCutShort(
                "The connection broke in the middle of the reply.", status=self.status
            ) from error

    async def body(self) -> bytes:
        """The whole body. Raises as `chunks` does."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def error_body(self) -> bytes:
        """What can be had of the body of an error: at most 1 MB, and less when it breaks off."""
        kept = bytearray()
        with suppress(ProviderError):
            async for chunk in self.chunks():
                kept += chunk
                if len(kept) >= _ERROR_BYTES:
                    break
        return bytes(kept[:_ERROR_BYTES])


class Transport:
    """One endpoint and the connections kept to it. Nothing is retried or redirected here.

    One `httpx.AsyncClient`, opened with the first call; httpx's own settings from the environment, its cookies,
    redirects and content encodings are left out: see docs/decisions/0004.
    """

    def __init__(
        self, address: Address, timeouts: Timeouts | None = None, *, max_bytes: int = 512 << 20
    ) -> None:
        self._base = urlsplit(address.base_url)
        self._headers = address.headers
        self._proxy = address.proxy
        self._authenticator = address.authenticator
        self._timeouts = timeouts or Timeouts()
        self._max_bytes = max_bytes
        self._client: httpx.AsyncClient | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What an authenticator would not have shown."""
        return self._authenticator.secrets if self._authenticator is not None else ()

    @asynccontextmanager
    async def send(self, call: HttpCall) -> AsyncGenerator[Reply]:
        """Send a call; leaving the context gives the connection back, or closes it when the body was not read out.

        Raises `Unreachable`, whose message names the phase, `InvalidRequest` for what HTTP cannot carry, and what an
        authenticator raises.
        """
        proof: Mapping[str, str] = {}
        if self._authenticator is not None:
            proof = await self._authenticator.headers()
        waits = {
            "connect": self._timeouts.connect,
            "read": self._timeouts.first_byte,
            "write": self._timeouts.idle,
        }
        if self._client is None:
            self._client = self._open()
        try:
            response = await self._client.send(self._request(call, waits, proof), stream=True)
        except _FAILURES as error:
            raise self._unreachable(error) from error
        except (UnicodeError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise InvalidRequest("The address or a header holds what HTTP cannot carry.") from error
        waits["read"] = self._timeouts.idle  # asked for anew with every read
        try:
            yield Reply(response, self._timeouts, self._max_bytes)
        finally:
            await response.aclose()

    def preview(self, call: HttpCall) -> tuple[str, Mapping[str, str], bytes]:
        """Return the URL, the headers and the body of what `send` would send. No authenticator is asked."""
        request = self._request(call, {}, {"authorization": ""} if self._authenticator is not None else {})
        return str(request.url), dict(request.headers), request.content

    async def aclose(self) -> None:
        """Close every connection. The next call opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        if self._authenticator is not None:
            await self._authenticator.aclose()

    def _open(self) -> httpx.AsyncClient:
        # For http:// a context that trusts nobody: to read certificates takes longer than a whole request.
        secure = tls_context() if self._base.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx.AsyncHTTPTransport(
            verify=secure,
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=None),
            proxy=self._proxy,
        )
        return httpx.AsyncClient(transport=transport, trust_env=False)

    def _request(self, call: HttpCall, waits: dict[str, float], proof: Mapping[str, str]) -> httpx.Request:
        if any(ord(char) <= 32 or ord(char) == 127 for char in call.path) or "/../" in f"{call.path}/":
            raise InvalidRequest(f"{call.path!r} is no path to send a request to.")
        base = self._base
        query = "&".join(part for part in (base.query, urlencode(call.query)) if part)
        target = base.path.rstrip("/") + call.path + (f"?{query}" if query else "")
        target.encode("ascii")  # httpx would escape it; an address is sent as it was given or not at all
        body, kind = (call.body, "application/json") if not call.multipart else _multipart(call)
        headers = {
            "accept": "text/event-stream" if call.stream else "application/json",
            "accept-encoding": "identity",
            **({"content-type": kind} if body else {}),
            **{name.lower(): value for name, value in self._headers.items()},
            **{name.lower(): value for name, value in (*proof.items(), *call.headers.items())},
        }
        return httpx.Request(
            call.method,
            f"{base.scheme}://{base.netloc.rpartition('@')[2]}{target}",
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()],
            content=body,
            extensions={"timeout": waits},
        )

    def _unreachable(self, error: Exception) -> Unreachable:
        words = next(words for kind, words in _PHASES if isinstance(error, kind))
        detail = f": {error}" if str(error) and not isinstance(error, httpx.TimeoutException) else ""
        where = f"{self._base.scheme}://{self._base.netloc.rpartition('@')[2]}"
        return Unreachable(f"{where} {words}{detail}")


def tls_context(paths: ssl.DefaultVerifyPaths | None = None) -> ssl.SSLContext:
    """Return a context that verifies against the system's certificates, or httpx's own where there are none.

    A folder of certificates is read one at a time, as they are needed; a bundle takes some 20 ms. So the system's
    bundle is left alone where there is a folder too; one that a variable names is not.
    """
    paths = paths or ssl.get_default_verify_paths()
    named = paths.cafile if paths.cafile and paths.cafile != paths.openssl_cafile else None
    folder = paths.capath if paths.capath and any(Path(paths.capath).glob("*.0")) else None
    if named or folder:
        return ssl.create_default_context(cafile=named, capath=folder)
    if paths.cafile:
        return ssl.create_default_context(cafile=paths.cafile)
    return httpx.create_ssl_context(trust_env=False)


def _multipart(call: HttpCall) -> tuple[bytes, str]:
    """Encode form parts (RFC 7578). Return the body and its content type."""
    boundary = sha256(b"".join(part.data for part in call.multipart)).hexdigest()
    pieces: list[bytes] = []
    for part in call.multipart:
        disposition = f'form-data; name="{_quoted(part.name)}"'
        if part.filename is not None:
            disposition += f'; filename="{_quoted(part.filename)}"\r\nContent-Type: {part.mime}'
        pieces += [f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode(), part.data, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
