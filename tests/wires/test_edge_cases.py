"""What adapters get wrong about replies: calls and their arguments, streams, errors, how a reply ends. WIRES §15."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from unit.agent.providers.raw import END, HEAD, chunk, whole
from wires.cases import HELLO, asks, result, results
from wires.edges import (
    CALLED,
    CHAT,
    CLAUDE,
    DONE,
    EACH,
    GEMINI,
    GLM,
    GPT,
    OPENAI,
    ROUTER,
    SAID,
    STEPS,
    VERTEX,
    at_server,
    back,
    called,
    chat,
    claude,
    completed,
    failed,
    fragment,
    framed,
    gemini,
    got,
    heard,
    sent,
    steps,
    streamed,
    uses,
    wants,
    wrote,
)

from fakes import FakeTool, make_session
from treadle.agent.arguments import parse_arguments
from treadle.agent.events import StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import (
    Busy,
    ContentBlocked,
    InvalidRequest,
    Rejected,
    StreamCutShort,
    Undecodable,
)
from treadle.tools.contract import Function, ToolCall, ToolContext, ToolError

pytestmark = pytest.mark.anyio


def told(message: AssistantMessage) -> list[tuple[str, str]]:
    """Names and arguments of what was called."""
    return [(call.name, call.arguments) for call in message.calls]


def test_01_parallel_calls_come_interleaved_with_their_names_again_or_whole() -> None:
    expected = [("read", '{"path":"a"}'), ("grep", '{"text":"b"}')]
    interleaved = [
        fragment("", "read", index=0, id="call_a1"),
        fragment("", "grep", index=1, id="call_b2"),
        fragment('{"path":', index=0),
        fragment('{"text":', index=1),
        fragment('"a"}', index=0),
        fragment('"b"}', index=1),
    ]
    again = [
        fragment('{"path":', "read", index=0, id="call_a1"),
        fragment('"a"}', "read", index=0, id="call_a1"),
        fragment('{"text":', "grep", index=1, id="call_b2"),
        fragment('"b"}', "grep", index=1, id="call_b2"),
    ]
    at_once = [
        fragment('{"path":"a"}', "read", index=0, id="call_a1"),
        fragment('{"text":"b"}', "grep", index=1, id="call_b2"),
    ]
    for said in (interleaved, again, at_once):
        message = heard(CHAT, *said, chat("tool_calls"), DONE)
        assert told(message) == expected
        assert [call.id for call in message.calls] == ["call_a1", "call_b2"]


@pytest.mark.parametrize(
    "items",
    [
        [{"index": 0, "id": ""}, {"index": 1, "id": ""}],
        [{"index": 0, "id": "same"}, {"index": 1, "id": "same"}],
        [{"id": "call_a1"}, {"id": "call_b2"}],
        [{"index": 1, "id": "call_a1"}, {"index": 7, "id": "call_b2"}],
        [{}, {}],
        [{"index": 0}, {"index": 0}],
    ],
)
def test_02_calls_are_told_apart_whatever_their_ids_and_indexes_are(items: list[dict[str, Any]]) -> None:
    pieces = [fragment(f'{{"path":"{n}"}}', "read", **given) for n, given in enumerate(items)]
    message = heard(CHAT, *pieces, chat("tool_calls"))
    assert told(message) == [("read", '{"path":"0"}'), ("read", '{"path":"1"}')]
    ids = [call.id for call in message.calls]
    assert len({*ids, ""}) == 3
    sent_back = back(CHAT, message)["messages"][-3:]
    assert [each["id"] for each in sent_back[0]["tool_calls"]] == ids
    assert [each["tool_call_id"] for each in sent_back[1:]] == ids


EMPTY: dict[str, list[list[Any]]] = {
    OPENAI: [
        [fragment("", "read", index=0, id="call_a1"), chat("tool_calls")],
        [fragment("{}", "read", index=0, id="call_a1"), chat("tool_calls")],
        [
            chat(tool_calls=[{"index": 0, "id": "call_a1", "function": {"name": "read", "arguments": None}}]),
            chat("tool_calls"),
        ],
        [chat(tool_calls=[{"index": 0, "id": "call_a1", "function": {"name": "read"}}]), chat("tool_calls")],
    ],
    GPT: [[completed(called(arguments=""))], [completed(called(arguments="{}"))]],
    CLAUDE: [claude(uses(), stop="tool_use"), claude(uses(""), stop="tool_use")],
    STEPS: [
        steps(
            [{"type": "function_call", "id": "c1", "name": "read", "arguments": {}}], status="requires_action"
        ),
        steps([{"type": "function_call", "id": "c1", "name": "read"}], status="requires_action"),
    ],
    GEMINI: [[gemini(wants(), stop="STOP")], [gemini(wants(args={}), stop="STOP")]],
}


@pytest.mark.parametrize("name", EMPTY)
def test_03_arguments_that_are_empty_missing_or_null_are_an_empty_object(name: str) -> None:
    for said in EMPTY[name]:
        message = heard(name, *said)
        (made,) = message.calls
        assert parse_arguments(made) == {}
        body = json.dumps(back(name, message))
        shown = {GEMINI: '"args": {}', CLAUDE: '"input": {}', STEPS: '"arguments": {}'}.get(
            name, '"arguments": "{}"'
        )
        assert shown in body or (name == GEMINI and '"args"' not in body)


@pytest.mark.parametrize(
    "broken",
    ['{"path": "a.p', '{"path": "a"} and so on', "{'path': None}", '"{\\"path\\""', "[1]", '{"n": NaN}'],
)
def test_04_broken_arguments_are_kept_told_to_the_model_and_replayed_as_an_object(broken: str) -> None:
    message = heard(CHAT, fragment(broken, "read", index=0, id="call_a1"), chat("tool_calls"))
    (made,) = message.calls
    assert made.arguments == broken
    with pytest.raises(ToolError, match="arguments"):
        parse_arguments(made)
    assert back(CHAT, message)["messages"][-2]["tool_calls"][0]["function"]["arguments"] == broken
    used = back(CLAUDE, message)["messages"][1]["content"][0]
    assert isinstance(used["input"], dict)
    args = back(GEMINI, message)["contents"][1]["parts"][0]["functionCall"]["args"]
    assert isinstance(args, dict)


def test_05_arguments_encoded_twice_are_decoded_once_and_glm_is_sent_schemas_without_references() -> None:
    twice = ToolCall(id="c1", name="read", arguments=json.dumps('{"path":"a"}'))
    assert parse_arguments(twice) == {"path": "a"}
    thrice = twice.model_copy(update={"arguments": json.dumps(twice.arguments)})
    with pytest.raises(ToolError, match="must be a JSON object"):
        parse_arguments(thrice)
    point = {"type": "object", "properties": {"x": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"at": {"$ref": "#/$defs/P"}}, "$defs": {"P": point}}
    tool = Function(name="mark", description="Mark.", parameters=schema)
    (shown,) = sent(GLM, asks(HELLO, tools=(tool,)))["tools"]
    assert shown["function"]["parameters"] == {"type": "object", "properties": {"at": point}}


def test_06_gemini_calls_without_ids_are_answered_in_order_and_ids_that_came_are_echoed() -> None:
    message = heard(
        GEMINI,
        gemini(wants(args={"path": "a"}), wants(args={"path": "b"}), wants(id="g7", args={}), stop="STOP"),
    )
    first, second, third = message.calls
    assert len({first.id, second.id, third.id}) == 3
    answers = results(*(result(key.id, *()) for key in (third, second, first)))
    answered = sent(GEMINI, asks(HELLO, message, answers))["contents"][-1]["parts"]
    assert [part["functionResponse"].get("id") for part in answered] == [None, None, "g7"]
    assert [part["functionResponse"]["name"] for part in answered] == ["read"] * 3


def test_07_gemini_says_stop_after_calls_and_a_malformed_call_is_asked_again() -> None:
    assert heard(GEMINI, gemini(wants(args={}), stop="STOP")).stop == "tool_use"
    error, partial = failed(GEMINI, gemini(stop="MALFORMED_FUNCTION_CALL"))
    assert isinstance(error, Undecodable)
    assert error.retryable
    assert partial.calls == ()


def test_08_gemini_signatures_stay_on_their_own_parts_be_they_first_calls_or_empty_texts() -> None:
    signed = {**wants(args={"path": "a"}), "thoughtSignature": "QUFB"}
    ended = {"text": "", "thoughtSignature": "QkJC"}
    message = heard(
        GEMINI,
        gemini({"text": "Let me "}),
        gemini({"text": "look."}),
        gemini(signed, wants(args={"path": "b"})),
        gemini(ended, stop="STOP"),
    )
    parts = back(GEMINI, message)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, "QUFB", None, "QkJC"]
    assert parts[0] == {"text": "Let me look."}
    assert parts[-1] == ended


def test_09_vertex_fragments_of_arguments_are_put_together_and_need_no_last_one() -> None:
    begun = wants(willContinue=True, id="v1")
    fragments = [
        {"jsonPath": "$.path", "stringValue": "a.", "willContinue": True},
        {"jsonPath": "$.path", "stringValue": "py"},
        {"jsonPath": "$.lines[2]", "numberValue": 7},
        {"jsonPath": "$.whole", "boolValue": False},
        {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
    ]
    pieces = [
        gemini({"functionCall": {"partialArgs": [fragment], "willContinue": True}}) for fragment in fragments
    ]
    message = heard(VERTEX, gemini(begun), *pieces, gemini(stop="STOP"))
    (made,) = message.calls
    given = parse_arguments(made)
    assert given["path"] == "a.py"
    assert given["lines"][-1] == 7
    assert (given["whole"], given["none"]) == (False, None)
    assert heard(VERTEX, gemini(wants(id="v1")), gemini(stop="STOP")).calls[0].arguments == "{}"


async def test_10_a_gemini_stream_that_comes_as_a_json_array_is_read_and_so_is_an_error_in_one() -> None:
    array = json.dumps(SAID[GEMINI]).encode()
    for cut in (1, len(array) // 2, len(array)):
        pieces = chunk(array[:cut]) + (chunk(array[cut:]) if array[cut:] else b"")
        assert (await got(GEMINI, HEAD, pieces, END)).text == "I was able."
    busy = b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]'
    for status in (503, 200):
        with pytest.raises(Busy):
            await got(GEMINI, whole(status, busy))


def test_11_usage_is_the_last_that_came_be_it_alone_cumulative_or_on_every_chunk() -> None:
    def used(count: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count}}

    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    alone = heard(OPENAI, azure, *SAID[OPENAI], {"id": "r1", "choices": [], **used(4)}, DONE)
    every = heard(CHAT, chat(content="I") | used(1), chat(content=" am") | used(2), chat("stop") | used(4))
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 1}
    counted = heard(
        GEMINI,
        gemini({"text": "I"}, usageMetadata=counts),
        gemini({"text": " am"}, stop="STOP", usageMetadata={**counts, "candidatesTokenCount": 4}),
    )
    for message in (alone, every, counted):
        assert (message.usage.input_total, message.usage.output) == (10, 4)
    assert alone.text == "I was able."


def test_12_anthropic_usage_is_cumulative_may_be_revised_and_iterations_are_added() -> None:
    said = claude(wrote("Hi."), input_tokens=700, output_tokens=9)
    said.insert(-1, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 12}})
    message = heard(CLAUDE, *said)
    assert (message.usage.input, message.usage.output) == (700, 12)
    beside = [
        {"type": "message", "input_tokens": 700, "output_tokens": 9},
        {"type": "compaction", "input_tokens": 1000, "output_tokens": 200},
        {"type": "advisor_message", "input_tokens": 1, "output_tokens": 2},
    ]
    counted = heard(CLAUDE, *claude(wrote("Hi."), input_tokens=700, output_tokens=9, iterations=beside))
    assert (counted.usage.input, counted.usage.output) == (1701, 211)


ERRORS: list[tuple[str, list[Any], type[Exception], int]] = [
    (CLAUDE, [{"type": "error", "error": {"type": "overloaded_error", "message": "m"}}], Busy, 529),
    (
        CLAUDE,
        [*claude(wrote("I"))[:3], {"type": "error", "error": {"type": "api_error", "message": "m"}}],
        Busy,
        500,
    ),
    (GPT, [{"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}], Busy, 429),
    (
        GPT,
        [
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "code": "invalid_prompt", "message": "m"},
            },
            {"type": "response.failed", "response": {"error": None}},
        ],
        ContentBlocked,
        400,
    ),
    (
        GPT,
        [{"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}],
        Busy,
        500,
    ),
    (
        ROUTER,
        [chat(content="I"), chat("error") | {"error": {"code": 502, "message": "m", "metadata": {}}}],
        Busy,
        502,
    ),
    (GEMINI, [gemini({"text": "I"}), {"error": {"status": "UNAVAILABLE", "message": "m"}}], Busy, 503),
    (GEMINI, [{"error": {"status": "INVALID_ARGUMENT", "message": "m"}}], InvalidRequest, 400),
    (STEPS, [{"event_type": "error", "error": {"code": "UNAVAILABLE", "message": "m"}}], Busy, 503),
]


@pytest.mark.parametrize(("name", "said", "kind", "status"), ERRORS)
def test_13_an_error_under_http_200_is_the_error_that_its_status_would_have_been(
    name: str, said: list[Any], kind: type[Exception], status: int
) -> None:
    error, partial = failed(name, *said)
    assert (type(error), error.status) == (kind, status)
    assert error.retryable == (not issubclass(kind, Rejected))
    assert partial.state == "interrupted"


@pytest.mark.parametrize("name", EACH)
def test_14_done_is_no_sign_of_success_and_need_not_come(name: str) -> None:
    assert heard(name, *SAID[name]).text == "I was able."
    assert heard(name, *SAID[name], DONE).text == "I was able."
    assert isinstance(failed(name, *SAID[name][:1], DONE)[0], StreamCutShort)
    overloaded = {"error": {"type": "overloaded_error", "code": 503, "message": "m"}}
    assert isinstance(failed(name, overloaded, DONE)[0], Busy)


@pytest.mark.parametrize("name", EACH)
async def test_15_a_clean_end_without_the_last_event_is_no_end_and_runs_no_call(name: str) -> None:
    ran: list[str] = []

    async def run(path: str, ctx: ToolContext) -> str:
        ran.append(path)
        return "ok"

    async with at_server(name, *streamed(*CALLED[name][:-1])) as asked:
        session = make_session(None, asked, FakeTool("read", run))
        ended = await session.prompt(HELLO)
    assert (ended.outcome, ran) == ("failed", [])
    assert "ended" in (ended.error or "")
    messages = session.record.log.conversation.messages
    assert [message for message in messages if isinstance(message, AssistantMessage)] == []


@pytest.mark.parametrize("name", EACH)
async def test_16_comments_pings_and_blanks_keep_a_reply_alive_and_mean_nothing(name: str) -> None:
    alive = [b": OPENROUTER PROCESSING\n\n", b": keep-alive\n\n", b'event: ping\ndata: {"type":"ping"}\n\n']
    if name != CLAUDE:
        alive = alive[:2]
    steps: list[bytes | float] = [HEAD]
    for comment in alive * 2:
        steps += [chunk(comment), 0.12]
    message = await got(name, *steps, chunk(framed(*SAID[name])), END, idle=0.25)
    assert message.text == "I was able."


async def test_16_blanks_before_a_json_body_keep_it_alive_and_a_page_in_its_place_is_told() -> None:
    said = json.dumps({
        "id": "r1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "I was able."}}],
    }).encode()
    blanks: list[bytes | float] = [step for _ in range(4) for step in (chunk(b"\n  "), 0.12)]
    assert (await got(ROUTER, HEAD, *blanks, chunk(said), END, idle=0.25)).text == "I was able."
    with pytest.raises(Undecodable, match="no reply"):
        await got(ROUTER, HEAD, *blanks, chunk(b"<html>busy</html>"), END, idle=0.25)


@pytest.mark.parametrize("name", EACH)
async def test_17_a_stream_may_be_cut_within_characters_and_line_ends_and_hold_any_separator(
    name: str,
) -> None:
    text = "é \u2028 \u2029 \x85 😀"
    said = json.loads(json.dumps(SAID[name]).replace("able.", json.dumps(text)[1:-1]))
    raw = b"".join(b"data: " + json.dumps(each, ensure_ascii=False).encode() + b"\r\n\r\n" for each in said)
    cuts = [0, *range(1, len(raw), 1 if len(raw) < 700 else 3), len(raw)]
    one_by_one = [chunk(raw[start:end]) for start, end in pairwise(cuts)]
    message = await got(name, HEAD, b"".join(one_by_one), END)
    assert message.text == f"I was {text}"


@pytest.mark.parametrize("name", EACH)
async def test_17_one_event_may_be_larger_than_a_mebibyte(name: str) -> None:
    large = "x" * (1 << 20) + "y"
    said = json.loads(json.dumps(SAID[name]).replace("able.", large))
    raw = framed(*said)
    pieces = [chunk(raw[at : at + 65_536]) for at in range(0, len(raw), 65_536)]
    deltas: list[StreamDelta] = []
    async with at_server(name, HEAD, *pieces, END) as asked, asked.stream(asks(HELLO)) as stream:
        async for batch in stream:
            deltas += batch
        assert stream.message.text == f"I was {large}"
    shown = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert shown == f"I was {large}"
