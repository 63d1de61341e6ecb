"""The Chat face says what the script says, streamed and whole, in words that OpenAI's own client reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import openai
import pytest
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageParam, ChatCompletionToolParam

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.contract import Asked, Reply
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words
from treadle.agent.mock.play import Player
from treadle.agent.mock.script import Script, parse
from treadle.agent.mock.server import Mock

MOMENT = Moment(0.0, 0.0, "r")
pytestmark = pytest.mark.anyio

SCRIPT = """
model: demo-1
steps:
  - reasoning: "The test fails in totals;\\n look there."
    text: "I will run the tests → first.\\u2028 日本語 🎉\\r\\n  end \\0"
    calls:
      - shell: {command: "python -m pytest -q"}
      - read: {path: src/mönäy.py}
      - {name: read, raw: '{"path": '}
      - {name: patch, raw: '', id: call_7}
"""
ASK: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
SAYS = """
steps:
  - {text: "a", reasoning: "b"}
  - {text: "c", finish: length}
  - {calls: [{read: {}}], text: ""}
  - {text: ""}
  - {text: "\\ud800 lone"}
"""


def replies(script: Script, ask: JsonObject) -> list[tuple[Asked, Reply]]:
    face, player, ledger = Chat(), Player(script), Ledger()
    asked = face.read(ask, {})
    return [
        (asked, player.reply(asked, step, face.bill(asked, ledger, MOMENT), 1, 5.0)) for step in script.steps
    ]


def joined(events: list[bytes]) -> JsonObject:
    """A completion, put together from chunks by rules of this test's own."""
    assert events[-1] == b"data: [DONE]\n\n"
    chunks = [chunk_of(event) for event in events[:-1]]
    whole: JsonObject = {}
    for chunk in chunks:
        whole |= {key: chunk[key] for key in ("id", "created", "model", "usage") if key in chunk}
    choices = [members(choice) for chunk in chunks for choice in elements(chunk["choices"])]
    deltas = [members(choice["delta"]) for choice in choices]
    text: dict[str, str] = {}
    for key, value in ((key, value) for delta in deltas for key, value in delta.items()):
        if key != "tool_calls":
            text[key] = text.get(key, "") + words(value)
    calls: dict[int, tuple[str, str, str]] = {}
    for call in (members(call) for delta in deltas for call in elements(delta.get("tool_calls"))):
        index, function = call["index"], members(call["function"])
        assert isinstance(index, int)
        opened = calls.get(index, (words(call.get("id")), words(function.get("name")), ""))
        calls[index] = (*opened[:2], opened[2] + words(function["arguments"]))
    listed: Json = [list(calls[index]) for index in sorted(calls)]
    return {**whole, "text": dict(text), "calls": listed, "finish": choices[-1]["finish_reason"]}


def chunk_of(event: bytes) -> Mapping[str, Json]:
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    chunk = members(read(event[6:].decode()))
    assert chunk["object"] == "chat.completion.chunk"
    return chunk


def flat(completion: bytes) -> JsonObject:
    """The same view of a completion that came whole."""
    whole = members(read(completion.decode()))
    (choice,) = map(members, elements(whole["choices"]))
    message = members(choice["message"])
    text: JsonObject = {
        key: words(message.get(key))
        for key in ("role", "content", "refusal", "reasoning_content")
        if key in message
    }
    calls: Json = [
        [members(call)["id"], *members(members(call)["function"]).values()]
        for call in elements(message.get("tool_calls"))
    ]
    seen: JsonObject = {key: whole[key] for key in ("id", "created", "model", "usage")}
    return {**seen, "text": text, "calls": calls, "finish": choice["finish_reason"]}


@pytest.mark.parametrize("text", [SCRIPT, SAYS], ids=["all at once", "each alone"])
def test_a_streamed_reply_is_the_whole_one_in_pieces(text: str) -> None:
    ask: JsonObject = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    for asked, reply in replies(parse(text), ask):
        assert joined(Chat().events(asked, reply)) == flat(Chat().whole(asked, reply))


def test_parallel_calls_interleave_and_only_their_first_fragments_name_them() -> None:
    ((asked, reply),) = replies(parse(SCRIPT), {**ASK, "stream": True})
    deltas = [
        members(call)
        for event in Chat().events(asked, reply)[:-1]
        for choice in elements(members(read(event[6:].decode()))["choices"])
        for call in elements(members(members(choice)["delta"]).get("tool_calls"))
    ]
    order = [delta["index"] for delta in deltas]
    assert order[:8] == [0, 1, 2, 3, 0, 1, 2, 0]
    assert all(("id" in delta) == (at < 4) for at, delta in enumerate(deltas))


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}])
def test_usage_comes_in_a_chunk_of_its_own_and_only_when_asked_for(options: dict[str, Json] | None) -> None:
    ((asked, reply), *_) = replies(parse(SAYS), {**ASK, "stream": True, "stream_options": options})
    chunks = [members(read(event[6:].decode())) for event in Chat().events(asked, reply)[:-1]]
    wanted = options == {"include_usage": True}
    assert [chunk["choices"] for chunk in chunks].count([]) == wanted
    assert all(("usage" in chunk) == wanted for chunk in chunks)
    assert (members(chunks[-1].get("usage")).get("total_tokens") is not None) == wanted


TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "read",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
GO: ChatCompletionMessageParam = {"role": "user", "content": "go"}
Play = Callable[[str], Awaitable[Mock]]


def client(mock: Mock) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="x", max_retries=0)


def functions(message: ChatCompletionMessage) -> list[tuple[str, str, str]]:
    return [
        (call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or []
        if call.type == "function"
    ]


async def test_the_official_client_reads_a_whole_reply(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        reply = await sdk.chat.completions.create(model="m", messages=[GO], tools=[TOOL])
    (choice,) = reply.choices
    assert (reply.model, choice.finish_reason) == ("demo-1", "tool_calls")
    assert choice.message.content == "I will run the tests → first.\u2028 日本語 🎉\r\n  end \0"
    assert functions(choice.message) == [
        ("call_0_0", "shell", '{"command": "python -m pytest -q"}'),
        ("call_0_1", "read", '{"path": "src/mönäy.py"}'),
        ("call_0_2", "read", '{"path": '),
        ("call_7", "patch", ""),
    ]
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


async def test_the_official_client_gathers_a_stream_to_the_same_reply(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        whole = await sdk.chat.completions.create(model="m", messages=[GO], tools=[TOOL])
        async with sdk.chat.completions.stream(
            model="m", messages=[GO], stream_options={"include_usage": True}, tools=[TOOL]
        ) as stream:
            gathered = await stream.get_final_completion()
    left, right = whole.choices[0], gathered.choices[0]
    assert (left.finish_reason, left.message.content) == (right.finish_reason, right.message.content)
    assert functions(left.message) == functions(right.message)
    assert whole.usage is not None
    assert gathered.usage is not None
    assert whole.usage.total_tokens == gathered.usage.total_tokens


async def test_the_official_client_raises_the_error_that_fits(play: Play) -> None:
    async with client(await play("steps: []\nthen: error")) as sdk:
        with pytest.raises(openai.BadRequestError) as caught:
            await sdk.chat.completions.create(model="m", messages=[GO])
    assert (caught.value.code, caught.value.type) == ("script_exhausted", "invalid_request_error")


async def test_the_official_client_lists_the_model(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        assert [model.id async for model in sdk.models.list()] == ["demo-1"]


async def test_without_a_script_the_first_tool_is_called_once_with_valid_arguments(play: Play) -> None:
    mock = await play("")
    async with client(mock) as sdk:
        first = (await sdk.chat.completions.create(model="m", messages=[GO], tools=[TOOL])).choices[0].message
        assert first.tool_calls is not None
        (call,) = first.tool_calls
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"path": "mock"}
        asked: ChatCompletionMessageParam = {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        }
        answer: ChatCompletionMessageParam = {"role": "tool", "tool_call_id": call.id, "content": "x"}
        then = await sdk.chat.completions.create(model="m", messages=[GO, asked, answer], tools=[TOOL])
        again = await sdk.chat.completions.create(model="m", messages=[GO, asked, answer, GO], tools=[TOOL])
    assert (then.choices[0].message.content, then.choices[0].finish_reason) == ("Done.", "stop")
    assert again.choices[0].finish_reason == "tool_calls"


async def test_without_a_script_a_wanted_schema_is_met_and_tools_may_be_forbidden(play: Play) -> None:
    async with client(await play("")) as sdk:
        structured = await sdk.chat.completions.create(
            model="m",
            messages=[GO],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object", "required": ["a"]}},
            },
        )
        forbidden = await sdk.chat.completions.create(
            model="m", messages=[GO], tools=[TOOL], tool_choice="none"
        )
    assert json.loads(structured.choices[0].message.content or "") == {"a": "mock"}
    assert forbidden.choices[0].message.tool_calls is None
    assert forbidden.choices[0].message.content


async def test_usage_counts_the_prefix_sent_before_as_cached(play: Play) -> None:
    async with client(await play("steps: [{text: four}]\nthen: repeat")) as sdk:
        long: ChatCompletionMessageParam = {"role": "user", "content": "x" * 8000}
        reply: ChatCompletionMessageParam = {"role": "assistant", "content": "four"}
        first = await sdk.chat.completions.create(model="m", messages=[long])
        second = await sdk.chat.completions.create(model="m", messages=[long, reply, GO])
        other = await sdk.chat.completions.create(model="n", messages=[long, reply, GO])
    seen = [
        use.prompt_tokens_details.cached_tokens
        for use in (first.usage, second.usage, other.usage)
        if use is not None and use.prompt_tokens_details is not None
    ]
    assert seen == [0, 1920, 0]
    assert first.usage is not None
    assert first.usage.completion_tokens == 1


async def test_a_script_may_say_what_is_billed(play: Play) -> None:
    billed = "{input: 1000, cached: 800, output: 50, reasoning: 10}"
    async with client(await play(f"steps: [{{text: hi, usage: {billed}}}]")) as sdk:
        usage = (await sdk.chat.completions.create(model="m", messages=[GO])).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (1000, 800)
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (50, 10)
