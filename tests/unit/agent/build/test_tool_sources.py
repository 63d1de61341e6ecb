"""Sources of tools that connect, change and die between the steps of a session."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from fakes import FakeTool, ScriptedModel, calls, says
from treadle.agent.build import Opened, Opening, open_session
from treadle.agent.config import Config, Folders
from treadle.agent.events import Compacted, ToolsChanged
from treadle.agent.messages import AssistantMessage, ToolMessage, UserMessage, user
from treadle.tools.contract import Text, ToolContext
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def _does(path: str, ctx: ToolContext) -> str:
    return f"did {path}"


def tool(name: str, description: str = "") -> FakeTool:
    made = FakeTool(name, _does)
    made.spec = made.spec.model_copy(update={"description": description or made.spec.description})
    return made


def through_tools(name: str, action: str = "call", number: int = 1) -> AssistantMessage:
    arguments = {"action": action, "name": name, "arguments": {"path": "a"}}
    return calls(("tools", json.dumps(arguments)), first_id=number)


class Told:
    """A session, what its model was sent, and what happens before each of its steps."""

    def __init__(self, opened: Opened, model: ScriptedModel) -> None:
        self.opened = opened
        self.model = model
        self.toolbox: Toolbox = opened.session.calls.toolbox

    async def say(self, text: str = "Go on.") -> None:
        ended = await self.opened.session.prompt(user(text))
        assert ended.outcome == "done", ended.error

    @property
    def changes(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        bodies = [entry.body for entry in self.opened.session.record.log.branch()]
        return [(b.source, b.added, b.removed) for b in bodies if isinstance(b, ToolsChanged)]

    @property
    def notices(self) -> list[str]:
        """What was told at the tail, of all that was sent last."""
        return [
            part.text
            for message in self.model.requests[-1].messages
            if isinstance(message, UserMessage) and message.author == "runtime"
            for part in message.content
            if isinstance(part, Text)
        ]

    @property
    def results(self) -> list[str]:
        last = self.model.requests[-1].messages[-1]
        assert isinstance(last, ToolMessage)
        return [part.text for result in last.results for part in result.content if isinstance(part, Text)]

    def only_grew(self) -> bool:
        """Say whether every request began with the one before it."""
        sent = self.model.requests
        return all(
            (after.system, after.tools, after.messages[: len(before.messages)])
            == (before.system, before.tools, before.messages)
            for before, after in pairwise(sent)
        )


@asynccontextmanager
async def session(
    tmp: Path,
    *script: AssistantMessage,
    when_asked: Callable[[], None] = lambda: None,
    resume: Path | None = None,
    **more: str,
) -> AsyncGenerator[Told]:
    model = ScriptedModel(*script, when_asked=when_asked)
    work = tmp / "work"
    work.mkdir(exist_ok=True)
    env = {"TREADLE_MOCK_URL": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"}
    given = Config.model_validate({"model": "mock/m", "sandbox": "none"})
    opening = Opening(
        work,
        given,
        env,
        Folders(tmp, tmp),
        resume,
        through=lambda _model, _client: model,
        tools="none" if more.get("tools") == "none" else "all",
    )
    with anyio.fail_after(5):
        async with open_session(opening) as opened:
            yield Told(opened, model)


async def test_a_source_that_comes_late_is_told_at_the_tail_and_reached_through_the_dispatcher(
    tmp_path: Path,
) -> None:
    script = (through_tools("late"), says("One."), through_tools("hidden", number=2), says("Two."))
    async with session(tmp_path, *script) as told:
        told.toolbox.plug("server", [tool("late")])
        told.toolbox.plug("other", [tool("hidden")], deferred=True)
        await told.say()
        assert told.results == ["did a"]
        assert told.changes == [("other", ("hidden",), ()), ("server", ("late",), ())]
        assert sum("hidden, late" in text for text in told.notices) == 1
        await told.say()
        assert (told.results, len(told.changes), told.only_grew()) == (["did a"], 2, True)
        assert "late" not in {spec.name for spec in told.model.requests[-1].tools}


async def test_a_source_that_dies_between_two_steps_is_told_and_its_tools_say_so(tmp_path: Path) -> None:
    def die() -> None:
        if told.model.requests[1:]:
            told.toolbox.unplug("server")

    script = (
        calls(("tools", '{"action": "search"}')),
        calls(("late", '{"path": "a"}'), ("tools", '{"action": "call", "name": "late"}'), first_id=2),
        says("Then not."),
    )
    async with session(tmp_path, *script, when_asked=die) as told:
        told.toolbox.plug("server", [tool("late")])
        await told.say()
        asked = told.model.requests[-1].messages
        assert isinstance(asked[-2], ToolMessage)
        gone = [str(result.content) for result in asked[-2].results]
        assert all("not available any more" in text for text in gone), gone
        assert told.changes[-1] == ("server", (), ("late",))
        assert "not available any more: late" in told.notices[-1]
        assert told.only_grew()


async def test_a_tool_that_changes_is_told_once_and_described_as_it_is_now(tmp_path: Path) -> None:
    script = (says("One."), through_tools("late", "describe"), says("Two."), says("Three."))
    async with session(tmp_path, *script) as told:
        told.toolbox.plug("server", [tool("late")])
        await told.say()
        told.toolbox.plug("server", [tool("late", "Other things.")])
        await told.say()
        assert "Other things." in told.results[0]
        assert told.changes[1:] == [("server", ("late",), ("late",))]
        told.toolbox.plug("server", [tool("late", "Other things.")])
        await told.say()
        assert (len(told.changes), told.only_grew()) == (2, True)


async def test_a_tool_of_the_frozen_list_that_goes_comes_back_under_its_own_name(tmp_path: Path) -> None:
    async with session(tmp_path, says("One."), says("Two."), says("Three.")) as told:
        own = list(told.toolbox.snapshot().tools.values())
        await told.say()
        assert told.changes == []
        told.toolbox.plug("builtin", [each for each in own if each.spec.name != "read"])
        await told.say()
        told.toolbox.plug("builtin", own)
        await told.say()
        assert told.changes == [("builtin", (), ("read",)), ("builtin", ("read",), ())]
        assert "called again: read" in told.notices[-1]
        assert told.only_grew()


async def test_a_session_that_goes_on_without_a_source_says_so_and_after_room_was_made_tells_what_is_there(
    tmp_path: Path,
) -> None:
    async with session(tmp_path, says("One.")) as told:
        told.toolbox.plug("server", [tool(f"late{number:02}") for number in range(45)])
        await told.say()
        assert "late39 and 5 more" in told.notices[-1]
        path = told.opened.session.record.log.path
    script = (calls(("late03", '{"path": "a"}')), says("Two."), says("Three."), says("Four."))
    async with session(tmp_path, *script, resume=path) as told:
        await told.say()
        assert "late03 is not available any more." in told.results
        assert told.changes[-1][:2] == ("", ())
        told.toolbox.plug("server", [tool("late03")])
        await told.say()
        assert told.changes[-1] == ("server", ("late03",), ())
        await told.opened.session.record.keep(Compacted(summary="All that was.", keep_from=None))
        await told.say()
        assert told.changes[-1] == ("server", ("late03",), ())
        assert len(told.changes) == 4


async def test_nothing_is_told_of_tools_that_the_model_cannot_reach(tmp_path: Path) -> None:
    async with session(tmp_path, says("One."), tools="none") as told:
        told.toolbox.plug("server", [tool("late")])
        await told.say()
        assert (told.changes, told.notices) == ([], [])
