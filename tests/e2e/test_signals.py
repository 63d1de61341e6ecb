from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.crashing import (
    PATIENCE,
    Live,
    descendants,
    eventually,
    launch,
    nobody_left,
    start,
    stat,
    write_script,
)
from e2e.running import MODEL, TREADLE, Home, Object, Provider, new_home, provider

from treadle.agent.events import TurnEnded
from treadle.agent.log import load

# Several processes one after the other, on a machine that may be busy.
pytestmark = pytest.mark.timeout(60)
STUBBORN = """
import os, signal, sys, time
def told(number, frame):
    open("told", "w").close()
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, told)
if os.fork() == 0:
    os.setsid()
open(f"ready{os.getpid()}", "w").close()
while True:
    time.sleep(60)
"""
"""Two processes, one in a session of its own, that only note that they were asked to end."""
NODE = """
const child = require("child_process").spawn("sh", ["-c",
  "trap '' TERM HUP INT; : > ready1; while :; do sleep 60; done"], {detached: true, stdio: "ignore"});
process.on("SIGTERM", () => {});
require("fs").writeFileSync("ready2", "");
setInterval(() => {}, 1000);
"""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
SLOWLY = {"text": "word " * 4000, "pace": {"rate": 100}}


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return tmp_path.as_posix() + "/mark"


@contextmanager
def scripted(folder: Path, *steps: Object) -> Generator[tuple[Home, Provider]]:
    with provider(folder, write_script(folder, steps)) as server:
        yield new_home(folder, MOCK_API_KEY="x", TREADLE_MOCK_URL=server.url), server


def shell(mark: str, line: str) -> Object:
    return {"calls": [{"shell": {"command": f"export MARK={mark}; {line}"}}]}


def tree(mark: str, program: str = STUBBORN, interpreter: str = sys.executable) -> Object:
    option = "-c" if program is STUBBORN else "-e"
    return shell(mark, f"{shlex.join([interpreter, option, program])} & wait")


def is_ready(home: Home) -> Callable[[], bool]:
    return lambda: len(list(home.workspace.glob("ready*"))) == 2


def saved_as(home: Home, outcome: str) -> None:
    (file,) = home.sessions
    last = load(file).entries[-1].body
    assert isinstance(last, TurnEnded)
    assert last.outcome == outcome


def check_cancelled(home: Home, run: Live, number: signal.Signals) -> None:
    ran = run.finish()
    assert ran.code == 128 + number
    assert (ran.result["outcome"], ran.result["exit_code"]) == ("cancelled", 128 + number)
    assert "Traceback" not in ran.err
    saved_as(home, "cancelled")


@SIGNALS
def test_a_signal_while_the_model_talks_cancels(tmp_path: Path, number: signal.Signals) -> None:
    with scripted(tmp_path, SLOWLY) as (home, server):
        run = start(home)
        try:
            eventually(lambda: bool(server.requests), "the model is asked")
            run.process.send_signal(number)
            check_cancelled(home, run, number)
        finally:
            run.close()


@SIGNALS
def test_a_signal_during_a_command_ends_its_whole_tree(
    tmp_path: Path, mark: str, number: signal.Signals
) -> None:
    with scripted(tmp_path, tree(mark)) as (home, _):
        run = start(home)
        try:
            eventually(is_ready(home), "the command and its child run")
            family = descendants(run.process.pid)
            assert len(family) >= 3
            run.process.send_signal(number)
            check_cancelled(home, run, number)
            nobody_left(mark, family)
        finally:
            run.close()


@pytest.mark.real
def test_a_signal_ends_a_detached_child_of_node_too(tmp_path: Path, mark: str) -> None:
    with scripted(tmp_path, tree(mark, NODE, "node")) as (home, _):
        run = start(home)
        try:
            eventually(is_ready(home), "node and its child run")
            family = descendants(run.process.pid)
            run.process.send_signal(signal.SIGINT)
            check_cancelled(home, run, signal.SIGINT)
            nobody_left(mark, family)
        finally:
            run.close()


def test_a_second_signal_ends_at_once(tmp_path: Path, mark: str) -> None:
    with scripted(tmp_path, tree(mark)) as (home, _):
        run = start(home)
        try:
            eventually(is_ready(home), "the command and its child run")
            family = descendants(run.process.pid)
            run.process.send_signal(signal.SIGINT)
            eventually((home.workspace / "told").exists, "the command is asked to end")
            run.process.send_signal(signal.SIGINT)
            assert run.finish().code == 130
            nobody_left(mark, family)
        finally:
            run.close()
        (file,) = home.sessions
        assert home.treadle("sessions", "verify", file.stem).code == 0


def test_a_second_signal_is_heard_while_nobody_reads_the_output(tmp_path: Path) -> None:
    many = [{"reasoning": "x" * 20_000, "calls": [{"glob": {"pattern": "*"}}]}] * 10
    with scripted(tmp_path, *many) as (home, _):
        reader, writer = os.pipe()
        run = launch(home, "-m", MODEL, "Go.", stdout=writer)
        try:
            eventually(lambda: not select.select([], [writer], [], 0)[1], "the pipe is full")
            run.process.send_signal(signal.SIGTERM)
            eventually(lambda: not pending(run.process.pid), "the signal is taken")
            run.process.send_signal(signal.SIGTERM)
            # Small lines may still have found room: then the first ended the run, and the second met its last moment.
            assert run.process.wait(PATIENCE) in {143, -signal.SIGTERM}
        finally:
            run.close()
            os.close(reader)
            os.close(writer)
        (file,) = home.sessions
        load(file)


