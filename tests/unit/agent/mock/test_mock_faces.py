"""What every face does alike: the same script, the same faults, the same improvising, each in its API's words."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest

from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
SCHEMA: JsonObject = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@dataclass(frozen=True)
class Client:
    """How one API is asked, and where its reply says what."""

    path: str
    ask: JsonObject
    forced: JsonObject
    """What makes the second of two tools be called."""
    structured: JsonObject
    """What asks for an object under the schema."""
    ends: str
    """How a stream's last event begins."""
    stopped: tuple[str, str]
    """What a reply says that was filtered, and one that was cut short."""
    streams: str = ""
    """The path of a streamed reply, where that is not asked for in the body."""

    async def stream(self, http: httpx.AsyncClient, mock: Mock) -> httpx.Response:
        if self.streams:
            return await http.post(mock.url + self.streams, json=self.ask)
        return await http.post(mock.url + self.path, json={**self.ask, "stream": True})


def nested(name: str) -> JsonObject:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


def flat(name: str) -> JsonObject:
    return {"type": "function", "name": name, "parameters": SCHEMA, "strict": False}


def typed(name: str) -> JsonObject:
    return {"name": name, "input_schema": SCHEMA}


_COUNTS = ("input_tokens", "prompt_tokens", "promptTokenCount", "total_input_tokens")
GO: Json = [{"role": "user", "content": "go"}]
CLIENTS = {
    "chat": Client(
        path="/v1/chat/completions",
        ask={"model": "m", "messages": GO},
        forced={
            "tools": [nested("a"), nested("b")],
            "tool_choice": {"type": "function", "function": {"name": "b"}},
        },
        structured={
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
        },
        ends="data: [DONE]",
        stopped=('"finish_reason": "content_filter"', '"finish_reason": "length"'),
    ),
    "responses": Client(
        path="/v1/responses",
        ask={"model": "m", "input": "go"},
        forced={
            "tools": [flat("a"), flat("b")],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "b"}],
            },
        },
        structured={"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
        ends="event: response.completed",
        stopped=('"reason": "content_filter"', '"reason": "max_output_tokens"'),
    ),
    "anthropic": Client(
        path="/v1/messages",
        ask={"model": "m", "max_tokens": 99, "messages": GO},
        forced={"tools": [typed("a"), typed("b")], "tool_choice": {"type": "tool", "name": "b"}},
        structured={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ends="event: message_stop",
        stopped=('"stop_reason": "refusal"', '"stop_reason": "max_tokens"'),
    ),
    "gemini": Client(
        path="/v1/models/m:generateContent",
        ask={"contents": [{"role": "user", "parts": [{"text": "go"}]}]},
        forced={
            "tools": [
                {"functionDeclarations": [{"name": name, "parametersJsonSchema": SCHEMA} for name in "ab"]}
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["b"]}},
        },
        structured={
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        },
        ends='data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP"',
        stopped=('"finishReason": "SAFETY"', '"finishReason": "MAX_TOKENS"'),
        streams="/v1/models/m:streamGenerateContent?alt=sse",
    ),
    "interactions": Client(
        path="/v1/interactions",
        ask={"model": "m", "input": "go"},
        forced={
            "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in "ab"],
            "generation_config": {"tool_choice": {"allowed_tools": {"mode": "any", "tools": ["b"]}}},
        },
        structured={"response_format": [{"type": "text", "mime_type": "application/json", "schema": SCHEMA}]},
        ends="event: interaction.completed",
        stopped=('"status": "failed"', '"status": "incomplete"'),
    ),
}
each = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer x", "anthropic-version": "2026-10-21"}
    async with httpx.AsyncClient(headers=headers, timeout=5) as client:
        yield client


