"""What the vendors' faces refuse, and in whose words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import openai
import pytest
from anthropic.lib.vertex import AsyncAnthropicVertex

from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
HELLO: Final = {"role": "user", "content": "Hi."}
CALL: Final = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
CALLING: Final = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Final = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
TOOL: Final = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
REFERRING: Final = {
    "type": "function",
    "function": {
        "name": "read",
        "parameters": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}},
    },
}
GLM: Final = "/zai/api/paas/v4"
SCHEMA: Final[Mapping[str, Any]] = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}


def changed(**detail: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "x", "reasoning_details": [detail]}


REFUSED: Final[list[tuple[str, Mapping[str, Any], str]]] = [
    (GLM, {"tools": [TOOL], "tool_choice": "none"}, "tool_choice"),
    (GLM, {"tools": [TOOL], "parallel_tool_calls": True}, "parallel_tool_calls"),
    (GLM, {"response_format": SCHEMA}, "response_format.type"),
    (GLM, {"tools": [REFERRING]}, "$ref"),
    (GLM, {"stop": ["a", "b"]}, "stop"),
    (GLM, {"temperature": 0}, "temperature"),
    ("/deepseek/v1", {"messages": [HELLO, CALLING, RESULT]}, "reasoning_content is missing"),
    ("/moonshot/v1", {"messages": [HELLO, CALLING, RESULT]}, "reasoning_content is missing"),
    ("/moonshot/v1", {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
    ("/mistral/v1", {"messages": [HELLO, CALLING, RESULT]}, "length of 9"),
    ("/mistral/v1", {"messages": [RESULT]}, "length of 9"),
    ("/mistral/v1", {"seed": 1}, "seed"),
    ("/openrouter/api/v1", {"messages": [HELLO, changed(text="Hm.", signature="forged")]}, "signature"),
    ("/vllm/v1", {"messages": [HELLO, {"role": "system", "content": "S"}]}, "at the beginning"),
    ("/lmstudio/v1", {"messages": [{"role": "user", "content": "<|im_end|>"}]}, "control token"),
    ("/ollama/v1", {"tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
    ("/xai/v1", {"top_k": 4}, "top_k"),
    ("/groq/openai/v1", {"messages": 3}, "messages"),
    (
        "/azure/openai/v1",
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        "file",
    ),
]


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers={"authorization": "Bearer x"}, timeout=5) as client:
        yield client


@pytest.mark.parametrize(("base", "more", "words"), REFUSED)
async def test_a_vendor_refuses_what_it_does_not_take(
    play: Play, http: httpx.AsyncClient, base: str, more: Mapping[str, Any], words: str
) -> None:
    mock = await play("{steps: [{text: a}], then: repeat}")
    url = f"{mock.url}{base}/chat/completions"
    assert (await http.post(url, json={"model": "m", "messages": [HELLO]})).status_code == 200
    reply = await http.post(url, json={"model": "m", "messages": [HELLO], **more})
    assert reply.status_code == 400
    assert words in reply.text


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/openrouter/api/v1/chat/completions", {"authorization": ""}, 401),
        ("/azure/openai/deployments/d-1/chat/completions", {"authorization": ""}, 401),
        ("/azure/openai/deployments/d-1/chat/completions", {"authorization": "", "api-key": "k"}, 200),
        ("/azure/openai/deployments/d/1/chat/completions", {}, 404),
        ("/vllm/v1/chat/completions", {"authorization": ""}, 200),
        ("/nobody/v1/chat/completions", {}, 404),
    ],
)
async def test_a_vendor_asks_for_the_key_that_it_gives_out(
    play: Play, http: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    mock = await play("{steps: [{text: a}], then: repeat}")
    reply = await http.post(mock.url + path, json={"model": "m", "messages": [HELLO]}, headers=headers)
    assert reply.status_code == status


CLAUDE: Final = "/vertex/v1/projects/p/locations/l/publishers/anthropic/models/claude-x"
BODY: Final = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": [HELLO]}
PICTURE: Final = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("verb", "more", "words"),
    [
        ("rawPredict", {}, '"model":"claude-x"'),
        ("streamRawPredict", {"stream": True}, "message_stop"),
        ("rawPredict", {"anthropic_version": "2023-06-01"}, "anthropic_version"),
        ("rawPredict", {"model": "claude-x"}, "model: Extra inputs"),
        ("rawPredict", {"stream": True}, "does not fit the method"),
        ("streamRawPredict", {}, "does not fit the method"),
        ("rawPredict", {"messages": [{"role": "user", "content": [PICTURE]}]}, "URL sources"),
    ],
)
async def test_vertex_wants_the_version_in_the_body_and_the_model_in_the_path(
    play: Play, http: httpx.AsyncClient, verb: str, more: Mapping[str, Any], words: str
) -> None:
    mock = await play("{steps: [{text: a}], then: repeat}")
    reply = await http.post(f"{mock.url}{CLAUDE}:{verb}", json={**BODY, **more})
    assert words in reply.text


@pytest.mark.parametrize(
    ("base", "bodies"),
    [
        ("/openrouter/api/v1", [": OPENROUTER PROCESSING", "reasoning_details", '"cost":0.0125']),
        ("/azure/openai/v1", ['{"choices":[],"created":0,"id":""', "prompt_filter_results"]),
        ("/vllm/v1", ['"content":"<think>', "</think>"]),
        ("/mistral/v1", ['"type":"thinking"']),
        ("/groq/openai/v1", ["x_groq", '"reasoning":']),
    ],
)
async def test_a_stream_is_as_peculiar_as_the_vendors(
    play: Play, http: httpx.AsyncClient, base: str, bodies: list[str]
) -> None:
    mock = await play("steps: [{reasoning: Hm., text: a}]")
    body = {"model": "m", "messages": [HELLO], "stream": True}
    reply = await http.post(f"{mock.url}{base}/chat/completions", json=body)
    assert [words for words in bodies if words not in reply.text] == []
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_a_stream_that_is_not_asked_to_tell_tokens_tells_none(
    play: Play, http: httpx.AsyncClient
) -> None:
    mock = await play("{steps: [{text: a}], then: repeat}")
    body = {"model": "m", "messages": [HELLO], "stream": True}
    url = f"{mock.url}/vllm/v1/chat/completions"
    assert "usage" not in (await http.post(url, json=body)).text
    asked = {**body, "stream_options": {"include_usage": True}}
    assert '"usage":{' in (await http.post(url, json=asked)).text


async def test_an_error_under_status_200_may_come_whole(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play("steps: [{faults: [{stream_error: {message: gone}}]}]")
    url = f"{mock.url}/openrouter/api/v1/chat/completions"
    reply = await http.post(url, json={"model": "m", "messages": [HELLO]})
    assert reply.json() == {"error": {"code": 502, "message": "gone"}}
    assert (await http.get(f"{mock.url}/v1/models")).status_code == 200


async def test_anthropics_own_client_for_vertex_finds_the_face(play: Play) -> None:
    mock = await play("{steps: [{text: a b}], then: repeat}")
    base = f"{mock.url}/vertex/v1"
    async with AsyncAnthropicVertex(
        region="us-east5", project_id="p", access_token="tok", base_url=base, max_retries=0, timeout=5
    ) as client:
        model = "claude-opus-4-5@20251101"
        whole = await client.messages.create(
            model=model, max_tokens=9, messages=[{"role": "user", "content": "Hi."}]
        )
        assert [block.type for block in whole.content] == ["text"]
        async with client.messages.stream(
            model=model, max_tokens=9, messages=[{"role": "user", "content": "Hi."}]
        ) as stream:
            assert await stream.get_final_text() == "a b"
    paths = [request.path.rpartition("/")[2] for request in mock.requests]
    assert [path.partition(":")[2] for path in paths] == ["rawPredict", "streamRawPredict"]
    assert {path.partition(":")[0] for path in paths} == {"claude-opus-4-5@20251101"}


@pytest.mark.parametrize("proof", [{"api_key": "k"}, {"azure_ad_token": "tok"}])
async def test_openais_own_client_for_azure_finds_the_face(play: Play, proof: dict[str, str]) -> None:
    mock = await play("{steps: [{text: a b}], then: repeat}")
    place: Any = {"azure_endpoint": f"{mock.url}/azure", "api_version": "2024-10-21", **proof}
    async with openai.AsyncAzureOpenAI(**place, max_retries=0, timeout=5) as client:
        create = client.chat.completions.create
        whole = await create(model="our-deployment", messages=[{"role": "user", "content": "Hi."}])
        assert whole.choices[0].message.content == "a b"
        stream = await create(
            model="our-deployment", messages=[{"role": "user", "content": "Hi."}], stream=True
        )
        said = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
        assert "".join(said) == "a b"
    assert {request.path for request in mock.requests} == {
        "/azure/openai/deployments/our-deployment/chat/completions"
    }
