"""Sessions against the mock provider, each request planned, sent and billed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from treadle.agent.build.model import language_model
from treadle.agent.cache.planner import Planned, Planner
from treadle.agent.config import Config
from treadle.agent.context import assemble
from treadle.agent.events import CallFinished, CallStarted, MessageAdded, Prefix, SessionOpened
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, Usage, user
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import Output
from treadle.agent.settings import Settings
from treadle.tools.contract import Function, Text, ToolResult

KEYS = {f"{vendor}_API_KEY": "sk-test" for vendor in ("OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "MOCK")}
TOOLS = tuple(
    Function(name=name, description="Does something. " * 40, parameters={"type": "object", "properties": {}})
    for name in ("edit", "read", "shell")
)


def environment(url: str) -> dict[str, str]:
    """Return the variables of a user whose vendors are all the mock."""
    return {
        **KEYS,
        "OPENAI_BASE_URL": f"{url}/v1",
        "ANTHROPIC_BASE_URL": url,
        "GEMINI_BASE_URL": url,
        "DEEPSEEK_BASE_URL": f"{url}/deepseek/v1",
        "TREADLE_MOCK_URL": url,
    }


class Told:
    """A session whose model says what a script says, and whose provider bills by the mock's rules."""

    def __init__(
        self, mock: Mock, spec: str, *, interactive: bool = False, system: str = "You work. " * 800
    ) -> None:
        self.mock = mock
        self.spec = spec
        self.model: Client = language_model(spec, Config(), environment(mock.url))
        self.log = SessionLog(None, now=self.now)
        self.planner = Planner(interactive=interactive, now=self.now)
        self.planned: list[Planned] = []
        self.log.append(
            SessionOpened(
                session="s1",
                workspace="/w",
                model=spec,
                prefix=Prefix(system=(system,), tools=TOOLS),
                settings=Settings(),
            ),
            MessageAdded(message=user("The workspace is /w. " * 200)),
            MessageAdded(message=user("Mend it.")),
        )

    def now(self) -> datetime:
        """The time by the provider's clock."""
        return datetime.fromtimestamp(self.mock.clock.now(), UTC)

    async def switch(self, spec: str) -> None:
        """Let another model answer."""
        await self.model.aclose()
        self.model = language_model(spec, Config(), environment(self.mock.url))

    def say(self, *messages: Message) -> None:
        """Keep messages."""
        self.log.append(*(MessageAdded(message=message) for message in messages))

    async def step(self, *, result: str = "", key: str = "s1") -> tuple[Planned, Usage]:
        """Take one step; the calls of the reply are answered with a result."""
        conversation = self.log.conversation
        planned = self.planner.plan(assemble(conversation, key, Output()), self.model, conversation)
        async with self.model.stream(planned.request) as stream:
            async for _ in stream:
                pass
            reply = MessageAdded(message=stream.message, forecast=planned.forecast)
        self.log.append(reply)
        message = reply.message
        assert isinstance(message, AssistantMessage)
        for call in message.calls:
            done = ToolResult(call_id=call.id, content=(Text(text=result or "ok " * 700),))
            self.log.append(CallStarted(call=call), CallFinished(result=done))
        self.planned.append(planned)
        return planned, message.usage


@asynccontextmanager
async def told(mock: Mock, spec: str) -> AsyncGenerator[Told]:
    """Begin a session."""
    session = Told(mock, spec)
    try:
        yield session
    finally:
        await session.model.aclose()


def calls(*names: str, text: str = "") -> dict[str, Any]:
    """Return a step of a script that makes calls."""
    step: dict[str, Any] = {"calls": [{name: {}} for name in names]}
    return {**step, "text": text} if text else step


@asynccontextmanager
async def provider(*steps: dict[str, Any]) -> AsyncGenerator[Mock]:
    """Serve a script on a clock that stands still."""
    script = parse(json.dumps({"clock": {"still": True}, "then": "repeat", "steps": steps}))
    async with serve(script) as mock:
        yield mock


def split(usage: Usage) -> tuple[int, dict[str, int], int]:
    """Return the tokens read, written and fresh of a bill."""
    written = {name: count for name, count in usage.cache_write.model_dump().items() if count}
    return usage.cache_read, written, usage.input


def expected(planned: Planned) -> tuple[int, dict[str, int], int]:
    """Return the same of what was expected."""
    assert planned.forecast is not None
    forecast = planned.forecast
    written = {name: count for name, count in forecast.write.model_dump().items() if count}
    return forecast.read, written, forecast.fresh
