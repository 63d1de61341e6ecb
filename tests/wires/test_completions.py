"""What holds for legacy Completions alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final, cast

import anyio
import openai
import pytest
from openai.types.completion import Completion
from openai.types.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter
from wires import completions_rows
from wires.cases import CASES, HELLO, asks

from treadle.agent.events import TextDelta
from treadle.agent.messages import AssistantMessage, user
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Busy,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    QuotaExhausted,
    Renderings,
    StreamCutShort,
    Undecodable,
)
from treadle.agent.providers.transport import Address, Transport
from treadle.agent.providers.wires.openai_completions import OpenAICompletions
from treadle.agent.settings import Sampling
from treadle.tools.contract import JsonObject

WIRE: Final = OpenAICompletions()
MODEL: Final = completions_rows.MODELS["completions"]
JUDGE: Final = TypeAdapter[Any](CompletionCreateParamsStreaming)


def body(request: ModelRequest, model: ModelInfo = MODEL) -> JsonObject:
    return json.loads(WIRE.encode(request, model, Renderings(), stream=True).body)


def plain(*messages: Any, **more: Any) -> ModelRequest:
    return replace(asks(*messages, tools=(), system=()), **more)


def exhausted(value: Any) -> Any:
    """Read the lazy iterables of validated types, so that what stands in them is validated too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in cast("JsonObject", value).items()}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return [exhausted(item) for item in value]


@pytest.mark.parametrize("case", CASES)
def test_openais_own_types_take_every_body_and_know_its_every_field(case: str) -> None:
    sent = body(replace(CASES[case], tools=(), tool_choice="auto"))
    assert exhausted(JUDGE.validate_python(sent)) == sent


@pytest.mark.parametrize("reply", completions_rows.REPLIES["completions"])
def test_openais_own_type_reads_the_text_that_we_read(reply: str) -> None:
    whole = completions_rows.REPLIES["completions"][reply]
    theirs = Completion.model_validate({**whole, "created": 1})
    assert WIRE.decode(whole, MODEL).text == theirs.choices[0].text.strip()


def test_a_request_with_tools_is_refused_and_says_how_to_run_without() -> None:
    with pytest.raises(InvalidRequest, match="--tools none"):
        WIRE.encode(asks(HELLO), MODEL, Renderings(), stream=True)
    with pytest.raises(InvalidRequest, match="no message"):
        WIRE.encode(plain(), MODEL, Renderings(), stream=True)


def test_a_place_that_stops_at_nothing_is_sent_no_stop_and_says_so() -> None:
    model = replace(MODEL, dialect={"sampling": {"temperature": "temperature"}})
    call = WIRE.encode(plain(HELLO, sampling=Sampling(stop=("X",))), model, Renderings(), stream=False)
    assert "stop" not in json.loads(call.body)
    assert [note.field for note in call.warnings] == ["sampling.stop"]


def test_more_likely_tokens_than_the_api_has_are_capped_with_a_warning() -> None:
    call = WIRE.encode(plain(HELLO, sampling=Sampling(top_logprobs=9)), MODEL, Renderings(), stream=False)
    assert json.loads(call.body)["logprobs"] == 5
    assert [note.field for note in call.warnings] == ["sampling.top_logprobs"]


def test_a_whole_reply_may_be_an_error_or_none() -> None:
    with pytest.raises(Busy):
        WIRE.decode({"error": {"message": "busy", "code": "server_is_overloaded"}}, MODEL)
    with pytest.raises(QuotaExhausted):
        WIRE.decode({"object": "error", "message": "m", "code": "insufficient_quota"}, MODEL)
    with pytest.raises(Busy):
        WIRE.decode({"message": "m", "code": "rate_limit_exceeded"}, MODEL)
    with pytest.raises(Undecodable, match="no text"):
        WIRE.decode({"choices": [{"index": 0, "message": {}}]}, MODEL)
    with pytest.raises(StreamCutShort, match="abort"):
        WIRE.decode(completions_rows.whole("Hel", "abort"), MODEL)
    assert isinstance(WIRE.error(503, {}, b"nope"), Busy)


def test_a_cost_that_the_host_reports_is_kept() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": "x", "cost": 0.5}
    message = WIRE.decode(completions_rows.whole("Hi", usage=usage), MODEL)
    assert (message.usage.cost, message.usage.input, message.usage.output) == (0.5, 3, 0)


SCRIPT: Final = """
steps:
  - {text: "Hello, wörld."}
  - {text: "Again.", faults: [{status: 429, headers: {retry-after: "7"}}]}
"""


def at(mock: Mock) -> Client:
    transport = Transport(Address(f"{mock.url}/v1", {"authorization": "Bearer k"}))
    return Client(WIRE, MODEL, transport)


async def asked(client: Client, request: ModelRequest) -> tuple[AssistantMessage, str]:
    shown = ""
    async with client.stream(request) as reply:
        async for deltas in reply:
            shown += "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
        return reply.message, shown


@pytest.mark.anyio
async def test_a_conversation_goes_on_as_one_text_against_the_mock() -> None:
    with anyio.fail_after(5):
        async with serve(parse(SCRIPT)) as mock:
            client = at(mock)
            first, shown = await asked(client, plain(user("Hi."), sampling=Sampling(top_logprobs=2)))
            assert (first.text, shown, first.stop) == ("Hello, wörld.", "Hello, wörld.", "end")
            assert "".join(item.token for item in first.logprobs) == " Hello, wörld."
            assert first.usage.input > 0
            later = plain(user("Hi."), first, user("More."))
            with pytest.raises(Busy) as caught:
                await asked(client, later)
            assert caught.value.retry_after == 7
            second, _ = await asked(client, later)
            assert second.text == "Again."
            prompt = mock.requests[-1].json
            await client.aclose()
    assert isinstance(prompt, dict)
    assert prompt["prompt"] == "User: Hi.\n\nAssistant: Hello, wörld.\n\nUser: More.\n\nAssistant:"


@pytest.mark.anyio
async def test_openais_own_client_reads_the_mock_streamed_and_not() -> None:
    async with (
        serve(parse("{steps: [{text: a b, reasoning: hm}], then: repeat}")) as mock,
        openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="x", max_retries=0, timeout=5) as client,
    ):
        create = client.completions.create
        for prompt in ("User: Hi.\n\nAssistant:", ["ends in a space "], [[1, 2, 3]], [1, 2, 3]):
            whole = await create(model="m", prompt=prompt, logprobs=0)
            assert whole.choices[0].text.strip(" ") == "a b"
        echoed = await create(model="m", prompt="x", echo=True, logprobs=1)
        assert echoed.choices[0].text == "x a b"
        stream = await create(model="m", prompt="x", stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == " a b"
        assert chunks[-1].usage is not None
        for prompt in (["a", "b"], []):
            with pytest.raises(openai.BadRequestError, match="prompt"):
                await create(model="m", prompt=prompt)
        options = {"stream_options": {"include_usage": True}}
        with pytest.raises(openai.BadRequestError, match="stream_options"):
            await create(model="m", prompt="x", extra_body=options)
