"""The exit table: each row, by each way there, as a process that ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep

import pytest
from e2e.conftest import Serve
from e2e.running import MODEL, Home

pytestmark = pytest.mark.timeout(40)

CALL = "steps: [{calls: [{shell: {command: echo hello}}]}, {text: Fine.}]"
CALLS = "steps: [{calls: [{shell: {command: echo a}}, {shell: {command: echo b}}]}, {text: Fine.}]"
DONE = "steps: [{text: Fine.}]"


@dataclass(frozen=True)
class Way:
    """One way to one row."""

    name: str
    code: int
    outcome: str
    script: str = DONE
    options: tuple[str, ...] = ()
    limit: str | None = None
    env: dict[str, str] = field(default_factory=dict[str, str])
    words: str = ""
    """Part of the line on standard error."""


def wait_for(claim: Callable[[], object]) -> None:
    """Wait until what another process does can be seen."""
    end = monotonic() + 15
    while not claim():
        assert monotonic() < end, "nothing came of it"
        sleep(0.02)


def failing(*faults: str) -> str:
    return f"steps: [{{text: Fine., faults: [{', '.join(faults)}]}}]"


QUICK = ("-c", "connection.retries.base=0.01", "-c", "connection.retries.attempts=2")
WAYS = (
    Way("an answer", 0, "done"),
    Way("an answer after a call", 0, "done", CALL),
    Way("an answer after a busy server", 0, "done", failing("{status: 503}"), QUICK),
    Way("an answer after a cut", 0, "done", failing("{cut: 40}"), QUICK),
    Way("a call that failed and was mended", 0, "done", CALL.replace("echo hello", "exit 3")),
    Way("a vendor that is none", 1, "usage", options=("-m", "mokc/x"), words="mock"),
    Way("a model that is none", 1, "usage", options=("-m", "mock"), words="VENDOR/MODEL"),
    Way("no key", 1, "usage", options=("-m", "openai/gpt-6.1-sol"), words="OPENAI_API_KEY"),
    Way("a key that is refused", 1, "usage", failing("{status: 401}")),
    Way("no such folder", 1, "usage", options=("-C", "nowhere"), words="nowhere"),
    Way("no such session", 1, "usage", options=("--resume", "x"), words="sessions list"),
    Way("no such setting", 1, "usage", options=("-c", "limits.step=1"), words="did you mean 'steps'?"),
    Way("a rule that is none", 1, "usage", options=("--allow", "Shell("), words="Shell("),
    Way("a request that is refused", 2, "failed", failing("{status: 400}")),
    Way("a server that stays busy", 2, "failed", failing("{status: 503}", "{status: 529}"), QUICK),
    Way("an error in the stream", 2, "failed", failing("{stream_error: {message: no}}"), (*QUICK[:3], "connection.retries.attempts=1")),
    Way("a reply that is cut again", 2, "failed", failing("{cut: 40}", "{cut: 40}"), QUICK),
    Way("a filtered reply", 2, "failed", "steps: [{text: No., finish: content_filter}]"),
    Way("nothing, twice", 2, "failed", "steps: [{text: ''}, {text: ''}]", words="nothing"),
    Way("no server", 2, "failed", options=QUICK, env={"TREADLE_MOCK_URL": "http://127.0.0.1:9"}),
    Way("no place for sessions", 2, "failed", env={"XDG_STATE_HOME": "/dev/null"}, words="--ephemeral"),
    Way("no sandbox", 2, "failed", options=("--sandbox", "bwrap"), env={"PATH": "/nowhere"}, words="bubblewrap"),
    Way("too many steps", 3, "limit", CALL, ("--max-steps", "1"), "steps"),
    Way("too many calls", 3, "limit", CALLS, ("--max-tool-calls", "1"), "tool_calls"),
    Way("too many tokens", 3, "limit", CALL, ("--max-tokens", "9"), "tokens"),
    Way("too dear", 3, "limit", CALL, ("--max-cost", "0.000001"), "cost"),
    Way("too long", 3, "limit", "steps: [{text: x, pace: {first: 9}}]", ("--time-limit", "0.3"), "time"),
    Way("a loop", 3, "limit", "then: repeat\nsteps: [{calls: [{shell: {command: echo x}}]}]", (), "loop"),
    Way("a reply too long", 3, "limit", "steps: [{text: And, finish: length}]", (), "output_length"),
    Way("a denied command", 5, "denied", CALL, ("--deny", "Shell(echo *)")),
    Way("a command in mode plan", 5, "denied", CALL, ("--mode", "plan")),
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name.replace(" ", "-"))
def test_a_run_ends_with_its_code_and_says_why(way: Way, serve: Serve) -> None:
    home, _ = serve(way.script)
    ran = home.with_env(**way.env).run(*way.options, "Go.")
    assert (ran.code, ran.result["exit_code"], ran.result["outcome"]) == (way.code, way.code, way.outcome)
    assert ran.result.get("limit") == way.limit
    assert ("error" in ran.result) == (way.outcome in {"usage", "failed"})
    assert way.words in ran.err
    assert "Traceback" not in ran.err


def test_bad_usage_that_the_command_line_itself_finds_is_1_too(home: Home) -> None:
    for arguments in (("--nope",), ("--max-steps", "0"), ("--mode", "wild"), ("--continue", "--resume", "x")):
        ran = home.treadle("run", "--output", "json", *arguments, "Go.")
        assert (ran.code, ran.result["outcome"], ran.complaint != "") == (1, "usage", True)
    assert home.treadle("rnu").code == 1
    assert home.treadle().code == 1


@pytest.mark.parametrize(
    ("script", "number", "code"),
    [
        ("steps: [{text: 'one two three four five six', pace: {rate: 0.5}}]", signal.SIGINT, 130),
        ("steps: [{calls: [{shell: {command: 'touch here; sleep 60'}}]}]", signal.SIGTERM, 143),
    ],
    ids=["while-it-streams", "while-a-command-runs"],
)
def test_a_signal_cancels_and_the_log_says_so(
    script: str, number: signal.Signals, code: int, serve: Serve
) -> None:
    home, mock = serve(script)
    process = home.start("run", "--sandbox", "none", "--output", "json", "-m", MODEL, "Go.")
    with process:
        wait_for(lambda: (home.workspace / "here").exists() if "shell" in script else mock.requests)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=15)
    assert process.returncode == code, err
    assert f'"outcome": "cancelled", "exit_code": {code}' in out.decode()
    (session,) = home.sessions
    assert '"outcome":"cancelled"' in session.read_text(encoding="utf-8").splitlines()[-1]
