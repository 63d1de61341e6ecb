"""Time passes for a mock as it is told to, and what a cache did is told in each vendor's own shape."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest
from unit.agent.mock.conftest import Play

from treadle.agent.mock.clock import Clock

pytestmark = pytest.mark.anyio
BIG = "x" * 8000
STILL = "clock: {still: true}\nsteps: [{text: one}, {gap: 301, text: two}]\nthen: repeat"
MARKED: Any = {"type": "text", "text": BIG, "cache_control": {"type": "ephemeral"}}


def test_a_still_clock_moves_only_when_it_is_put_forward() -> None:
    clock = Clock(still=True)
    before = clock.now()
    assert clock.now() == before
    clock.advance(5)
    assert clock.now() == before + 5
    assert Clock().now() <= Clock().now()


async def test_a_client_puts_the_clock_forward_and_reads_it(play: Play) -> None:
    mock = await play(STILL)
    async with httpx.AsyncClient(base_url=mock.url) as client:
        before = (await client.get("/_mock/clock")).json()["now"]
        assert (await client.post("/_mock/clock", json={"advance": 60})).json() == {"now": before + 60}
        for wrong in (b"{", b'{"advance": -1}', b'{"advance": "1"}', b'{"back": 1}'):
            assert (await client.post("/_mock/clock", content=wrong)).status_code == 400
    assert mock.clock.now() == before + 60


async def test_a_gap_in_a_script_lets_claudes_cache_expire(play: Play) -> None:
    mock = await play(STILL)
    async with anthropic.AsyncAnthropic(base_url=mock.url, api_key="k", max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": [MARKED]}]
        ask = sdk.messages.create
        read: list[int | None] = []
        for _ in range(2):
            told = await ask(model="claude-sonnet-5", max_tokens=9, messages=messages)
            read.append(told.usage.cache_read_input_tokens)
        answer: Any = [{"role": "assistant", "content": "one"}, {"role": "user", "content": "on"}]
        for _ in range(2):
            told = await ask(model="claude-sonnet-5", max_tokens=9, messages=[*messages, *answer])
            read.append(told.usage.cache_read_input_tokens)
    assert [bool(count) for count in read] == [False, True, False, True]


async def test_claude_tells_what_it_wrote_by_time_and_why_it_missed(play: Play) -> None:
    mock = await play(STILL)
    long: Any = {**MARKED, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    async with anthropic.AsyncAnthropic(base_url=mock.url, api_key="k", max_retries=0) as sdk:
        first = await sdk.messages.create(
            model="claude-sonnet-5",
            max_tokens=9,
            system=[long],
            messages=[{"role": "user", "content": [MARKED]}],
            diagnostics={"previous_message_id": None},
        )
        second = await sdk.messages.create(
            model="claude-sonnet-5",
            max_tokens=9,
            system="Other.",
            messages=[{"role": "user", "content": [MARKED]}],
            diagnostics={"previous_message_id": first.id},
        )
    assert first.usage.cache_creation is not None
    split = first.usage.cache_creation
    assert split.ephemeral_1h_input_tokens > 2000
    assert split.ephemeral_5m_input_tokens > 2000
    assert first.diagnostics is None
    assert second.diagnostics is not None
    assert second.diagnostics.cache_miss_reason is not None
    assert second.diagnostics.cache_miss_reason.type == "system_changed"
    assert second.diagnostics.cache_miss_reason.cache_missed_input_tokens == (
        split.ephemeral_1h_input_tokens + split.ephemeral_5m_input_tokens
    )


async def test_claudes_cache_is_filled_without_a_word_being_said(play: Play) -> None:
    mock = await play(STILL)
    async with anthropic.AsyncAnthropic(base_url=mock.url, api_key="k", max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": [MARKED]}]
        told = await sdk.messages.create(model="m", max_tokens=0, messages=messages)
        assert (told.content, told.stop_reason, told.usage.output_tokens) == ([], "max_tokens", 0)
        assert told.usage.cache_creation_input_tokens
        after = await sdk.messages.create(model="m", max_tokens=9, messages=messages)
        assert after.usage.cache_read_input_tokens == told.usage.cache_creation_input_tokens
        with pytest.raises(anthropic.BadRequestError, match="0 fills the cache"):
            await sdk.messages.create(model="m", max_tokens=0, messages=messages, stream=True)


async def test_gpt_tells_what_it_wrote_and_what_it_compared(play: Play) -> None:
    mock = await play(STILL)
    async with openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="k", max_retries=0) as sdk:
        warm: Any = {"prewarm": True, "ttl": "12h"}
        first = await sdk.responses.create(model="gpt-6-luna", input=BIG, prompt_cache_options=warm)
        compare: Any = {"comparison_response_id": first.id, "ttl": "12h"}
        second = await sdk.responses.create(model="gpt-6-luna", input=BIG, prompt_cache_options=compare)
        third = await sdk.responses.create(model="gpt-6-terra", input=BIG, prompt_cache_options=compare)
    assert (first.output, first.status) == ([], "completed")
    assert first.usage is not None
    details = first.usage.input_tokens_details
    assert details.cache_write_tokens_details is not None
    assert details.cache_write_tokens == details.cache_write_tokens_details.ttl_12h_tokens > 2000
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens == details.cache_write_tokens
    assert second.prompt_cache_diagnostics is not None
    assert second.prompt_cache_diagnostics.type == "cache_hit"
    assert third.prompt_cache_diagnostics is not None
    assert third.prompt_cache_diagnostics.type == "cache_miss"
    assert third.prompt_cache_diagnostics.reason == "model_changed"


async def test_deepseek_tells_hits_and_misses(play: Play) -> None:
    mock = await play(STILL)
    messages: list[Any] = [{"role": "user", "content": BIG}]
    more = [*messages, {"role": "assistant", "content": "one"}, {"role": "user", "content": "on"}]
    async with httpx.AsyncClient(base_url=mock.url, headers={"authorization": "Bearer k"}) as client:
        told = [
            (
                await client.post(
                    "/deepseek/v1/chat/completions", json={"model": "deepseek-v4-pro", "messages": asked}
                )
            ).json()["usage"]
            for asked in (messages, more)
        ]
    hits = [usage["prompt_cache_hit_tokens"] for usage in told]
    assert hits[0] == 0
    assert hits[1] > told[0]["prompt_tokens"]
    assert [usage["prompt_cache_miss_tokens"] + hit for usage, hit in zip(told, hits, strict=True)] == [
        usage["prompt_tokens"] for usage in told
    ]
