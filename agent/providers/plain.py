"""JSON calls to an endpoint that are no question to a model: to its files, to what it keeps of replies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from treadle.agent.providers.classify import failure
from treadle.agent.providers.contract import HttpCall, ProviderError, Undecodable
from treadle.agent.providers.transport import Transport
from treadle.tools.contract import JsonObject, as_object

_BLOT: Final = "[redacted]"


class Plain:
    """Makes calls over a transport. Nothing is retried; whatever goes wrong is a `ProviderError`."""

    def __init__(self, transport: Transport, secrets: Sequence[str] = ()) -> None:
        """`secrets` are never shown."""
        self._transport = transport
        self._secrets = tuple(secrets)

    async def fetch(self, call: HttpCall) -> tuple[Mapping[str, str], JsonObject]:
        """Return the headers and the object that answer a call; no body is an empty object."""
        try:
            async with self._transport.send(call) as reply:
                if not 200 <= reply.status < 300:
                    raise failure(reply.status, reply.headers, await reply.error_body())
                return reply.headers, _object(await reply.body())
        except ProviderError as error:
            error.args = (self._clean(str(error)),)
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()

    def _clean(self, text: str) -> str:
        for secret in (*self._secrets, *self._transport.secrets):
            text = text.replace(secret, _BLOT)
        return text


def segment(name: str) -> str:
    """Return what a provider named as one segment of a path: its ids are not to be trusted."""
    quoted = quote(name, safe="")
    return quoted if name.strip(".") else quoted.replace(".", "%2E")


def _object(body: bytes) -> JsonObject:
    if not body.strip():
        return {}
    try:
        value = as_object(json.loads(body))
    except (ValueError, RecursionError):
        value = None
    if value is None:
        begin = " ".join(body[:200].decode("utf-8", "replace").split())
        raise Undecodable(f"The endpoint answered with what is no JSON object: {begin}")
    return value
