from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e.crashing import Live, descendants, nobody_left, start, write_script
from e2e.running import Home, Object, Provider, new_home, provider

from treadle.agent.conversation import Conversation
from treadle.agent.events import CallFinished, Entry, TurnEnded
from treadle.agent.frontends.items import Items
from treadle.agent.log import load
from treadle.agent.messages import UserMessage

# Several processes one after the other, on a machine that may be busy.
pytestmark = pytest.mark.timeout(60)
STEPS = 10
MARK = "TREADLE_KILL_TEST"


def text_of(number: int) -> str:
    return f"line of step {number}\n" * 20


def step(number: int, mark: str) -> Object:
    """Return a reply that is streamed, writes a file, and runs a command that leaves a child behind."""
    command = f"export {MARK}={mark}; sleep 300 >&- 2>&- & echo {number} >> journal; echo did {number}"
    return {
        "text": f"Step {number}. " + "I write a file and run a command. " * 2,
        "calls": [
            {"write": {"path": f"file{number}.txt", "content": text_of(number)}},
            {"shell": {"command": command}},
        ],
        "pace": {"rate": 3000},
    }


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tmp_path_factory.mktemp("mark").as_posix()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mark: str) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("mock")
    steps = [step(number, mark) for number in range(STEPS)]
    with provider(folder, write_script(folder, [*steps, {"text": "All done."}])) as running:
        yield running


@pytest.mark.parametrize(
    ("sandbox", "seed"),
    [
        *(("none", seed) for seed in range(10)),
        *(pytest.param("auto", seed, marks=pytest.mark.real) for seed in range(10)),
        *(pytest.param("none", seed, marks=pytest.mark.soak) for seed in range(100, 200)),
    ],
)
def test_a_run_that_is_killed_loses_nothing_it_told_and_goes_on(
    tmp_path: Path, server: Provider, mark: str, sandbox: str, seed: int
) -> None:
    home = new_home(tmp_path, MOCK_API_KEY="x", TREADLE_MOCK_URL=server.url)
    run = start(home, sandbox=sandbox)
    try:
        family = kill_at_random(run, Random(seed))
    finally:
        run.close()
    nobody_left(mark, family)
    told = [line for line in run.lines if line["type"] in {"item.started", "item.completed"}]
    if not home.sessions:
        assert not run.lines
        finish(home)
        return
    (file,) = home.sessions
    assert replayed(load(file).entries)[: len(told)] == told
    assert done(home) >= {line["item"]["output"].split()[-1] for line in told if is_done(line)}
    if not any(isinstance(entry.body, TurnEnded) for entry in load(file).entries):
        finish(home, "--resume", file.stem, prompt=not asked(load(file).entries), sandbox=sandbox)
        nobody_left(mark, {})
    check_outcome(home, load(file).entries)


def kill_at_random(run: Live, random: Random) -> dict[int, str]:
    """Kill a run after some line and a moment more. Returns what lived below it."""
    run.read(random.randrange(60))
    time.sleep(random.random() * (0.03 if run.lines else 0.4))
    family = descendants(run.process.pid)
    run.process.kill()
    run.read(1000)
    return family


def finish(home: Home, *arguments: str, prompt: bool = True, sandbox: str = "none") -> None:
    prompted = ("-m", "mock/demo-1", "Go.") if prompt else ()
    ran = home.treadle("run", "--sandbox", sandbox, "--output", "stream-json", *arguments, *prompted)
    assert (ran.code, ran.result["outcome"], ran.result["message"]) == (0, "done", "All done."), ran.err


def replayed(entries: tuple[Entry, ...]) -> list[Object]:
    """Return the lines that stand for these entries."""
    items = Items()
    lines = [json.loads(json.dumps(line)) for entry in entries for line in items.of(entry)]
    return [line for line in lines if line["type"].startswith("item.")]


def is_done(line: dict[str, Any]) -> bool:
    return line["type"] == "item.completed" and line["item"]["type"] == "command_execution"


def done(home: Home) -> set[str]:
    journal = home.workspace / "journal"
    return set(journal.read_text(encoding="utf-8").split()) if journal.exists() else set()


def asked(entries: tuple[Entry, ...]) -> bool:
    return any(
        isinstance(message, UserMessage) and message.author == "user" for message in said(entries).messages
    )


def said(entries: tuple[Entry, ...]) -> Conversation:
    conversation = Conversation()
    for entry in entries:
        conversation.admit(entry)
    return conversation


def check_outcome(home: Home, entries: tuple[Entry, ...]) -> None:
    """Check that what the log says was done is done, all of it once."""
    journal = (home.workspace / "journal").read_text(encoding="utf-8").split()
    assert len(journal) == len(set(journal))
    results = {
        result.call_id: result
        for message in said(entries).messages
        if message.role == "tool"
        for result in message.results
    }
    assert len(results) == 2 * STEPS
    assert sum(isinstance(entry.body, CallFinished) for entry in entries) >= 2 * STEPS - 2
    for number in range(STEPS):
        written, ran = results[f"call_{number}_0"], results[f"call_{number}_1"]
        file = home.workspace / f"file{number}.txt"
        assert written.status == "interrupted" or file.exists()
        assert not file.exists() or file.read_text(encoding="utf-8") == text_of(number)
        assert ran.status == "interrupted" or str(number) in journal
    assert isinstance(entries[-1].body, TurnEnded)
    assert entries[-1].body.outcome == "done"
