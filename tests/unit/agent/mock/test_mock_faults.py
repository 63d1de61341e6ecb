"""Each scripted fault reaches a real HTTP client the way a vendor's trouble does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import httpx
import pytest

from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
PATH = "/v1/chat/completions"
ASK: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
STREAM: JsonObject = {**ASK, "stream": True}


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers={"authorization": "Bearer x"}, timeout=5) as client:
        yield client


async def broken(
    http: httpx.AsyncClient,
    mock: Mock,
    ask: JsonObject,
    failure: type[httpx.TransportError],
    patience: float = 5,
) -> bytes:
    """What comes of a reply, which began with 200, before it fails in this way."""
    got = bytearray()

    async def drain(reply: httpx.Response) -> None:
        async for data in reply.aiter_raw():
            got.extend(data)

    async with http.stream("POST", mock.url + PATH, json=ask, timeout=patience) as reply:
        assert reply.status_code == 200
        with pytest.raises(failure):
            await drain(reply)
    return bytes(got)


def failing(*faults: str) -> str:
    return f"steps: [{{text: 'Recovered at last.', faults: [{', '.join(faults)}]}}]"


async def test_faults_come_in_order_then_the_step_itself(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(
        failing("{status: 429, headers: {Retry-After: '7'}, body: {error: {code: slow}}}", "{status: 503}")
    )
    first, second, third, fourth = [await http.post(mock.url + PATH, json=ASK) for _ in range(4)]
    assert (first.status_code, first.headers["retry-after"], first.json()) == (
        429,
        "7",
        {"error": {"code": "slow"}},
    )
    assert (second.status_code, second.json()["error"]["code"]) == (503, "server_is_overloaded")
    assert third.json()["choices"][0]["message"]["content"] == "Recovered at last."
    assert fourth.status_code == 200
    assert [request.status for request in mock.requests] == [429, 503, 200, 200]


async def test_each_conversation_and_each_step_fails_on_its_own(play: Play, http: httpx.AsyncClient) -> None:
    fault = "faults: [{status: 500}]"
    mock = await play(f"steps: [{{text: a, {fault}}}, {{text: b, {fault}}}]")
    reply: Json = {"role": "assistant", "content": "a"}

    async def status(said: str, *more: Json, **over: Json) -> int:
        messages: Json = [{"role": "user", "content": said}, *more]
        return (await http.post(mock.url + PATH, json={**ASK, "messages": messages, **over})).status_code

    assert [await status("one"), await status("two"), await status("one")] == [500, 500, 200]
    assert [await status("one", reply), await status("one", reply)] == [500, 200]
    assert [await status("one", prompt_cache_key="k"), await status("two", prompt_cache_key="k")] == [
        500,
        200,
    ]


async def test_a_repeated_step_fails_once(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{status: 500}") + "\nthen: repeat")
    reply: Json = {"role": "assistant", "content": "a"}
    asks: list[JsonObject] = [ASK, ASK, {**ASK, "messages": [{"role": "user", "content": "go"}, reply]}]
    assert [(await http.post(mock.url + PATH, json=ask)).status_code for ask in asks] == [500, 200, 200]


@pytest.mark.parametrize(
    ("body", "kind"), [("<html>busy</html>", "text/html"), ("busy", "text/plain"), ("", "text/plain")]
)
async def test_a_body_that_is_no_api_body_keeps_its_text(
    play: Play, http: httpx.AsyncClient, body: str, kind: str
) -> None:
    mock = await play(failing(f"{{body: '{body}', status: 200}}"))
    reply = await http.post(mock.url + PATH, json=STREAM)
    assert (reply.status_code, reply.text) == (200, body)
    assert reply.headers["content-type"].startswith(kind)


async def test_an_error_comes_inside_the_stream_after_so_many_events(
    play: Play, http: httpx.AsyncClient
) -> None:
    mock = await play(failing("{stream_error: {message: overloaded, code: busy}, after: 3}"))
    reply = await http.post(mock.url + PATH, json=STREAM)
    events = reply.text.removesuffix("\n\n").split("\n\n")
    assert (reply.status_code, len(events)) == (200, 4)
    assert events[-1] == (
        'data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":"busy"}}'
    )


async def test_an_error_in_a_whole_reply_has_status_200(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{stream_error: {message: overloaded}}"))
    reply = await http.post(mock.url + PATH, json=ASK)
    assert (reply.status_code, reply.json()["error"]["message"]) == (200, "overloaded")


@pytest.mark.parametrize("ask", [ASK, STREAM], ids=["whole", "streamed"])
async def test_a_cut_ends_the_connection_after_so_many_bytes(
    play: Play, http: httpx.AsyncClient, ask: JsonObject
) -> None:
    mock = await play(failing("{cut: 150}", "{cut: 0}"))
    for size in (150, 0):
        assert len(await broken(http, mock, ask, httpx.RemoteProtocolError)) == size
    assert (await http.post(mock.url + PATH, json=ask)).status_code == 200


async def test_a_stream_without_its_end_is_otherwise_whole(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{no_done: true}"))
    cut = (await http.post(mock.url + PATH, json=STREAM)).text
    whole = (await http.post(mock.url + PATH, json=STREAM)).text
    assert whole.endswith("data: [DONE]\n\n")
    assert cut.count("\n\n") == whole.count("\n\n") - 1
    assert '"finish_reason":"stop"' in cut


async def test_a_stall_sends_so_many_events_and_then_nothing(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{stall: 0.05, after: 2}", "{stall: 30, after: 2}"))
    for stalls, patience in ((httpx.RemoteProtocolError, 5.0), (httpx.ReadTimeout, 0.5)):
        assert (await broken(http, mock, STREAM, stalls, patience)).count(b"\n\n") == 2


async def test_a_silent_server_accepts_and_says_nothing(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{silent: 0.05}", "{silent: 30}"))
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post(mock.url + PATH, json=ASK)
    with pytest.raises(httpx.ReadTimeout):
        await http.post(mock.url + PATH, json=ASK, timeout=0.5)
    assert [request.status for request in mock.requests] == [None, None]
    assert (await http.post(mock.url + PATH, json=ASK)).status_code == 200


@pytest.mark.parametrize(
    "step",
    [
        "faults: [{silent: 600}]",
        "faults: [{stall: 600, after: 1}]",
        "pace: {first: 600}",
        "pace: {rate: 0.01}",
    ],
)
async def test_no_wait_outlives_the_server(http: httpx.AsyncClient, step: str) -> None:
    asked = anyio.Event()

    async def ask(url: str) -> None:
        asked.set()
        with pytest.raises(httpx.TransportError):
            await http.post(url + PATH, json=STREAM)

    with anyio.fail_after(5):
        async with (
            anyio.create_task_group() as group,
            serve(parse(f"steps: [{{text: a b, {step}}}]")) as mock,
        ):
            group.start_soon(ask, mock.url)
            await asked.wait()
            while not mock.requests:
                await anyio.lowlevel.checkpoint()


async def test_a_client_that_leaves_takes_its_wait_with_it(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(failing("{silent: 600}"))
    with pytest.raises(httpx.ReadTimeout):
        await http.post(mock.url + PATH, json=ASK, timeout=0.5)
    with anyio.fail_after(5):
        while mock.connections:
            await anyio.lowlevel.checkpoint()
    assert (await http.post(mock.url + PATH, json=ASK)).status_code == 200


async def test_a_paced_reply_comes_piece_by_piece(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("steps: [{text: a b c d e f g h, pace: {first: 0.02, rate: 100}}]")
    got: list[bytes] = []
    async with http.stream("POST", mock.url + PATH, json=STREAM) as reply:
        got = [data async for data in reply.aiter_raw()]
    assert len(got) >= 2
    assert b"".join(got).endswith(b"data: [DONE]\n\n")


async def test_a_mismatch_says_what_was_expected_and_what_was_seen(
    play: Play, http: httpx.AsyncClient
) -> None:
    mock = await play("steps: [{calls: [{read: {}}]}, {text: b, when: {last_result: FAILED}}]")
    call: Json = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    messages: list[Json] = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "2 passed \ud800"},
    ]
    wrong = await http.post(
        mock.url + PATH,
        content=json.dumps({**ASK, "messages": messages}),
        headers={"content-type": "application/json"},
    )
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "script_mismatch")
    assert "'FAILED'" in wrong.json()["error"]["message"]
    assert "2 passed" in wrong.json()["error"]["message"]
    messages[-1] = {"role": "tool", "tool_call_id": "c", "content": "1 FAILED"}
    right = await http.post(mock.url + PATH, json={**ASK, "messages": messages})
    assert right.json()["choices"][0]["message"]["content"] == "b"
