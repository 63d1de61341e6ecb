from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest
from limits_page import PAGE, page
from unit.agent.providers.limits.picturing import claims, document, image, pdf, shows
from unit.agent.providers.raw import serving, whole

from treadle.agent.messages import Message, user
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    ModelInfo,
    ModelRequest,
    ProviderError,
    RequestTooLarge,
    Wire,
    WireName,
)
from treadle.agent.providers.limits import (
    MEANINGS,
    ROWS,
    LimitSettings,
    Row,
    What,
    limit,
    limit_of,
    native_side,
    warning_of,
)
from treadle.agent.providers.transport import Address, Timeouts, Transport
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.providers.wires.gemini import Gemini
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.tools.contract import Function, Media

pytestmark = pytest.mark.anyio
WIRES: dict[str, Wire] = {
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
}
HOME: dict[str, WireName] = {
    "anthropic": "anthropic",
    "openai": "openai_responses",
    "gemini": "gemini",
    "vertex": "gemini",
}
OF_REQUESTS = (
    "request_bytes",
    "image_bytes",
    "image_side",
    "image_side_many",
    "images",
    "image_total_bytes",
    "document_bytes",
    "document_pages",
    "tools",
    "messages",
)
ENFORCED = [row for row in ROWS if row.status == "enforced"]


def info_of(row: Row, **own: int) -> ModelInfo:
    vendor = row.vendor.removesuffix("*")
    wire = HOME.get(vendor, "openai_chat") if row.wire == "*" else row.wire
    window = row.window_to or 1_000_000
    dialect = {"media": ("image", "document")}
    return ModelInfo(
        id="m-1",
        wire=next(name for name in get_args(WireName) if name == wire),
        vendor=vendor,
        endpoint="e",
        context_window=window,
        dialect=dialect,
        limits=own,
    )


def named(row: Row) -> str:
    return f"{row.vendor}-{row.what}-{row.value}"


@pytest.mark.parametrize("row", ENFORCED, ids=named)
def test_what_is_enforced_is_what_is_looked_up(row: Row) -> None:
    info = info_of(row)
    assert limit_of(info, row.what) == row.value
    window = info.context_window
    assert limit(info.vendor, info.wire, row.what, model="m-1", window=window) == row.value


@dataclass(frozen=True)
class Filled:
    """What reaches a limit and what is one above it, the limit being the table's own or a smaller one."""

    at: ModelRequest
    above: ModelRequest
    limits: dict[str, int]


def asks(*messages: Message) -> ModelRequest:
    return ModelRequest(system=("Be brief.",), tools=(), messages=messages)


def filled(what: What, most: int) -> Filled:
    """Fill requests: to the table's figure itself where it is a number of things, else to a small stand-in."""
    tiny, thousands = image(claims(1, 1)), min(most, 4000)
    shown: dict[What, tuple[list[Media], list[Media]]] = {
        "images": ([tiny] * thousands, [tiny] * (thousands + 1)),
        "image_side": ([image(claims(9, most))], [image(claims(9, most + 1))]),
        "image_side_many": (
            [*[tiny] * 20, image(claims(most, 1))],
            [*[tiny] * 20, image(claims(most + 1, 1))],
        ),
        "image_bytes": ([image(claims(1, 1, 300))], [image(claims(1, 1, 301))]),
        "image_total_bytes": (
            [image(claims(1, 1, 150))] * 2,
            [image(claims(1, 1, 150)), image(claims(1, 1, 151))],
        ),
        "document_bytes": ([document(pdf(1, 300))], [document(pdf(1, 303))]),
        "document_pages": ([document(pdf(thousands))], [document(pdf(thousands + 1))]),
    }
    if what in shown:
        at, above = shown[what]
        return Filled(asks(shows(*at)), asks(shows(*above)), _STAND_INS.get(what, {}))
    if what == "messages":
        return Filled(asks(*[user("Hi")] * most), asks(*[user("Hi")] * (most + 1)), {})
    tools = tuple(
        Function(name=f"t{number}", description="T.", parameters={"type": "object"})
        for number in range(most + 1)
    )
    plain = asks(user("Hi"))
    return Filled(replace(plain, tools=tools[:-1]), replace(plain, tools=tools), {})


_STAND_INS: dict[What, dict[str, int]] = {
    "image_bytes": {"image_bytes": 400},
    "image_total_bytes": {"image_total_bytes": 400},
    "document_bytes": {"document_bytes": 300},
}
"""For figures that would take as many megabytes to reach."""


async def sent(client: Client, request: ModelRequest) -> ProviderError:
    """Ask; the server refuses whatever comes."""
    try:
        async with client.stream(request):
            raise AssertionError("the server refuses everything")
    except ProviderError as error:
        return error


