"""Stand-ins that follow the real contracts. Nothing in these tests is patched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
from pydantic import BaseModel, ValidationError

from treadle.agent.desk import Desk, Wanted
from treadle.agent.events import Prefix, SessionOpened, StreamDelta, TextDelta
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    Origin,
    Part,
    ReasoningPart,
    TextPart,
    Usage,
    Warned,
)
from treadle.agent.permit import Allowed, Refused, Unsure
from treadle.agent.providers.contract import (
    HttpCall,
    LanguageModel,
    ModelInfo,
    ModelRequest,
    ProviderError,
    ReplyStream,
)
from treadle.agent.providers.retry import Retries
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.sandbox.contract import (
    Access,
    Command,
    FileInfo,
    Level,
    Place,
    Process,
    Profile,
    Sandbox,
    Version,
)
from treadle.tools.contract import Function, JsonObject, Outcome, Text, Tool, ToolCall, ToolContext, ToolError
from treadle.tools.toolbox import Toolbox

ORIGIN = Origin(wire="script", vendor="script", model="script")
BY_MODE = Allowed("mode")
INFO = ModelInfo(id="script", wire="openai_chat", vendor="script", endpoint="")


def says(text: str, **fields: object) -> AssistantMessage:
    """Return a reply of one text."""
    part: Part = TextPart(text=text)
    return AssistantMessage.model_validate({
        "parts": (part,),
        "origin": ORIGIN,
        "stop": "end",
        "usage": Usage(input=10, output=5),
        **fields,
    })


def calls(*made: tuple[str, str], first_id: int = 1, text: str = "") -> AssistantMessage:
    """Return a reply that makes calls, each a name and its arguments."""
    said: tuple[Part, ...] = (TextPart(text=text),) if text else ()
    parts: tuple[Part, ...] = tuple(
        CallPart(call=ToolCall(id=f"c{number}", name=name, arguments=arguments))
        for number, (name, arguments) in enumerate(made, first_id)
    )
    return AssistantMessage(
        parts=said + parts, origin=ORIGIN, stop="tool_use", usage=Usage(input=10, output=5)
    )


def thinks(text: str) -> ReasoningPart:
    """Return a piece of reasoning."""
    return ReasoningPart(text=text)


class Cut:
    """A reply that breaks off after this text: with an error, or never going on."""

    def __init__(self, text: str, error: ProviderError | None = None) -> None:
        self.message = says(text) if text else says("").model_copy(update={"parts": ()})
        self.error = error
        self.reached = anyio.Event()


class _Reply:
    def __init__(self, script: AssistantMessage | Cut, losses: tuple[Warned, ...] = ()) -> None:
        self._script = script
        self.message = script.message if isinstance(script, Cut) else script
        self.sent = 100
        self.received = 0
        self.warnings = losses

    @property
    def partial(self) -> AssistantMessage:
        return self.message.model_copy(update={"state": "interrupted", "stop": "interrupted"})

    async def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        if self.message.text:
            yield [TextDelta(text=self.message.text)]
        if isinstance(self._script, Cut):
            self._script.reached.set()
            if self._script.error is not None:
                raise self._script.error
            await anyio.sleep_forever()


class ScriptedModel:
    """Says what it is told to, in order, and remembers what it was asked. An error in the script is raised."""

    def __init__(
        self,
        *script: AssistantMessage | Cut | ProviderError,
        when_asked: Callable[[], None] = lambda: None,
        info: ModelInfo = INFO,
        losses: tuple[Warned, ...] = (),
    ) -> None:
        self.info = info
        self.losses = losses
        """What every request is told to have lost."""
        self.requests: list[ModelRequest] = []
        self._script = list(script)
        self._when_asked = when_asked

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: ModelRequest) -> AsyncGenerator[ReplyStream]:
        self.requests.append(request)
        self._when_asked()
        step = self._script.pop(0)
        if isinstance(step, ProviderError):
            raise step
        yield _Reply(step, self.losses)

    def encode(self, request: ModelRequest) -> HttpCall:
        return HttpCall("POST", "/script")


class MemoryFiles:
    """Files that live in a dict of absolute paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    async def info(self, path: str) -> FileInfo:
        return FileInfo(path, "file", len(await self.read(path)), 0)

    async def read(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path][start : None if size is None else start + size]

    async def version(self, path: str) -> Version | None:
        return Version(str(hash(self.files[path])), len(self.files[path]), 0) if path in self.files else None

    async def write(self, path: str, data: bytes, *, expect: Version | None) -> Version:
        self.files[path] = data
        return Version(str(hash(data)), len(data), 0)

    async def remove(self, path: str, *, expect: Version) -> None:
        del self.files[path]

    async def move(self, path: str, target: str, *, expect: Version) -> None:
        self.files[target] = self.files.pop(path)

    async def list(self, path: str) -> Sequence[FileInfo]:
        return [await self.info(name) for name in sorted(self.files) if name.startswith(path)]

    def granting(self, paths: Sequence[str]) -> MemoryFiles:
        return self


