"""Bearer tokens from a token endpoint, each kept until shortly before it expires."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

import anyio
from anyio import to_thread

from treadle.agent.providers.contract import AuthFailed, Busy, HttpCall, ProviderError
from treadle.agent.providers.credentials import Grant
from treadle.agent.providers.transport import Address, Timeouts, Transport
from treadle.agent.providers.vendors import is_loopback
from treadle.tools.contract import JsonObject, as_object

_FORM: Final = "application/x-www-form-urlencoded"
_EARLY: Final = 60.0
"""Seconds before its end at which a token is no longer used."""
_SHORTEST: Final = 300.0
"""Seconds that a token is taken to hold when the endpoint does not say."""
_LARGEST: Final = 1 << 20


class Tokens:
    """An `Authenticator`: exchanges a grant for a bearer token when one is needed."""

    def __init__(
        self,
        grant: Grant,
        *,
        assertion: Callable[[float], str] | None = None,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = urlsplit(grant.url).hostname or grant.url
        for url in filter(None, ("" if grant.metadata else grant.url, grant.acts_as)):
            _check(url)
        kind = {"metadata-flavor": "Google"} if grant.metadata else {"content-type": _FORM}
        self._transport = Transport(Address(grant.url, kind, grant.proxy), timeouts, max_bytes=_LARGEST)
        self._other = (
            Transport(
                Address(grant.acts_as, {"content-type": "application/json"}, grant.proxy),
                timeouts,
                max_bytes=_LARGEST,
            )
            if grant.acts_as
            else None
        )
        self._grant = grant
        self._assertion = assertion
        self._clock = clock
        self._lock = anyio.Lock()
        self._token = ""
        self._until = 0.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the token too, once there is one."""
        return (*self._grant.secrets, *([self._token] if self._token else []))

    async def headers(self) -> Mapping[str, str]:
        """The headers that prove who asks. Raises `ProviderError` when no token can be had."""
        async with self._lock:
            if self._clock() >= self._until:
                await self._renew()
        return {**self._grant.headers, "authorization": f"Bearer {self._token}"}

    async def aclose(self) -> None:
        """Close the connection to the token endpoint."""
        await self._transport.aclose()
        if self._other is not None:
            await self._other.aclose()

    async def _renew(self) -> None:
        now = self._clock()
        status, data = await _answer(self._transport, await self._question(now))
        token, seconds = data.get("access_token"), data.get("expires_in")
        if self._other is not None and status == 200 and isinstance(token, str) and _is_token(token):
            scope = json.dumps({"scope": [self._grant.form["scope"]]}).encode()
            asked = HttpCall("POST", "", scope, headers={"authorization": f"Bearer {token}"})
            status, data = await _answer(self._other, asked)
            token, seconds = data.get("accessToken"), _until(data.get("expireTime"), now)
        if status != 200 or not isinstance(token, str) or not _is_token(token):
            raise self._refused(status, data)
        held = float(seconds) if isinstance(seconds, int | float) else _SHORTEST
        self._token, self._until = token, now + held - _EARLY

    async def _question(self, now: float) -> HttpCall:
        if self._grant.metadata:
            return HttpCall("GET", "")
        form = dict(self._grant.form)
        if self._assertion is not None:
            form["assertion"] = self._assertion(now)
        if self._grant.subject is not None:
            form["subject_token"] = await to_thread.run_sync(self._grant.subject.read)
        return HttpCall("POST", "", urlencode(form).encode())

    def _refused(self, status: int, data: JsonObject) -> ProviderError:
        told = " ".join(str(data[key]) for key in ("error", "error_description") if data.get(key))
        for secret in self._grant.secrets:
            told = told.replace(secret, "[redacted]")
        kind = Busy if status == 429 or status >= 500 else AuthFailed
        message = f"{self._host} gave no token: HTTP {status} {told[:500]}".rstrip()
        return kind(message, status=status, code=str(data.get("error") or ""))


async def _answer(transport: Transport, call: HttpCall) -> tuple[int, JsonObject]:
    async with transport.send(call) as reply:
        return reply.status, _object(await reply.error_body())


def _check(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or url
    if parts.scheme != "https" and not is_loopback(host):
        raise AuthFailed(f"The token endpoint {host} is not reached over https.")


def _until(when: object, now: float) -> float | None:
    """Return the seconds until a moment of RFC 3339; None for something else."""
    try:
        return datetime.fromisoformat(str(when)).timestamp() - now
    except ValueError:
        return None


def _object(body: bytes) -> JsonObject:
    try:
        return as_object(json.loads(body)) or {}
    except (ValueError, RecursionError):
        return {}


def _is_token(text: str) -> bool:
    return bool(text) and all(33 <= ord(char) <= 126 for char in text)
