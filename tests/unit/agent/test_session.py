from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from fakes import (
    Cut,
    FakeTool,
    Says,
    ScriptedModel,
    calls,
    make_session,
    memory_sandbox,
    reading,
    says,
    thinks,
)
from treadle.agent.events import CallFinished, CallStarted, Event, MessageAdded, RetryScheduled, TurnEnded
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, user
from treadle.agent.permit import Allowed, Refused, Unsure
from treadle.agent.providers.contract import AuthFailed, Busy, InvalidRequest, StreamCutShort
from treadle.agent.session import SessionBusy
from treadle.tools.contract import Text, ToolContext, ToolError, ToolResult

pytestmark = pytest.mark.anyio
READ_A = ("read", '{"path": "a"}')


def said(message: Message) -> list[str]:
    """Return the texts of tool results."""
    assert isinstance(message, ToolMessage)
    return [part.text for result in message.results for part in result.content if isinstance(part, Text)]


def roles(messages: Sequence[Message]) -> list[str]:
    return [message.role for message in messages]


async def test_a_tool_call_is_run_and_its_result_sent_back() -> None:
    model = ScriptedModel(calls(READ_A), says("It says hello."))
    ended = await make_session(None, model).prompt(user("What is in a?"))
    assert (ended.outcome, ended.steps, ended.tool_calls) == ("done", 2, 1)
    assert model.requests[1].messages[-1] == ToolMessage(
        results=(ToolResult(call_id="c1", content=(Text(text="hello"),)),)
    )


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("read", '{"path": ', "not valid JSON"),
        ("read", "[1]", "must be a JSON object, not list"),
        ("read", "7", "must be a JSON object, not int"),
        ("read", '{"path": NaN}', "NaN is not JSON"),
        ("read", '{"path": "a", "path": "b"}', "a key stands twice"),
        ("read", '{"path": "\\ud800"}', "half a surrogate pair"),
        ("read", '"not an object"', "not valid JSON"),
        ("read", "[" * 100_000, "not valid JSON"),
        ("read", '{"path": "' + "x" * (8 * 1024 * 1024) + '"}', "too long"),
        ("read", "{}", "a string is wanted"),
        ("read", "", "a string is wanted"),
        ("read", "null", "a string is wanted"),
        ("read", '{"path": "none"}', "No such file"),
        ("rm", "{}", "no tool named 'rm'"),
    ],
)
async def test_a_call_that_cannot_be_run_is_told_to_the_model(name: str, arguments: str, why: str) -> None:
    model = ScriptedModel(calls((name, arguments)), says("Sorry."))
    ended = await make_session(None, model).prompt(user("Go."))
    message = model.requests[1].messages[-1]
    assert isinstance(message, ToolMessage)
    assert message.results[0].is_error
    assert why in said(message)[0]
    assert ended.outcome == "done"


async def test_arguments_that_were_encoded_twice_are_decoded_once() -> None:
    model = ScriptedModel(calls(("read", json.dumps('{"path": "a"}'))), says("Done."))
    await make_session(None, model).prompt(user("Go."))
    assert said(model.requests[1].messages[-1]) == ["hello"]


async def test_a_refused_call_does_not_run_and_the_turn_ends_as_denied() -> None:
    model = ScriptedModel(calls(READ_A), says("Then not."))
    ended = await make_session(None, model, permit=Says(Refused("rule", "not that file"))).prompt(user("Go."))
    assert said(model.requests[1].messages[-1]) == ["not that file"]
    assert ended.outcome == "denied"


async def test_what_rules_leave_open_is_asked_and_the_answer_holds() -> None:
    async def yes() -> Allowed | Refused:
        return Allowed("user")

    async def no() -> Allowed | Refused:
        return Refused("user", "no, thank you")

    for answer, outcome, text in ((yes, "done", "hello"), (no, "denied", "no, thank you")):
        model = ScriptedModel(calls(READ_A), says("Ended."))
        session = make_session(None, model, permit=Says(Unsure("it reads"), answer))
        assert (await session.prompt(user("Go."))).outcome == outcome
        assert said(model.requests[1].messages[-1]) == [text]


