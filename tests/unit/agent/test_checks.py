from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from fakes import ScriptedModel, calls, make_session, says
from treadle.agent.checks import Check, fits_schema, is_json, verified
from treadle.agent.desk import Wanted
from treadle.agent.messages import UserMessage, user
from treadle.sandbox.contract import Place, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.local import local_processes
from treadle.sandbox.masks import Masks
from treadle.tools.builtin.answer import AnswerTool
from treadle.tools.contract import Text
from treadle.tools.schema import misfit

pytestmark = pytest.mark.anyio
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def here(root: Path) -> Sandbox:
    return Sandbox(
        Place(str(root), str(root)),
        HostFiles((str(root),), Masks()),
        local_processes({"PATH": os.defpath}),
        Profile((str(root),)),
    )


@pytest.mark.parametrize(
    ("check", "message", "wrong"),
    [
        (fits_schema(SCHEMA, misfit), '{"n": 1}', None),
        (fits_schema(SCHEMA, misfit), ' {"n": 1}\n', None),
        (fits_schema(SCHEMA, misfit), '{"n": "1"}', "at n: '1' is not of type 'integer'"),
        (fits_schema(SCHEMA, misfit), "{}", "'n' is a required property"),
        (fits_schema(SCHEMA, misfit), '```json\n{"n": 1}\n```', "it is not JSON: "),
        (fits_schema(SCHEMA, misfit), "", "it is not JSON: "),
        (fits_schema(SCHEMA, misfit), "[" * 100_000, "it is not JSON: "),
        (is_json(), '{"n": 1}', None),
        (is_json(), "[1]", "it is no object"),
        (is_json(), '{"n": NaN}', "NaN is no value of JSON"),
        (is_json(), "done", "it is not JSON"),
    ],
)
async def test_what_is_wrong_with_a_final_message_is_said_to_the_model(
    check: Check, message: str, wrong: str | None
) -> None:
    told = await check.judge(message)
    if wrong is None:
        assert told is None
    else:
        assert told is not None
        assert wrong in told
        assert told.startswith("Your final message must be JSON")


@pytest.mark.parametrize(
    ("command", "limit", "told"),
    [
        ("true", 5.0, None),
        ("echo to both; echo of them >&2; exit 3", 5.0, ["exit code 3", "to both\nof them"]),
        ("echo begun; sleep 60", 0.5, ["no end after 0.5 s", "begun"]),
        ("kill -9 $$", 5.0, ["exit code -9"]),
        ("head -c 9000 /dev/zero | tr '\\0' x; echo the end; false", 5.0, ["xthe end"]),
    ],
)
async def test_a_command_that_does_not_succeed_is_told_with_the_end_of_what_it_said(
    tmp_path: Path, command: str, limit: float, told: list[str] | None
) -> None:
    with anyio.fail_after(5):
        wrong = await verified(here(tmp_path), command, limit).judge("done")
    if told is None:
        assert wrong is None
        return
    assert wrong is not None
    assert command in wrong
    assert all(part in wrong for part in told)
    assert len(wrong) < 4_300


def notices(model: ScriptedModel) -> list[str]:
    """Return what the runtime said to the model, without its facts."""
    return [
        part.text
        for message in model.requests[-1].messages
        if isinstance(message, UserMessage) and message.author == "runtime"
        for part in message.content
        if isinstance(part, Text)
    ]


@pytest.mark.parametrize(
    ("replies", "check", "outcome", "error", "told"),
    [
        (['{"n": 1}'], fits_schema(SCHEMA, misfit), "done", None, 0),
        (["no", '{"n": 1}'], fits_schema(SCHEMA, misfit), "done", None, 1),
        (["no", "no"], fits_schema(SCHEMA, misfit), "denied", "does not fit the output schema", 1),
        (["no", "[]"], is_json(), "denied", "is not a JSON object", 1),
    ],
)
async def test_a_final_message_that_does_not_do_is_asked_for_once_more(
    replies: list[str], check: Check, outcome: str, error: str | None, told: int
) -> None:
    model = ScriptedModel(*map(says, replies))
    ended = await make_session(None, model, wanted=Wanted(checks=(check,))).prompt(user("Go."))
    assert (ended.outcome, len(notices(model))) == (outcome, told)
    assert (error in (ended.error or "")) if error else ended.error is None


@pytest.mark.parametrize(
    ("passes_after", "outcome", "steps"), [(0, "done", 1), (2, "done", 3), (9, "denied", 3)]
)
async def test_a_command_that_must_succeed_sends_the_model_back_twice(
    tmp_path: Path, passes_after: int, outcome: str, steps: int
) -> None:
    command = f"echo x >> tried; test $(wc -l < tried) -gt {passes_after}"
    check = verified(here(tmp_path), command)
    model = ScriptedModel(*[says("I think it is done.")] * 3)
    ended = await make_session(None, model, wanted=Wanted(checks=(check,))).prompt(user("Go."))
    assert (ended.outcome, ended.steps) == (outcome, steps)
    assert (ended.error is None) == (outcome == "done")
    assert len(notices(model)) == steps - 1


async def test_each_check_counts_its_own_tries_and_they_are_made_in_order() -> None:
    model = ScriptedModel(says("no"), says("[]"), says('{"n": 1}'))
    checks = (is_json(), fits_schema(SCHEMA, misfit))
    ended = await make_session(None, model, wanted=Wanted(checks=checks)).prompt(user("Go."))
    assert ended.outcome == "denied"
    assert ended.error == "the final message is not a JSON object"
    model = ScriptedModel(says("no"), says("{}"), says('{"n": 1}'))
    ended = await make_session(None, model, wanted=Wanted(checks=checks)).prompt(user("Go."))
    assert (ended.outcome, ended.steps) == ("done", 3)


async def test_an_answer_by_a_call_is_what_the_checks_judge() -> None:
    tool = AnswerTool(SCHEMA)
    model = ScriptedModel(
        says("I know it."),
        calls(("answer", '{"n": "one"}'), text="It is one."),
        calls(("answer", '{"n": 1}'), first_id=2),
    )
    session = make_session(None, model, tool, wanted=Wanted(checks=(is_json(),), answer="answer"))
    ended = await session.prompt(user("Go."))
    assert (ended.outcome, ended.steps) == ("done", 3)
    assert "calling the tool `answer`" in notices(model)[0]


async def test_a_model_that_never_answers_by_the_call_is_denied() -> None:
    model = ScriptedModel(says("I know it."), says("It is one."))
    session = make_session(None, model, AnswerTool(SCHEMA), wanted=Wanted(answer="answer"))
    ended = await session.prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("denied", "the model did not answer in the form asked for")
