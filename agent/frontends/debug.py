"""`treadle debug`: look at one part of the machinery: a request, a recorded reply, a call of a tool."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, assert_never

import anyio

from treadle.agent.build import WIRES, Opening, WorkspaceError, language_model, open_calls, open_session, wire
from treadle.agent.build.neutral import Neutral, NotNeutral, neutral, request_of
from treadle.agent.config import ConfigError, environment, folders, load
from treadle.agent.events import CallDelta, HostedDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.frontends.opening import RunOptions, opening_for
from treadle.agent.frontends.outcome import EXIT, Result
from treadle.agent.frontends.outputs import OutputClosed, as_line, complain, emit
from treadle.agent.frontends.prompt import UsageError
from treadle.agent.log import LogError
from treadle.agent.providers.client import Client, recorded
from treadle.agent.providers.contract import (
    HttpCall,
    LanguageModel,
    ModelInfo,
    ModelRequest,
    ProviderError,
    ReplyStream,
    WireName,
)
from treadle.agent.providers.contract import Output as Wanted
from treadle.agent.sessions import NoSuchSession
from treadle.sandbox.contract import SandboxError
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, as_object

_STATUS_EXIT = {"ok": EXIT["done"], "denied": EXIT["denied"]}


def debug_request(options: RunOptions, *, as_json: bool) -> int:
    """Show the request that a run with these options would send first. Nothing is sent and nothing is kept."""
    return _told(partial(_request, options, as_json))


def debug_messages(options: RunOptions, file: str, *, as_json: bool) -> int:
    """Show the request that a neutral conversation is sent as. Nothing is sent and nothing is kept."""
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        conversation = neutral(text)
    except (OSError, NotNeutral) as error:
        complain(f"treadle: --messages {file}: {getattr(error, 'strerror', None) or error}")
        return EXIT["usage"]
    return _told(partial(_messages, options, conversation, as_json))


def debug_decode(name: str) -> int:
    """Decode a reply from standard input: an event a line, then the message."""
    return _told(partial(_decode, name))


def debug_tool(name: str, arguments: str, options: RunOptions) -> int:
    """Make one call of a built-in tool and show its result."""
    return _told(partial(_tool, name, arguments, options))


def _told(work: Callable[[], Awaitable[int]]) -> int:
    try:
        return anyio.run(work)
    except (UsageError, WorkspaceError, ConfigError, NoSuchSession) as error:
        complain(f"treadle: {error}")
        return EXIT["usage"]
    except ProviderError as error:  # of a request: a name, a key, an address that does not do
        complain(f"treadle: {error}")
        return EXIT["usage"]
    except (SandboxError, LogError, OSError) as error:
        complain(f"treadle: {error}")
    except OutputClosed:
        complain("treadle: standard output was closed")
    except KeyboardInterrupt:
        return EXIT["cancelled"]
    return EXIT["failed"]


class _Seen(Exception):
    """The request that was to be looked at; ends the session that made it."""

    def __init__(self, client: Client, call: HttpCall) -> None:
        super().__init__()
        self.client = client
        self.call = call


class _Refused(Exception):
    """The request cannot be made; ends the session that wanted it."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__()
        self.error = error


@frozen
class _Peek:
    """A model that is never asked: it shows what it would be asked."""

    model: LanguageModel
    client: Client

    @property
    def info(self) -> ModelInfo:
        return self.client.info

    def encode(self, request: ModelRequest) -> HttpCall:
        try:
            return self.model.encode(request)
        except ProviderError as error:
            raise _Refused(error) from error

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        raise _Seen(self.client, self.encode(request))


async def _request(options: RunOptions, as_json: bool) -> int:
    opening, prompt = opening_for(options, environment(), Result())
    with TemporaryDirectory(prefix="treadle-") as scratch:
        opening = replace(_apart(opening, Path(scratch)), through=_Peek)
        try:
            async with open_session(opening) as opened:
                await opened.session.prompt(
                    *opened.facts, *((await opened.say(prompt),) if prompt is not None else ())
                )
        except _Seen as seen:
            _show_request(seen, as_json=as_json)
            return EXIT["done"]
        except _Refused as refused:
            raise refused.error from None
    raise UsageError("there is nothing to ask: the session has ended or a limit is reached")


async def _messages(options: RunOptions, conversation: Neutral, as_json: bool) -> int:
    config = load(environment(), options.flags, options.assignments)
    if not config.model:
        raise UsageError("no model is chosen: give -m VENDOR/MODEL")
    wanted = Wanted(options.answer.schema, options.answer.json_mode)
    client = language_model(config.model.partition(",")[0], config, environment())
    _show_request(_Seen(client, client.encode(request_of(conversation, config, wanted))), as_json=as_json)
    await client.aclose()
    return EXIT["done"]


