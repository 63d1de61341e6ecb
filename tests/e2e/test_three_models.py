"""One session that goes from Claude to GPT and back: valid at each, and nothing moves within an epoch."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.running import Object, new_home, provider

from treadle.agent.events import MessageAdded, ModelChanged
from treadle.agent.log import load
from treadle.agent.messages import AssistantMessage

CLAUDE, GPT = "anthropic/claude-opus-5-5", "openai/gpt-6.1-sol"
MARKERS = {"cache_control", "prompt_cache_breakpoint"}
SCRIPT = """
steps:
  - {reasoning: I must look., text: Looking., calls: [{read: {path: a.txt}}, {read: {path: b.txt}}]}
  - {reasoning: Two lines., text: "a says one, b says two."}
  - {reasoning: Look again., calls: [{shell: {command: cat a.txt b.txt}}]}
  - {reasoning: As before., text: It still does.}
  - {reasoning: Once more., calls: [{read: {path: a.txt}}]}
  - {text: Done.}
"""


def segments(body: str) -> list[str]:
    """Cut a request into what its provider caches, in order: read from the bytes that were sent, by these lines alone."""
    sent = json.loads(body, object_hook=unmarked)
    parts: list[Object] = [
        *sent["tools"],
        *sent.get("system", ()),
        *sent.get("messages", ()),
        *sent.get("input", ()),
    ]
    return [json.dumps(part, sort_keys=True) for part in parts]


def unmarked(value: Object) -> Object:
    """Leave out the markers of what is to be cached."""
    return {name: each for name, each in value.items() if name not in MARKERS}


def test_claude_then_gpt_then_claude_with_tools_and_reasoning(tmp_path: Path) -> None:
    with provider(tmp_path, SCRIPT) as served:
        home = new_home(
            tmp_path,
            ANTHROPIC_BASE_URL=served.url,
            ANTHROPIC_API_KEY="key-a",
            OPENAI_BASE_URL=f"{served.url}/v1",
            OPENAI_API_KEY="key-o",
        )
        for name, line in (("a.txt", "one\n"), ("b.txt", "two\n")):
            (home.workspace / name).write_text(line, encoding="utf-8")
        first = home.run("-m", CLAUDE, "What do they say?")
        second = home.run("-m", GPT, "--continue", "And now?")
        third = home.run("-m", CLAUDE, "--continue", "Finish.")
        requests = served.requests
    assert [run.code for run in (first, second, third)] == [0, 0, 0], (first.err, second.err, third.err)
    assert third.result["message"] == "Done."
    assert [request["status"] for request in requests] == [200] * 6
    assert [request["path"].rsplit("/", 1)[1] for request in requests] == [
        *("messages", "messages", "responses", "responses", "messages", "messages")
    ]
    cut = [segments(request["body"]) for request in requests]
    for before, after in ((0, 1), (2, 3), (4, 5)):
        assert cut[after][: len(cut[before])] == cut[before]
    assert "from anthropic/claude-opus-5-5 to openai/gpt-6.1-sol: about " in second.err
    assert "tokens are read anew, for about $" in second.err

    (session,) = home.sessions
    entries = load(session).entries
    assert [e.body.model for e in entries if isinstance(e.body, ModelChanged)] == [GPT, CLAUDE]
    replies = [
        entry.body.message
        for entry in entries
        if isinstance(entry.body, MessageAdded) and isinstance(entry.body.message, AssistantMessage)
    ]
    lost = [[warning.code for warning in reply.warnings] for reply in replies]
    assert lost[0:2] == [[], []]
    assert "reasoning_dropped" in lost[2]
    assert lost[3] == []


def test_what_claude_thought_goes_back_to_it_to_the_byte_after_a_turn_elsewhere(tmp_path: Path) -> None:
    with provider(tmp_path, SCRIPT) as served:
        home = new_home(
            tmp_path,
            ANTHROPIC_BASE_URL=served.url,
            ANTHROPIC_API_KEY="key-a",
            OPENAI_BASE_URL=f"{served.url}/v1",
            OPENAI_API_KEY="key-o",
        )
        for name in ("a.txt", "b.txt"):
            (home.workspace / name).write_text("one\n", encoding="utf-8")
        home.run("-m", CLAUDE, "What do they say?")
        home.run("-m", GPT, "--continue", "And now?")
        home.run("-m", CLAUDE, "--continue", "Finish.")
        bodies = [request["body"] for request in served.requests]
    thought = json.loads(bodies[1])["messages"]
    signed = [block for message in thought for block in message["content"] if block["type"] == "thinking"]
    assert signed
    assert all(json.dumps(block["signature"]) in bodies[4] for block in signed)
