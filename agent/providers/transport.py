"""Sends a call over one kept connection and hands over the bytes that come back."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import certifi
import httpcore

from treadle.agent.providers.contract import (
    HttpCall,
    InvalidRequest,
    ProviderError,
    StreamCutShort,
    Undecodable,
    Unreachable,
)
from treadle.tools.contract import Frozen

_ERROR_BYTES = 1 << 20
_PHASES: tuple[tuple[type[Exception], str], ...] = (
    (httpcore.ConnectTimeout, "cannot be reached (connect): it did not answer in time"),
    (httpcore.ConnectError, "cannot be reached (connect)"),
    (httpcore.ProxyError, "cannot be reached (proxy)"),
    (httpcore.WriteTimeout, "did not take the request in time (write)"),
    (httpcore.WriteError, "did not take the request (write)"),
    (httpcore.ReadTimeout, "sent nothing in time (read)"),
    (httpcore.ReadError, "broke off without an answer (read)"),
    (httpcore.RemoteProtocolError, "sent no proper answer (read)"),
)
_FAILURES: tuple[type[Exception], ...] = tuple(kind for kind, _ in _PHASES)


class Timeouts(Frozen):
    """How long each wait may take, in seconds. The whole of a reply has no limit."""

    connect: float = 15.0
    first_byte: float = 60.0
    """From the end of the request to the first byte of an answer."""
    idle: float = 120.0
    """Between two bytes of an answer; a comment is a byte too. Also for a write that does not move."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where calls go: a base URL, what is sent with each, and the proxy on the way, if any."""

    base_url: str
    headers: Mapping[str, str]
    proxy: str | None = None


class Reply:
    """An answer whose body is still arriving. Header names are in lower case."""

    def __init__(self, response: httpcore.Response, timeouts: Timeouts, max_bytes: int) -> None:
        self.status = response.status
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        self._response = response
        self._timeouts = timeouts
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises `Unreachable` when it falls silent, `StreamCutShort` when the connection breaks, `Undecodable` when it
        is larger than anything a model says.
        """
        stream = self._response.stream
        assert isinstance(stream, AsyncIterable)
        left = self._max_bytes
        try:
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    raise Undecodable(
                        f"The reply is larger than {self._max_bytes} bytes.", status=self.status
                    )
                yield chunk
        except httpcore.ReadTimeout as error:
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

    Sits on httpcore, the engine of httpx: see docs/decisions/0004. Nothing is opened before the first call, and a TLS
    context is made for `https` only.
    """

    def __init__(
        self, address: Address, timeouts: Timeouts | None = None, *, max_bytes: int = 512 << 20
    ) -> None:
        self._base = urlsplit(address.base_url)
        self._headers = address.headers
        self._proxy = address.proxy
        self._timeouts = timeouts or Timeouts()
        self._max_bytes = max_bytes
        self._pool: httpcore.AsyncConnectionPool | None = None

    @asynccontextmanager
    async def send(self, call: HttpCall) -> AsyncGenerator[Reply]:
        """Send a call; leaving the context gives the connection back, or closes it when the body was not read out.

        Raises `Unreachable`, whose message names the phase, and `InvalidRequest` for what HTTP cannot carry.
        """
        waits = {
            "connect": self._timeouts.connect,
            "read": self._timeouts.first_byte,
            "write": self._timeouts.idle,
        }
        if self._pool is None:
            self._pool = self._open()
        try:
            response = await self._pool.handle_async_request(self._request(call, waits))
        except _FAILURES as error:
            raise self._unreachable(error) from error
        except (UnicodeError, httpcore.LocalProtocolError) as error:
            raise InvalidRequest("The address or a header holds what HTTP cannot carry.") from error
        waits["read"] = self._timeouts.idle
        try:
            yield Reply(response, self._timeouts, self._max_bytes)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection. The next call opens a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def _open(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=tls_context() if self._base.scheme == "https" else None,
            proxy=_proxy(self._proxy) if self._proxy else None,
            max_connections=None,
            max_keepalive_connections=None,
        )

    def _request(self, call: HttpCall, waits: dict[str, float]) -> httpcore.Request:
        if any(ord(char) <= 32 or ord(char) == 127 for char in call.path) or "/../" in f"{call.path}/":
            raise InvalidRequest(f"{call.path!r} is no path to send a request to.")
        base = self._base
        query = "&".join(part for part in (base.query, urlencode(call.query)) if part)
        target = base.path.rstrip("/") + call.path + (f"?{query}" if query else "")
        body, kind = (call.body, "application/json") if not call.multipart else _multipart(call)
        headers = {
            "host": base.netloc.rpartition("@")[2],
            "accept": "text/event-stream" if call.stream else "application/json",
            "accept-encoding": "identity",
            **({"content-type": kind} if body else {}),
            **{name.lower(): value for name, value in self._headers.items()},
            **{name.lower(): value for name, value in call.headers.items()},
        }
        if call.method != "GET":
            headers["content-length"] = str(len(body))
        return httpcore.Request(
            call.method,
            httpcore.URL(
                scheme=base.scheme.encode(),
                host=(base.hostname or "").encode("idna" if not (base.hostname or "").isascii() else "ascii"),
                port=base.port,
                target=target.encode("ascii"),
            ),
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()],
            content=body,
            extensions={"timeout": waits},
        )

    def _unreachable(self, error: Exception) -> Unreachable:
        words = next(words for kind, words in _PHASES if isinstance(error, kind))
        detail = f": {error}" if str(error) and not isinstance(error, httpcore.TimeoutException) else ""
        where = f"{self._base.scheme}://{self._base.netloc.rpartition('@')[2]}"
        return Unreachable(f"{where} {words}{detail}")


def tls_context(paths: ssl.DefaultVerifyPaths | None = None) -> ssl.SSLContext:
    """Return a context that verifies against the system's certificates, or certifi's where there are none.

    A folder of certificates is read one at a time, as they are needed; a bundle takes some 20 ms. So the system's
    bundle is left alone where there is a folder too; one that a variable names is not.
    """
    paths = paths or ssl.get_default_verify_paths()
    named = paths.cafile if paths.cafile and paths.cafile != paths.openssl_cafile else None
    folder = paths.capath if paths.capath and any(Path(paths.capath).glob("*.0")) else None
    if named or folder:
        return ssl.create_default_context(cafile=named, capath=folder)
    return ssl.create_default_context(cafile=paths.cafile or certifi.where())


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    auth = (parts.username, parts.password or "") if parts.username else None
    return httpcore.Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", auth=auth)


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