async def test_every_request_begins_with_the_one_before_it(tmp_path: Path) -> None:
    model = ScriptedModel(calls(READ_A), says("Done."), calls(READ_A, first_id=2), says("Yes."))
    session = make_session(tmp_path / "s.jsonl", model)
    await session.prompt(user("One."))
    await session.prompt(user("Two."))
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        assert (after.system, after.tools) == (before.system, before.tools)
        assert all(a is b for a, b in zip(before.messages, after.messages, strict=False))


async def test_a_session_read_back_is_the_same_conversation(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    session = make_session(path, ScriptedModel(calls(READ_A), says("Done.")))
    await session.prompt(user("One."))
    session.record.log.close()
    assert SessionLog(path).conversation.messages == session.record.log.conversation.messages


async def test_cancelling_keeps_what_came_and_says_so_in_the_log(tmp_path: Path) -> None:
    cut = Cut("Half an ans")
    session = make_session(tmp_path / "s.jsonl", ScriptedModel(cut, says("Whole.")))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(session.prompt, user("Go."))
            await cut.reached.wait()
            session.cancel()
    branch = session.record.log.branch()
    assert isinstance(branch[-1].body, TurnEnded)
    assert branch[-1].body.outcome == "cancelled"
    await session.prompt(user("Go on."))
    assert roles(session.record.log.conversation.messages) == ["user", "assistant", "user", "assistant"]


async def test_a_caller_that_is_cancelled_leaves_a_whole_log_behind(tmp_path: Path) -> None:
    cut = Cut("Half")
    session = make_session(tmp_path / "s.jsonl", ScriptedModel(cut))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(session.prompt, user("Go."))
            await cut.reached.wait()
            group.cancel_scope.cancel()
    assert isinstance(session.record.log.branch()[-1].body, TurnEnded)


async def test_a_call_that_was_cut_off_is_answered_when_the_session_goes_on(tmp_path: Path) -> None:
    started = anyio.Event()

    async def hang(path: str, ctx: ToolContext) -> str:
        started.set()
        await anyio.sleep_forever()
        return ""

    model = ScriptedModel(calls(("hang", '{"path": "a"}'), ("hang", "{")), says("Where were we?"))
    session = make_session(tmp_path / "s.jsonl", model, FakeTool("hang", hang))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(session.prompt, user("Go."))
            await started.wait()
            session.cancel()
    await session.prompt(user("Go on."))
    assert roles(model.requests[1].messages) == ["user", "assistant", "tool", "user"]
    results = model.requests[1].messages[2]
    assert "It may have had effects" in said(results)[0]
    assert "not valid JSON" in said(results)[1]


async def test_what_is_said_during_the_last_reply_is_answered_too() -> None:
    waiting = [user("And another thing.")]
    model = ScriptedModel(
        says("Done."), says("That too."), when_asked=lambda: session.steer(waiting.pop()) if waiting else None
    )
    session = make_session(None, model)
    await session.prompt(user("Go."))
    assert roles(model.requests[-1].messages) == ["user", "assistant", "user"]


async def test_a_session_at_work_takes_no_second_prompt() -> None:
    cut = Cut("")
    session = make_session(None, ScriptedModel(cut))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(session.prompt, user("Go."))
            await cut.reached.wait()
            with pytest.raises(SessionBusy):
                await session.prompt(user("And?"))
            session.cancel()


async def test_watchers_see_deltas_and_entries_in_order() -> None:
    session = make_session(None, ScriptedModel(says("Hello.")))
    seen: list[str] = []

    async def watch(event: Event) -> None:
        seen.append(type(event).__name__)

    with session.record.watch(watch):
        await session.prompt(user("Hi."))
    assert seen == ["Entry", "StepStarted", "TextDelta", "Entry", "Entry"]


async def test_calls_of_one_reply_run_at_once() -> None:
    both = anyio.Event()
    waiting = 0

    async def meet(path: str, ctx: ToolContext) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            both.set()
        await both.wait()
        return path

    model = ScriptedModel(calls(("meet", '{"path": "a"}'), ("meet", '{"path": "b"}')), says("Met."))
    with anyio.fail_after(5):
        await make_session(None, model, FakeTool("meet", meet)).prompt(user("Go."))
    assert said(model.requests[1].messages[-1]) == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"),
    [(("set", "a"), ("set", "a")), (("set", "a"), ("get", "a")), (("get", "a/b"), ("set", "a"))],
)
async def test_calls_that_touch_the_same_path_wait_for_each_other(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    order: list[str] = []

    async def note(path: str, ctx: ToolContext) -> str:
        order.append(f"{ctx.call_id} begins")
        await anyio.lowlevel.checkpoint()
        order.append(f"{ctx.call_id} ends")
        return path

    made = [(name, json.dumps({"path": path})) for name, path in (first, second)]
    tools = (FakeTool("set", note, writes=True), FakeTool("get", note))
    await make_session(None, ScriptedModel(calls(*made), says("Done.")), *tools).prompt(user("Go."))
    assert order == ["c1 begins", "c1 ends", "c2 begins", "c2 ends"]


async def test_a_command_waits_for_the_write_before_it_but_not_for_another_command() -> None:
    order: list[str] = []

    async def note(path: str, ctx: ToolContext) -> str:
        order.append(f"{ctx.call_id} begins")
        await anyio.lowlevel.checkpoint()
        order.append(f"{ctx.call_id} ends")
        return path

    model = ScriptedModel(
        calls(("set", '{"path": "a"}'), ("sh", '{"path": "x"}'), ("sh", '{"path": "y"}')), says("Done.")
    )
    tools = (FakeTool("set", note, writes=True), FakeTool("sh", note, opaque=True))
    await make_session(None, model, *tools).prompt(user("Go."))
    assert order[:2] == ["c1 begins", "c1 ends"]
    assert {*order[2:4]} == {"c2 begins", "c3 begins"}


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(steps=2), "steps"),
        (Limits(tokens=30), "tokens"),
        (Limits(cost=0.02), "cost"),
        (Limits(tool_calls=1), "tool_calls"),
    ],
)
async def test_each_limit_ends_the_turn_and_says_which(limits: Limits, limit: str) -> None:
    priced = [
        calls(("read", f'{{"path": "{n}"}}'), first_id=n).model_copy(
            update={"usage": says("").usage.model_copy(update={"cost": 0.01})}
        )
        for n in range(1, 9)
    ]
    ended = await make_session(None, ScriptedModel(*priced), limits=limits).prompt(user("Go."))
    assert (ended.outcome, ended.limit) == ("limit", limit)
    assert len(priced) > ended.steps


