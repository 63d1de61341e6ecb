"""The server speaks HTTP/1.1 as a provider's edge does, keeps what it was sent, and survives its clients."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from treadle.agent.mock.jsontext import JsonObject
from treadle.agent.mock.script import ScriptError, parse
from treadle.agent.mock.server import Mock, run, serve

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
PATH = "/v1/chat/completions"
ASK: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
BODY = json.dumps(ASK).encode()
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\n".encode()


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers={"authorization": "Bearer x"}, timeout=5) as client:
        yield client


async def exchange(url: str, *sent: bytes) -> bytes:
    """What comes back until the server closes."""
    got = bytearray()
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with await anyio.connect_tcp(parts.hostname, parts.port) as stream:
        for data in sent:
            await stream.send(data)
        with anyio.fail_after(5):
            async for data in stream:
                got += data
    return bytes(got)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/nothing", 404, "unknown_url"),
        ("GET", "/", 404, "unknown_url"),
        ("GET", PATH, 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
    ],
)
async def test_an_unknown_path_or_method_is_an_error_in_json(
    play: Play, http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    reply = await http.request(method, (await play("")).url + path, json={})
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_request_without_a_key_is_401(play: Play) -> None:
    async with httpx.AsyncClient() as client:
        reply = await client.post((await play("")).url + PATH, json=ASK)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"model": NaN}', b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}", b"{} {}"],
    ids=["nothing", "half", "no UTF-8", "NaN", "nested", "endless number", "two"],
)
async def test_a_body_that_is_no_json_is_400(play: Play, http: httpx.AsyncClient, content: bytes) -> None:
    mock = await play("")
    headers = {"content-type": "application/json"}
    reply = await http.post(mock.url + PATH, content=content, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_json")
    assert (await http.post(mock.url + PATH, json=ASK)).status_code == 200


async def test_a_body_of_another_type_is_400(play: Play, http: httpx.AsyncClient) -> None:
    reply = await http.post((await play("")).url + PATH, content=BODY)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_content_type")


async def test_a_body_of_more_than_25_megabytes_is_413(play: Play) -> None:
    got = await exchange((await play("")).url, HEAD, b"content-length: 26214401\r\n\r\n", b" " * 26_214_401)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"413: Maximum content size limit (26214400) exceeded (26214401 bytes read)" in got


async def test_a_body_in_chunks_of_more_than_an_api_takes_is_413(play: Play) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    got = await exchange((await play("")).url, head, b"%x\r\n" % 32_000_001, b" " * 32_000_001)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b'"type":"request_too_large"' in got


async def test_a_question_for_the_head_alone_gets_no_body(play: Play) -> None:
    head = b"HEAD /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert (await exchange((await play("")).url, head)).endswith(b"\r\n\r\n")


async def test_one_connection_carries_many_requests(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("")
    for stream in (False, True, False, True):
        assert (await http.post(mock.url + PATH, json={**ASK, "stream": stream})).status_code == 200
        assert mock.connections == 1
    assert (await http.post(mock.url + "/v1/nothing", json={})).status_code == 404
    assert mock.connections == 1


async def test_requests_in_a_pipeline_are_answered_in_order(play: Play) -> None:
    size = f"content-length: {len(BODY)}\r\n".encode()
    last = HEAD + size + b"connection: close\r\n\r\n" + BODY
    got = await exchange((await play("")).url, (HEAD + size + b"\r\n" + BODY) * 2 + last)
    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert got.count(b"connection: close") == 1


async def test_a_body_may_come_in_chunks_and_after_a_promise(play: Play) -> None:
    mock = await play("")
    chunks = b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:]))
    head = HEAD + b"transfer-encoding: chunked\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    got = await exchange(mock.url, head, chunks + b"0\r\ntrailer: x\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert mock.requests[0].json == ASK


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000,
    ],
    ids=["tls", "no version", "http 2", "no colon", "length", "chunk", "endless head"],
)
async def test_bytes_that_are_no_request_are_400_and_the_end(play: Play, sent: bytes) -> None:
    mock = await play("")
    assert (await exchange(mock.url, sent)).startswith(b"HTTP/1.1 400 Bad Request")
    assert mock.requests == []


async def test_an_old_client_gets_its_connection_closed(play: Play) -> None:
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + f"content-length: {len(BODY)}\r\n\r\n".encode()
    got = await exchange((await play("")).url, head + BODY)
    assert b"connection: close" in got


async def test_a_client_that_breaks_off_anywhere_does_no_harm(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(f"steps: [{{text: '{'long ' * 100_000}'}}]")
    parts = urlsplit(mock.url)
    assert parts.hostname is not None
    assert parts.port is not None
    whole = HEAD + f"content-length: {len(BODY)}\r\n\r\n".encode() + BODY
    for size in (0, 10, len(HEAD) + 5, len(whole) - 1, len(whole)):
        async with await anyio.connect_tcp(parts.hostname, parts.port) as stream:
            await stream.send(whole[:size])
    async with http.stream("POST", mock.url + PATH, json={**ASK, "stream": True}) as reply:
        assert reply.status_code == 200
    with anyio.fail_after(5):
        while mock.connections:
            await anyio.lowlevel.checkpoint()
    assert (await http.post(mock.url + PATH, json=ASK)).status_code == 200


async def test_many_clients_are_served_at_once(play: Play) -> None:
    mock = await play("steps: [{text: a, pace: {first: 0.05}}]")
    limits = httpx.Limits(max_connections=100)
    http = httpx.AsyncClient(headers={"authorization": "Bearer x"}, limits=limits)
    statuses: list[int] = []

    async def ask(client: httpx.AsyncClient, name: int) -> None:
        body: JsonObject = {**ASK, "messages": [{"role": "user", "content": str(name)}], "stream": True}
        statuses.append((await client.post(mock.url + PATH, json=body)).status_code)

    with anyio.fail_after(5):
        async with http, anyio.create_task_group() as group:
            for name in range(100):
                group.start_soon(ask, http, name)
    assert statuses == [200] * 100


async def test_each_reply_names_its_request_unlike_any_other(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("")
    names = [(await http.post(mock.url + PATH, json=ASK)).headers["x-request-id"] for _ in range(3)]
    assert len(set(names)) == 3


async def test_a_request_is_kept_as_it_came(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("")
    await http.post(mock.url + PATH + "?a=b", content=BODY, headers={"Content-Type": "application/json"})
    (kept,) = mock.requests
    assert (kept.number, kept.method, kept.path, kept.body, kept.status) == (1, "POST", PATH, BODY, 200)
    assert (kept.headers["authorization"], kept.headers["content-type"]) == ("Bearer x", "application/json")
    assert kept.json == ASK


async def test_a_recording_is_a_line_a_request_without_the_key(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    path = tmp_path / "record.jsonl"
    async with serve(None, record=path, keep=False) as mock:
        await http.post(mock.url + PATH, json=ASK)
        await http.post(mock.url + PATH, json={"model": "mö\u2028"})
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
        assert mock.requests == []
    assert [(line["n"], line["method"], line["path"], line["status"]) for line in lines] == [
        (1, "POST", PATH, 200),
        (2, "POST", PATH, 400),
    ]
    assert [json.loads(line["body"]) for line in lines] == [ASK, {"model": "mö\u2028"}]
    assert {line["headers"]["authorization"] for line in lines} == {"[redacted]"}
    assert lines[0]["at"] <= lines[1]["at"]


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with serve(None):
            raise KeyError("mine")


async def test_a_port_that_is_taken_is_an_os_error(play: Play) -> None:
    mock = await play("")
    with pytest.raises(OSError, match="in use"):
        async with serve(None, port=urlsplit(mock.url).port or 0):
            pass


async def test_a_script_file_is_served_until_the_task_is_cancelled(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("steps: [{text: from a file}]", encoding="utf-8")
    urls: list[str] = []
    announced = anyio.Event()

    def announce(url: str) -> None:
        urls.append(url)
        announced.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, path, 0, None, announce)
            await announced.wait()
            reply = await http.post(urls[0] + PATH, json=ASK)
            assert reply.json()["choices"][0]["message"]["content"] == "from a file"
            group.cancel_scope.cancel()


async def test_a_script_that_cannot_be_read_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(ScriptError):
        await run(tmp_path / "none.yaml", 0, None, lambda _: None)


async def test_the_list_of_models_needs_a_key_and_names_the_scripts_model(http: httpx.AsyncClient) -> None:
    async with serve(parse("model: demo-1\nsteps: []")) as mock, httpx.AsyncClient() as nobody:
        assert (await nobody.get(mock.url + "/v1/models")).status_code == 401
        listed = (await http.get(mock.url + "/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["demo-1"]
