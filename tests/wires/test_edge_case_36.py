"""What adapters get wrong about replies that take long: a broken stream is gone on with, and nothing is told twice. WIRES §15."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import anyio
import pytest
from unit.agent.providers.raw import END, HEAD, Step, chunk, serving, whole
from wires.cases import HELLO, asks
from wires.edges import GPT, STEPS, client, completed, framed, steps

from treadle.agent.events import TextDelta
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import ProviderError, Rejected, Stored
from treadle.agent.providers.keeping import Following, shelf_of
from treadle.agent.remote.background import Background
from treadle.tools.contract import JsonObject

pytestmark = pytest.mark.anyio
ASKED: Final = replace(asks(HELLO), stored=Stored(background=True))
TEXT: Final = {"type": "message", "content": [{"type": "output_text", "text": "Half done."}]}
EVENTS: Final[dict[str, list[JsonObject]]] = {
    GPT: [
        {"type": "response.created", "response": {"id": "resp_1", "status": "queued"}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Half "},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "done."},
        completed(TEXT),
    ],
    STEPS: [
        {"event_type": "interaction.created", "interaction": {"id": "i1", "status": "in_progress"}},
        *steps([
            {"type": "model_output"},
            {"type": "text", "text": "Half "},
            {"type": "text", "text": "done."},
        ]),
    ],
}
WORKING: Final = whole(200, json.dumps({"id": "x", "status": "in_progress"}).encode())
WHOLE: Final[dict[str, bytes]] = {
    GPT: json.dumps(completed(TEXT)["response"]).encode(),
    STEPS: json.dumps({
        "id": "i1",
        "status": "completed",
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Half done."}]}],
    }).encode(),
}


def numbered(name: str) -> list[JsonObject]:
    """The events with what tells each apart."""
    if name == GPT:
        return [{**event, "sequence_number": number} for number, event in enumerate(EVENTS[name])]
    return [{**event, "event_id": f"e{number}"} for number, event in enumerate(EVENTS[name])]


class Waited:
    """What came of waiting for one reply."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.kept: list[str] = []
        self.text = ""
        self.requests: list[str] = []
        self.error: ProviderError | None = None


async def waited(name: str, *answers: Sequence[Step], ceiling: float = 60.0) -> Waited:
    """Submit a reply to a server that answers so, and wait for it."""
    came = Waited()
    with anyio.fail_after(5):
        async with serving(*answers) as server, aclosing(client(name, server.url)) as asked:
            try:
                await wait_for(asked, came, ceiling)
            except ProviderError as error:
                came.error = error
            came.requests = [request.split(b" HTTP", 1)[0].decode() for request in server.requests]
    return came


async def wait_for(asked: Client, came: Waited, ceiling: float) -> None:
    """Submit a reply and note what comes of it."""
    shelf = shelf_of(asked.info.wire)
    follow = Following(asked.wire.decoder(asked.info), shelf, to_the_end=True)

    async def keep(reply: str) -> None:
        came.kept.append(reply)

    async with Background(asked, shelf, follow, keep, ceiling) as waiting:
        await waiting.submit(ASKED)
        async for batch in waiting:
            came.told += [delta.text for delta in batch if isinstance(delta, TextDelta)]
        came.text = waiting.message.text


@pytest.mark.parametrize(
    ("name", "had", "resumed"),
    [
        (GPT, 2, "GET /v1/responses/resp_1?stream=true&starting_after=1"),
        (STEPS, 3, "GET /v1/interactions/i1?stream=true&last_event_id=e2"),
    ],
)
async def test_36_a_long_reply_is_resumed_after_its_last_event_and_what_comes_twice_is_told_once(
    name: str, had: int, resumed: str
) -> None:
    events = numbered(name)
    came = await waited(
        name,
        [HEAD, chunk(framed(*events[:had])), "close"],
        [WORKING],
        [HEAD, chunk(framed(*events[1:])), END],
    )
    assert (came.told, came.text, len(came.kept)) == (["Half ", "done."], "Half done.", 1)
    assert came.requests[2] == resumed


@pytest.mark.parametrize("name", [GPT, STEPS])
async def test_36_where_no_stream_can_be_resumed_the_reply_is_looked_for(name: str) -> None:
    came = await waited(
        name,
        [HEAD, chunk(framed(*numbered(name)[:1])), "close"],
        [WORKING],
        [WORKING],
        [whole(503, b"{}")],
        [whole(200, WHOLE[name])],
    )
    assert (came.text, [request.split()[0] for request in came.requests]) == (
        "Half done.",
        ["POST", "GET", "GET", "GET", "GET"],
    )


async def test_36_a_reply_that_will_never_be_whole_is_told_as_what_broke_it() -> None:
    dead = whole(200, json.dumps({"id": "resp_1", "status": "cancelled"}).encode())
    came = await waited(GPT, [HEAD, chunk(framed(*numbered(GPT)[:2])), "close"], [dead])
    assert came.error is not None
    assert came.error.retryable


async def test_36_a_wait_ends_with_its_ceiling_and_the_work_is_cancelled() -> None:
    came = await waited(GPT, [HEAD, chunk(framed(*numbered(GPT)[:2])), "close"], [WORKING], ceiling=0.0)
    assert isinstance(came.error, Rejected)
    assert came.requests[-1] == "POST /v1/responses/resp_1/cancel"


async def test_36_a_provider_out_of_reach_is_not_waited_for_without_end() -> None:
    down = [[whole(503, b"{}")] for _ in range(9)]
    came = await waited(GPT, [HEAD, chunk(framed(*numbered(GPT)[:2])), "close"], *down, ceiling=0.4)
    assert isinstance(came.error, Rejected)
