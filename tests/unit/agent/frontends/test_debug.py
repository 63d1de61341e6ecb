"""`treadle debug`, in this process."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from unit.agent.headless import Object, Ran, Treadle

DONE: Object = {"text": "Done."}


def complaint(ran: Ran) -> str:
    (line,) = ran.err.splitlines()
    return line


def request(treadle: Treadle, *arguments: str) -> Ran:
    return treadle(
        "debug", "request", "-m", "mock/m", "--sandbox", "none", "-C", str(treadle.workspace), *arguments
    )


def test_the_request_shown_is_the_one_that_a_run_sends(treadle: Treadle) -> None:
    treadle.run("--temperature", "0.5", steps=[DONE])
    shown = request(treadle, "--temperature", "0.5", "--json", "Go.").result
    sent = treadle.bodies[0]
    differ = {"prompt_cache_key"}
    assert {k: v for k, v in shown["body"].items() if k not in differ} == {
        k: v for k, v in sent.items() if k not in differ
    }
    assert shown["url"] == f"{treadle.mock.url}/v1/chat/completions"
    assert len(treadle.sessions) == 1
    assert len(treadle.mock.requests) == 1


def test_for_people_it_is_laid_out_with_what_a_cache_can_keep_and_what_was_lost(treadle: Treadle) -> None:
    treadle.script()
    treadle.patch.setenv("MOCK_API_KEY", "sk-very-secret")
    ran = request(treadle, "--top-k", "3", "Go.")
    assert ran.code == 0
    assert ran.out.startswith(f"POST {treadle.mock.url}/v1/chat/completions\n")
    assert "segments that a provider can cache: " in ran.out
    assert "not sent as asked: sampling_dropped sampling.top_k" in ran.out
    assert "sk-very-secret" not in ran.out + ran.err


def test_the_next_request_of_a_session_leaves_it_as_it_is(treadle: Treadle) -> None:
    ran = treadle.run(steps=[DONE])
    before = treadle.sessions[0].read_bytes()
    shown = request(treadle, "--resume", ran.result["session_id"], "--json", "And?").result
    assert shown["body"]["messages"][: len(treadle.bodies[0]["messages"])] == treadle.bodies[0]["messages"]
    assert shown["body"]["messages"][-1] == {"role": "user", "content": "And?"}
    assert treadle.sessions[0].read_bytes() == before
    ran = request(treadle, "--resume", ran.result["session_id"])
    assert (ran.code, "there is nothing to ask" in complaint(ran)) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume", "nothing", "Go."], "no session 'nothing'"),
        (["-m", "nowhere/m", "Go."], "nowhere"),
        (["-c", "x=1", "Go."], "unknown key"),
        (["-C", "/no/such", "Go."], "no such folder"),
    ],
)
def test_a_request_that_cannot_be_made_is_told(treadle: Treadle, arguments: list[str], told: str) -> None:
    treadle.script()
    ran = request(treadle, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert told in complaint(ran)


CONVERSATION = {
    "system": ["You write code."],
    "tools": [{"type": "function", "name": "read", "description": "Read.", "parameters": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "parts": [{"type": "call", "call": {"id": "c1", "name": "read", "arguments": "{}"}}],
            "origin": {"wire": "anthropic", "vendor": "anthropic", "model": "claude-opus-5-5"},
            "stop": "tool_use",
        },
        {"role": "tool", "results": [{"call_id": "c1", "content": [{"type": "text", "text": "x = 1"}]}]},
    ],
}


def messages(treadle: Treadle, value: object, *arguments: str) -> Ran:
    file = treadle.workspace / "conversation.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return request(treadle, "--messages", str(file), *arguments)


def test_a_neutral_conversation_is_shown_as_the_call_that_it_becomes(treadle: Treadle) -> None:
    treadle.script()
    ran = messages(treadle, CONVERSATION, "--json", "--temperature", "0", "--json-mode")
    body = ran.result["body"]
    assert ran.code == 0
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["read"]
    assert (body["temperature"], body["response_format"]) == (0, {"type": "json_object"})
    assert ran.result["url"] == f"{treadle.mock.url}/v1/chat/completions"
    assert (treadle.sessions, len(treadle.mock.requests)) == ([], 0)


def test_the_conversation_of_the_manual_is_one_that_every_wire_takes(treadle: Treadle) -> None:
    manual = (Path(__file__).parents[4] / "docs/debug.md").read_text(encoding="utf-8")
    example = manual.partition("```json\n")[2].partition("```")[0]
    treadle.patch.setenv("ANTHROPIC_API_KEY", "key")
    treadle.patch.setenv("GEMINI_API_KEY", "key")
    treadle.patch.setenv("OPENAI_API_KEY", "key")
    treadle.script()
    for model in ("mock/m", "openai/gpt-6-sol", "anthropic/claude-opus-5-5", "gemini/gemini-3.6-flash"):
        ran = messages(treadle, example, "--json", "-m", model)
        assert (ran.code, "a.py" in json.dumps(ran.result["body"])) == (0, True)


def test_messages_alone_are_a_conversation_and_may_come_on_standard_input(treadle: Treadle) -> None:
    treadle.script()
    data = json.dumps(CONVERSATION["messages"]).encode()
    treadle.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    ran = request(treadle, "--messages", "-")
    assert ran.code == 0
    assert '"content": "x = 1"' in ran.out


@pytest.mark.parametrize(
    ("value", "arguments", "told"),
    [
        ("{", [], "EOF"),
        ([{"role": "usr"}], [], "messages.0"),
        ({"messages": [], "tols": []}, [], "tols"),
        ([], [], "no message"),
        (CONVERSATION, ["Go."], "excludes a prompt"),
        (CONVERSATION, ["-m", "nowhere/m"], "nowhere"),
        (CONVERSATION, ["-m", ""], "no model"),
        (CONVERSATION, ["-c", "hosted.web_search=true"], "does not run web_search"),
    ],
)
def test_what_is_no_conversation_or_cannot_be_asked_is_told(
    treadle: Treadle, value: object, arguments: list[str], told: str
) -> None:
    treadle.script()
    ran = messages(treadle, value, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err


def test_a_file_of_messages_that_is_not_there_is_told(treadle: Treadle) -> None:
    treadle.script()
    ran = request(treadle, "--messages", "/no/such")
    assert (ran.code, "No such file" in complaint(ran)) == (1, True)


def tool(treadle: Treadle, *arguments: str) -> Ran:
    return treadle("debug", "tool", "--sandbox", "none", "-C", str(treadle.workspace), *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "status", "text"),
    [
        (["read", '{"path": "a.txt"}'], 0, "ok", "hello"),
        (["read", '{"path": "none"}'], 2, "error", "none"),
        (["write", '{"path": "b", "content": ""}', "--mode", "plan"], 5, "denied", "Mode plan"),
        (["shell", '{"command": "echo hi"}'], 0, "ok", "hi"),
    ],
)
def test_one_call_goes_through_policy_and_sandbox(
    treadle: Treadle, arguments: list[str], code: int, status: str, text: str
) -> None:
    (treadle.workspace / "a.txt").write_text("hello", encoding="utf-8")
    ran = tool(treadle, *arguments)
    assert (ran.code, ran.result["status"], ran.result["is_error"]) == (code, status, status != "ok")
    assert text in json.dumps(ran.result["content"])
    assert treadle.sessions == []


@pytest.mark.parametrize("path", [".", "secrets", "secrets/k.txt", "link"])
def test_what_a_rule_denies_reading_no_search_finds(treadle: Treadle, path: str) -> None:
    (treadle.workspace / "secrets").mkdir()
    (treadle.workspace / "secrets/k.txt").write_text("hush", encoding="utf-8")
    (treadle.workspace / "link").symlink_to("secrets")
    grep = ("grep", json.dumps({"pattern": "hush", "path": path}))
    assert ":hush" in tool(treadle, *grep).out
    assert ":hush" not in tool(treadle, *grep, "-c", 'deny=["Read(secrets/**)"]').out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["reads"], "there is no tool 'reads'; did you mean read?"),
        (["zzz"], "there is no tool 'zzz'; there are: edit, glob"),
        (["read", "{"], "the arguments are not JSON"),
        (["read", "[" * 100_000], "the arguments are not JSON"),
        (["read", "[]"], "the arguments must be one JSON object"),
    ],
)
def test_a_call_that_makes_no_sense_is_told(treadle: Treadle, arguments: list[str], told: str) -> None:
    ran = tool(treadle, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert told in complaint(ran)


def decode(treadle: Treadle, data: bytes, name: str = "openai_chat") -> Ran:
    treadle.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    return treadle("debug", "decode", "--wire", name)


def chunk(delta: Object, finish: str | None = None) -> bytes:
    value = {"id": "r1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def test_a_recorded_reply_is_decoded_to_events_and_the_message(treadle: Treadle) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "read", "arguments": "{}"}}
    data = (
        chunk({"role": "assistant", "reasoning_content": "Hm."})
        + chunk({"content": "Hi."})
        + chunk({"tool_calls": [call]})
        + chunk({}, "tool_calls")
        + b"data: [DONE]\n\n"
    )
    ran = decode(treadle, data)
    assert ran.code == 0, ran.err
    assert [event["event"] for event in ran.events] == ["reasoning", "text", "call", "message"]


def test_a_reply_that_was_cut_is_told_with_what_came_of_it(treadle: Treadle) -> None:
    ran = decode(treadle, chunk({"role": "assistant", "content": "Half"}))
    assert ran.code == 2
    assert [event["event"] for event in ran.events] == ["text", "partial", "error"]
    assert (ran.result["error"], ran.result["retryable"]) == ("StreamCutShort", True)
    assert ran.events[1]["message"]["parts"][0]["text"] == "Half"


def test_a_wire_that_is_none_and_an_input_that_is_none_are_told(treadle: Treadle) -> None:
    ran = decode(treadle, b"", "openai_chit")
    assert (ran.code, complaint(ran)) == (
        1,
        "treadle: there is no wire 'openai_chit'; did you mean openai_chat?",
    )
    treadle.patch.setattr(sys, "stdin", None)
    ran = treadle("debug", "decode", "--wire", "openai_chat")
    assert (ran.code, "nothing to decode" in complaint(ran)) == (1, True)
