from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from unit.agent.providers.raw import END, HEAD, Server, Step, chunk, serving, whole

from treadle.agent.events import CallDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage, user
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    ModelInfo,
    ModelRequest,
    NotFound,
    ProviderError,
    ReplyStream,
    RequestTooLarge,
    StreamCutShort,
    Undecodable,
    Unreachable,
)
from treadle.agent.providers.rendering import stands_for
from treadle.agent.providers.transport import Address, Timeouts, Transport
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.tools.contract import Hosted

pytestmark = pytest.mark.anyio
ASKED = ModelRequest(system=("Be brief.",), tools=(), messages=(user("Hi"),))
KEY = "sk-very-secret-key"


@dataclass
class Heard:
    """What came of asking once."""

    batches: list[list[StreamDelta]] = field(default_factory=list[list[StreamDelta]])
    message: AssistantMessage | None = None
    partial: AssistantMessage | None = None
    error: ProviderError | None = None
    sent: int = 0

    @property
    def text(self) -> str:
        return "".join(
            delta.text for batch in self.batches for delta in batch if isinstance(delta, TextDelta)
        )


def at(url: str, **dialect: Any) -> Client:
    info = ModelInfo(id="m-1", wire="openai_chat", vendor="own", endpoint="e", dialect=dialect)
    address = Address(url, {"authorization": f"Bearer {KEY}"})
    transport = Transport(address, Timeouts(first_byte=0.4, idle=0.2))
    return Client(OpenAIChat(), info, transport, secrets=(KEY,))


async def ask(client: Client) -> Heard:
    heard = Heard()
    try:
        async with client.stream(ASKED) as stream:
            heard.sent = stream.sent
            await _listen(stream, heard)
    except ProviderError as error:
        heard.error = error
    return heard


async def _listen(stream: ReplyStream, heard: Heard, then: Callable[[], None] = lambda: None) -> None:
    try:
        async for batch in stream:
            heard.batches.append(list(batch))
            then()
        heard.message = stream.message
    finally:
        heard.partial = stream.partial


@asynccontextmanager
async def answering(*answers: Sequence[Step], **dialect: Any) -> AsyncGenerator[tuple[Server, Client]]:
    with anyio.fail_after(5):
        async with serving(*answers) as server:
            client = at(server.url, **dialect)
            yield server, client
            await client.aclose()


async def heard_from(*answer: Step, **dialect: Any) -> Heard:
    async with answering(answer, **dialect) as (_, client):
        return await ask(client)
    raise AssertionError


def event(delta: Mapping[str, object], finish: str | None = None) -> bytes:
    body = {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


SAID = event({"role": "assistant", "content": "Hel"}) + event({"content": "lo"})
STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"
WHOLE = {
    "id": "c1",
    "model": "m-1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "reasoning_content": "Hm.",
                "content": "Hello",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
                ],
            },
        }
    ],
}


async def test_a_streamed_reply_arrives_in_batches_and_ends_as_a_message() -> None:
    async with answering([HEAD, chunk(SAID), 0.02, chunk(STOP + DONE), END]) as (server, client):
        heard = await ask(client)
        assert heard.batches == [[TextDelta("Hel"), TextDelta("lo")]]
        assert heard.message
        assert (heard.message.text, heard.message.stop, heard.message.state) == ("Hello", "end", "complete")
        assert heard.partial is heard.message
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert (body, len(body)) == (client.encode(ASKED).body, heard.sent)
        assert client.info.id == "m-1"
        assert f"authorization: bearer {KEY}" in head.decode().lower()


async def test_two_replies_come_over_one_connection() -> None:
    answer = [HEAD, chunk(SAID + STOP + DONE), END]
    async with answering(answer, answer) as (server, client):
        assert (await ask(client)).text == (await ask(client)).text == "Hello"
        assert server.connections == 1


@pytest.mark.parametrize(
    "tail",
    [
        [chunk(STOP + DONE), END],
        [chunk(STOP), END],
        [chunk(STOP.rstrip()), END],
        [chunk(STOP + b"data: [DONE]"), "close"],
        [chunk(STOP), "close"],
        [chunk(STOP + b": bye\n\ndata: {"), "reset"],
        [chunk(STOP + DONE), 0.02, chunk(b": bye\n\n"), END],
        [chunk(STOP + DONE), "hold"],
        [chunk(STOP), "hold"],
        [chunk(STOP + DONE + event({"content": "!"})), END],
    ],
)
async def test_a_reply_that_is_whole_counts_however_its_connection_ends(tail: Sequence[Step]) -> None:
    heard = await heard_from(HEAD, chunk(b"\xef\xbb\xbf\r\n: hi\n\n"), chunk(SAID), *tail)
    assert heard.error is None
    assert heard.message
    assert heard.message.text == "Hello"


