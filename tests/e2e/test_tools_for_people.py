"""`treadle doctor` and `treadle debug`: what people look with when something does not work."""

from __future__ import annotations

import json

import pytest
from e2e.conftest import Serve
from e2e.running import MODEL, Home, Object

pytestmark = pytest.mark.timeout(40)

STREAM = """data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}

data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"""


def checks(home: Home) -> dict[str, Object]:
    ran = home.treadle("doctor", "--json")
    (told,) = ran.lines
    assert ran.code == (0 if told["ok"] else 1)
    return {check["name"]: check for check in told["checks"]}


def test_the_doctor_names_variables_that_hold_keys_and_never_a_key(home: Home) -> None:
    keyed = home.with_env(
        OPENAI_API_KEY="sk-secret-1",
        ANTHROPIC_API_KEY=" ",
        OPENAI_BASE_URL="https://me:pw@host/v1?k=sk-secret-2",
    )
    told = checks(keyed)
    assert told["keys"]["found"] == "openai (OPENAI_API_KEY)"
    assert "OPENAI_BASE_URL=https://host/v1" in told["base URLs"]["found"]
    plain = keyed.treadle("doctor")
    assert not any(word in json.dumps(told) + plain.out + plain.err for word in ("secret", "pw", "me:"))
    assert "\x1b" not in plain.out


def test_the_doctor_says_what_is_broken_and_what_to_do(home: Home) -> None:
    home.configure("modle = 1")
    poor = home.with_env(PATH="/nowhere", XDG_STATE_HOME="/dev/null")
    told = checks(poor)
    assert {name for name, check in told.items() if check["state"] == "broken"} == {
        "config",
        "sandbox",
        "sessions",
    }
    assert "did you mean 'mode'" in told["config"]["found"]
    assert "--sandbox none" in told["sandbox"]["remedy"]
    assert "--ephemeral" in told["sessions"]["remedy"]
    assert (told["git"]["state"], told["rg"]["state"]) == ("note", "note")


def test_the_request_shown_is_the_request_sent(serve: Serve) -> None:
    home, mock = serve("steps: [{text: Fine.}, {text: Fine.}]")
    options = ("--sandbox", "none", "-m", MODEL, "--temperature", "0.5")
    shown = home.treadle("debug", "request", "--json", *options, "Go.")
    assert (shown.code, mock.requests, home.sessions) == (0, [], [])
    assert home.treadle("run", *options, "Go.").code == 0
    (told,) = shown.lines
    (sent,) = mock.requests
    volatile = ("prompt_cache_key",)
    body = json.loads(sent["body"])
    assert {**told["body"], **{name: body[name] for name in volatile if name in body}} == body
    assert told["url"] == f"{mock.url}{sent['path']}"
    assert told["headers"]["authorization"] == "[redacted]"
    assert told["headers"].keys() - {"authorization"} <= sent["headers"].keys()
    assert len(told["segments"]) > 3


def test_the_next_request_of_a_session_leaves_the_session_as_it_is(serve: Serve) -> None:
    home, mock = serve("steps: [{text: Fine.}, {text: Fine.}]")
    home.run("Go.")
    (session,) = home.sessions
    before = session.read_bytes()
    shown = home.treadle("debug", "request", "--json", "--sandbox", "none", "--resume", session.stem, "More.")
    assert [message["role"] for message in shown.lines[0]["body"]["messages"]][-2:] == ["assistant", "user"]
    assert (session.read_bytes(), len(mock.requests)) == (before, 1)


def test_a_recorded_stream_becomes_events_and_a_message(home: Home) -> None:
    ran = home.treadle("debug", "decode", "--wire", "openai_chat", stdin=STREAM.encode())
    assert ran.code == 0
    assert ran.lines[0] == {"event": "text", "text": "Hi"}
    assert (ran.lines[-1]["event"], ran.lines[-1]["message"]["stop"]) == ("message", "end")


def test_a_recorded_stream_that_was_cut_tells_what_came(home: Home) -> None:
    ran = home.treadle(
        "debug", "decode", "--wire", "openai_chat", stdin=STREAM.partition("\n\n")[0].encode() + b"\n\n"
    )
    assert (ran.code, [line["event"] for line in ran.lines]) == (2, ["text", "partial", "error"])
    assert ran.lines[1]["message"]["parts"][0]["text"] == "Hi"
    assert ran.lines[2]["error"] == "StreamCutShort"


def test_a_tool_is_called_through_policy_and_its_result_is_json(home: Home) -> None:
    (home.workspace / "file").write_text("hello\n", encoding="utf-8")
    always = ("debug", "tool", "--sandbox", "none")
    read = home.treadle(*always, "read", '{"path": "file"}')
    assert (read.code, read.lines[0]["is_error"], "hello" in read.lines[0]["content"][0]["text"]) == (
        0,
        False,
        True,
    )
    ran = home.treadle(*always, "shell", '{"command": "exit 4"}')
    assert (ran.code, ran.lines[0]["is_error"], ran.lines[0]["details"]["exit_code"]) == (2, True, 4)
    denied = home.treadle(*always, "--mode", "plan", "shell", '{"command": "true"}')
    assert (denied.code, denied.lines[0]["status"]) == (5, "denied")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tool", "raed", "{}"), "did you mean read?"),
        (("tool", "read", "[]"), "one JSON object"),
        (("tool", "read", "{"), "not JSON"),
        (("tool", "read", "{}", "-C", "missing"), "missing"),
        (("decode", "--wire", "openai_caht"), "did you mean openai_chat?"),
        (("request", "-m", "mokc/x", "Go."), "did you mean mock?"),
    ],
)
def test_what_cannot_be_looked_at_is_a_usage_error(
    arguments: tuple[str, ...], words: str, home: Home
) -> None:
    ran = home.treadle("debug", *arguments)
    assert (ran.code, words in ran.complaint) == (1, True)
