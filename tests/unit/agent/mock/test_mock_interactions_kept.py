"""Interactions that the mock keeps, by Google's own client: chains, background, forgetting."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from treadle.agent.mock.jsontext import elements, members
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
READ = {"type": "function", "name": "read", "parameters": {"type": "object"}}


@asynccontextmanager
async def client(mock: Mock) -> AsyncGenerator[Any]:
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as opened:
        yield opened.interactions
    whole.close()


async def lost(mock: Mock, path: str, method: str = "GET", body: object = None) -> tuple[int, object]:
    async with httpx.AsyncClient(base_url=mock.url, headers={"x-goog-api-key": "k"}) as http:
        reply = await http.request(method, f"/v1/interactions{path}", json=body)
    return reply.status_code, reply.json()["error"].get("code")


async def test_a_chain_needs_only_what_is_new(play: Play) -> None:
    mock = await play(
        "steps: [{reasoning: Look., calls: [{read: {path: a}}]}, {text: Done., when: {last_result: found}}, {text: More.}]"
    )
    async with client(mock) as api:
        first = await api.create(model="m", input="go", tools=[READ])
        call = next(step for step in first.steps if step.type == "function_call")
        result = {"type": "function_result", "call_id": call.id, "name": "read", "result": "found"}
        second = await api.create(model="m", input=[result], tools=[READ], previous_interaction_id=first.id)
        third = await api.create(model="m", input="on", previous_interaction_id=second.id)
        assert [reply.steps[-1].content[0].text for reply in (second, third)] == ["Done.", "More."]
        kept = await api.get(id=second.id, include_input=True)
        assert [step.type for step in kept.steps] == ["function_result", "model_output"]
        assert [step.type for step in (await api.get(id=second.id)).steps] == ["model_output"]
        await api.delete(id=third.id)
    assert await lost(mock, f"/{third.id}") == (404, "not_found")
    body = {"model": "m", "input": "on", "previous_interaction_id": third.id}
    assert await lost(mock, "", "POST", body) == (404, "not_found")
    assert members(mock.report()["stored"])["interactions"] == [first.id, second.id]


async def test_a_chain_can_be_forgotten_at_any_step(play: Play) -> None:
    mock = await play("steps: [{text: One.}, {text: Two., faults: [{forget: chain}]}]")
    async with client(mock) as api:
        first = await api.create(model="m", input="go")
    body = {"model": "m", "input": "on", "previous_interaction_id": first.id}
    assert await lost(mock, "", "POST", body) == (404, "not_found")
    assert members(mock.report()["stored"])["interactions"] == []


async def test_what_is_not_stored_is_not_kept(play: Play) -> None:
    mock = await play("steps: [{text: One.}]")
    async with client(mock) as api:
        reply = await api.create(model="m", input="go", store=False)
    assert await lost(mock, f"/{reply.id}") == (404, "not_found")


async def test_work_in_the_background_is_done_after_so_many_polls(play: Play) -> None:
    mock = await play("steps: [{text: Done., pace: {polls: 2}}]")
    async with client(mock) as api:
        work = await api.create(model="m", input="go", background=True)
        states = [work.status, *[(await api.get(id=work.id)).status for _ in range(3)]]
    assert states == ["in_progress", "in_progress", "in_progress", "completed"]
    assert len(elements(mock.report()["generations"])) == 1


async def test_work_in_the_background_can_be_cancelled_until_it_is_done(play: Play) -> None:
    mock = await play("steps: [{text: Done., pace: {polls: 5}}]\nthen: repeat")
    async with client(mock) as api:
        work = await api.create(model="m", input="go", background=True)
        assert (await api.cancel(id=work.id)).status == "cancelled"
        assert (await api.get(id=work.id)).status == "cancelled"
        done = await api.create(model="m", input="go")
    assert (await lost(mock, f"/{done.id}/cancel", "POST"))[0] == 400


async def test_a_stream_goes_on_after_the_event_that_was_seen_last(play: Play) -> None:
    mock = await play("steps: [{text: one two three four}]")
    async with client(mock) as api:
        stream = await api.create(model="m", input="go", background=True, stream=True)
        seen = [event async for event in stream]
        name = seen[0].interaction.id
        rest = await api.get(id=name, stream=True, last_event_id=seen[2].event_id)
        assert [event.event_id async for event in rest] == [event.event_id for event in seen[3:]]
    assert (await lost(mock, f"/{name}?stream=true&last_event_id=x"))[0] == 400
