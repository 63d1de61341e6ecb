"""Batches of every vendor that takes them: made, looked at, read back, against the mock and in bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from wires.cases import asks
from wires.rows import WIRES

from treadle.agent.messages import AssistantMessage, user
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.batch import (
    APIS,
    Batch,
    BatchApi,
    Capacity,
    Outcome,
    Queued,
    cancel_call,
    capacity_of,
    create_call,
    file_of,
    outcomes,
    poll_call,
    read_batch,
    result_calls,
    upload_call,
    waves,
)
from treadle.agent.providers.contract import (
    Busy,
    ContextOverflow,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ProviderError,
    Rejected,
    Renderings,
    RequestTooLarge,
    Undecodable,
)
from treadle.agent.providers.files import GeminiFiles, Upload
from treadle.agent.providers.plain import Plain
from treadle.agent.providers.transport import Address, Transport
from treadle.tools.contract import JsonObject

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
SCRIPT = """
steps: [{text: Fine.}]
then: repeat
batches: {polls: 1, errors: [1], expired: [2]}
"""


@pytest.fixture
async def play() -> AsyncGenerator[Play]:
    """Serve a script until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(text: str) -> Mock:
            return await stack.enter_async_context(serve(parse(text)))

        yield start


KEYS = ("a", "b", "c", "d", "e")
OPENAI, CLAUDE, GEMINI = APIS["openai"], APIS["anthropic"], APIS["gemini"]
# vendor, row of the shared cases, base URL below the mock's, key header
PLACES = [
    ("openai", "chat.openai", "/v1", "authorization"),
    ("openai", "responses.gpt_6", "/v1", "authorization"),
    ("azure", "responses.azure", "/azure/openai/v1", "authorization"),
    ("anthropic", "anthropic", "/v1", "x-api-key"),
    ("gemini", "gemini.flash", "/v1", "x-goog-api-key"),
]


def queued(name: str, *keys: str, text: str = "Hi.", model: str = "") -> list[Queued]:
    row = WIRES[name]
    info = replace(row.model, id=model) if model else row.model
    asked = asks(user(text), tools=(), system=())
    return [Queued(key, row.wire.encode(asked, info, Renderings(), stream=False)) for key in keys]


def read(name: str, wave: Sequence[Queued], batch: Batch, *files: bytes) -> dict[str, Outcome]:
    return {**outcomes(wave, batch, files, WIRES[name].wire, WIRES[name].model)}


def kinds(found: dict[str, Outcome]) -> dict[str, str]:
    return {
        key: each.text if isinstance(each, AssistantMessage) else type(each).__name__
        for key, each in found.items()
    }


