"""Replies that are worked on in the background: paid once, however the wait for them is broken off."""

from __future__ import annotations

import json

import pytest
from unit.agent.headless import Object, Treadle
from unit.agent.remote.travelling import ask, asked, paid, transcript, work

WIRES = ("openai_responses", "gemini_interactions")
LONG = " ".join(f"word{number}" for number in range(60))
wires = pytest.mark.parametrize("wire", WIRES)


def shown(events: list[Object]) -> str:
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return "".join(item["text"] for item in items if item["type"] == "agent_message")


@pytest.mark.parametrize("cut", [1500, 2500, 5000])
@wires
def test_a_stream_that_broke_is_resumed_after_its_last_event(treadle: Treadle, wire: str, cut: int) -> None:
    work(treadle, wire, [{"faults": [{"cut": cut}], "text": LONG}])
    ran = ask(treadle, "--background", "--tools", "none", "Go.")
    assert (ran.code, ran.result["message"], shown(ran.events)) == (0, LONG, LONG)
    assert (len(asked(treadle)), paid(treadle)) == (1, [0])


@wires
def test_what_is_kept_of_a_reply_is_known_before_it_is_waited_for(treadle: Treadle, wire: str) -> None:
    work(treadle, wire, [{"text": LONG}])
    ask(treadle, "--background", "Go.")
    types = [
        entry["type"]
        for entry in (line["body"] for line in _lines(treadle))
        if entry["type"] in {"remote_kept", "message_added"}
    ]
    assert types == ["message_added", "message_added", "remote_kept", "message_added"]


def test_work_that_takes_longer_than_it_may_is_cancelled(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": LONG, "pace": {"rate": 20}}])
    ran = ask(treadle, "--background", "-c", "connection.background=0.3", "Go.")
    assert (ran.code, ran.result["outcome"]) == (2, "failed")
    assert "did not answer within 0.3 s: the work was cancelled" in ran.err
    assert [request.path.rpartition("/")[2] for request in treadle.mock.requests] == ["responses", "cancel"]


def test_a_turn_out_of_time_has_the_work_cancelled(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": LONG, "pace": {"rate": 20}}, {"text": "Then."}])
    ran = ask(treadle, "--background", "--time-limit", "0.6", "Go.")
    assert (ran.code, ran.result["limit"]) == (3, "time")
    assert treadle.mock.requests[-1].path.endswith("/cancel")
    assert ask(treadle, "--background", "--continue", "Go on.").result["message"] == "Then."


def test_the_next_request_can_be_looked_at(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": "First."}])
    ask(treadle, "--state", "chain", "One.")
    name = treadle.sessions[-1].stem
    common = ("-C", str(treadle.workspace), "--sandbox", "none", "--json", "--state", "chain", "--background")
    body = treadle("debug", "request", "--resume", name, *common, "Two.").events[0]["body"]
    assert (body["previous_response_id"], body["background"], len(body["input"])) == (
        "resp_000000000001",
        True,
        1,
    )
    assert len(treadle.mock.requests) == 1
    assert transcript(treadle.sessions[-1])[-1] == ("model", "First.", [])


def _lines(treadle: Treadle) -> list[Object]:
    return [json.loads(line) for line in treadle.sessions[-1].read_text(encoding="utf-8").splitlines()]