async def test_a_call_beyond_the_limit_is_not_started(tmp_path: Path) -> None:
    model = ScriptedModel(calls(READ_A, READ_A), says("More?"))
    session = make_session(tmp_path / "s.jsonl", model, limits=Limits(tool_calls=1))
    await session.prompt(user("Go."))
    bodies = [entry.body for entry in session.record.log.branch()]
    assert sum(isinstance(body, CallStarted) for body in bodies) == 1
    assert "not run" in said(session.record.log.conversation.messages[-1])[1]


async def test_time_is_a_limit_of_its_own() -> None:
    with anyio.fail_after(5):
        ended = await make_session(None, ScriptedModel(Cut("Hm")), limits=Limits(time=0.01)).prompt(
            user("Go.")
        )
    assert (ended.outcome, ended.limit) == ("limit", "time")


async def test_the_same_call_with_the_same_result_is_remarked_upon_once_and_then_ends_the_turn() -> None:
    model = ScriptedModel(*(calls(READ_A, first_id=n) for n in range(1, 6)))
    ended = await make_session(None, model).prompt(user("Go."))
    assert (ended.outcome, ended.limit, ended.steps) == ("limit", "loop", 4)
    last = model.requests[3].messages[-1]
    assert last.role == "user"
    assert last.author == "runtime"


async def test_progress_in_between_is_no_loop() -> None:
    steps: list[AssistantMessage] = []
    for n in range(1, 6):
        steps += [calls(READ_A, first_id=2 * n), calls(("read", f'{{"path": "{n}"}}'), first_id=2 * n + 1)]
    ended = await make_session(None, ScriptedModel(*steps, says("Done."))).prompt(user("Go."))
    assert ended.outcome == "done"


