"""Reasoning that a provider refuses to have back: the session goes on without it, once, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.running import new_home, provider

BOUND = "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation."
SEALED = "The encrypted content for item rs_1 could not be verified."
REFUSALS = {
    "anthropic/claude-opus-5-5": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": BOUND},
    },
    "openai/gpt-6-sol": {
        "error": {"type": "invalid_request_error", "code": "invalid_encrypted_content", "message": SEALED}
    },
    "gemini/gemini-3.6-flash": {
        "error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Thought signature is not valid."}
    },
}


@pytest.mark.parametrize("model", REFUSALS)
def test_a_session_goes_on_without_reasoning_that_is_no_longer_taken_back(tmp_path: Path, model: str) -> None:
    fault = json.dumps({"status": 400, "body": REFUSALS[model]})
    script = f"""
steps:
  - {{reasoning: I must look., text: Looking., calls: [{{glob: {{pattern: "*"}}}}]}}
  - {{text: Done., faults: [{fault}]}}
"""
    with provider(tmp_path, script) as served:
        home = new_home(
            tmp_path,
            ANTHROPIC_BASE_URL=served.url,
            ANTHROPIC_API_KEY="key-anthropic",
            OPENAI_BASE_URL=f"{served.url}/v1",
            OPENAI_API_KEY="key-openai",
            GEMINI_BASE_URL=served.url,
            GEMINI_API_KEY="key-gemini",
        )
        ran = home.run("-m", model, "--effort", "high", "Go.")
        requests = served.requests
    assert (ran.code, ran.result["outcome"]) == (0, "done"), ran.err
    assert [request["status"] for request in requests] == [200, 400, 200]
    kept = [json.loads(line)["body"] for line in home.sessions[0].read_text(encoding="utf-8").splitlines()]
    (repaired,) = [body for body in kept if body["type"] == "history_repaired"]
    assert "no longer takes back" in repaired["reason"]
    assert "no longer takes back" in ran.err
    before, after = requests[1]["body"], requests[2]["body"]
    gone = {"a": '"thinking":"I must look."', "o": '"type":"reasoning"', "g": '"thoughtSignature":"'}[
        model[0]
    ]
    assert gone in before
    assert gone not in after.replace('"thoughtSignature":"skip_thought_signature_validator"', "")
    assert "Looking." in after
