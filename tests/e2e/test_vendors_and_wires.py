"""A vendor's waits and breaks, and a wire that config chooses, through real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.running import new_home, provider

QUICK = ("-c", "connection.retries.base=0.01")
LEGACY = '[models."mock/old-*"]\nwire = "openai_completions"\n'


def test_legacy_completions_talk_and_say_that_they_are_deprecated(tmp_path: Path) -> None:
    with provider(tmp_path, "steps: [{text: 'Hello there.'}]") as server:
        home = new_home(tmp_path, TREADLE_MOCK_URL=server.url)
        home.configure(LEGACY)
        ran = home.run("--tools", "none", "-m", "mock/old-1", "Say hello.")
        (body,) = server.bodies
    assert (ran.code, ran.result["message"]) == (0, "Hello there.")
    assert body["prompt"] == "User: Say hello.\n\nAssistant:"
    assert "deprecated" in ran.err


def test_with_tools_legacy_completions_are_not_even_asked(tmp_path: Path) -> None:
    with provider(tmp_path, "steps: [{text: never}]") as server:
        home = new_home(tmp_path, TREADLE_MOCK_URL=server.url)
        home.configure(LEGACY)
        ran = home.run("-m", "mock/old-1", "Say hello.")
        assert server.requests == []
    assert ran.code != 0
    assert "--tools none" in ran.err


@pytest.mark.parametrize(
    "headers",
    [
        "{retry-after-ms: '40'}",
        "{retry-after: '0.04'}",
        "{x-ratelimit-remaining-requests: '0', x-ratelimit-reset-requests: '40ms'}",
        "{date: 'Tue, 24 Nov 2026 12:00:00 GMT', retry-after: 'Tue, 24 Nov 2026 12:00:00 GMT'}",
    ],
)
def test_a_run_waits_as_it_is_told_and_ends_well(tmp_path: Path, headers: str) -> None:
    busy = f"{{status: 429, headers: {headers}}}"
    broken = "{stream_error: {message: Overloaded, code: server_is_overloaded}, after: 3}"
    script = f"steps: [{{text: Done well., faults: [{busy}, {broken}, {{cut: 150}}]}}]"
    with provider(tmp_path, script) as server:
        home = new_home(
            tmp_path, OPENROUTER_BASE_URL=f"{server.url}/openrouter/api/v1", OPENROUTER_API_KEY="k-1234"
        )
        ran = home.run(*QUICK, "-m", "openrouter/anthropic/claude-opus-5.5", "Do it.")
        assert len(server.requests) == 4
    assert (ran.code, ran.result["message"]) == (0, "Done well.")
    assert "k-1234" not in ran.out + ran.err


def test_a_plan_that_is_used_up_is_not_waited_for(tmp_path: Path) -> None:
    body = "{error: {code: '1308', message: 'Usage limit reached, resets in 5 hours'}}"
    with provider(tmp_path, f"steps: [{{faults: [{{status: 429, body: {body}}}]}}]") as server:
        home = new_home(tmp_path, ZAI_BASE_URL=f"{server.url}/zai/api/paas/v4", ZAI_API_KEY="k-1234")
        ran = home.run("-m", "zai/glm-5.3", "Do it.")
        assert len(server.requests) == 1
    assert ran.code != 0
    assert "resets in 5 hours" in ran.err


def test_a_request_that_cannot_be_made_says_why_and_how(tmp_path: Path) -> None:
    home = new_home(tmp_path, OPENAI_API_KEY="k-1234")
    show = ("debug", "request", "--json", "-m", "openai/gpt-3.5-turbo-instruct")
    refused = home.treadle(*show, "Say hello.")
    assert (refused.code, "--tools none" in refused.complaint) == (1, True)
    shown = home.treadle(*show, "--tools", "none", "Say hello.")
    assert (shown.code, shown.lines[0]["url"]) == (0, "https://api.openai.com/v1/completions")
    both = home.treadle(*show, "--tools", "none", "--messages", "-", stdin=b"[]")
    assert (both.code, "leave --tools out" in both.complaint) == (1, True)
