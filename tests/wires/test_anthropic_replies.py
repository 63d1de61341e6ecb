"""What Anthropic's wire makes of replies and errors, with Anthropic's own client as the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, cast

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import anthropic_rows
from wires.test_anthropic import PLAIN, WHOLE, WIRE, whole
from wires.test_streams import TRANSCRIPTS, events

from treadle.agent.events import CallDelta, HostedDelta
from treadle.agent.messages import (
    AssistantMessage,
    HostedCallPart,
    OpaquePart,
    Usage,
)
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    ContentBlocked,
    ContextOverflow,
    InvalidRequest,
    ModelRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    Renderings,
    RequestTooLarge,
    StaleState,
    Undecodable,
)
from treadle.tools.contract import (
    JsonObject,
)


def sdk(answer: bytes, kind: str = "text/event-stream") -> anthropic.Anthropic:
    """Anthropic's own client, whose every request is answered by these bytes."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    client = httpx2.Client(transport=httpx2.MockTransport(handler))
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=client)


OFFICIAL: Final = [
    "cached",
    "carriage_returns_and_comments",
    "empty_input",
    "input_in_the_start",
    "nothing_said",
    "parallel_calls",
    "paused_in_a_container",
    "refused",
    "search_failed",
    "searched_and_cited",
    "stop_sequence",
    "text",
    "thinking",
    "thinking_not_shown",
    "window_exceeded",
]


def ours(name: str) -> AssistantMessage:
    decoder = WIRE.decoder(PLAIN)
    for event, data in events([(TRANSCRIPTS / "anthropic" / f"{name}.sse").read_bytes()]):
        decoder.feed(event, data)
    return decoder.finish()


def blocks_of(message: AssistantMessage) -> list[JsonObject]:
    return [json.loads(part.raw) for part in message.parts if part.raw and part != container_of(message)]


def container_of(message: AssistantMessage) -> OpaquePart | None:
    return next(
        (part for part in message.parts if isinstance(part, OpaquePart) and part.kind == "container"), None
    )


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_stream_is_the_message_that_anthropics_client_reads(name: str) -> None:
    client = sdk((TRANSCRIPTS / "anthropic" / f"{name}.sse").read_bytes())
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    with client, client.messages.stream(**asked) as stream:
        theirs = stream.get_final_message()
    message = ours(name)
    assert blocks_of(message) == [
        {key: value for key, value in block.to_dict().items() if key != "parsed_output"}
        for block in theirs.content
    ]
    assert (message.stop_raw, message.response_id, message.origin.served) == (
        theirs.stop_reason,
        theirs.id,
        theirs.model,
    )
    read = theirs.usage
    assert message.usage.input_total == sum(
        count or 0
        for count in (read.input_tokens, read.cache_read_input_tokens, read.cache_creation_input_tokens)
    )
    assert theirs.usage.output_tokens in {message.usage.output, 0}


