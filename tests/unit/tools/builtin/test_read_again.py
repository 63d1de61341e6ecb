from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.read import read_tool
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import Text, Tool, ToolContext
from treadle.tools.jobs import Jobs

pytestmark = pytest.mark.anyio
LONG = "\n".join(f"line {number} of the file" for number in range(60))


class Sent:
    """What a conversation still holds, by call, and how many replies ago."""

    def __init__(self) -> None:
        self.results: dict[str, tuple[str, int]] = {}

    def __call__(self, call_id: str) -> tuple[str, int] | None:
        return self.results.get(call_id)


class Reading:
    """Reads through one tool, call by call, and remembers what each was answered."""

    def __init__(self, ctx: ToolContext) -> None:
        self.sent = Sent()
        self._tool = read_tool(Seen(self.sent))
        self._ctx = ctx
        self._count = 0

    async def __call__(self, **arguments: object) -> str:
        self._count += 1
        call_id = f"r{self._count}"
        outcome = await self._tool.run(dict(arguments), replace(self._ctx, call_id=call_id))
        assert isinstance(outcome.content[0], Text)
        self.sent.results[call_id] = (outcome.content[0].text, 3)
        return outcome.content[0].text


@pytest.fixture
def reads(ctx: ToolContext, root: Path) -> Reading:
    (root / "f.txt").write_text(LONG, encoding="utf-8")
    return Reading(ctx)


async def test_an_unchanged_file_is_shown_once_and_again_only_for_who_insists(reads: Reading) -> None:
    whole = await reads(path="f.txt")
    assert whole.startswith("1\tline 0")
    stub = await reads(path="f.txt")
    assert stub.startswith(
        "[f.txt is unchanged, and these lines of it stand above, where you read them 3 replies"
    )
    assert await reads(path="f.txt") == whole


async def test_other_lines_and_a_changed_file_are_shown(reads: Reading, root: Path) -> None:
    await reads(path="f.txt")
    assert (await reads(path="f.txt", offset=2, limit=30)).startswith("2\tline 1")
    (root / "f.txt").write_text(LONG.replace("line 1 ", "LINE 1 "), encoding="utf-8")
    assert "LINE 1" in await reads(path="f.txt")


@pytest.mark.parametrize("left", [None, ("[cleared to make room]", 9)])
async def test_what_the_model_is_no_longer_sent_is_shown_again(
    reads: Reading, left: tuple[str, int] | None
) -> None:
    whole = await reads(path="f.txt")
    reads.sent.results.clear()
    if left is not None:
        reads.sent.results["r1"] = left
    assert await reads(path="f.txt") == whole


async def test_a_short_answer_is_shorter_than_saying_so(reads: Reading, root: Path) -> None:
    (root / "s.txt").write_text("short\n", encoding="utf-8")
    assert await reads(path="s.txt") == await reads(path="s.txt")


async def test_long_output_is_in_a_file_that_read_and_grep_take(
    tools: dict[str, Tool], text: Callable[..., Awaitable[str]], spills: Path, jobs: Jobs
) -> None:
    async with jobs:
        assert set(tools) == {tool.spec.name for tool in builtin_tools(Seen(), Jobs(_Nowhere()), None)}
        shown = await text("shell", command="seq 1 20000; echo needle; seq 1 20000")
        handle = str(spills / "c1.txt")
        assert handle in shown
        assert len(shown) < 33_000
        assert "needle" not in shown
        assert "20001\tneedle" in await text("read", path=handle, offset=20_001, limit=1)
        assert "20001:needle" in await text("grep", pattern="needle", path=handle)


class _Nowhere:
    def path(self, call_id: str) -> str:
        raise AssertionError(call_id)
