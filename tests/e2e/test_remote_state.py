"""A process that dies or is told to stop while its provider is at work, and another that goes on."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Serve
from e2e.crashing import Live, eventually, launch
from e2e.running import MODEL, Home, Provider

LONG = " ".join(f"word{number}" for number in range(40))
SCRIPT = f"""
steps:
  - {{text: Look., calls: [{{shell: {{command: "echo one >> log"}}}}]}}
  - {{text: "{LONG}", calls: [{{shell: {{command: "echo two >> log"}}}}], pace: {{rate: 45}}}}
  - {{text: Done.}}
"""
WAYS = {
    "chain": ("openai_responses", ("--state", "chain")),
    "conversation": ("openai_responses", ("--state", "conversation")),
    "background": ("openai_responses", ("--state", "chain", "--background")),
    "conversation in the background": ("openai_responses", ("--state", "conversation", "--background")),
    "interactions": ("gemini_interactions", ("--state", "chain")),
    "interactions in the background": ("gemini_interactions", ("--background",)),
}
ways = pytest.mark.parametrize("way", WAYS)


def working(serve: Serve, way: str) -> tuple[Home, Provider, Live]:
    """Start a run, and wait until the provider is in the midst of its second reply."""
    home, mock = serve(SCRIPT)
    wire, options = WAYS[way]
    home.configure(f'[providers.mock]\nwire = "{wire}"\n')
    live = launch(home, "-m", MODEL, *options, "Go.")
    live.until(lambda line: line["type"] == "item.completed" and line["item"]["type"] == "command_execution")
    eventually(lambda: len(report(mock)["generations"]) == 2, "the provider is at work")
    eventually(lambda: home.sessions[0].read_text().count('"kind":"response"') > 1, "what it is at is known")
    return home, mock, live


def report(mock: Provider) -> Any:
    with urllib.request.urlopen(f"{mock.url}/_mock/report") as answer:
        return json.loads(answer.read())


def delivered(mock: Provider) -> list[int]:
    return [each["step"] for each in report(mock)["generations"] if each["delivered"]]


def on(home: Home, way: str, *arguments: str) -> Any:
    ran = home.run(*WAYS[way][1], "--continue", *arguments)
    assert ran.code == 0, ran.err
    return ran.result


def log_of(home: Home) -> str:
    return Path(home.workspace / "log").read_text(encoding="utf-8")


@ways
def test_a_killed_run_goes_on_and_nothing_runs_or_is_paid_twice(serve: Serve, way: str) -> None:
    home, mock, live = working(serve, way)
    os.kill(live.process.pid, signal.SIGKILL)
    live.close()
    assert on(home, way)["message"] == "Done."
    assert (log_of(home), delivered(mock)) == ("one\ntwo\n", [0, 1, 2])
    made = len(report(mock)["generations"])
    assert made == (
        3 if "background" in way else 4
    )  # in the foreground the provider stopped with the connection


@ways
def test_a_run_told_to_stop_has_the_work_stopped_and_goes_on_from_the_last_whole_reply(
    serve: Serve, way: str
) -> None:
    home, mock, live = working(serve, way)
    live.process.send_signal(signal.SIGINT)
    assert live.finish().code == 130
    live.close()
    cancelled = [request for request in mock.requests if request["path"].endswith("/cancel")]
    assert len(cancelled) == ("background" in way)
    assert (on(home, way, "Go on.")["message"], log_of(home).splitlines().count("one")) == ("Done.", 1)
    assert home.treadle("sessions", "rm", home.sessions[0].stem).code == 0
    stored = report(mock)["stored"]
    assert [stored[kind] for kind in ("responses", "interactions", "conversations")] == [[], [], []]
