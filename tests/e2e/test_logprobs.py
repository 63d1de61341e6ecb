"""How likely each token was: asked for with a flag, told in every place that tells of replies."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest
from e2e.conftest import Serve
from e2e.running import Object

from treadle.agent.mock.odds import odds

SCRIPT = "steps: [{text: Twice a day.}]"
TOLD = [
    {
        "token": each["token"],
        "logprob": each["logprob"],
        "top": [[other["token"], other["logprob"]] for other in each["top_logprobs"]],
    }
    for each in json.loads(json.dumps(odds("Twice a day.", 2)))
]
CHAT = ("-m", "mock/any")
RESPONSES = ("-m", "mock/any", "-c", 'models."mock/*".wire="openai_responses"')
REQUESTS: dict[str, tuple[str, Object]] = {
    "openai_chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "When?"}], "logprobs": True, "top_logprobs": 2},
    ),
    "openai_responses": (
        "/v1/responses",
        {"input": "When?", "top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    ),
}


@pytest.mark.parametrize("model", [CHAT, RESPONSES])
def test_logprobs_are_in_the_result_and_in_what_is_kept(serve: Serve, model: tuple[str, ...]) -> None:
    home, _ = serve(SCRIPT)
    ran = home.run(*model, "--tools", "none", "--top-logprobs", "2", "When?")
    assert (ran.code, ran.result["logprobs"]) == (0, TOLD), ran.err
    (said,) = [
        line["item"]
        for line in ran.lines
        if line["type"] == "item.completed" and line["item"]["type"] == "agent_message"
    ]
    assert said["logprobs"] == TOLD
    as_json = home.treadle(
        "run", "--output", "json", *model, "--tools", "none", "--top-logprobs", "2", "When?"
    )
    assert json.loads(as_json.out)["logprobs"] == TOLD


def test_without_being_asked_for_there_are_none(serve: Serve) -> None:
    home, _ = serve(SCRIPT)
    ran = home.run(*CHAT, "--tools", "none", "When?")
    assert "logprobs" not in ran.result
    assert all("logprobs" not in line.get("item", {}) for line in ran.lines)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wire", REQUESTS)
def test_a_recorded_reply_is_decoded_with_its_logprobs(serve: Serve, wire: str, stream: bool) -> None:
    home, mock = serve(SCRIPT)
    path, body = REQUESTS[wire]
    request = Request(
        mock.url + path,
        json.dumps({"model": "m", "stream": stream, **body}).encode(),
        {"authorization": "Bearer key", "content-type": "application/json"},
    )
    with urlopen(request, timeout=5) as reply:
        recorded = reply.read()
    ran = home.treadle("debug", "decode", "--wire", wire, stdin=recorded)
    assert (ran.code, ran.lines[-1]["message"]["logprobs"]) == (0, TOLD), ran.err


def test_a_vendor_that_has_no_logprobs_is_named_with_the_field(serve: Serve) -> None:
    home, mock = serve(SCRIPT)
    reached = home.with_env(ANTHROPIC_BASE_URL=mock.url, ANTHROPIC_API_KEY="key")
    ran = reached.run("-m", "anthropic/claude-opus-5-5", "--tools", "none", "--top-logprobs", "2", "When?")
    assert ran.code == 0
    assert "claude-opus-5-5 does not take sampling.top_logprobs" in ran.err