class Caller:
    """Sends calls and reads their whole answers."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def bytes(self, call: HttpCall) -> bytes:
        async with self.transport.send(call) as reply:
            body = await reply.body()
            assert reply.status == 200, body
            return body

    async def json(self, call: HttpCall) -> JsonObject:
        return json.loads(await self.bytes(call))


@asynccontextmanager
async def calling(mock: Mock, base: str, header: str) -> AsyncGenerator[Caller]:
    value = "Bearer k" if header == "authorization" else "k"
    transport = Transport(Address(mock.url + base, {header: value}))
    with anyio.fail_after(5):
        yield Caller(transport)
    await transport.aclose()


async def made(api: BatchApi, wave: Sequence[Queued], caller: Caller) -> Batch:
    data = file_of(api, wave, Capacity())
    file = (await caller.json(upload_call(data)))["id"] if data is not None else ""
    return read_batch(api, await caller.json(create_call(api, wave, file)))


async def ended(api: BatchApi, batch: Batch, caller: Caller) -> tuple[Batch, list[bytes]]:
    while batch.phase == "working":
        batch = read_batch(api, await caller.json(poll_call(api, batch.id)))
    return batch, [await caller.bytes(call) for call in result_calls(api, batch)]


@pytest.mark.parametrize(("vendor", "name", "base", "header"), PLACES)
async def test_38_results_in_any_order_with_errors_apart_and_some_expired_find_their_requests(
    play: Play, vendor: str, name: str, base: str, header: str
) -> None:
    api, mock = APIS[vendor], await play(SCRIPT)
    (wave,) = waves(api, queued(name, *KEYS), Capacity())
    async with calling(mock, base, header) as caller:
        batch, files = await ended(api, await made(api, wave, caller), caller)
    found = read(name, wave, batch, *files)
    expired = "Undecodable" if vendor == "gemini" else "Busy"
    assert kinds(found) == {"a": "Fine.", "b": "InvalidRequest", "c": expired, "d": "Fine.", "e": "Fine."}
    assert list(found) == list(KEYS)
    assert batch.phase == ("expired" if api.kind == "openai" else "done")


@pytest.mark.parametrize(("vendor", "name", "base", "header"), PLACES)
async def test_a_batch_that_is_cancelled_says_so_of_what_was_not_answered(
    play: Play, vendor: str, name: str, base: str, header: str
) -> None:
    api, mock = APIS[vendor], await play("steps: [{text: Fine.}]\nbatches: {polls: 9}\n")
    (wave,) = waves(api, queued(name, *KEYS), Capacity())
    async with calling(mock, base, header) as caller:
        batch = await made(api, wave, caller)
        assert batch.phase == "working"
        await caller.bytes(cancel_call(api, batch.id))
        batch, files = await ended(api, batch, caller)
    assert sorted(kinds(read(name, wave, batch, *files)).values()) == ["Fine.", *["Rejected"] * 4]


async def test_gemini_takes_a_file_where_the_requests_are_too_many_for_a_body(play: Play) -> None:
    wave = tuple(queued("gemini.flash", *KEYS))
    data = file_of(GEMINI, wave, Capacity(inline_bytes=10))
    assert data is not None
    mock = await play(SCRIPT)
    async with calling(mock, "", "x-goog-api-key") as store, calling(mock, "/v1", "x-goog-api-key") as caller:
        upload = Upload("b.jsonl", "application/jsonl", data)
        file = await GeminiFiles(Plain(store.transport), "v1").upload(upload, silent)
        batch = read_batch(GEMINI, await caller.json(create_call(GEMINI, wave, file.id)))
        batch, (results,) = await ended(GEMINI, batch, caller)
    found = read("gemini.flash", wave, batch, results)
    told = {"a": "Fine.", "b": "InvalidRequest", "c": "Undecodable", "d": "Fine.", "e": "Fine."}
    assert kinds(found) == told


async def silent(line: str) -> None:
    """Tell nobody."""


# Cut into batches ------------------------------------------------------------------------------------------------


def ids(made: Sequence[Sequence[Queued]]) -> list[list[str]]:
    return [[item.id for item in wave] for wave in made]


def test_no_batch_is_larger_than_the_vendor_takes() -> None:
    items = queued("chat.openai", *KEYS)
    one = len(file_of(OPENAI, items[:1], Capacity()) or b"")
    assert ids(waves(OPENAI, items, Capacity(requests=2))) == [["a", "b"], ["c", "d"], ["e"]]
    assert ids(waves(OPENAI, items, Capacity(bytes=one * 3))) == [["a", "b", "c"], ["d", "e"]]
    assert waves(OPENAI, [], Capacity()) == ()
    with pytest.raises(RequestTooLarge, match="a has"):
        waves(OPENAI, items, Capacity(bytes=one - 1))


def test_a_batch_is_of_one_model_and_one_path_and_one_version() -> None:
    items = [
        *queued("chat.openai", "a", "b"),
        *queued("chat.openai", "c", model="gpt-other"),
        *queued("responses.gpt_6", "d"),
        *queued("chat.openai", "e"),
    ]
    assert sorted(ids(waves(OPENAI, items, Capacity()))) == [["a", "b", "e"], ["c"], ["d"]]
    sampled = queued("anthropic", "f")[0]
    older = Queued("g", replace(sampled.call, headers={"anthropic-version": "2023-06-01", "x-other": "1"}))
    assert sorted(ids(waves(CLAUDE, [sampled, older], Capacity()))) == [["f"], ["g"]]
    assert create_call(CLAUDE, [older]).headers == {"anthropic-version": "2023-06-01"}


def test_an_id_that_comes_twice_and_a_streamed_request_are_refused() -> None:
    (item,) = queued("chat.openai", "a")
    streamed = Queued("b", replace(item.call, stream=True))
    for items, told in (([item, item], "'a'"), ([replace(item, id="")], "''"), ([streamed], "streamed")):
        with pytest.raises(InvalidRequest, match=told):
            waves(OPENAI, items, Capacity())


def test_the_table_of_limits_says_how_much_a_batch_takes() -> None:
    def most(vendor: str, **own: int) -> Capacity:
        return capacity_of(ModelInfo(id="m", wire="openai_chat", vendor=vendor, endpoint="e", limits=own))

    assert most("openai") == Capacity(50_000, 200_000_000)
    assert most("openai", batch_requests=7).requests == 7
    assert most("nobody") == Capacity()


# What is sent ----------------------------------------------------------------------------------------------------


def test_a_line_holds_the_very_bytes_of_its_request() -> None:
    (item,) = queued("chat.openai", "a")
    assert file_of(OPENAI, [item], Capacity()) == (
        b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":' + item.call.body + b"}\n"
    )
    sent = json.loads(create_call(OPENAI, [item], "file-1").body)
    assert sent == {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.mark.parametrize("vendor", ["zai", "bigmodel"])
def test_glm_names_its_own_version(vendor: str) -> None:
    (item,) = queued("chat.zhipu", "a")
    line = json.loads(file_of(APIS[vendor], [item], Capacity()) or b"")
    assert line["url"] == "/v4/chat/completions"
    assert json.loads(create_call(APIS[vendor], [item], "f").body)["endpoint"] == "/v4/chat/completions"


def test_openrouter_takes_requests_in_the_body_and_tells_results_in_the_batch() -> None:
    api = APIS["openrouter"]
    wave = queued("chat.openrouter", "a", "b", "c")
    assert file_of(api, wave, Capacity()) is None
    call = create_call(api, wave)
    sent = json.loads(call.body)
    assert (call.path, sent["endpoint"], sent["model"]) == (
        "/batches",
        "/v1/chat/completions",
        "anthropic/claude-opus-5.5",
    )
    assert [each["custom_id"] for each in sent["requests"]] == ["a", "b", "c"]
    reply = WIRES["chat"].replies["text"]
    results = [
        {"id": "1", "custom_id": "b", "error": {"code": 429, "message": "slow"}, "response": None},
        {"id": "2", "custom_id": "a", "error": None, "response": {"status_code": 200, "body": reply}},
    ]
    batch = read_batch(api, {"id": "batch_1", "status": "completed", "results": results})
    assert result_calls(api, batch) == ()
    assert kinds(read("chat", wave, batch)) == {"a": "Hello é.", "b": "Busy", "c": "Undecodable"}


def test_mistral_has_jobs() -> None:
    api = APIS["mistral"]
    wave = queued("chat.strict_host", "a")
    data = file_of(api, wave, Capacity())
    assert data is not None
    assert json.loads(data).keys() == {"custom_id", "body"}
    call = create_call(api, wave, "f1")
    assert call.path == "/batch/jobs"
    assert json.loads(call.body) == {
        "input_files": ["f1"],
        "endpoint": "/v1/chat/completions",
        "model": "mistral-large",
    }
    assert (poll_call(api, "j/1").path, cancel_call(api, "j1").path) == (
        "/batch/jobs/j%2F1",
        "/batch/jobs/j1/cancel",
    )
    assert read_batch(api, {"id": "j1", "status": "RUNNING"}) == Batch("j1", "working")
    done = read_batch(api, {"id": "j1", "status": "TIMEOUT_EXCEEDED", "output_file": "o", "error_file": "e"})
    assert (done.phase, [call.path for call in result_calls(api, done)]) == (
        "expired",
        ["/files/o/content", "/files/e/content"],
    )


# What is told ----------------------------------------------------------------------------------------------------


def openai_line(key: str, **more: Any) -> JsonObject:
    return {"id": "x", "custom_id": key, "response": None, "error": None, **more}


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def test_a_line_may_be_longer_than_readers_take_and_hold_what_others_take_for_its_end() -> None:
    reply = json.loads(json.dumps(WIRES["chat"].replies["text"]))
    reply["choices"][0]["message"]["content"] = "\u2028\x85" + "x" * 3_000_000
    data = jsonl(openai_line("a", response={"status_code": 200, "body": reply}))
    (found,) = read("chat", queued("chat", "a"), Batch("b", "done"), data).values()
    assert isinstance(found, AssistantMessage)
    assert len(found.text) == 3_000_002


def test_a_line_that_cannot_be_read_or_is_of_another_batch_does_not_count() -> None:
    reply = WIRES["chat"].replies["text"]
    good = openai_line("a", response={"status_code": 200, "body": reply})
    again = openai_line("a", response={"status_code": 500, "body": {"error": {"message": "m"}}})
    data = b"{half\n[1]\n\n" + jsonl(
        openai_line("z", response={"status_code": 200, "body": reply}), good, again
    )
    assert kinds(read("chat", queued("chat", "a"), Batch("b", "done"), data)) == {"a": "Hello é."}


OWN: list[tuple[JsonObject, type[ProviderError]]] = [
    (
        {
            "response": {
                "status_code": 400,
                "body": {"error": {"code": "context_length_exceeded", "message": "m"}},
            }
        },
        ContextOverflow,
    ),
    ({"response": {"status_code": 429, "body": {"error": {"message": "slow"}}}}, Busy),
    ({"response": {"status_code": None, "body": None}}, Busy),
    ({"response": {"status_code": 200, "body": {"choices": [{}]}}}, Undecodable),
    ({"error": {"code": "batch_expired", "message": ""}}, Busy),
    ({"error": {"code": "batch_cancelled", "message": ""}}, Rejected),
    ({"error": {"code": "server_error", "message": "m"}}, Busy),
]


@pytest.mark.parametrize(("line", "kind"), OWN)
def test_each_request_has_its_own_error(line: JsonObject, kind: type[ProviderError]) -> None:
    (found,) = read("chat", queued("chat", "a"), Batch("b", "done"), jsonl(openai_line("a", **line))).values()
    assert isinstance(found, kind)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (
            {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            },
            Busy,
        ),
        ({"type": "expired"}, Busy),
        ({"type": "canceled"}, Rejected),
    ],
)
def test_anthropic_says_of_each_what_became_of_it(result: JsonObject, kind: type[ProviderError]) -> None:
    data = jsonl({"custom_id": "a", "result": result})
    (found,) = read("anthropic", queued("anthropic", "a"), Batch("b", "done"), data).values()
    assert isinstance(found, kind)


def test_a_batch_that_failed_says_why_of_all_its_requests() -> None:
    told: JsonObject = {
        "id": "b1",
        "status": "failed",
        "errors": {"data": [{"code": "invalid_api_key", "message": "No."}]},
    }
    batch = read_batch(OPENAI, told)
    assert kinds(read("chat", queued("chat", "a", "b"), batch)) == {"a": "AuthFailed", "b": "AuthFailed"}
    told = {"name": "batches/1", "done": True, "error": {"code": 8, "status": "UNAVAILABLE", "message": "m"}}
    assert kinds(read("gemini.flash", queued("gemini.flash", "a"), read_batch(GEMINI, told))) == {"a": "Busy"}
    told = {"name": "batches/1", "metadata": {"state": "JOB_STATE_EXPIRED"}}
    assert kinds(read("gemini.flash", queued("gemini.flash", "a"), read_batch(GEMINI, told))) == {"a": "Busy"}


@pytest.mark.parametrize("api", [OPENAI, CLAUDE, GEMINI])
def test_what_tells_of_no_batch_is_no_batch(api: BatchApi) -> None:
    with pytest.raises(Undecodable):
        read_batch(api, {"object": "list", "data": []})


def test_what_a_vendor_names_is_quoted_in_paths() -> None:
    assert poll_call(OPENAI, "../files").path == "/batches/..%2Ffiles"
    assert poll_call(CLAUDE, "..").path == "/messages/batches/%2E%2E"
    assert poll_call(GEMINI, "batches/x/y").path == "/batches/x%2Fy"
