from __future__ import annotations

from typing import Literal

import anyio
import pytest
from openai import AsyncOpenAI, BadRequestError

from treadle.agent.mock.embeddings import MOST_INPUTS, SIZE
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.contract import Rejected
from treadle.agent.providers.embeddings import Embedder, batches, style_of
from treadle.agent.providers.plain import Plain
from treadle.agent.providers.retry import Retries
from treadle.agent.providers.transport import Address, Transport

pytestmark = pytest.mark.anyio
Style = Literal["openai", "gemini"]
KEYS = {"openai": {"authorization": "Bearer mock"}, "gemini": {"x-goog-api-key": "mock"}}
BASES = {"openai": "/v1", "gemini": "/v1beta"}


def dot(one: list[float], two: list[float]) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True))


def embedder(mock: Mock, style: Style) -> Embedder:
    transport = Transport(Address(mock.url + BASES[style], KEYS[style]))
    return Embedder(Plain(transport), "embed-1", style, Retries(attempts=1, base=0.0))


async def test_the_official_client_reads_vectors_and_words_in_common_are_near() -> None:
    with anyio.fail_after(5):
        async with serve(None) as mock, AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="mock") as client:
            texts = ["a red car", "the automobile is red", "bread and butter"]
            made = await client.embeddings.create(model="e", input=texts, encoding_format="float")
            one, two, three = (row.embedding for row in made.data)
            assert len(one) == SIZE
            assert dot(one, two) > 0.5 > dot(one, three)
            with pytest.raises(BadRequestError):
                await client.embeddings.create(model="e", input=["x"] * 2_049, encoding_format="float")


STYLES: tuple[Style, ...] = ("openai", "gemini")


@pytest.mark.parametrize("style", STYLES)
async def test_many_texts_are_asked_for_in_what_one_request_may_hold_and_come_back_in_order(
    style: Style,
) -> None:
    texts = [f"text number {number}" for number in range(250)]
    with anyio.fail_after(5):
        async with serve(None) as mock:
            asking = embedder(mock, style)
            vectors = await asking.embed(texts, "document")
            (one,) = await asking.embed(["text number 7"], "query")
            await asking.plain.aclose()
    assert len(vectors) == 250
    assert list(vectors[7]) == list(one)
    assert len(mock.requests) == (2 if style == "openai" else 4)


async def test_what_a_vendor_refuses_is_raised_as_it_is() -> None:
    with anyio.fail_after(5):
        async with serve(None) as mock:
            asking = embedder(mock, "openai")
            with pytest.raises(Rejected):
                await asking.embed([""], "document")
            await asking.plain.aclose()


def test_a_request_holds_no_more_texts_and_bytes_than_a_vendor_takes() -> None:
    assert [len(batch) for batch in batches(["a"] * 5_000, MOST_INPUTS)] == [2_048, 2_048, 904]
    assert [len(batch) for batch in batches(["a" * 250_000] * 5, MOST_INPUTS)] == [2, 2, 1]
    assert list(batches([], MOST_INPUTS)) == []


def test_gemini_is_asked_in_its_own_way() -> None:
    assert (style_of("gemini"), style_of("openai_chat")) == ("gemini", "openai")
