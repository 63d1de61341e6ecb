"""What has made other agents pay for their prompts again and again: each of these a test (CONTEXT.md §1.12 tells whose)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Literal

import anyio
import pytest
from prefix.bodies import begins, knobs, segments
from prefix.direct import Sent
from prefix.lives import Life, Sourced, guidance
from wires.rows import WIRES

from treadle.agent.events import Compacted, HistoryRepaired
from treadle.agent.log import load as load_log
from treadle.agent.messages import UserMessage, user
from treadle.agent.mock.script import Step
from treadle.agent.providers.contract import Breakpoint, Caching, ModelRequest, Renderings
from treadle.agent.sessions import fork
from treadle.prompts import load
from treadle.tools.contract import Inline, Media, Text

pytestmark = pytest.mark.anyio
CLAUDE, GPT = "anthropic", "openai_responses"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LONG = "what stands here matters to nobody\n" * 200


@asynccontextmanager
async def life(base: Path, wire: str = CLAUDE, *, small: bool = False) -> AsyncGenerator[Life]:
    """A session that has been opened; what is sent is checked against what was sent before, and kept."""
    made = Life(base, wire, Random(0), 1_000 if small else "auto")
    made.provider.keep = True
    await made.open()
    try:
        yield made
    finally:
        await made.stack.aclose()


async def say(told: Life, *steps: dict[str, Any], message: UserMessage | None = None) -> list[Sent]:
    """Prompt, have these steps taken, and return the requests that this led to."""
    before = len(told.provider.sent)
    told.script = [Step.model_validate(step) for step in steps]
    facts = told.opened.facts if not told.counts["turns"] else ()
    told.counts["turns"] += 1
    with anyio.fail_after(5):
        ended = await told.opened.session.prompt(*facts, message or user(f"Prompt {told.counts['turns']}."))
    assert ended.outcome == "done", ended
    return told.provider.sent[before:]


def calls(told: Life, count: int, first: int = 1, text: str = "one\n") -> dict[str, Any]:
    """A step that reads so many files, each for the first time."""
    names = [f"c{first + at}" for at in range(count)]
    for name in names:
        (told.work / f"{name}.txt").write_text(f"{name}: {text}", encoding="utf-8")
    made = [{"name": "read", "arguments": {"path": f"{name}.txt"}, "id": name} for name in names]
    return {"text": "So.", "calls": made}


def pieces(sent: Sent) -> list[str]:
    return segments(sent.path, sent.body)


def front(sent: Sent) -> list[str]:
    """Tools and system prompt."""
    body = json.loads(sent.body)
    count = len(body["tools"]) + (len(body["system"]) if "system" in body else 1)
    return pieces(sent)[:count]


def markers(sent: Sent) -> list[str]:
    return re.findall(r'"cache_control":\{"type":"ephemeral"(?:,"ttl":"(\w+)")?\}', sent.body.decode())


def reads_all(before: Sent, after: Sent) -> bool:
    return after.prompt.cached >= before.prompt.input


async def first_request(base: Path, wire: str = CLAUDE, rule: str = "") -> Sent:
    async with life(base, wire) as told:
        if rule:
            (told.work / "AGENTS.md").write_text(rule, encoding="utf-8")
        return (await say(told))[0]


async def test_no_time_folder_or_state_stands_in_the_system_prompt(tmp_path: Path) -> None:
    one, other = await first_request(tmp_path / "one"), await first_request(tmp_path / "other" / "deep")
    assert front(one) == front(other)
    now = datetime.now(UTC)
    said = "".join(front(one))
    assert not re.search(rf"{now:%Y}|{now:%B}|{re.escape(str(tmp_path))}|/home|branch ", said)


async def test_the_order_in_which_tools_come_from_a_server_does_not_matter(tmp_path: Path) -> None:
    sent: list[Sent] = []
    for number, names in enumerate((("x", "y", "z"), ("z", "x", "y"))):
        async with life(tmp_path / f"{number}") as told:
            toolbox = told.opened.session.calls.toolbox
            toolbox.plug("server", [Sourced(name, "Does.") for name in names])
            specs = [spec.name for spec in toolbox.snapshot().specs]
            assert specs[-3:] == ["x", "y", "z"]
            sent += await say(told)
    assert front(sent[0]) == front(sent[1])


async def test_a_server_that_connects_late_comes_back_or_says_other_things_moves_nothing(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as told:
        toolbox = told.opened.session.calls.toolbox
        (first,) = await say(told)
        for description in ("Instructions of one day.", "Instructions of another."):
            toolbox.plug("server", [Sourced("late", description)], deferred=True)
            (after,) = await say(told)
            assert begins(pieces(after), pieces(first)) is None
            assert reads_all(first, after)
            toolbox.unplug("server")
            (gone,) = await say(told)
            assert reads_all(after, gone)
            first = gone


async def test_descriptions_of_tools_say_nothing_that_changes(tmp_path: Path) -> None:
    one, other = await first_request(tmp_path / "one"), await first_request(tmp_path / "other")
    assert json.loads(one.body)["tools"] == json.loads(other.body)["tools"]
    assert "skill-0" not in json.dumps(json.loads(one.body)["tools"])


async def test_the_list_of_skills_is_no_part_of_the_system_prompt_and_stays_as_it_was_told(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as told:
        (first,) = await say(told)
        assert "skill-0" not in "".join(front(first))
        assert "skill-0" in "".join(pieces(first))
        await guidance(told)
        (after,) = await say(told)
        assert begins(pieces(after), pieces(first)) is None


@pytest.mark.parametrize("wire", [CLAUDE, GPT, "openai_chat", "gemini", "gemini_interactions"])
async def test_a_session_that_goes_on_sends_the_same_bytes(tmp_path: Path, wire: str) -> None:
    picture = Media(kind="image", mime="image/png", source=Inline(data=PNG))
    async with life(tmp_path, wire) as told:
        thinking: dict[str, Any] = {"reasoning": "Hm — é.", **calls(told, 2)}
        sent = await say(told, thinking, message=UserMessage(content=(Text(text="Look."), picture)))
        await told.open()
        (after,) = await say(told)
        assert begins(pieces(after), pieces(sent[-1])) is None
        assert PNG.encode() in after.body


async def test_every_process_finds_the_same_cache(tmp_path: Path) -> None:
    async with life(tmp_path, GPT) as told:
        (first,) = await say(told)
        await told.open()
        (resumed,) = await say(told)
        source = told.log.path
        assert source is not None
        await told.stack.aclose()
        told.file = source.with_name("fork.jsonl")
        fork(source, None, told.file)
        await told.open()
        (forked,) = await say(told)
    assert len({knobs(sent.body)["prompt_cache_key"] for sent in (first, resumed, forked)}) == 1
    assert reads_all(first, resumed)
    assert reads_all(resumed, forked)


async def test_another_mode_moves_nothing_and_another_effort_is_only_a_knob(tmp_path: Path) -> None:
    async with life(tmp_path) as told:
        (first,) = await say(told)
        await told.open(mode="plan")
        (planning,) = await say(told)
        assert begins(pieces(planning), pieces(first)) is None
        assert reads_all(first, planning)
        await told.open(effort="high")
        (harder,) = await say(told)
        assert begins(pieces(harder), pieces(planning)) is None


async def test_nothing_old_is_taken_out_while_the_cache_is_warm(tmp_path: Path) -> None:
    async with life(tmp_path) as told:
        sent = await say(told, *(calls(told, 1, number, LONG) for number in range(20)))
        assert all(reads_all(before, after) for before, after in pairwise(sent))
        assert not [one for one in told.log.branch() if isinstance(one.body, Compacted | HistoryRepaired)]


async def test_a_note_is_asked_for_with_the_same_tools_and_system_prompt_and_reads_what_was_sent(
    tmp_path: Path,
) -> None:
    asking = json.dumps(load("compaction/ask")[:50])[1:-1].encode()
    async with life(tmp_path, small=True) as told:
        sent = await say(told, *(calls(told, 1, number, LONG) for number in range(8)))
        noted = [at for at, one in enumerate(sent) if asking in one.body]
    assert noted
    before, note = sent[noted[0] - 1], sent[noted[0]]
    assert front(note) == front(before)
    assert begins(pieces(note), pieces(before)) is None
    assert reads_all(before, note)


async def test_gpt_finds_the_start_that_all_sessions_share(tmp_path: Path) -> None:
    async with life(tmp_path / "one", GPT) as one, life(tmp_path / "other", GPT) as other:
        other.provider.ledger = one.provider.ledger
        one.script = other.script = []
        (first,) = await say(one)
        (second,) = await say(other)
    marked = [piece for piece in json.loads(first.body)["input"] if "prompt_cache_breakpoint" in str(piece)]
    assert marked
    assert front(first) == front(second)


Ttl = Literal["5m", "1h"]
TIMES: Sequence[tuple[Ttl, Ttl, list[str]]] = (
    ("1h", "5m", ["1h", ""]),
    ("1h", "1h", ["1h", "1h"]),
    ("5m", "1h", ["1h", "1h"]),
)


def test_the_time_that_is_asked_for_is_what_goes_out() -> None:
    row = WIRES["anthropic.sonnet"]
    for first, last, sent in TIMES:
        points = (Breakpoint("system", ttl=first), Breakpoint("message", 1, last))
        messages = (user("a"), user("b"))
        request = ModelRequest(system=("S",), tools=(), messages=messages, caching=Caching(points))
        body = row.wire.encode(request, row.model, Renderings(), stream=True).body
        assert re.findall(r'"ephemeral"(?:,"ttl":"(\w+)")?', body.decode()) == sent


@pytest.mark.parametrize("count", [8, 19, 25, 40])
async def test_many_calls_at_once_do_not_hide_what_was_written_before(tmp_path: Path, count: int) -> None:
    async with life(tmp_path) as told:
        sent = await say(told, calls(told, 1), calls(told, count, 2), calls(told, 1, 100))
    assert all(reads_all(before, after) for before, after in pairwise(sent))
    assert all(len(markers(one)) <= 4 for one in sent)


@pytest.mark.parametrize("wire", [CLAUDE, GPT, "gemini"])
async def test_a_picture_stays_where_it_is_and_as_it_is(tmp_path: Path, wire: str) -> None:
    async with life(tmp_path, wire) as told:
        picture = Media(kind="image", mime="image/png", source=Inline(data=PNG))
        sent = await say(told, calls(told, 1), message=UserMessage(content=(picture, Text(text="See."))))
        await told.open(mode="plan")
        sent += await say(told)
    assert all(one.body.count(PNG.encode()) == 1 for one in sent)
    shown = {next(at for at, piece in enumerate(pieces(one)) if PNG in piece) for one in sent}
    assert len(shown) == 1


async def test_what_is_of_one_folder_comes_after_what_all_folders_share(tmp_path: Path) -> None:
    one, other = await first_request(tmp_path / "one"), await first_request(tmp_path / "other")
    shared = next(at for at, (a, b) in enumerate(zip(pieces(one), pieces(other), strict=False)) if a != b)
    assert shared == len(front(one))


async def test_what_is_asked_at_the_side_takes_nothing_from_the_session(tmp_path: Path) -> None:
    asking = json.dumps(load("compaction/ask")[:50])[1:-1].encode()
    async with life(tmp_path, GPT, small=True) as told:
        sent = await say(told, *(calls(told, 1, number, LONG) for number in range(8)))
    side = [one for one in sent if asking in one.body]
    assert side
    keys = {(knobs(one.body)["prompt_cache_key"], knobs(one.body)["model"]) for one in sent}
    assert len(keys) == 1


async def test_going_on_while_the_cache_lives_reads_everything(tmp_path: Path) -> None:
    async with life(tmp_path) as told:
        sent = await say(told, calls(told, 1))
        told.provider.clock.advance(299)
        await told.open()
        (after,) = await say(told)
    assert reads_all(sent[-1], after)
    path = told.file
    assert path is not None
    assert not [one for one in load_log(path).entries if isinstance(one.body, HistoryRepaired)]


async def test_an_hour_is_not_paid_for_where_nobody_pauses(tmp_path: Path) -> None:
    async with life(tmp_path) as told:
        sent = await say(told, *(calls(told, 1, number) for number in range(12)))
    assert sum(one.prompt.written_long for one in sent) == 0
    assert _spent(sent) < 1.35 * _spent_at_best(sent)


def _spent(sent: Sequence[Sent]) -> float:
    return sum(
        one.prompt.input - one.prompt.cached - one.prompt.written + 0.05 * one.prompt.cached for one in sent
    ) + sum(1.25 * one.prompt.written for one in sent)


def _spent_at_best(sent: Sequence[Sent]) -> float:
    ends = [one.prompt.input for one in sent]
    return sum(0.05 * before + 1.25 * (now - before) for before, now in zip([0, *ends], ends, strict=False))
