from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fakes import says
from treadle.agent.events import (
    Body,
    CallFinished,
    Entry,
    MessageAdded,
    OutcomeName,
    PermissionResolved,
    StepStarted,
    TurnEnded,
)
from treadle.agent.frontends.outcome import Result
from treadle.agent.messages import CacheWrite, TokenLogprob, Usage, user
from treadle.tools.contract import Artifact, Text, ToolResult


def entry(body: Body) -> Entry:
    return Entry(id="e1", parent=None, prev=None, at=datetime(2026, 11, 24, tzinfo=UTC), body=body)


def finished(**fields: object) -> CallFinished:
    result = ToolResult.model_validate({"call_id": "c1", "content": (Text(text="x"),), **fields})
    return CallFinished(result=result)


def after(*bodies: Body) -> Result:
    result = Result()
    for body in bodies:
        result.see(entry(body))
    return result


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("done", 0), ("usage", 1), ("failed", 2), ("limit", 3), ("denied", 5), ("cancelled", 130)],
)
def test_each_outcome_has_its_exit_code(outcome: OutcomeName, code: int) -> None:
    result = Result().end(outcome, "why").as_object()
    assert (result["outcome"], result["exit_code"], result["error"]) == (outcome, code, "why")


def test_a_signal_can_give_a_code_of_its_own() -> None:
    assert Result().end("cancelled", exit_code=143).as_object()["exit_code"] == 143


def test_a_result_of_nothing_has_every_field_that_scripts_read_and_no_other() -> None:
    assert Result().as_object() == {
        "type": "result",
        "outcome": "usage",
        "exit_code": 1,
        "session_id": None,
        "log_head": None,
        "message": "",
        "steps": 0,
        "tool_calls": 0,
        "duration_ms": 0,
        "usage": {
            "input_tokens": 0,
            "cached_input_tokens": 0,
            "cache_write_input_tokens": 0,
            "output_tokens": 0,
            "reasoning_output_tokens": 0,
        },
        "cost_usd": None,
        "request_bytes": 0,
        "sandbox": None,
        "denials": [],
        "untrusted": [],
        "artifacts": [],
    }


def test_what_the_turn_came_to_is_in_the_result() -> None:
    usage = Usage(input=1, cache_read=2, cache_write=CacheWrite(m5=3, h1=4), output=5, reasoning=1)
    result = Result()
    result.turn = TurnEnded(
        outcome="limit", limit="steps", steps=6, tool_calls=7, request_bytes=8, usage=usage, cost_usd=0.5
    )
    told = result.as_object()
    assert told["usage"] == {
        "input_tokens": 10,
        "cached_input_tokens": 2,
        "cache_write_input_tokens": 7,
        "output_tokens": 5,
        "reasoning_output_tokens": 1,
    }
    names = ("limit", "steps", "tool_calls", "request_bytes", "cost_usd")
    assert [told[name] for name in names] == ["steps", 6, 7, 8, 0.5]


def test_what_a_turn_spent_is_known_even_when_nobody_hands_it_on() -> None:
    ended = TurnEnded(outcome="failed", steps=3, usage=Usage(input=5))
    assert after(ended).as_object()["steps"] == 3


def test_the_message_is_the_last_text_of_a_reply_that_counts() -> None:
    replies = [says("First."), says(""), says("Half", state="failed")]
    bodies: list[Body] = [
        MessageAdded(message=user("Hi.")),
        *(MessageAdded(message=reply) for reply in replies),
    ]
    assert after(*bodies).as_object()["message"] == "First."


def test_an_answer_by_a_call_is_the_message() -> None:
    told = after(
        MessageAdded(message=says("I answer.")), finished(details={"answer": {"n": "ü"}}), finished()
    ).as_object()
    assert json.loads(told["message"]) == {"n": "ü"}
    assert "ü" in told["message"]


def test_refusals_artifacts_and_logprobs_are_collected() -> None:
    refused = PermissionResolved(
        call_id="c1", tool="edit", access="edit(write: /w/a)", granted=False, by="headless", reason="no"
    )
    granted = refused.model_copy(update={"granted": True})
    likely = TokenLogprob(token="a", logprob=-0.5, top=(("b", -1.0),))
    told = after(
        refused,
        granted,
        finished(artifacts=(Artifact(path="a.png", mime="image/png"),)),
        MessageAdded(message=says("a", logprobs=(likely,))),
        MessageAdded(message=says("b")),
    ).as_object()
    assert told["denials"] == [
        {"tool": "edit", "access": "edit(write: /w/a)", "by": "headless", "reason": "no"}
    ]
    assert told["artifacts"] == [{"path": "a.png", "mime": "image/png"}]
    assert told["logprobs"] == [{"token": "a", "logprob": -0.5, "top": [["b", -1.0]]}]


def test_what_is_only_shown_leaves_no_trace() -> None:
    result = Result()
    result.see(StepStarted(number=1))
    assert result.as_object() == Result().as_object()
