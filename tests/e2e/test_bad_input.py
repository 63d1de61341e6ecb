"""Bad input ends in one line and the right exit code: nothing is lost, and nobody sees a traceback."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from e2e.conftest import Serve
from e2e.running import MODEL, TREADLE, Home

pytestmark = pytest.mark.timeout(40)

RUN = "$T run --sandbox none -m mock/x"


@pytest.mark.parametrize("prompt", ["", "  \n "])
def test_an_empty_prompt_is_refused(prompt: str, home: Home) -> None:
    for ran in (home.run(prompt), home.run("-", stdin=prompt.encode()), home.run(stdin=prompt.encode())):
        assert (ran.code, ran.complaint[:19]) == (1, "the prompt is empty")


def test_a_prompt_of_50_megabytes_is_refused_in_bounded_memory(home: Home) -> None:
    measured = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(['sh', '-c', sys.argv[1]])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)"
    )
    line = f"head -c 50000000 /dev/zero | tr '\\0' a | {RUN}"
    ran = home.shell(f"{sys.executable} -c {shlex.quote(measured)} {shlex.quote(line)}")
    assert (ran.code, "10 MB" in ran.complaint) == (1, True)
    assert int(ran.out) < 130_000


def test_a_prompt_just_below_the_limit_goes_out_whole(serve: Serve) -> None:
    home, mock = serve("steps: [{text: Read.}]")
    ran = home.run(stdin=b"long " * 400_000)
    assert ran.code == 0, ran.err
    assert mock.bodies[0]["messages"][-1]["content"].count("long") == 400_000


def test_text_that_is_not_utf_8_is_refused(home: Home) -> None:
    assert home.run(b"caf\xe9").complaint == "the prompt is not valid UTF-8"
    ran = home.run(stdin=b"caf\xe9")
    assert (ran.code, ran.complaint) == (1, "standard input is not valid UTF-8 (byte 3)")


def test_what_is_piped_in_stands_below_the_prompt(serve: Serve) -> None:
    home, mock = serve("steps: [{text: Read.}]")
    assert home.run("Explain.", stdin=b"a diff").code == 0
    assert mock.bodies[0]["messages"][-1]["content"].endswith("Explain.\n\n<stdin>\na diff\n</stdin>")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("modle = 'x/y'", "unknown key 'modle'; did you mean 'mode'?"),
        ("[limits]\nstepz = 3", "unknown key 'limits.stepz'; did you mean 'steps'?"),
        ("[limits]\nsteps = 'many'", "limits.steps: "),
        ("limits = 3", "limits: "),
        ("model = = 3", "not valid TOML"),
    ],
)
def test_a_config_file_that_is_wrong_is_named_with_the_key(toml: str, words: str, home: Home) -> None:
    home.configure(toml)
    ran = home.run("Go.")
    assert ran.code == 1
    assert words in ran.complaint
    assert str(home.base / "config/treadle/config.toml") in ran.complaint


def test_a_name_with_a_slip_is_answered_with_the_nearest_one(home: Home) -> None:
    keyed = home.with_env(OPENAI_API_KEY="sk-0123456789")
    assert "did you mean gpt-6.1-sol?" in keyed.run("-m", "openai/gpt-6.1-soll", "Go.").complaint
    assert "did you mean openai?" in home.run("-m", "opnai/gpt-6.1-sol", "Go.").complaint
    assert "--model" in home.treadle("run", "--modl", "openai/x", "Go.").complaint


def test_a_workspace_that_is_missing_or_a_file_is_named(home: Home) -> None:
    (home.workspace / "file").touch()
    for name in ("missing", "file", "file/below"):
        ran = home.run("-C", name, "Go.")
        assert (ran.code, name in ran.complaint) == (1, True)


def test_a_server_that_takes_no_connection_is_given_up_within_the_time_limit(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:  # the kernel keeps these; there is no room for another
            client.setblocking(False)
            client.connect_ex(address)
        began = monotonic()
        ran = home.with_env(TREADLE_MOCK_URL=f"http://127.0.0.1:{address[1]}").run("--time-limit", "1", "Go.")
        took = monotonic() - began
        for client in waiting:
            client.close()
    assert (ran.code, ran.result["outcome"]) == (2, "failed"), ran.out
    assert took < 8
    assert len(home.sessions) == 1


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_input_and_errors_may_be_closed(closed: str, serve: Serve) -> None:
    home, _ = serve("steps: [{calls: [{shell: {command: echo hi}}]}, {text: Fine.}]")
    ran = home.shell(f"{RUN} 'Go.' {closed}")
    assert (ran.code, ran.out) == (0, "Fine.\n")


@pytest.mark.parametrize("output", ["text", "json", "stream-json"])
def test_an_output_that_is_closed_is_a_failure_that_loses_nothing(output: str, serve: Serve) -> None:
    home, _ = serve("steps: [{text: Fine.}]")
    for closed in (">&-", ">/dev/full"):
        ran = home.shell(f"{RUN} 'Go.' --output {output} {closed}")
        assert ran.code == 2
        assert "standard output was closed" in ran.complaint
        assert ran.out == ""
    assert len(home.sessions) == 2
    kept = [session.read_text(encoding="utf-8") for session in home.sessions]
    assert all(text.endswith("}\n") for text in kept)
    # Where events are told, the run ends before it asks anything.
    assert ["turn_ended" in text for text in kept] == [output != "stream-json"] * 2


def test_a_reader_that_goes_away_ends_the_run_with_one_line(serve: Serve) -> None:
    calls = "{calls: [{shell: {command: echo hi}}]}"
    home, _ = serve(f"steps: [{calls}, {calls}, {{text: Fine.}}]")
    command = (TREADLE, "run", "--sandbox", "none", "-m", MODEL, "--output", "stream-json", "Go.")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=home.workspace, env=home.variables, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"thread.started" in process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 2
    assert "standard output was closed" in told
    assert "Traceback" not in told
    assert "internal error" not in told


@pytest.mark.parametrize("state", ["/dev/null", "/proc/none"])
def test_sessions_that_cannot_be_kept_stop_the_run_before_it_asks(state: str, serve: Serve) -> None:
    home, mock = serve("steps: [{text: Fine.}]")
    poor = home.with_env(XDG_STATE_HOME=state)
    ran = poor.run("Go.")
    assert (ran.code, "--ephemeral" in ran.complaint) == (2, True)
    assert mock.requests == []
    assert poor.run("--ephemeral", "Go.").code == 0


@pytest.mark.parametrize("option", ["-o", "--output-dir"])
def test_a_file_that_cannot_be_written_is_found_before_anything_runs(
    option: str, serve: Serve, tmp_path: Path
) -> None:
    home, mock = serve("steps: [{text: Fine.}]")
    (tmp_path / "file").touch()
    ran = home.run(option, tmp_path / "file/below", "Go.")
    assert (ran.code, ran.result["outcome"], option in ran.complaint) == (1, "usage", True)
    assert mock.requests == []


def test_the_mock_names_what_is_wrong_with_its_script(home: Home) -> None:
    (home.workspace / "script.yaml").write_text("stepz: []", encoding="utf-8")
    for name in ("script.yaml", "missing.yaml"):
        ran = home.treadle("mock", name)
        assert (ran.code, name in ran.complaint) == (1, True)