def _apart(opening: Opening, scratch: Path) -> Opening:
    """Return an opening that leaves no trace: a session is gone on with in a copy."""
    if opening.resume is None:
        return replace(opening, ephemeral=True)
    copy = scratch / opening.resume.name
    shutil.copyfile(opening.resume, copy)
    return replace(opening, resume=copy)


def _show_request(seen: _Seen, *, as_json: bool) -> None:
    call = seen.call
    url, headers, body = seen.client.preview(call)
    value = _readable(body)
    sizes = [len(segment) for segment in call.segments]
    warnings = [warning.model_dump() for warning in call.warnings]
    if as_json:
        told = {"method": call.method, "url": url, "headers": headers, "body": value}
        emit(as_line({**told, "body_bytes": len(body), "segments": sizes, "warnings": warnings}))
        return
    emit(f"{call.method} {url}")
    for name, text in headers.items():
        emit(f"{name}: {text}")
    emit("\n" + json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode())
    emit(f"\n{len(body):,} bytes; {len(sizes)} segments that a provider can cache: {_sum(sizes)}")
    for warning in warnings:
        emit(f"not sent as asked: {warning['code']} {warning['field']} {warning['detail']}".rstrip())


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _sum(sizes: list[int]) -> str:
    return " + ".join(f"{size:,}" for size in sizes)


async def _decode(name: str) -> int:
    info = ModelInfo(id="recorded", wire=_wire_name(name), vendor="recorded", endpoint="")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("nothing to decode: give the recorded reply on standard input")
    reply = recorded(wire(info.wire), info, sys.stdin.buffer.read())
    try:
        async for deltas in reply:
            for delta in deltas:
                emit(as_line(_delta(delta)))
    except ProviderError as error:
        emit(as_line({"event": "partial", "message": reply.partial.model_dump(mode="json")}))
        emit(as_line({"event": "error", "error": type(error).__name__, **_facts(error)}))
        complain(f"treadle: {error}")
        return EXIT["failed"]
    emit(as_line({"event": "message", "message": reply.message.model_dump(mode="json")}))
    return EXIT["done"]


def _facts(error: ProviderError) -> JsonObject:
    told = {"status": error.status, "code": error.code or None, "retry_after": error.retry_after}
    known = {name: value for name, value in told.items() if value is not None}
    return {"message": str(error), "retryable": error.retryable, **known}


def _wire_name(name: str) -> WireName:
    wires: dict[str, WireName] = {known: known for known in WIRES}
    return wires.get(name) or _no_such("wire", name, WIRES)


def _delta(delta: StreamDelta) -> JsonObject:
    match delta:
        case TextDelta(text=text):
            return {"event": "text", "text": text}
        case ReasoningDelta(text=text):
            return {"event": "reasoning", "text": text}
        case CallDelta(index=index, id=call_id, name=name, arguments=arguments):
            return {"event": "call", "index": index, "id": call_id, "name": name, "arguments": arguments}
        case HostedDelta(kind=kind, state=state):
            return {"event": "hosted", "kind": kind, "state": state}
        case _:
            assert_never(delta)


async def _tool(name: str, arguments: str, options: RunOptions) -> int:
    env = environment()
    value = _object(arguments)
    config = load(env, options.flags, options.assignments)
    opening = Opening(options.folder, config, env, folders(env), ephemeral=True)
    with open_calls(opening) as (calls, jobs):
        offered = calls.toolbox.snapshot()
        names = (*offered.tools, *offered.deferred)
        if name not in names:
            _no_such("tool", name, names)
        async with jobs:
            result = await calls.call(name, value, parent="debug")
    content = [part.model_dump(mode="json") for part in result.content]
    told: Mapping[str, Any] = {"content": content, "is_error": result.is_error, "details": result.details}
    emit(as_line({**told, "status": result.status}))
    return _STATUS_EXIT.get(result.status, EXIT["failed"])


def _object(text: str) -> JsonObject:
    try:
        value = as_object(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the arguments are not JSON: {error}") from error
    if value is None:
        raise UsageError('the arguments must be one JSON object, as in \'{"path": "README.md"}\'')
    return value


def _no_such(kind: str, name: str, known: tuple[str, ...]) -> NoReturn:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise UsageError(f"there is no {kind} {name!r}; {hint}")
