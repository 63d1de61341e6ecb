from __future__ import annotations

from dataclasses import replace

import pytest
from wires.cases import HELLO, READ, asks
from wires.rows import WIRES

from fakes import INFO, Says, ScriptedModel, calls, memory_sandbox, says
from treadle.agent.conversation import Conversation
from treadle.agent.desk import Desk
from treadle.agent.events import HistoryRepaired, MessageAdded, Prefix, SessionOpened
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Origin, ReasoningPart, TextPart, UserMessage, user
from treadle.agent.providers.contract import InvalidRequest, NotFound, ProviderError, Renderings, StaleState
from treadle.agent.repair import mend, without_stale_reasoning
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio

PREFIX = Prefix(system=("S",), tools=(READ,))
BOUND = StaleState("The block is bound to a different conversation.", code="invalid_request_error")
HOME = Origin(wire=INFO.wire, vendor=INFO.vendor, endpoint=INFO.endpoint, model=INFO.id)
THOUGHT = says("So.", origin=HOME, parts=(ReasoningPart(text="Hm.", signature="s"), TextPart(text="So.")))


def conversation(*messages: UserMessage | AssistantMessage) -> Conversation:
    log = SessionLog(None)
    log.append(SessionOpened(session="s", workspace="/w", model="v/m", prefix=PREFIX))
    log.append(*(MessageAdded(message=message) for message in messages))
    return log.conversation


def session(model: ScriptedModel) -> Session:
    record = Record(SessionLog(None))
    run = Calls(Toolbox(), memory_sandbox(), Says(), record.keep, record.show)
    record.log.append(SessionOpened(session="s1", workspace="/w", model="v/m", prefix=PREFIX))
    return Session("s1", Desk("s1", model, run, make_room=mend), record)


async def test_a_session_whose_reasoning_is_refused_goes_on_without_it_and_says_so() -> None:
    model = ScriptedModel(THOUGHT, BOUND, says("Fine."), says("And on."))
    work = session(model)
    assert (await work.prompt(user("One."))).outcome == "done"
    assert (await work.prompt(user("Two."))).outcome == "done"
    assert (await work.prompt(user("Three."))).outcome == "done"
    refused, again, later = (request.messages[1] for request in model.requests[1:])
    assert refused == THOUGHT
    assert isinstance(again, AssistantMessage)
    assert again.parts == (TextPart(text="So."),)
    assert again is later
    (repaired,) = [entry for entry in work.record.log.branch() if isinstance(entry.body, HistoryRepaired)]
    assert isinstance(repaired.body, HistoryRepaired)
    assert "script no longer takes back is left out: The block is bound" in repaired.body.reason
    assert work.record.log.conversation.epoch == repaired.id


async def test_it_is_mended_once_and_then_the_refusal_stands() -> None:
    model = ScriptedModel(THOUGHT, BOUND, BOUND)
    work = session(model)
    await work.prompt(user("One."))
    ended = await work.prompt(user("Two."))
    assert (ended.outcome, ended.error) == ("failed", str(BOUND))
    assert len(model.requests) == 3


@pytest.mark.parametrize(
    "refused",
    [
        InvalidRequest("wrong"),
        NotFound("gone"),
        StaleState("Previous response with id 'r' not found."),
        StaleState("m", code="thread_not_found"),
        StaleState("Container not found"),
        StaleState("m", code="conversation_not_found"),
    ],
)
async def test_what_leaving_out_reasoning_does_not_mend_is_raised(refused: ProviderError) -> None:
    with pytest.raises(type(refused)) as caught:
        await mend(conversation(HELLO, THOUGHT), ScriptedModel(), refused)
    assert caught.value is refused


async def test_before_anything_was_refused_nothing_is_mended() -> None:
    assert await mend(conversation(HELLO, THOUGHT), ScriptedModel(), None) == ()


@pytest.mark.parametrize(
    "message",
    [
        says("So.", origin=HOME),
        calls(("read", "{}")),
        THOUGHT.model_copy(update={"origin": HOME.model_copy(update={"model": "another"})}),
    ],
)
async def test_where_no_reasoning_of_this_model_is_sent_there_is_nothing_to_mend(
    message: AssistantMessage,
) -> None:
    assert without_stale_reasoning(conversation(HELLO, message), INFO, BOUND) is None


@pytest.mark.parametrize("name", [name for name, row in WIRES.items() if row.tools])
async def test_over_every_wire_what_is_sent_then_holds_no_reasoning_and_every_call(name: str) -> None:
    row = WIRES[name]
    for key, reply in row.replies.items():
        message = row.wire.decode(reply, row.model)
        info = replace(row.model, vendor=message.origin.vendor)
        repaired = without_stale_reasoning(conversation(HELLO, message), info, BOUND)
        if repaired is None:
            continue
        (mended,) = repaired.replaced.values()
        assert isinstance(mended, AssistantMessage)
        assert (mended.text, mended.calls) == (message.text, message.calls), key
        http = row.wire.encode(asks(HELLO, mended, HELLO), info, Renderings(), stream=True)
        for part in message.parts:
            for seal in (part.signature, part.encrypted) if isinstance(part, ReasoningPart) else ():
                assert not seal or seal.encode() not in http.body, key
