"""Responses and conversations that the mock keeps, by OpenAI's own client: chains, background, forgetting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import httpx
import openai
import pytest
from openai.types.responses import FunctionToolParam, Response, ResponseInputParam, ResponseStreamEvent

from treadle.agent.mock.jsontext import Json, elements, members
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
READ: FunctionToolParam = {
    "type": "function",
    "name": "read",
    "parameters": {"type": "object"},
    "strict": False,
}
LOOP = """
steps:
  - {reasoning: Look., text: Reading., calls: [{read: {path: a}}]}
  - {text: "Done.", when: {last_result: found it}}
  - {text: "More."}
"""


def gpt(mock: Mock) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1", max_retries=0)


def results(reply: Response) -> ResponseInputParam:
    return [
        {"type": "function_call_output", "call_id": item.call_id, "output": "found it"}
        for item in reply.output
        if item.type == "function_call"
    ]


def generations(mock: Mock) -> list[tuple[Json, Json]]:
    made = map(members, elements(mock.report()["generations"]))
    return [(each["step"], each["delivered"]) for each in made]


async def note(stream: AsyncIterator[ResponseStreamEvent], seen: list[ResponseStreamEvent]) -> None:
    while True:
        seen.append(await anext(stream))


async def test_a_chain_needs_only_what_is_new(play: Play) -> None:
    mock = await play(LOOP)
    async with gpt(mock) as client:
        first = await client.responses.create(model="m", input="go", tools=[READ])
        second = await client.responses.create(
            model="m", input=results(first), previous_response_id=first.id, tools=[READ]
        )
        third = await client.responses.create(model="m", input="on", previous_response_id=second.id)
        assert [second.output_text, third.output_text] == ["Done.", "More."]
        assert second.previous_response_id == first.id
        assert generations(mock) == [(0, True), (1, True), (2, True)]
        kept = await client.responses.retrieve(second.id)
        assert kept == second
        items = [item async for item in client.responses.input_items.list(second.id, order="asc")]
        assert [item.type for item in items] == [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call_output",
        ]
        newest = await client.responses.input_items.list(second.id, limit=2)
        assert ([item.id for item in newest.data], newest.has_more) == (
            [items[-1].id, items[-2].id],
            True,
        )


async def test_a_chain_is_billed_like_the_whole_conversation(play: Play) -> None:
    mock = await play(LOOP)
    async with gpt(mock) as client:
        first = await client.responses.create(model="m", input="go", tools=[READ])
        chained = await client.responses.create(
            model="m", input=results(first), previous_response_id=first.id, tools=[READ]
        )
        said: ResponseInputParam = [{"role": "user", "content": "go"}]
        made = [item.model_dump(exclude_unset=True) for item in first.output]
        body = {"model": "m", "input": [*said, *made, *results(first)], "tools": [READ]}
        async with httpx.AsyncClient(headers={"authorization": "Bearer k"}) as http:
            whole = (await http.post(f"{mock.url}/v1/responses", json=body)).json()
    assert chained.usage is not None
    assert whole["usage"]["input_tokens"] == chained.usage.input_tokens


async def test_what_is_in_the_chain_already_is_not_sent_again(play: Play) -> None:
    async with gpt(await play(LOOP)) as client:
        first = await client.responses.create(model="m", input="go", tools=[READ])
        call = next(item for item in first.output if item.type == "function_call")
        again: ResponseInputParam = [
            {
                "type": "function_call",
                "id": call.id or "",
                "call_id": call.call_id,
                "name": "read",
                "arguments": "{}",
            }
        ]
        with pytest.raises(openai.BadRequestError, match="Duplicate item found with id fc_"):
            await client.responses.create(
                model="m", input=[*again, *results(first)], previous_response_id=first.id, tools=[READ]
            )


async def test_a_reference_stands_for_an_item_that_is_kept(play: Play) -> None:
    async with gpt(await play("steps: [{text: One.}, {text: Two.}]")) as client:
        first = await client.responses.create(model="m", input="go")
        second = await client.responses.create(
            model="m",
            input=[
                {"role": "user", "content": "go"},
                {"type": "item_reference", "id": first.output[0].id or ""},
                {"role": "user", "content": "on"},
            ],
        )
        assert second.output_text == "Two."


async def test_what_is_not_stored_or_was_deleted_cannot_be_followed(play: Play) -> None:
    async with gpt(await play("steps: [{text: One.}]\nthen: repeat")) as client:
        loose = await client.responses.create(model="m", input="go", store=False)
        kept = await client.responses.create(model="m", input="go")
        await client.responses.delete(kept.id)
        for name in (loose.id, kept.id):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model="m", input="on", previous_response_id=name)
            assert (refused.value.code, refused.value.param) == (
                "previous_response_not_found",
                "previous_response_id",
            )
            with pytest.raises(openai.NotFoundError, match=f"Response with id '{name}' not found"):
                await client.responses.retrieve(name)


async def test_a_chain_can_be_forgotten_at_any_step(play: Play) -> None:
    mock = await play("steps: [{text: One.}, {text: Two., faults: [{forget: chain}]}]")
    async with gpt(mock) as client:
        first = await client.responses.create(model="m", input="go")
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match="Previous response with id"):
                await client.responses.create(model="m", input="on", previous_response_id=first.id)
        replayed = await client.responses.create(
            model="m",
            input=[
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": "One."},
                {"role": "user", "content": "on"},
            ],
        )
        assert replayed.output_text == "Two."
    assert generations(mock) == [(0, True), (1, True)]


async def test_a_reply_can_be_forgotten_as_soon_as_it_was_given(play: Play) -> None:
    async with gpt(await play("steps: [{text: One., faults: [{forget: response}]}]")) as client:
        reply = await client.responses.create(model="m", input="go", background=True)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(reply.id)


async def test_work_in_the_background_is_done_after_so_many_polls(play: Play) -> None:
    mock = await play("steps: [{text: Done., pace: {polls: 2}}]")
    async with gpt(mock) as client:
        submitted = await client.responses.create(model="m", input="go", background=True)
        states = [submitted.status]
        states += [(await client.responses.retrieve(submitted.id)).status for _ in range(3)]
        assert states == ["queued", "queued", "in_progress", "completed"]
        reply = await client.responses.retrieve(submitted.id)
        assert (reply.output_text, reply.background) == ("Done.", True)
    assert generations(mock) == [(0, True)]


async def test_work_in_the_background_takes_as_long_as_its_pace(play: Play) -> None:
    mock = await play("clock: {still: true}\nsteps: [{text: one two three, pace: {first: 10, rate: 1}}]")
    async with gpt(mock) as client:
        submitted = await client.responses.create(model="m", input="go", background=True)
        states: list[str | None] = []
        for seconds in (9, 2, 30):
            mock.clock.advance(seconds)
            states.append((await client.responses.retrieve(submitted.id)).status)
        assert states == ["queued", "in_progress", "completed"]


async def test_a_stream_in_the_background_goes_on_where_it_was_cut(play: Play) -> None:
    mock = await play("steps: [{text: one two three four, faults: [{cut: 2500}]}]")
    async with gpt(mock) as client:
        seen: list[ResponseStreamEvent] = []
        stream = await client.responses.create(model="m", input="go", background=True, stream=True)
        with pytest.raises(openai.APIConnectionError):
            await note(aiter(stream), seen)
        first = seen[0]
        assert first.type == "response.created"
        name, last = first.response.id, seen[-1].sequence_number
        rest = [
            event async for event in await client.responses.retrieve(name, stream=True, starting_after=last)
        ]
        numbers = [event.sequence_number for event in (*seen, *rest)]
        assert numbers == list(range(len(numbers)))
        assert rest[-1].type == "response.completed"
        whole = [event.type async for event in await client.responses.retrieve(name, stream=True)]
        assert whole[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert generations(mock) == [(0, True)]


async def test_work_in_the_background_can_be_cancelled_until_it_is_done(play: Play) -> None:
    mock = await play("steps: [{text: Done., pace: {polls: 5}}, {text: x}]\nthen: repeat")
    async with gpt(mock) as client:
        work = await client.responses.create(model="m", input="go", background=True)
        for _ in range(2):
            assert (await client.responses.cancel(work.id)).status == "cancelled"
        assert (await client.responses.retrieve(work.id)).status == "cancelled"
        with pytest.raises(openai.BadRequestError, match="not completed"):
            await client.responses.create(model="m", input="on", previous_response_id=work.id)
        plain = await client.responses.create(model="m", input="go")
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
            await client.responses.cancel(plain.id)


async def test_a_conversation_holds_what_was_said_in_it(play: Play) -> None:
    mock = await play(LOOP)
    async with gpt(mock) as client:
        talk = await client.conversations.create(metadata={"a": "b"})
        first = await client.responses.create(model="m", input="go", conversation=talk.id, tools=[READ])
        assert first.conversation is not None
        assert first.conversation.id == talk.id
        second = await client.responses.create(
            model="m", input=results(first), conversation=talk.id, tools=[READ]
        )
        items = [item async for item in client.conversations.items.list(talk.id, order="asc", limit=2)]
        assert [item.type for item in items] == [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert items[-1].id == second.output[0].id
        newest = await client.conversations.items.list(talk.id, limit=1)
        assert [item.id for item in newest.data] == [items[-1].id]
        await client.conversations.items.delete(items[-1].id or "", conversation_id=talk.id)
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.retrieve(items[-1].id or "", conversation_id=talk.id)
        assert (await client.conversations.update(talk.id, metadata={"c": "d"})).metadata == {"c": "d"}
        assert (await client.conversations.delete(talk.id)).deleted
        with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{talk.id}' not found"):
            await client.responses.create(model="m", input="go", conversation=talk.id)


async def test_a_conversation_can_begin_with_items(play: Play) -> None:
    async with gpt(await play("steps: [{text: One.}, {text: Two.}]")) as client:
        talk = await client.conversations.create(items=[{"role": "user", "content": "go"}])
        await client.conversations.items.create(talk.id, items=[{"role": "assistant", "content": "One."}])
        reply = await client.responses.create(model="m", input="on", conversation={"id": talk.id})
        assert reply.output_text == "Two."


async def test_a_conversation_is_locked_while_a_reply_is_made_in_it(play: Play) -> None:
    async with gpt(await play("steps: [{text: One., pace: {polls: 1}}, {text: Two.}]")) as client:
        talk = await client.conversations.create()
        work = await client.responses.create(model="m", input="go", conversation=talk.id, background=True)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="m", input="on", conversation=talk.id)
        assert refused.value.code == "conversation_locked"
        await client.responses.retrieve(work.id)
        assert (
            await client.responses.create(model="m", input="on", conversation=talk.id)
        ).output_text == "Two."


async def test_a_conversation_does_not_hold_a_reply_that_nobody_heard_out(play: Play) -> None:
    mock = await play("steps: [{text: one two three four five, pace: {rate: 20}}]")
    async with gpt(mock) as client:
        talk = await client.conversations.create()
        stream = await client.responses.create(model="m", input="go", conversation=talk.id, stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        with anyio.fail_after(5):
            while mock.connections > 1:
                await anyio.lowlevel.checkpoint()
        assert [item async for item in client.conversations.items.list(talk.id)] == []
    assert generations(mock) == [(0, False)]


async def test_a_conversation_can_be_forgotten_at_any_step(play: Play) -> None:
    async with gpt(
        await play("steps: [{text: One.}, {text: Two., faults: [{forget: conversation}]}]")
    ) as client:
        talk = await client.conversations.create()
        await client.responses.create(model="m", input="go", conversation=talk.id)
        with pytest.raises(openai.NotFoundError, match="Conversation with id"):
            await client.responses.create(model="m", input="on", conversation=talk.id)


async def test_anything_can_be_forgotten_at_any_time(play: Play) -> None:
    mock = await play("steps: [{text: One.}]\nthen: repeat")
    async with gpt(mock) as client, httpx.AsyncClient() as http:
        ids = [(await client.responses.create(model="m", input="go")).id for _ in range(3)]
        body: dict[str, str] = {"what": "responses", "id": ids[0]}
        assert (await http.post(f"{mock.url}/_mock/forget", json=body)).status_code == 200
        stored = (await http.get(f"{mock.url}/_mock/report")).json()["stored"]
        assert stored["responses"] == ids[1:]
        await http.post(f"{mock.url}/_mock/forget", json={"what": "responses"})
        assert members(mock.report()["stored"])["responses"] == []
        assert (await http.post(f"{mock.url}/_mock/forget", json={"what": "joy"})).status_code == 400


async def test_the_report_counts_requests_bytes_and_tokens(play: Play) -> None:
    mock = await play("steps: [{text: One., usage: {input: 100, output: 7}, faults: [{status: 503}]}]")
    async with gpt(mock) as client:
        with pytest.raises(openai.InternalServerError):
            await client.responses.create(model="m", input="go")
        reply = await client.responses.create(model="m", input="go")
        await client.responses.retrieve(reply.id)
    report = mock.report()
    assert {**members(report["totals"]), "bytes": 0} == {
        "requests": 3,
        "bytes": 0,
        "generations": 1,
        "delivered": 1,
        "input": 100,
        "cached": 0,
        "written": 0,
        "output": 7,
    }
    assert {path: members(told)["count"] for path, told in members(report["by_path"]).items()} == {
        "POST /v1/responses": 2,
        "GET /v1/responses/{response}": 1,
    }
    assert [members(each)["tokens"] for each in elements(report["requests"])] == [0, 107, 0]


async def test_azure_keeps_the_same(play: Play) -> None:
    mock = await play("steps: [{text: One.}, {text: Two.}]")
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/azure/openai/v1") as client:
        first = await client.responses.create(model="m", input="go")
        second = await client.responses.create(model="m", input="on", previous_response_id=first.id)
        assert (await client.responses.retrieve(second.id)).output_text == "Two."