def streamed(reply: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Cut a whole reply into the events in which the API would stream it."""
    ends = {"stop_reason", "stop_sequence", "stop_details", "container"}
    start = {
        key: value for key, value in reply.items() if key not in {*ends, "content", "input_transformations"}
    }
    yield "message_start", {"message": {**start, "content": []}}
    for index, block in enumerate(reply["content"]):
        empty, deltas = opened(block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    delta = {key: value for key, value in reply.items() if key in ends}
    changes = {"input_transformations": reply.get("input_transformations")}
    yield "message_delta", {"delta": delta, "usage": reply["usage"], **changes}
    yield "message_stop", {}


def opened(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    match block:
        case {"type": "text", "text": text}:
            cited = [{"type": "citations_delta", "citation": item} for item in block.get("citations", [])]
            kept: JsonObject = {"citations": []} if cited else {}
            pieces = [{"type": "text_delta", "text": piece} for piece in (text[:2], text[2:])]
            return {"type": "text", "text": "", **kept}, [*pieces, *cited]
        case {"type": "thinking", "thinking": text, "signature": signature}:
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in (text[:2], text[2:])]
            signed = {"type": "signature_delta", "signature": signature}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*pieces, signed]
        case {"input": {"path": _} | {"query": _} | {"x": _} as given}:
            text = json.dumps(given, separators=(",", ":"))
            pieces = [
                {"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])
            ]
            return {**block, "input": {}}, pieces
        case _:
            return block, []


@pytest.mark.parametrize(("name", "key"), WHOLE)
def test_a_streamed_reply_is_the_message_that_the_whole_one_is(name: str, key: str) -> None:
    decoder = WIRE.decoder(anthropic_rows.MODELS[name])
    for kind, data in streamed(anthropic_rows.REPLIES[name][key]):
        decoder.feed(kind, json.dumps({"type": kind, **data}))
    message = decoder.finish()
    if "ids" in key:  # made where there is none, from all that is known at the time
        assert len({each.id for each in message.calls}) == len(message.calls)
    else:
        assert message == whole(name, key)


def test_a_whole_reply_is_counted_with_what_ran_beside_it() -> None:
    usage = whole("anthropic", "counted").usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (1011, 100, 207, 3)
    assert (usage.cache_write.m5, usage.cache_write.h1, usage.cache_write.unknown) == (50, 30, 10)
    assert WIRE.decode(anthropic_rows.whole(usage=None), PLAIN).usage == Usage()


def test_a_call_of_a_refused_reply_never_runs() -> None:
    refused = whole("anthropic", "refused")
    assert (refused.calls, refused.stop) == ((), "refusal")
    assert [part.type for part in refused.parts] == ["text", "refusal"]


def test_a_server_tool_is_told_as_it_goes() -> None:
    decoder = WIRE.decoder(PLAIN)
    seen = [
        delta
        for kind, data in streamed(anthropic_rows.whole(*anthropic_rows.SEARCHED, *anthropic_rows.FAILED))
        for delta in decoder.feed(kind, json.dumps({"type": kind, **data}))
    ]
    assert seen == [
        HostedDelta("web_search", "started"),
        HostedDelta("web_search", "done"),
        HostedDelta("web_fetch", "started"),
        HostedDelta("web_fetch", "failed"),
    ]


def test_a_call_is_known_by_id_and_name_before_its_input_comes() -> None:
    decoder = WIRE.decoder(PLAIN)
    start: JsonObject = {
        "index": 4,
        "content_block": {"type": "tool_use", "id": "t1", "name": "read", "input": {}},
    }
    assert [*decoder.feed("content_block_start", json.dumps(start))] == [CallDelta(0, "t1", "read", "")]


def test_a_block_that_never_began_ends_without_harm() -> None:
    decoder = WIRE.decoder(PLAIN)
    assert [*decoder.feed("content_block_stop", "{}"), *decoder.feed("content_block_delta", "{}")] == []


def test_a_cut_search_is_no_part_of_what_came_but_a_finished_one_is() -> None:
    decoder = WIRE.decoder(PLAIN)
    cut = streamed(anthropic_rows.whole(*anthropic_rows.SEARCHED, anthropic_rows.FAILED[0]))
    for kind, data in cut:
        if kind != "message_stop":
            decoder.feed(kind, json.dumps({"type": kind, **data}))
    kinds = [part.kind for part in decoder.partial().parts if isinstance(part, HostedCallPart)]
    assert kinds == ["web_search"]


@pytest.mark.parametrize("reply", [{}, {"content": "hello"}, {"type": "message"}])
def test_what_has_no_content_is_no_reply(reply: JsonObject) -> None:
    with pytest.raises(Undecodable):
        WIRE.decode(reply, PLAIN)


# Errors ----------------------------------------------------------------------------------------------------------


def fault(kind: str, message: str, **details: str) -> JsonObject:
    error = {"type": kind, "message": message, **({"details": details} if details else {})}
    return {"type": "error", "error": error, "request_id": "req_1"}


BOUND: Final = "messages.1.content.0: The block is bound to a different conversation"
FAULTS: Final[list[tuple[int, JsonObject, type[ProviderError]]]] = [
    (400, fault("invalid_request_error", "max_tokens: Field required"), InvalidRequest),
    (400, fault("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), ContextOverflow),
    (
        400,
        fault("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 1 > 8"),
        ContextOverflow,
    ),
    (
        400,
        fault("invalid_request_error", "Your credit balance is too low to access the API."),
        QuotaExhausted,
    ),
    (400, fault("invalid_request_error", BOUND), StaleState),
    (
        400,
        fault("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        StaleState,
    ),
    (
        400,
        fault(
            "invalid_request_error", "`thinking` blocks in the latest assistant message cannot be modified."
        ),
        StaleState,
    ),
    (400, fault("invalid_request_error", "Output blocked by content filtering policy"), ContentBlocked),
    (
        400,
        fault("invalid_request_error", "Too wide", error_code="image_dimensions_too_large"),
        InvalidRequest,
    ),
    (401, fault("authentication_error", "invalid x-api-key"), AuthFailed),
    (402, fault("billing_error", "Pay first."), QuotaExhausted),
    (403, fault("permission_error", "Not yours."), AuthFailed),
    (404, fault("not_found_error", "model: claude-0"), NotFound),
    (404, fault("not_found_error", "Container not found"), StaleState),
    (404, fault("not_found_error", "No such thread", error_code="thread_not_found"), StaleState),
    (409, fault("conflict_error", "Wait."), Busy),
    (413, fault("request_too_large", "Request exceeds the maximum size"), RequestTooLarge),
    (
        400,
        fault("invalid_request_error", "Big.", error_code="request_body_too_large_after_decoding"),
        RequestTooLarge,
    ),
    (429, fault("rate_limit_error", "Slow down."), Busy),
    (429, fault("rate_limit_error", "Ramp.", error_code="ramp_limit_exceeded"), Busy),
    (429, fault("rate_limit_error", "Spent.", error_code="enforced_spend_limit_reached"), QuotaExhausted),
    (500, fault("api_error", "Internal server error"), Busy),
    (504, fault("timeout_error", "Too slow."), Busy),
    (529, fault("overloaded_error", "Overloaded"), Busy),
]


@pytest.mark.parametrize(("status", "fault", "kind"), FAULTS)
def test_an_error_means_the_same_as_a_reply_in_a_stream_and_under_status_200(
    status: int, fault: JsonObject, kind: type[ProviderError]
) -> None:
    error = WIRE.error(status, {"request-id": "req_1"}, json.dumps(fault).encode())
    assert (type(error), error.status, error.request_id) == (kind, status, "req_1")
    for feed in (
        lambda: WIRE.decoder(PLAIN).feed("error", json.dumps(fault)),
        lambda: WIRE.decode(fault, PLAIN),
    ):
        with pytest.raises(kind) as raised:
            feed()
        assert (str(raised.value), raised.value.status, raised.value.request_id) == (
            str(error),
            status,
            "req_1",
        )


def test_a_page_from_the_edge_is_an_error_too() -> None:
    error = WIRE.error(413, {}, b"<html><head><title>413 Request Entity Too Large</title></head></html>")
    assert (type(error), str(error)) == (RequestTooLarge, "HTTP 413: 413 Request Entity Too Large")


# What nobody would send ------------------------------------------------------------------------------------------

RECORDED: Final = [
    (event, json.loads(data))
    for name in (
        "thinking",
        "searched_and_cited",
        "input_in_the_start",
        "compacted",
        "refused",
        "two_message_starts",
    )
    for event, data in events([(TRANSCRIPTS / "anthropic" / f"{name}.sse").read_bytes()])
]
SHAPES: Final[st.SearchStrategy[Any]] = st.sampled_from([
    None,
    True,
    -1,
    1.5,
    "",
    "x\ud800",
    [],
    [None, 1, "x", {}],
    {},
    {"type": 1},
    {"id": []},
])


def bent(value: Any, data: st.DataObject) -> Any:
    """The value, with one place in it taken by something else."""
    if not isinstance(value, dict | list) or not value or data.draw(st.booleans()):
        return data.draw(SHAPES)
    keys = (
        list(cast("JsonObject", value)) if isinstance(value, dict) else range(len(cast("list[Any]", value)))
    )
    key = data.draw(st.sampled_from(keys))
    copy: Any = dict(cast("JsonObject", value)) if isinstance(value, dict) else list(cast("list[Any]", value))
    copy[key] = bent(copy[key], data)
    return copy


@given(st.data())
def test_events_of_any_shape_are_read_or_refused_and_what_came_can_be_sent(data: st.DataObject) -> None:
    decoder = WIRE.decoder(PLAIN)
    for event, payload in data.draw(st.lists(st.sampled_from(RECORDED), max_size=8)):
        given_payload = bent(payload, data) if data.draw(st.booleans()) else payload
        with suppress(ProviderError):
            decoder.feed(event, json.dumps(given_payload))
    message = decoder.partial()
    with suppress(ProviderError):
        message = decoder.finish()
    assert AssistantMessage.model_validate_json(message.model_dump_json()) == message
    request = ModelRequest(system=("S",), tools=(), messages=(message,))
    assert json.loads(WIRE.encode(request, PLAIN, Renderings(), stream=True).body)


def test_an_event_that_is_too_deep_is_refused() -> None:
    with pytest.raises(Undecodable):
        WIRE.decoder(PLAIN).feed("ping", "[" * 100_000)
