"""`treadle demo`: the main job on a ready-made task, by a scripted model over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic
from typing import Literal

import anyio

from treadle.agent.build import Opening, WorkspaceError, open_session
from treadle.agent.config import Config, Folders, environment
from treadle.agent.events import Event, TurnEnded
from treadle.agent.frontends import tasks
from treadle.agent.frontends.outcome import Result
from treadle.agent.frontends.outputs import OutputClosed, TextOutput, complain, emit, styled, wants_color
from treadle.agent.messages import user
from treadle.agent.mock.script import load as load_script
from treadle.agent.mock.server import serve
from treadle.agent.providers.contract import ProviderError
from treadle.sandbox.bubblewrap import find, probe
from treadle.sandbox.contract import SandboxUnavailable
from treadle.sandbox.frozen import frozen

TASK = "ledger"
MODEL = "mock/demo-1"
_COUNTS = ("Ran ", "OK", "FAILED", "# pass", "# fail")
"""How the lines of a test runner's report begin that say what came out."""
_DIFF_STYLES = (("+++", "1"), ("---", "1"), ("diff ", "1"), ("@@", "36"), ("+", "32"), ("-", "31"))


@frozen
class _Screen:
    """Where the demo is shown: standard output, coloured or not."""

    color: bool

    def say(self, text: str, style: str = "") -> None:
        emit(styled(text, style if self.color else ""))

    def head(self, text: str) -> None:
        self.say(f"\n── {text}", "1")


def run_demo(name: str, *, keep: bool) -> int:
    """Run the demo. Returns 0 when the task's own proof passes afterwards, else 1 for usage and 2 for a failure."""
    env = environment()
    screen = _Screen(wants_color(env.get("NO_COLOR"), sys.stdout))
    try:
        task = tasks.load(name)
        if task.missing:
            complain(
                f"treadle: the task {name} needs {' and '.join(task.missing)}: install it, or take another task"
            )
            return 1
        with _folder(keep=keep) as base:
            return 0 if anyio.run(_demo, task, base, env, screen) else 2
    except tasks.TaskError as error:
        complain(f"treadle: {error}")
        return 1
    except (ProviderError, WorkspaceError, SandboxUnavailable, OSError) as error:
        complain(f"treadle: {error}")
    except OutputClosed:
        complain("treadle: standard output was closed; the demo was stopped")
    except KeyboardInterrupt:
        return 130
    return 2


async def _demo(task: tasks.Task, base: Path, env: Mapping[str, str], screen: _Screen) -> bool:
    """Show the task, its failing proof, the work, the diff and the proof again; say whether it passes."""
    copy = await anyio.to_thread.run_sync(tasks.prepare, task, base / task.name)
    screen.say(f"{task.title}, in {copy}", "1")
    screen.say(f"The model is scripted and served on 127.0.0.1; everything else is real.\n\n  {task.prompt}")
    await _prove(task, copy, screen, "before")
    screen.head("the session")
    began = monotonic()
    ended = await _work(task, copy, env, screen)
    took = monotonic() - began
    screen.head("the diff")
    for line in (await anyio.to_thread.run_sync(tasks.diff, copy)).splitlines():
        screen.say(line, next((style for begin, style in _DIFF_STYLES if line.startswith(begin)), ""))
    passed = await _prove(task, copy, screen, "after")
    screen.head("the bill")
    screen.say(_bill(ended, took))
    if ended.error is not None:
        complain(f"treadle: {ended.error}")
    return passed and ended.outcome == "done"


async def _prove(task: tasks.Task, copy: Path, screen: _Screen, when: str) -> bool:
    screen.head(f"{when}: {task.verify}")
    proof = await anyio.to_thread.run_sync(tasks.verify, task, copy)
    lines = [line for line in proof.output.strip().splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(_COUNTS)] or lines[-1:]
    screen.say(f"{'PASS' if proof.passed else 'FAIL'}  {', '.join(told)}", "32" if proof.passed else "31")
    return proof.passed


async def _work(task: tasks.Task, copy: Path, env: Mapping[str, str], screen: _Screen) -> TurnEnded:
    """Do the task in a session that is kept nowhere, with none of the user's settings."""
    output = TextOutput(color=screen.color, say=emit)
    sandbox = await anyio.to_thread.run_sync(_sandbox, env, screen)
    async with serve(load_script(task.script), keep=False) as mock:
        opening = Opening(
            folder=copy,
            config=Config(model=MODEL, sandbox=sandbox),
            env={**env, "TREADLE_MOCK_URL": mock.url},
            folders=Folders(config=copy.parent / "config", state=copy.parent / "state"),
            ephemeral=True,
        )
        async with open_session(opening) as opened:
            screen.say(f"sandbox: {opened.level}", "2")
            result = Result()

            async def show(event: Event) -> None:
                result.see(event)
                output.show(event)

            with opened.session.record.watch(show):
                ended = await opened.session.prompt(*opened.facts, user(task.prompt))
            screen.say(f"\n{result.found.message.strip()}")
            return ended


def _sandbox(env: Mapping[str, str], screen: _Screen) -> Literal["bwrap", "none"]:
    """Choose bubblewrap where it works. What runs without it is our own script, on our own files."""
    try:
        probe(find(env.get("PATH", ""), ()))
    except SandboxUnavailable as error:
        screen.say(f"no sandbox here, so the embedded script runs without one ({error})", "33")
        return "none"
    return "bwrap"


def _bill(ended: TurnEnded, seconds: float) -> str:
    usage = ended.usage
    share = usage.cache_read / usage.input_total if usage.input_total else 0.0
    cost = (
        "" if ended.cost_usd is None else f" · ${ended.cost_usd:.4f} at a mid-size model's price (simulated)"
    )
    return (
        f"{ended.steps} steps · {ended.tool_calls} calls · {seconds:.1f} s · {usage.input_total:,} tokens in, "
        f"{share:.0%} of them read from the cache · {usage.output:,} out{cost}"
    )


@contextmanager
def _folder(*, keep: bool) -> Generator[Path]:
    """Yield a new folder, which goes away afterwards unless it is to be kept."""
    if keep:
        yield Path(mkdtemp(prefix="treadle-demo-"))
        return
    with TemporaryDirectory(prefix="treadle-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)