def client_of(info: ModelInfo, url: str) -> Client:
    return Client(WIRES[info.wire], info, Transport(Address(url, {}), Timeouts(first_byte=5, idle=5)))


async def both(
    at: Client, at_limit: ModelRequest, above: Client, one_above: ModelRequest, what: What
) -> None:
    refused = await sent(at, at_limit)
    assert refused.status == 400, refused
    kept = await sent(above, one_above)
    assert isinstance(kept, RequestTooLarge)
    assert (kept.status, kept.code) == (None, what)


@pytest.mark.parametrize(
    "row", [row for row in ENFORCED if row.what in OF_REQUESTS and row.what != "request_bytes"], ids=named
)
async def test_a_request_at_a_limit_goes_out_and_one_above_does_not(row: Row) -> None:
    assert row.value is not None
    case = filled(row.what, row.value)
    info = info_of(row, **case.limits)
    async with serving([whole(400, b"{}")], [whole(400, b"{}")]) as server:
        client = client_of(info, server.url)
        await both(client, case.at, client, case.above, row.what)
        assert len(server.requests) == 1
        await client.aclose()


@pytest.mark.parametrize("row", [row for row in ENFORCED if row.what == "request_bytes"], ids=named)
async def test_a_body_at_the_limit_goes_out_and_one_byte_more_does_not(row: Row) -> None:
    request = asks(user("Hello."))
    async with serving([whole(400, b"{}")], [whole(400, b"{}")]) as server:
        size = len(client_of(info_of(row), server.url).encode(request).body)
        at = client_of(info_of(row, request_bytes=size), server.url)
        above = client_of(info_of(row, request_bytes=size - 1), server.url)
        await both(at, request, above, request, "request_bytes")
        assert len(server.requests) == 1
        await at.aclose()


async def test_a_request_to_count_is_not_sent_above_its_limit() -> None:
    row = next(row for row in ENFORCED if row.what == "count_bytes")
    request = asks(user("Hello."))
    async with serving([whole(200, b'{"input_tokens": 7}')]) as server:
        many = client_of(info_of(row, count_bytes=1000), server.url)
        assert await many.count(request) == 7
        few = client_of(info_of(row, count_bytes=10), server.url)
        assert await few.count(request) is None
        assert len(server.requests) == 1
        await many.aclose()


def test_a_refusal_names_the_part_and_what_is_taken() -> None:
    info = info_of(ENFORCED[0])
    client = client_of(info, "http://127.0.0.1:9/v1")
    assert client.info.limits == {}
    with pytest.raises(
        RequestTooLarge, match=r"message 1, content\[1\], image wide.png \(image/png\): 8,001 px"
    ):
        raise_for(client, asks(user("Hi"), shows(image(claims(8001, 1), name="wide.png"))))


def raise_for(client: Client, request: ModelRequest) -> None:
    client.check(request, client.encode(request))


def test_where_sources_differ_the_stricter_one_warns_and_the_other_holds() -> None:
    info = info_of(next(row for row in ROWS if (row.vendor, row.what) == ("openai", "images")))
    assert (limit_of(info, "images"), warning_of(info, "images")) == (1500, 500)
    for row in ROWS:
        if row.status == "warned" and row.value is not None:
            other = limit_of(info_of(row), row.what)
            assert other is None or other > row.value, named(row)


def test_what_the_user_says_goes_before_the_table_and_takes_its_warnings_away() -> None:
    info = replace(info_of(ENFORCED[0]), vendor="openai", limits={"images": 7})
    assert (limit_of(info, "images"), warning_of(info, "images")) == (7, None)
    assert limit("openai", "openai_chat", "images", own={"images": 3}) == 3
    assert native_side(replace(info, limits={"image_native_side": 700})) == 700
    assert native_side(replace(info, vendor="own")) == 1568


def test_a_window_that_is_not_known_has_the_smaller_figure() -> None:
    assert limit("anthropic", "anthropic", "images") == 100
    assert limit("anthropic", "anthropic", "images", window=1_000_000) == 600


def test_every_row_says_where_it_is_from_and_why_it_does_not_apply() -> None:
    for row in ROWS:
        assert row.source
        assert row.date
        assert row.what in MEANINGS
        assert row.because or row.status != "not applicable", named(row)
        assert (row.value is not None) or row.status == "not applicable"


@pytest.mark.parametrize("what", ["audio", "speech", "chat_product", "image_generation", "embedding_inputs"])
def test_what_is_out_of_scope_is_listed_with_its_reason(what: What) -> None:
    rows = [row for row in ROWS if row.what == what]
    assert rows
    assert {row.status for row in rows} == {"not applicable"}


def test_every_figure_that_holds_can_be_replaced() -> None:
    held = {row.what for row in ROWS if row.status != "not applicable"}
    assert held <= set(LimitSettings.model_fields)


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