async def test_a_reply_that_breaks_off_is_asked_for_again_and_what_came_stays_in_the_log(
    tmp_path: Path,
) -> None:
    model = ScriptedModel(Cut("Half", StreamCutShort("cut")), Busy("later"), says("Whole."))
    session = make_session(tmp_path / "s.jsonl", model)
    retries: list[RetryScheduled] = []

    async def watch(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            retries.append(event)

    with session.record.watch(watch):
        assert (await session.prompt(user("Go."))).outcome == "done"
    assert [retry.attempt for retry in retries] == [1, 2]
    kept = [
        entry.body.message for entry in session.record.log.branch() if isinstance(entry.body, MessageAdded)
    ]
    assert [m.state for m in kept if isinstance(m, AssistantMessage)] == ["failed", "complete"]
    assert model.requests[0].messages == model.requests[2].messages


async def test_retries_end_and_the_reason_is_in_the_outcome() -> None:
    ended = await make_session(None, ScriptedModel(*[Busy("overloaded")] * 9)).prompt(user("Go."))
    assert (ended.outcome, ended.error) == ("failed", "overloaded")


@pytest.mark.parametrize(
    ("error", "outcome"), [(AuthFailed("no key"), "usage"), (InvalidRequest("bad"), "failed")]
)
async def test_what_asking_again_does_not_mend_ends_at_once(error: AuthFailed, outcome: str) -> None:
    model = ScriptedModel(error)
    ended = await make_session(None, model).prompt(user("Go."))
    assert (ended.outcome, ended.error) == (outcome, str(error))
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("reply", "outcome", "limit"),
    [
        (says("Half", stop="length"), "limit", "output_length"),
        (says("", stop="content_filter"), "failed", None),
        (says("", stop="context_window"), "failed", None),
    ],
)
async def test_a_reply_that_stopped_early_is_not_taken_for_done(
    reply: AssistantMessage, outcome: str, limit: str | None
) -> None:
    ended = await make_session(None, ScriptedModel(reply)).prompt(user("Go."))
    assert (ended.outcome, ended.limit) == (outcome, limit)


async def test_a_paused_reply_is_sent_back_as_it_is() -> None:
    model = ScriptedModel(says("Searching", stop="pause", state="paused"), says("Found."))
    assert (await make_session(None, model).prompt(user("Go."))).outcome == "done"
    assert roles(model.requests[1].messages) == ["user", "assistant"]


async def test_an_empty_reply_is_asked_about_once() -> None:
    empty = says("").model_copy(update={"parts": (thinks("Hm."),)})
    assert (
        await make_session(None, ScriptedModel(empty, says("Yes."))).prompt(user("Go."))
    ).outcome == "done"
    ended = await make_session(None, ScriptedModel(empty, empty)).prompt(user("Go."))
    assert ended.outcome == "failed"


async def test_a_fault_of_ours_is_raised_and_still_recorded(tmp_path: Path) -> None:
    async def broken(path: str, ctx: ToolContext) -> str:
        raise ZeroDivisionError

    session = make_session(
        tmp_path / "s.jsonl", ScriptedModel(calls(("broken", '{"path": "a"}'))), FakeTool("broken", broken)
    )
    with pytest.raises(ExceptionGroup):
        await session.prompt(user("Go."))
    body = session.record.log.branch()[-1].body
    assert isinstance(body, TurnEnded)
    assert body.outcome == "failed"


async def test_a_tool_can_call_another_under_the_same_permit_meter_and_log(tmp_path: Path) -> None:
    async def outer(path: str, ctx: ToolContext) -> str:
        answers = [await run.call("read", {"path": name}, parent=ctx.call_id) for name in (path, path)]
        await ctx.report("half way")
        return " ".join(part.text for one in answers for part in one.content if isinstance(part, Text))

    model = ScriptedModel(calls(("outer", '{"path": "a"}')), says("Done."))
    path = tmp_path / "s.jsonl"
    session = make_session(path, model, FakeTool("outer", outer), reading(), limits=Limits(tool_calls=2))
    run = session.calls
    assert (await session.prompt(user("Go."))).outcome == "done"
    assert said(model.requests[1].messages[-1]) == ["hello The limit on tool calls is reached."]
    nested = [e.body for e in session.record.log.branch() if isinstance(e.body, CallFinished)]
    assert [body.parent_call for body in nested] == ["c1", None]


async def test_a_tool_error_carries_its_details_to_the_log_alone(tmp_path: Path) -> None:
    async def fails(path: str, ctx: ToolContext) -> str:
        raise ToolError("no", {"exit_code": 3})

    model = ScriptedModel(calls(("fails", '{"path": "a"}')), says("Done."))
    session = make_session(None, model, FakeTool("fails", fails), sandbox=memory_sandbox())
    await session.prompt(user("Go."))
    message = model.requests[1].messages[-1]
    assert isinstance(message, ToolMessage)
    assert message.results[0].details == {"exit_code": 3}