@pytest.mark.parametrize(
    ("tail", "kind"),
    [
        ([END], StreamCutShort),
        (["close"], StreamCutShort),
        (["reset"], StreamCutShort),
        ([chunk(STOP[:40]), "close"], StreamCutShort),
        ([chunk(STOP[:40]), END], StreamCutShort),
        ([chunk(DONE), END], StreamCutShort),
        (["hold"], Unreachable),
        ([chunk(b"data: {]\n\n")], Undecodable),
        ([chunk(b'data: {"error":{"message":"x","code":"server_is_overloaded"}}\n\n'), "hold"], Busy),
        ([chunk(b'data: {"error":{"message":"x","code":"server_is_overloaded"}}'), END], Busy),
    ],
)
async def test_a_reply_that_is_not_whole_is_an_error_and_what_came_is_kept(
    tail: Sequence[Step], kind: type[ProviderError]
) -> None:
    heard = await heard_from(HEAD, chunk(SAID), *tail)
    assert type(heard.error) is kind
    assert heard.text == "Hello"
    assert heard.partial
    assert (heard.partial.text, heard.partial.state) == ("Hello", "interrupted")


async def test_what_came_in_one_read_with_an_error_is_shown_before_it() -> None:
    bad = b'data: {"error":{"message":"x","type":"server_error"}}\n\n'
    heard = await heard_from(HEAD, chunk(SAID + bad + SAID), END)
    assert (heard.text, type(heard.error)) == ("Hello", Busy)


async def test_silence_before_the_first_byte_is_an_error_too() -> None:
    heard = await heard_from("hold")
    assert type(heard.error) is Unreachable
    assert heard.partial is None


@pytest.mark.parametrize("dialect", [{"stream": False}, {}])
async def test_a_whole_reply_is_taken_and_shown_whether_asked_for_or_not(dialect: dict[str, Any]) -> None:
    body = b" \n" + json.dumps(WHOLE).encode()
    async with answering([whole(200, body, "content-type: application/json")], **dialect) as (server, client):
        heard = await ask(client)
        assert heard.batches == [
            [ReasoningDelta("Hm."), TextDelta("Hello"), CallDelta(2, "t1", "read", "{}")]
        ]
        assert heard.message
        assert (heard.message.stop, heard.partial) == ("tool_use", heard.message)
        assert (b'"stream":true' in server.requests[0]) is not bool(dialect)


async def test_the_last_event_needs_no_blank_line() -> None:
    heard = await heard_from(HEAD, chunk(SAID + event({"content": "!"}, "stop").rstrip()), END)
    assert heard.message
    assert (heard.text, heard.message.text) == ("Hello!", "Hello!")


async def test_a_refusal_that_came_whole_is_shown() -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    assert (await heard_from(whole(200, json.dumps(body).encode()))).text == "No."


async def test_an_array_of_chunks_is_read_like_a_stream() -> None:
    items = [json.loads(line[6:]) for line in (SAID + STOP).split(b"\n\n") if line]
    heard = await heard_from(whole(200, json.dumps(items).encode()))
    assert heard.message
    assert (heard.text, heard.message.text) == ("Hello", "Hello")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}', Busy, "slow down"),
        (b'[{"error":{"message":"slow down","code":"rate_limit_exceeded"}}]', Busy, "slow down"),
        (b"<html><body>Sign in</body></html>", Undecodable, "text/html.*Sign in"),
        (b'{"choices": [', Undecodable, "no reply"),
        (b"[" * 100_000, Undecodable, "no reply"),
        (b"[1]", Undecodable, "not an object"),
        (b"[]", StreamCutShort, "finish_reason"),
        (b"", StreamCutShort, "finish_reason"),
        (b"7", StreamCutShort, "finish_reason"),
        (b"data", StreamCutShort, "finish_reason"),
        (b"upstream connect error", Undecodable, "upstream connect error"),
    ],
)
async def test_a_body_under_status_200_that_is_no_reply_is_an_error(
    body: bytes, kind: type[ProviderError], words: str
) -> None:
    heard = await heard_from(whole(200, body, "content-type: text/html"))
    with pytest.raises(kind, match=words):
        raise heard.error or AssertionError


