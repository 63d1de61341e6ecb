"""One session over Claude, GPT, Gemini and GLM, with tools, pictures and reasoning: nothing is lost but what must be."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2e.running import Home, Object, Ran, new_home, provider

from treadle.agent.events import MessageAdded
from treadle.agent.log import load
from treadle.agent.messages import AssistantMessage

CLAUDE, GPT = "anthropic/claude-opus-5-5", "openai/gpt-6.1-sol"
GEMINI, GLM = "gemini/gemini-3.8-flash", "zai/glm-5.3"
TURNS = (CLAUDE, GPT, GEMINI, GLM, CLAUDE)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LINE = "the only line of a text"
SCRIPT = "steps:\n" + "".join(
    f"""
  - reasoning: Thought {number} — é.
    text: Saying {number}.
    calls: [{{read: {{path: dot.png}}}}, {{read: {{path: a.txt}}}}]
  - {{reasoning: Thought again {number}., text: Said {number}.}}
"""
    for number in range(len(TURNS))
)


@dataclass(frozen=True)
class Went:
    """How the session went: its runs, what providers were sent, and what of it was lost."""

    runs: list[Ran]
    paths: list[str]
    statuses: list[int]
    bodies: list[str]
    lost: list[set[str]]
    """By run: the codes of what its replies were warned of."""

    def body(self, turn: int, step: int = 1) -> Object:
        return json.loads(self.bodies[2 * turn + step])


def replies(home: Home) -> list[AssistantMessage]:
    (session,) = home.sessions
    added = (entry.body for entry in load(session).entries if isinstance(entry.body, MessageAdded))
    return [each.message for each in added if isinstance(each.message, AssistantMessage)]


@pytest.fixture(scope="module")
def went(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Went]:
    """Five turns, each with another model; all but the first go on with the session."""
    base = tmp_path_factory.mktemp("four")
    with provider(base, SCRIPT) as served:
        home = new_home(
            base,
            ANTHROPIC_BASE_URL=served.url,
            OPENAI_BASE_URL=f"{served.url}/v1",
            GEMINI_BASE_URL=served.url,
            ZAI_BASE_URL=f"{served.url}/zai/api/paas/v4",
            ANTHROPIC_API_KEY="key-a",
            OPENAI_API_KEY="key-o",
            GEMINI_API_KEY="key-g",
            ZAI_API_KEY="key-z",
        )
        (home.workspace / "dot.png").write_bytes(base64.b64decode(PNG))
        (home.workspace / "a.txt").write_text(LINE + "\n", encoding="utf-8")
        runs = [
            home.run("-m", model, *(("--continue",) if n else ()), "Look.") for n, model in enumerate(TURNS)
        ]
        warned = [{warning.code for warning in reply.warnings} for reply in replies(home)]
        requests = served.requests
        yield Went(
            runs,
            [request["path"] for request in requests],
            [request["status"] for request in requests],
            [request["body"] for request in requests],
            [first | second for first, second in zip(warned[::2], warned[1::2], strict=True)],
        )


def test_each_model_takes_what_the_others_said_called_and_saw(went: Went) -> None:
    assert [(run.code, run.result["message"]) for run in went.runs] == [
        (0, f"Said {number}.") for number in range(len(TURNS))
    ], [run.err for run in went.runs]
    assert went.statuses == [200] * 2 * len(TURNS)
    ends = ["messages", "responses", "gemini-3.8-flash:streamGenerateContent", "completions", "messages"]
    assert [path.rsplit("/", 1)[1] for path in went.paths[::2]] == ends


def test_no_word_no_call_and_no_result_is_lost_on_the_way(went: Went) -> None:
    for turn in range(len(TURNS)):
        text = json.dumps(went.body(turn))
        for before in range(turn):
            assert f"Saying {before}." in text
            assert f"Said {before}." in text
        assert text.count(LINE) == turn + 1
        assert len(re.findall(r'dot\.png\\*"}', text)) == turn + 1


def test_pictures_are_shown_to_all_who_see_and_told_to_the_one_who_does_not(went: Went) -> None:
    shown = [json.dumps(went.body(turn)).count(PNG) for turn in range(len(TURNS))]
    assert shown == [1, 2, 3, 0, 5]
    glm = json.dumps(went.body(3))
    assert glm.count("[image dot.png (image/png) not shown]") == 4


def test_only_what_must_be_is_dropped_and_each_loss_is_told_once(went: Went) -> None:
    assert went.lost == [
        set(),
        {"reasoning_dropped"},
        {"reasoning_dropped"},
        {"reasoning_dropped", "media_dropped"},
        {"reasoning_dropped"},
    ]
    for turn, codes in enumerate(went.lost):
        for code in codes:
            assert went.runs[turn].err.count(code) == 1, went.runs[turn].err


def test_each_gets_its_own_reasoning_back_and_no_one_elses(went: Went) -> None:
    thoughts = [json.dumps(f"Thought {number} — é.", ensure_ascii=False)[1:-1] for number in range(5)]
    claude = json.loads(went.bodies[9])
    signed = [
        block["thinking"]
        for each in claude["messages"]
        for block in each["content"]
        if block["type"] == "thinking"
    ]
    assert signed == [thoughts[0], "Thought again 0.", thoughts[4]]
    gemini = went.body(2)["contents"]
    calls = [part for content in gemini for part in content["parts"] if "functionCall" in part]
    marks = [part.get("thoughtSignature") for part in calls]
    assert marks[::2][:2] == ["skip_thought_signature_validator"] * 2
    assert marks[1::2] == [None] * 3
    assert marks[4] not in {None, "skip_thought_signature_validator"}
    own = [each.get("reasoning_content") for each in went.body(3)["messages"] if each["role"] == "assistant"]
    assert own[-1] == thoughts[3]
    assert [each for each in own[:-1] if each] == []