@each
async def test_a_stream_ends_as_the_api_ends_it_unless_told_otherwise(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    mock = await play("steps: [{text: a, faults: [{no_done: true}]}]")
    cut, whole = [
        (await client.stream(http, mock)).text.replace("\r\n", "\n").split("\n\n") for _ in range(2)
    ]
    assert whole[-1] == ""
    assert whole[-2].startswith(client.ends)
    assert len(cut) == len(whole) - 1


@each
async def test_a_status_alone_gets_the_apis_own_error(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    statuses = (400, 401, 403, 404, 409, 413, 429, 500, 503, 504, 529, 599)
    mock = await play(f"steps: [{{faults: [{', '.join(f'{{status: {status}}}' for status in statuses)}]}}]")
    replies = [await http.post(mock.url + client.path, json=client.ask) for _ in statuses]
    assert tuple(reply.status_code for reply in replies) == statuses
    errors = [reply.json()["error"] for reply in replies]
    assert all((error.get("type") or error["status"]) and error["message"] for error in errors)


@each
async def test_an_error_under_status_200_comes_streamed_or_whole(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    mock = await play("steps: [{text: a, faults: [&f {stream_error: {message: busy}, after: 2}, *f]}]")
    streamed = await client.stream(http, mock)
    whole = await http.post(mock.url + client.path, json=client.ask)
    assert (streamed.status_code, whole.status_code) == (200, 200)
    assert "busy" in streamed.text.replace("\r\n", "\n").split("\n\n")[2]
    assert whole.json()["error"]["message"] == "busy"


@each
async def test_a_mismatch_is_told_with_its_code(play: Play, http: httpx.AsyncClient, client: Client) -> None:
    mock = await play("steps: [{text: a, when: {last_result: FAILED}}]")
    reply = await http.post(mock.url + client.path, json=client.ask)
    assert reply.status_code == 400
    assert "script_mismatch" in reply.text
    assert "there is no tool result" in reply.text


@each
async def test_a_reply_that_was_filtered_or_cut_short_says_so(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    for word, said in zip(("content_filter", "length"), client.stopped, strict=True):
        mock = await play(f"steps: [{{text: a, finish: {word}}}]")
        assert said in json.dumps((await http.post(mock.url + client.path, json=client.ask)).json())


@each
async def test_without_a_script_the_tool_that_must_be_called_is(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    mock = await play("")
    reply = await http.post(mock.url + client.path, json={**client.ask, **client.forced})
    assert reply.status_code == 200
    assert '"name":"b"' in reply.text
    assert '"name":"a"' not in reply.text.partition('"tools":')[0]


@each
async def test_without_a_script_a_schema_is_met(play: Play, http: httpx.AsyncClient, client: Client) -> None:
    mock = await play("")
    reply = await http.post(mock.url + client.path, json={**client.ask, **client.structured})
    assert r'"{\"n\": 0}"' in reply.text


@each
async def test_without_a_script_there_is_a_fixed_text(
    play: Play, http: httpx.AsyncClient, client: Client
) -> None:
    mock = await play("")
    assert "treadle's mock provider" in (await http.post(mock.url + client.path, json=client.ask)).text


@each
async def test_a_script_says_what_each_api_bills(play: Play, http: httpx.AsyncClient, client: Client) -> None:
    mock = await play("steps: [{text: a, usage: {input: 1000, cached: 800, output: 50, reasoning: 10}}]")
    reply = (await http.post(mock.url + client.path, json=client.ask)).json()
    usage = reply.get("usage") or reply["usageMetadata"]
    seen = json.dumps(usage)
    spoken = (
        40 if "total" in seen and "reasoning" not in seen else 50
    )  # Google counts thoughts beside the rest
    assert all(f": {count}" in seen for count in (800, spoken, 10))
    told = [usage[key] for key in _COUNTS if key in usage]
    assert told == [200 if "messages" in client.path else 1000]


async def test_a_freeform_tool_is_called_with_text(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("steps: [{calls: [{name: patch, raw: '*** Begin'}]}]")
    ask: JsonObject = {**CLIENTS["chat"].ask, "tools": [{"type": "custom", "custom": {"name": "patch"}}]}
    whole = (await http.post(mock.url + "/v1/chat/completions", json=ask)).json()
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_0_0", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    streamed = (await http.post(mock.url + "/v1/chat/completions", json={**ask, "stream": True})).text
    inputs = [
        delta["custom"]["input"]
        for line in streamed.splitlines()
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
        for delta in choice["delta"].get("tool_calls", [])
    ]
    assert "".join(inputs) == "*** Begin"


async def test_arguments_that_are_no_object_break_only_an_anthropic_stream(
    play: Play, http: httpx.AsyncClient
) -> None:
    mock = await play("""steps: [{calls: [{name: read, raw: '{"path": '}]}]""")
    client = CLIENTS["anthropic"]
    whole = (await http.post(mock.url + client.path, json=client.ask)).json()
    streamed = (await http.post(mock.url + client.path, json={**client.ask, "stream": True})).text
    deltas = [json.loads(line[6:]) for line in streamed.splitlines() if "input_json_delta" in line]
    assert whole["content"][0]["input"] == {}
    assert "".join(event["delta"]["partial_json"] for event in deltas) == '{"path": '
