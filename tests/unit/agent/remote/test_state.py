"""Sessions that let their provider keep what was said: the same transcript, nothing sent, run or paid twice."""

from __future__ import annotations

import httpx
import pytest
from unit.agent.headless import Object, Treadle
from unit.agent.remote.travelling import WAYS, ask, asked, kept, paid, stored, transcript, work

STEPS: list[Object] = [
    {"text": "Look.", "calls": [{"shell": {"command": "echo one >> log; cat log"}}]},
    {"reasoning": "More.", "calls": [{"shell": {"command": "echo two >> log; cat log"}}]},
    {"text": "Done."},
]
CHAINED = [way for way, (_, options) in WAYS.items() if "--state" in options]
ways = pytest.mark.parametrize("way", WAYS)
chained = pytest.mark.parametrize("way", CHAINED)


def log_of(treadle: Treadle) -> str:
    return (treadle.workspace / "log").read_text(encoding="utf-8")


@pytest.fixture
def told(treadle: Treadle) -> list[object]:
    """What a session without any state at its provider says."""
    work(treadle, "openai_responses", STEPS)
    assert ask(treadle, "Go.").code == 0
    (treadle.workspace / "log").unlink()
    said = transcript(treadle.sessions[-1])
    treadle("sessions", "rm", treadle.sessions[-1].stem)
    return said


@ways
def test_the_transcript_is_that_of_a_stateless_session(
    treadle: Treadle, told: list[object], way: str
) -> None:
    wire, options = WAYS[way]
    work(treadle, wire, STEPS)
    ran = ask(treadle, *options, "Go.")
    assert (ran.code, ran.result["message"]) == (0, "Done.")
    assert (transcript(treadle.sessions[-1]), log_of(treadle), paid(treadle)) == (
        told,
        "one\ntwo\n",
        [0, 1, 2],
    )


@chained
def test_only_what_is_new_is_sent(treadle: Treadle, way: str) -> None:
    wire, options = WAYS[way]
    work(treadle, wire, STEPS)
    ask(treadle, *options, "Go.")
    first, *others = [len(body["input"]) for body in asked(treadle)]
    assert (first > 1, others) == (True, [1, 1])
    assert all(body["store"] and body["tools"] for body in asked(treadle))


@pytest.mark.parametrize("step", [1, 2])
@chained
def test_what_the_provider_has_forgotten_is_sent_again_once(
    treadle: Treadle, told: list[object], way: str, step: int
) -> None:
    wire, options = WAYS[way]
    what = "conversation" if "conversation" in options else "chain"
    steps = [{**one, "faults": [{"forget": what}]} if at == step else one for at, one in enumerate(STEPS)]
    work(treadle, wire, steps)
    ran = ask(treadle, *options, "Go.")
    assert (ran.code, log_of(treadle), paid(treadle)) == (0, "one\ntwo\n", [0, 1, 2])
    assert transcript(treadle.sessions[-1]) == told
    sizes = [len(body["input"]) for body in asked(treadle)]
    assert (len(sizes), sizes[step] < sizes[step + 1]) == (4, True)
    assert ran.err.count("forgotten") <= 1


@chained
def test_a_fork_and_its_parent_go_on_each_by_itself(treadle: Treadle, way: str) -> None:
    wire, options = WAYS[way]
    work(treadle, wire, [{"text": "First."}, {"text": "Second."}, {"text": "Third."}])
    ask(treadle, *options, "One.")
    parent = treadle.sessions[-1]
    assert ask(treadle, *options, "--fork", parent.stem, "Two.").result["message"] == "Second."
    fork = treadle.sessions[-1]
    assert ask(treadle, *options, "--resume", parent.stem, "Other.").result["message"] == "Second."
    assert ask(treadle, *options, "--resume", fork.stem, "Three.").result["message"] == "Third."
    said = [[one[1] for one in transcript(file) if one[0] == "model"] for file in (parent, fork)]
    assert said == [["First.", "Second."], ["First.", "Second.", "Third."]]
    own = [dict(kept(file)).get("conversation") for file in (parent, fork)]
    assert own[0] != own[1] or "conversation" not in options
    last = asked(treadle)[-1]["input"]
    assert len(last) == 1


