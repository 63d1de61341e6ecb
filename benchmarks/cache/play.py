"""Plays a session, with its planner and its compactor, against the simulated cache of its vendor."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files

from benchmarks.cache.scenarios import STEP, Scenario
from tests.fakes import Says, memory_sandbox
from tests.prefix.direct import Provider, Sent
from treadle.agent.build import language_model
from treadle.agent.cache.planner import Planner
from treadle.agent.compaction.compactor import Around, Compactor
from treadle.agent.config import Config
from treadle.agent.conversation import Conversation
from treadle.agent.desk import Desk, MakeRoom, room_enough
from treadle.agent.events import Body, MessageAdded, Prefix, SessionOpened, ToolsChanged
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.messages import Message, UserMessage, notice, user
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.script import Call, Step
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Caching,
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
from treadle.agent.warmth import Warmth
from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Function, JsonObject, Outcome, Text, ToolContext
from treadle.tools.toolbox import Toolbox

ENV = {f"{vendor}_API_KEY": "k" for vendor in ("ANTHROPIC", "OPENAI", "GEMINI", "DEEPSEEK")}
ENV["TREADLE_MOCK_URL"] = "http://127.0.0.1:9"
HEADS = ("Goal", "Constraints", "Decisions", "Files", "Commands that work", "Dead ends", "Next step")
NOTE = "\n".join(f"## {head}\nnone" for head in HEADS)
TASK = "Read the pages, one after the other, and say what they have in common."

Marking = Callable[[Caching], Caching]


@dataclass(frozen=True)
class Played:
    """A session that was played."""

    info: ModelInfo
    sent: list[Sent]
    times: list[float]
    """When each request began."""


class Page:
    """Returns so many bytes of text."""

    spec = Function(
        name="page",
        description="Read a page.",
        parameters={
            "type": "object",
            "properties": {"number": {"type": "integer"}, "size": {"type": "integer"}},
        },
    )

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return Access("page")

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        number, size = arguments["number"], arguments["size"]
        lines = "".join(
            f"{number}.{line}: what stands here matters to nobody\n" for line in range(size // 30)
        )
        return Outcome((Text(text=lines[:size]),))


class _Marked:
    """A model whose requests are marked otherwise than planned."""

    def __init__(self, model: LanguageModel, marking: Marking) -> None:
        self._model = model
        self._marking = marking

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    def encode(self, request: ModelRequest) -> HttpCall:
        return self._model.encode(request)

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        return self._model.stream(replace(request, caching=self._marking(request.caching)))


class _Story:
    """What the model says, and when."""

    def __init__(self, scenario: Scenario) -> None:
        self._steps: deque[Step] = deque()
        self._number = 0
        self.times: list[float] = []
        self.provider = Provider(self._say, self._asked)
        self.scenario = scenario
        self._noting = False

    def now(self) -> datetime:
        """The time by the provider's clock."""
        return datetime.fromtimestamp(self.provider.clock.now(), UTC)

    def prepare(self, steps: tuple[tuple[int, ...], ...]) -> None:
        """Have these steps said next, and then an end."""
        for sizes in steps:
            calls: list[Call] = []
            for size in sizes:
                self._number += 1
                arguments = {"number": self._number, "size": size}
                calls.append(Call(name="page", arguments={**arguments}, id=f"call_{self._number}"))
            self._steps.append(Step(text="The next one.", calls=tuple(calls)))
        self._steps.append(Step(text="That is what they have in common: nothing. " * 4))

    def _asked(self, request: ModelRequest, path: str, body: bytes) -> None:
        self.provider.clock.advance(STEP)
        self.times.append(self.provider.clock.now())
        self._noting = _said(request.messages[-1]).startswith(load("compaction/ask")[:60])

    def _say(self, asked: Asked) -> Step:
        return Step(text=NOTE) if self._noting else self._steps.popleft()


def _said(message: Message) -> str:
    if not isinstance(message, UserMessage):
        return ""
    return "".join(part.text for part in message.content if isinstance(part, Text))


async def play(scenario: Scenario, spec: str, marking: Marking | None = None) -> Played:
    """Play a session with a model; `marking` changes what is asked of the cache, None leaves that to the planner."""
    story = _Story(scenario)
    client, session = session_of(spec, story.provider, story, marking)
    keep = session.record.keep
    facts = [notice("You are in /w. " * 60)]
    for turn in scenario.turns:
        story.provider.clock.advance(turn.gap)
        story.prepare(turn.steps)
        if turn.late:
            told = ToolsChanged(source="docs", added=("docs_search", "docs_read"))
            await keep(told, MessageAdded(message=notice("There are more tools now: docs. " * 8)))
        ended = await session.prompt(*facts, user(TASK))
        facts = []
        if ended.outcome != "done":
            raise RuntimeError(f"{scenario.name} with {spec} ended as {ended.outcome}: {ended.error}")
    await client.aclose()
    return Played(client.info, story.provider.sent, story.times)


def session_of(
    spec: str, provider: Provider, story: _Story | None = None, marking: Marking | None = None
) -> tuple[Client, Session]:
    """Return a session over a provider: with the story's clock and its way to make room, or real time and none."""
    client = language_model(spec, Config(), ENV)
    model = provider.through(client, client)
    now = story.now if story else _now
    record = Record(SessionLog(None, now=now))
    toolbox = Toolbox()
    toolbox.plug("builtin", [Page()])
    interactive = story is not None and story.scenario.interactive
    desk = Desk(
        "session-1",
        _Marked(model, marking) if marking is not None else model,
        Calls(toolbox, memory_sandbox(), Says(), record.keep, record.show),
        limits=Limits(steps=None),
        retries=Retries(attempts=1),
        make_room=_room(story, record) if story else room_enough,
        warmth=Warmth(Planner(interactive=interactive, now=now)),
    )
    prefix = Prefix(system=(load("system"),), tools=(*toolbox.snapshot().specs, *_told()))
    opened = SessionOpened(session="session-1", workspace="/w", model=spec, prefix=prefix)
    record.log.append(opened)
    return client, Session("session-1", desk, record)


def _told() -> tuple[Function, ...]:
    """Return the built-in tools as a model is told of them."""
    parameters = json.loads(files("treadle.tools.builtin").joinpath("parameters.json").read_text("utf-8"))
    return tuple(
        Function(name=name, description=load(f"tools/{name}"), parameters=parameters[name])
        for name in sorted(parameters)
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _room(story: _Story, record: Record) -> MakeRoom:
    around = Around(now=story.now)
    notes = Compactor(
        "session-1", Retries(attempts=1), record.show, story.scenario.compact_at or "never", around
    )

    async def room(
        conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        if refused is not None:
            raise refused
        return await notes.make_room(conversation, model)

    return room


def unmarked(body: bytes) -> JsonObject:
    """Return a request without markers."""
    drop = {"cache_control", "prompt_cache_breakpoint"}
    return json.loads(body, object_hook=lambda one: {key: one[key] for key in one if key not in drop})
