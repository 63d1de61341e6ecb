"""What is too big for a provider, end to end: made smaller before it is sent, and once more when it is refused."""

from __future__ import annotations

import json

import pytest
from e2e.conftest import Serve
from e2e.running import Home, Object

pytestmark = pytest.mark.timeout(40)

HTML = "<html><head><title>413 Request Entity Too Large</title></head><body>cloudflare</body></html>"
LONG = "word " * 20_000
REFUSALS = {
    "HTML": json.dumps({"status": 413, "body": HTML}),
    "JSON": json.dumps({"status": 413, "body": {"error": {"message": "too large", "type": "server_error"}}}),
}


def repairs(home: Home) -> list[Object]:
    lines = home.sessions[0].read_text(encoding="utf-8").splitlines()
    bodies = [json.loads(line)["body"] for line in lines]
    return [body for body in bodies if body["type"] == "history_repaired"]


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_a_413_makes_room_once_and_the_session_goes_on(serve: Serve, kind: str) -> None:
    home, mock = serve(f"steps: [{{text: I see., faults: [{REFUSALS[kind]}]}}, {{text: Still here.}}]")
    ran = home.run(LONG)
    assert (ran.code, ran.result["message"]) == (0, "I see.")
    refused, sent = (len(request["body"]) for request in mock.requests)
    assert sent < refused / 2
    (repair,) = repairs(home)
    assert "kept in files" in repair["reason"]
    spilled = home.sessions[0].with_suffix("")
    assert [file.read_text(encoding="utf-8") for file in spilled.iterdir()] == [LONG]
    again = home.run("--continue", "And now?")
    assert again.result["message"] == "Still here."
    assert len(repairs(home)) == 1


@pytest.mark.parametrize("wire", ["openai_chat", "openai_responses", "anthropic", "gemini"])
def test_each_vendors_own_words_for_too_large_make_room(serve: Serve, wire: str) -> None:
    home, mock = serve("steps: [{text: I see.}]\nlimits: {request_bytes: 60000}")
    home.configure(f'[providers.mock]\nwire = "{wire}"\n')
    ran = home.run(LONG)
    assert (ran.code, ran.result["message"]) == (0, "I see."), ran.err
    assert "kept in files" in repairs(home)[0]["reason"]
    assert len(mock.requests) <= 2


def test_a_second_413_ends_the_turn_and_says_why(serve: Serve) -> None:
    home, mock = serve(f"steps: [{{text: Never., faults: [{REFUSALS['HTML']}, {REFUSALS['HTML']}]}}]")
    ran = home.run(LONG)
    assert ran.code != 0
    assert "413" in ran.result["error"]
    assert len(mock.requests) == 2


def test_what_is_above_a_configured_limit_is_never_sent(serve: Serve) -> None:
    home, mock = serve("steps: [{text: I see.}]")
    home.configure("[providers.mock.limits]\nrequest_bytes = 60_000\n")
    assert home.run(LONG).code == 0
    assert [len(request["body"]) <= 60_000 for request in mock.requests] == [True]
    home.configure('[models."mock/*".limits]\nrequest_bytes = 900\n')
    ran = home.run("Hi")
    assert ran.code != 0
    assert "request_bytes" in ran.result["error"]
    assert len(mock.requests) == 1


def test_a_limit_of_no_such_name_is_told_with_the_nearest(home: Home) -> None:
    home.configure("[providers.mock.limits]\nrequest_byte = 60_000\n")
    assert "did you mean 'request_bytes'?" in home.run("Hi").complaint
    home.configure('[models."mock/*".limits]\nimage = 6\n')
    assert "did you mean 'images'?" in home.run("Hi").complaint


def test_the_vendor_counts_near_the_window_and_what_is_over_it_is_not_sent(serve: Serve) -> None:
    home, mock = serve("steps: [{text: I see.}]")
    home.configure('[providers.mock]\nwire = "anthropic"\n[models."mock/*"]\ncontext_window = 20_000\n')
    ran = home.run("--tools", "none", LONG)
    assert ran.code == 0, ran.err
    asked = [(request["path"], len(request["body"])) for request in mock.requests]
    assert asked[0][0].endswith("/messages/count_tokens")
    assert all(size < 60_000 for path, size in asked if path.endswith("/messages"))
    (repair,) = repairs(home)
    assert "context_tokens" in repair["reason"]


def test_a_file_above_a_limit_is_not_uploaded(serve: Serve) -> None:
    home, mock = serve(None)
    home.configure('[providers.mock]\nwire = "anthropic"\nlimits = { file_bytes = 5 }\n')
    for name, text in (("five.txt", "12345"), ("six.txt", "123456")):
        (home.workspace / name).write_text(text, encoding="utf-8")
    assert home.treadle("files", "upload", "--vendor", "mock", "five.txt").code == 0
    before = len(mock.requests)
    ran = home.treadle("files", "upload", "--vendor", "mock", "six.txt")
    assert ran.code != 0
    assert "6 bytes; the provider takes 5" in ran.err
    assert len(mock.requests) == before
