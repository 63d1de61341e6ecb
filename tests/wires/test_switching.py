"""One conversation that several models hold in turn, each over its own wire, against the mock's strict faces."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import pytest
from wires.cases import READ, asks
from wires.rows import WIRES
from wires.test_requests import answered
from wires.test_streams import events

from treadle.agent.messages import AssistantMessage, Message, ReasoningPart, notice, user
from treadle.agent.mock.anthropic import Anthropic as MessagesFace
from treadle.agent.mock.chat import Chat as ChatFace
from treadle.agent.mock.contract import PATH, Face, Reply, Said, Usage
from treadle.agent.mock.gemini import Gemini as GeminiFace
from treadle.agent.mock.interactions import Interactions as InteractionsFace
from treadle.agent.mock.responses import Responses as ResponsesFace
from treadle.agent.providers.contract import HttpCall, Renderings

CLAUDE, GPT, GLM, GEMINI = "anthropic.opus", "responses.gpt_6", "chat", "gemini.flash"
INTERACTIONS: Final = "interactions.flash"
FACES: Final[dict[str, Face]] = {
    CLAUDE: MessagesFace(),
    GPT: ResponsesFace(),
    GLM: ChatFace(),
    GEMINI: GeminiFace("streamGenerateContent"),
    INTERACTIONS: InteractionsFace(),
}
COUNTS: Final = Usage(input=9, cached=0, written=0, written_long=0, output=5, reasoning=2)
CALLS: Final = (Said(id="", name="read", arguments='{"path": "a.py"}'),) * 2


@dataclass(frozen=True)
class Turn:
    """What the user says to whom; the model thinks, calls `read` twice, thinks again and answers."""

    to: str
    text: str


TURNS: Final = (
    Turn(CLAUDE, "Look."),
    Turn(GPT, "And you?"),
    Turn(GEMINI, "And you?"),
    Turn(INTERACTIONS, "And you?"),
    Turn(GLM, "And you?"),
    Turn(CLAUDE, "Again."),
    Turn(GPT, "Again."),
    Turn(GEMINI, "Again."),
    Turn(INTERACTIONS, "Again."),
)


def sent(name: str, messages: list[Message], kept: Renderings) -> HttpCall:
    row = WIRES[name]
    return row.wire.encode(asks(*messages, tools=(READ,)), row.model, kept, stream=True)


def replied(name: str, messages: list[Message], kept: Renderings, *, calls: bool) -> AssistantMessage:
    """What the face, which refuses what its API would, answers to these messages."""
    http, face, row = sent(name, messages, kept), FACES[name], WIRES[name]
    asked = face.read(json.loads(http.body), {**http.headers, PATH: http.path})
    number = f"r{len(messages)}"
    said = tuple(Said(f"call_{number}{index}", call.name, call.arguments) for index, call in enumerate(CALLS))
    reply = Reply(
        id=number,
        created=1,
        model=asked.model,
        reasoning=f"Hm, {number} — é.",
        text=f"So, {number}.",
        calls=said if calls else (),
        finish="tool_calls" if calls else "stop",
        usage=COUNTS,
    )
    decoder = row.wire.decoder(row.model)
    for event, data in events(face.events(asked, reply)):
        decoder.feed(event, data)
    return decoder.finish()


def held(turns: tuple[Turn, ...] = TURNS) -> list[Message]:
    messages: list[Message] = []
    kept = {name: Renderings() for name in FACES}
    for turn in turns:
        messages += [user(turn.text), notice("Mode is now plan.")]
        for calls in (True, False):
            reply = replied(turn.to, messages, kept[turn.to], calls=calls)
            messages += [reply, *answered(reply)]
    return messages


def test_every_model_takes_all_that_the_others_said_and_called() -> None:
    messages = held()
    replies = [message for message in messages if isinstance(message, AssistantMessage)]
    assert [len(reply.calls) for reply in replies] == [2, 0] * len(TURNS)
    assert [reply.origin.wire for reply in replies[::2]] == [WIRES[turn.to].wire.name for turn in TURNS]


@pytest.mark.parametrize("name", FACES)
def test_each_gets_its_own_reasoning_back_to_the_byte_and_no_one_elses(name: str) -> None:
    messages, home = held(), WIRES[name].model
    http = sent(name, [*messages, user("Now?")], Renderings())
    own, others = list[str](), list[str]()
    for message in messages:
        if isinstance(message, AssistantMessage):
            mine = message.origin.home == (home.wire, home.vendor, home.endpoint, home.id)
            raws = (part.raw[1:-1] for part in message.parts if isinstance(part, ReasoningPart))
            (own if mine else others).extend(raws)
    assert own
    assert others
    assert [raw for raw in own if raw.encode() not in http.body] == []
    assert [raw for raw in others if raw.encode() in http.body] == []
    assert "reasoning_dropped" in {note.code for note in http.warnings}


@pytest.mark.parametrize("name", FACES)
def test_what_one_model_was_sent_begins_what_it_is_sent_next(name: str) -> None:
    messages, kept, before = held(), Renderings(), tuple[bytes, ...]()
    for end in range(1, len(messages) + 1):
        segments = sent(name, messages[:end], kept).segments
        assert segments[: len(before)] == before
        before = segments


def test_a_conversation_that_changes_hands_is_the_same_on_every_run() -> None:
    assert held() == held()