@chained
def test_what_follows_a_rewind_goes_on_from_the_reply_before_it(treadle: Treadle, way: str) -> None:
    wire, options = WAYS[way]
    work(treadle, wire, [{"text": "First."}, {"text": "Second."}])
    ask(treadle, *options, "One.")
    file = treadle.sessions[-1]
    shown = treadle("sessions", "show", file.stem).out
    entry = [line.split()[0] for line in shown.splitlines() if "ended" in line][-1]
    ask(treadle, *options, "--resume", file.stem, "Two.")
    treadle("sessions", "rewind", file.stem, entry)
    assert ask(treadle, *options, "--resume", file.stem, "Not two.").code == 0
    first, second, again = asked(treadle)
    if "conversation" in options:
        ids = [body["conversation"] for body in (first, second, again)]
        assert (ids[0] == ids[1], ids[1] == ids[2], len(again["input"]) > 2) == (True, False, True)
    else:
        key = "previous_interaction_id" if wire == "gemini_interactions" else "previous_response_id"
        assert (again[key], len(again["input"])) == (second[key], 1)
    said = [one for one in transcript(file) if one[0] == "model"]
    assert [one[1] for one in said] == ["First.", "Second."]


@ways
def test_nothing_is_left_at_the_provider_of_a_removed_session(treadle: Treadle, way: str) -> None:
    wire, options = WAYS[way]
    work(treadle, wire, STEPS)
    ask(treadle, *options, "Go.")
    assert stored(treadle, "responses", "interactions") != [[], []]
    assert treadle("sessions", "rm", treadle.sessions[-1].stem).code == 0
    assert stored(treadle, "responses", "interactions", "conversations") == [[], [], []]


def test_an_ephemeral_session_leaves_nothing_at_its_provider(treadle: Treadle) -> None:
    work(treadle, "openai_responses", STEPS)
    assert ask(treadle, "--state", "conversation", "--ephemeral", "Go.").code == 0
    assert stored(treadle, "responses", "conversations") == [[], []]


def test_what_a_fork_shares_stays_until_the_last_of_them_goes(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": "First."}, {"text": "Second."}])
    ask(treadle, "--state", "chain", "One.")
    parent = treadle.sessions[-1].stem
    fork = treadle("sessions", "fork", parent).out.strip()
    ran = treadle("sessions", "rm", parent)
    assert (ran.code, "another session" in ran.err) == (0, True)
    assert len(stored(treadle, "responses")[0]) == 1
    assert treadle("sessions", "rm", fork).code == 0
    assert stored(treadle, "responses") == [[]]


def test_a_session_stays_while_its_provider_cannot_be_reached(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": "First."}])
    ask(treadle, "--state", "chain", "One.")
    name = treadle.sessions[-1].stem
    treadle.patch.setenv("TREADLE_MOCK_URL", "http://127.0.0.1:1")
    ran = treadle("sessions", "rm", name)
    assert (ran.code, len(treadle.sessions), "could not be deleted" in ran.err) == (2, 1, True)
    assert (treadle("sessions", "rm", "--force", name).code, treadle.sessions) == (0, [])


@pytest.mark.parametrize("option", [("--state", "chain"), ("--state", "conversation"), ("--background",)])
def test_a_provider_that_keeps_nothing_is_told_of_before_anything_is_sent(
    treadle: Treadle, option: tuple[str, ...]
) -> None:
    work(treadle, "openai_chat", [{"text": "First."}])
    ran = ask(treadle, *option, "One.")
    assert (ran.code, treadle.mock.requests) == (1, [])
    assert f"{' '.join(option)}: mock/m over openai_chat has no such" in ran.err


def test_a_session_may_change_how_its_requests_travel(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": f"{n}."} for n in range(6)])
    for number, options in enumerate((
        (),
        ("--state", "chain"),
        ("--state", "chain"),
        ("--state", "conversation"),
        (),
        ("--state", "chain"),
    )):
        past = ("--continue",) if number else ()
        assert ask(treadle, *past, *options, "Go.").result["message"] == f"{number}."
    chained = ["previous_response_id" in body for body in asked(treadle)]
    assert chained == [False, False, True, False, False, False]


def test_a_conversation_in_which_something_else_goes_on_is_left(treadle: Treadle) -> None:
    work(treadle, "openai_responses", [{"text": "First."}, {"text": "Second.", "pace": {"polls": 2}}])
    ask(treadle, "--state", "conversation", "One.")
    ((_, busy),) = [each for each in kept(treadle.sessions[-1]) if each[0] == "conversation"]
    other = {"model": "m", "input": "Other.", "conversation": busy, "background": True}
    assert (
        httpx.post(
            f"{treadle.mock.url}/v1/responses", json=other, headers={"authorization": "Bearer k"}
        ).status_code
        == 200
    )
    ran = ask(treadle, "--state", "conversation", "--continue", "Two.")
    assert (ran.code, ran.result["message"]) == (0, "Second.")
    assert [each[1] == busy for each in kept(treadle.sessions[-1]) if each[0] == "conversation"] == [
        True,
        False,
    ]