def test_a_signal_while_the_prompt_is_awaited_is_told_as_a_result(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    reader, writer = os.pipe()
    run = launch(home, stdin=reader)
    try:
        os.write(writer, b"Half a pro")
        eventually(lambda: not select.select([reader], [], [], 0)[0], "standard input is read")
        run.process.send_signal(signal.SIGTERM)
        ran = run.finish()
        assert (ran.code, ran.result["outcome"]) == (143, "cancelled")
    finally:
        run.close()
        os.close(reader)
        os.close(writer)


def test_a_signal_while_the_program_loads_is_told_as_a_result(tmp_path: Path) -> None:
    with scripted(tmp_path, SLOWLY) as (home, _):
        run = start(home)
        try:
            loaded = Path(f"/proc/{run.process.pid}/maps")
            eventually(lambda: "pydantic_core" in loaded.read_text(encoding="utf-8"), "half of it is loaded")
            run.process.send_signal(signal.SIGINT)
            ran = run.finish()
            assert (ran.code, ran.result["outcome"], ran.result["exit_code"]) == (130, "cancelled", 130)
            assert "Traceback" not in ran.err
        finally:
            run.close()


def test_a_prompt_that_waits_for_standard_input_says_so(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    run = launch(home, "Go.", stdin=subprocess.PIPE)
    try:
        assert run.process.stderr is not None
        assert b"reading standard input" in run.process.stderr.readline()
    finally:
        run.close()


@pytest.mark.parametrize("steps", ["talk", "command"])
def test_a_run_ends_when_nobody_reads_its_output_any_more(tmp_path: Path, mark: str, steps: str) -> None:
    with scripted(tmp_path, SLOWLY if steps == "talk" else tree(mark)) as (home, server):
        run = start(home)
        try:
            eventually(
                is_ready(home) if steps == "command" else lambda: bool(server.requests),
                "the work is under way",
            )
            family = descendants(run.process.pid)
            run.hang_up()
            took = eventually(lambda: run.process.poll() is not None, "the run ends")
            assert run.process.returncode == 2
            assert took < 3
            nobody_left(mark, family)
        finally:
            run.close()
        saved_as(home, "cancelled")


def test_a_run_ends_when_its_parent_dies(tmp_path: Path, mark: str) -> None:
    with scripted(tmp_path, tree(mark)) as (home, _):
        command = [TREADLE, "run", "--sandbox", "none", "--output", "json", "-m", MODEL, "Go."]
        start_it = f"subprocess.Popen({command!r}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)"
        told = f"import subprocess; print({start_it}.pid, flush=True); input()"
        parent = subprocess.Popen(
            [sys.executable, "-c", told],
            cwd=home.workspace,
            env=home.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            eventually(is_ready(home), "the command and its child run")
            family = {**descendants(pid), pid: stat(pid)[19]}
            parent.kill()
            nobody_left(mark, family)
        saved_as(home, "cancelled")


class Terminal:
    """The other end of a run's terminal."""

    def __init__(self, home: Home, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.run = launch(home, *arguments, before=("setsid", "--ctty"), stdin=slave, stderr=slave)
        os.close(slave)
        self.shown = ""

    def until(self, text: str) -> None:
        """Read until this was shown."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self.shown!r}"
            self.shown += os.read(self._master, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        self._master = -1


@contextmanager
def asked(folder: Path) -> Generator[tuple[Home, Terminal]]:
    steps = ({"calls": [{"write": {"path": "new.txt", "content": "new"}}]}, {"text": "Written."})
    with scripted(folder, *steps) as (home, _):
        terminal = Terminal(home, "-m", MODEL, "--mode", "ask", "Go.")
        try:
            terminal.until("say why not: ")
            yield home, terminal
        finally:
            terminal.run.close()
            terminal.close()


@pytest.mark.parametrize(("answer", "code"), [("y\r", 0), ("not that file\r", 5)])
def test_what_is_typed_at_the_question_decides(tmp_path: Path, answer: str, code: int) -> None:
    with asked(tmp_path) as (home, terminal):
        terminal.type(answer)
        ran = terminal.run.finish()
        assert ran.code == code
        assert (home.workspace / "new.txt").exists() == (code == 0)
        assert [denial["by"] for denial in ran.result["denials"]] == ["user"] * (code == 5)


@SIGNALS
def test_a_signal_during_a_question_cancels(tmp_path: Path, number: signal.Signals) -> None:
    with asked(tmp_path) as (home, terminal):
        terminal.run.process.send_signal(number)
        check_cancelled(home, terminal.run, number)
        assert not (home.workspace / "new.txt").exists()


def test_the_key_that_interrupts_cancels_at_a_question(tmp_path: Path) -> None:
    with asked(tmp_path) as (home, terminal):
        terminal.type("\x03")
        check_cancelled(home, terminal.run, signal.SIGINT)


def test_a_terminal_that_goes_away_at_a_question_cancels(tmp_path: Path) -> None:
    with asked(tmp_path) as (home, terminal):
        terminal.close()
        check_cancelled(home, terminal.run, signal.SIGHUP)


def pending(pid: int) -> bool:
    """Say whether a signal waits to be taken."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return any(
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))
    )
