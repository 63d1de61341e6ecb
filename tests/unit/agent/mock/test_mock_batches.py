"""Batches of three vendors, by their vendors' own clients."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
SCRIPT = """
steps: [{text: Fine.}]
then: repeat
batches: {polls: 1, errors: [1], expired: [2]}
"""
ASKED = ["a", "b", "c", "d", "e"]


def line(key: str, url: str = "/v1/chat/completions", **more: Any) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": key}]}
    return json.dumps({"custom_id": key, "method": "POST", "url": url, "body": body, **more})


async def test_openai_answers_a_file_of_requests_in_no_order_and_says_what_failed_in_another(
    play: Play,
) -> None:
    mock = await play(SCRIPT)
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1", max_retries=0) as client:
        data = io.BytesIO("\n".join(map(line, ASKED)).encode())
        file = await client.files.create(file=("b.jsonl", data), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert (batch.status, batch.output_file_id) == ("in_progress", None)
        assert (await client.batches.retrieve(batch.id)).status == "in_progress"
        batch = await client.batches.retrieve(batch.id)
        assert batch.status == "expired"
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 1)
        assert batch.output_file_id
        assert batch.error_file_id
        good = [json.loads(text) for text in (await client.files.content(batch.output_file_id)).iter_lines()]
        bad = [json.loads(text) for text in (await client.files.content(batch.error_file_id)).iter_lines()]
    assert sorted(each["custom_id"] for each in good) == ["a", "d", "e"]
    assert {each["response"]["body"]["choices"][0]["message"]["content"] for each in good} == {"Fine."}
    assert {each["custom_id"]: (each["response"] or each["error"]).get("status_code") for each in bad} == {
        "b": 400,
        "c": None,
    }


async def test_anthropic_answers_the_requests_of_a_body(play: Play) -> None:
    mock = await play(SCRIPT)
    async with anthropic.AsyncAnthropic(api_key="k", base_url=mock.url, max_retries=0) as client:
        batch = await client.messages.batches.create(
            requests=[
                {
                    "custom_id": key,
                    "params": {
                        "model": "claude-x",
                        "max_tokens": 9,
                        "messages": [{"role": "user", "content": key}],
                    },
                }
                for key in ASKED
            ]
        )
        assert batch.processing_status == "in_progress"
        await client.messages.batches.retrieve(batch.id)
        ended = await client.messages.batches.retrieve(batch.id)
        assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 3)
        results = {
            each.custom_id: each.result.type async for each in await client.messages.batches.results(batch.id)
        }
    assert results == {"a": "succeeded", "b": "errored", "c": "expired", "d": "succeeded", "e": "succeeded"}


async def test_gemini_answers_the_requests_of_a_body(play: Play) -> None:
    mock = await play(SCRIPT)
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as client:
        job = await client.batches.create(
            model="gemini-x",
            src=[types.InlinedRequest(contents="Hi.", metadata={"key": key}) for key in ASKED],
        )
        assert job.name is not None
        assert job.state == types.JobState.JOB_STATE_RUNNING
        await client.batches.get(name=job.name)
        job = await client.batches.get(name=job.name)
        assert job.state == types.JobState.JOB_STATE_SUCCEEDED
        assert job.dest is not None
        answered = job.dest.inlined_responses or []
    whole.close()
    told = {(each.metadata or {})["key"]: each.response.text if each.response else None for each in answered}
    assert told == {"a": "Fine.", "b": None, "d": "Fine.", "e": "Fine."}


async def test_a_batch_that_is_cancelled_keeps_what_was_answered(play: Play) -> None:
    mock = await play("steps: [{text: Fine.}]\nbatches: {polls: 9}\n")
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1", max_retries=0) as client:
        data = io.BytesIO("\n".join(map(line, ASKED)).encode())
        file = await client.files.create(file=("b.jsonl", data), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = await client.batches.cancel(batch.id)
        assert batch.status == "cancelled"
        assert batch.output_file_id
        assert len(list((await client.files.content(batch.output_file_id)).iter_lines())) == 1
        with pytest.raises(openai.ConflictError):
            await client.batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([line("a"), line("a")], "id of its own"),
        ([line("a", "/v1/responses")], "not the batch's endpoint"),
        ([line("a", more=1)], "more"),
    ],
)
async def test_a_file_that_is_no_batch_is_refused(play: Play, lines: list[str], told: str) -> None:
    mock = await play(SCRIPT)
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1", max_retries=0) as client:
        file = await client.files.create(
            file=("b.jsonl", io.BytesIO("\n".join(lines).encode())), purpose="batch"
        )
        with pytest.raises(openai.BadRequestError, match=told):
            await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        with pytest.raises(openai.BadRequestError, match="No such File"):
            await client.batches.create(
                input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
            )
        with pytest.raises(openai.NotFoundError):
            await client.batches.retrieve("batch_x")