async def test_a_whole_body_that_breaks_off_is_a_cut_not_a_riddle() -> None:
    heard = await heard_from(whole(200, json.dumps(WHOLE).encode())[:-9], "close")
    assert type(heard.error) is StreamCutShort


@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (whole(401, b'{"error":{"message":"no","code":"invalid_api_key"}}'), AuthFailed, None),
        (whole(413, b"<html>nginx</html>"), RequestTooLarge, None),
        (whole(429, b"{}", "retry-after: 7"), Busy, 7.0),
        (whole(503, b"", "retry-after-ms: 20"), Busy, 0.02),
        (whole(404, b'{"error":{"message":"no such model","code":"model_not_found"}}'), NotFound, None),
        (whole(307, b"", "location: https://elsewhere.example/v1"), NotFound, None),
        (whole(302, b""), NotFound, None),
    ],
)
async def test_an_error_status_becomes_the_error_it_means(
    answer: bytes, kind: type[ProviderError], retry_after: float | None
) -> None:
    heard = await heard_from(answer)
    assert heard.error
    assert (type(heard.error), heard.error.retry_after) == (kind, retry_after)


async def test_a_key_that_a_server_repeats_is_not_shown() -> None:
    body = json.dumps({
        "error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}
    })
    heard = await heard_from(whole(401, body.encode()))
    assert KEY not in str(heard.error)
    assert "[redacted]" in str(heard.error)


async def test_what_stands_for_a_token_is_one_only_in_its_own_field_and_is_never_shown() -> None:
    mark = stands_for("DOCS_TOKEN")
    search = {"type": "mcp", "authorization": f"Bearer {mark}"}
    info = ModelInfo(
        id="m-1", wire="openai_chat", vendor="own", endpoint="e", dialect={"hosted": {"mcp": search}}
    )
    said = user(f'echo "authorization":"{mark}" {mark}')
    asked = ModelRequest(system=(mark,), tools=(Hosted(kind="mcp", config={"own": 1}),), messages=(said,))
    with anyio.fail_after(5):
        async with serving([HEAD, chunk(SAID + STOP + DONE), END]) as server:
            transport = Transport(Address(server.url, {}), Timeouts())
            client = Client(OpenAIChat(), info, transport, grants={mark: 'token-"9"'})
            async with client.stream(asked) as stream:
                await _listen(stream, Heard())
            await client.aclose()
    sent = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["tools"] == [{"type": "mcp", "authorization": 'Bearer token-"9"', "own": 1}]
    assert [message["content"] for message in sent["messages"]] == [
        mark,
        f'echo "authorization":"{mark}" {mark}',
    ]
    assert b"token-" not in client.preview(client.encode(asked))[2]


async def test_the_message_is_not_there_before_the_end() -> None:
    async with answering([HEAD, chunk(SAID), "hold"]) as (_, client), client.stream(ASKED) as stream:
        with pytest.raises(RuntimeError):
            _ = stream.message
        assert stream.partial.text == ""


async def test_cancelling_ends_the_reply_at_once_and_keeps_what_came() -> None:
    async with answering([HEAD, chunk(SAID), "hold"]) as (server, client):
        heard = Heard()
        with anyio.CancelScope() as scope:
            async with client.stream(ASKED) as stream:
                await _listen(stream, heard, then=scope.cancel)
        assert scope.cancelled_caught
        assert heard.partial
        assert (heard.text, heard.partial.text, heard.partial.state) == ("Hello", "Hello", "interrupted")
        await server.left.wait()


async def test_a_real_conversation_with_the_mock_provider() -> None:
    script = "steps: [{reasoning: Think., text: Working., calls: [{read: {path: a.py}}]}]"
    with anyio.fail_after(5):
        async with serve(parse(script)) as mock:
            client = at(f"{mock.url}/v1")
            heard = await ask(client)
            await client.aclose()
    assert heard.message
    assert [call.name for call in heard.message.calls] == ["read"]
    assert (heard.text, heard.message.text) == ("Working.", "Working.")
    assert heard.message.usage.output > 0