class NoProcesses:
    """A sandbox in which nothing can be started."""

    @property
    def level(self) -> Level:
        return "none"

    def spawn(
        self, command: Command, profile: Profile, *, stdin: bool = False
    ) -> AbstractAsyncContextManager[Process]:
        raise AssertionError("nothing may be started here")


def memory_sandbox(**files: bytes) -> Sandbox:
    """Return a sandbox whose files live in memory, under /w."""
    held = MemoryFiles({f"/w/{name}": data for name, data in files.items()})
    return Sandbox(Place("/w", "/w"), held, NoProcesses(), Profile(("/w",)))


class PathArguments(BaseModel):
    path: str


class FakeTool:
    """A tool with a path: what it would touch and what it does are given."""

    def __init__(
        self,
        name: str,
        run: Callable[[str, ToolContext], Awaitable[str]],
        *,
        writes: bool = False,
        opaque: bool = False,
    ) -> None:
        self.spec = Function(
            name=name, description=f"{name} a file.", parameters=PathArguments.model_json_schema()
        )
        self._run = run
        self._writes = writes
        self._opaque = opaque

    def access(self, arguments: JsonObject, place: Place) -> Access:
        path = f"{place.cwd}/{self._path(arguments)}"
        name = self.spec.name
        if self._opaque:
            return Access(name, runs=(path,), opaque=True)
        return Access(name, writes=(path,)) if self._writes else Access(name, reads=(path,))

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        return Outcome((Text(text=await self._run(self._path(arguments), ctx)),))

    def _path(self, arguments: JsonObject) -> str:
        try:
            return PathArguments.model_validate(arguments).path
        except ValidationError as error:
            raise ToolError("path: a string is wanted") from error


async def _read(path: str, ctx: ToolContext) -> str:
    return (await ctx.sandbox.files.read(f"{ctx.sandbox.place.cwd}/{path}")).decode()


def reading() -> FakeTool:
    """Return a tool that reads a file."""
    return FakeTool("read", _read)


class Says:
    """A permit whose answers are given: what rules say, and what somebody who is asked says."""

    def __init__(
        self,
        judged: Allowed | Refused | Unsure = BY_MODE,
        answer: Callable[[], Awaitable[Allowed | Refused]] | None = None,
    ) -> None:
        self._judged = judged
        self._answer = answer

    def judge(self, call: ToolCall, access: Access) -> Allowed | Refused | Unsure:
        return self._judged

    async def ask(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        assert self._answer is not None
        return await self._answer()


def make_session(
    path: Path | None,
    model: LanguageModel,
    *tools: Tool,
    permit: Says | None = None,
    limits: Limits | None = None,
    sandbox: Sandbox | None = None,
    wanted: Wanted | None = None,
    fallbacks: Mapping[str, LanguageModel] | None = None,
) -> Session:
    """Return a session over these parts, opened anew or read back from its file."""
    log = SessionLog(path)
    record = Record(log)
    toolbox = Toolbox()
    toolbox.plug("builtin", tools or [reading()])
    where = sandbox or memory_sandbox(a=b"hello")
    run = Calls(toolbox, where, permit or Says(), record.keep, record.show)
    retries = Retries(attempts=3, base=0.0)
    desk = Desk("s1", model, run, limits or Limits(), wanted or Wanted(), retries, fallbacks or {})
    if log.head is None:
        prefix = Prefix(system=("You work.",), tools=toolbox.snapshot().specs)
        log.append(SessionOpened(session="s1", workspace="/w", model="script/script", prefix=prefix))
    return Session("s1", desk, record)
