"""What is too large is refused in each vendor's words; what is counted is what is billed."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from treadle.agent.mock.jsontext import Json, JsonObject, elements, members
from treadle.agent.mock.pixels import pixels
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
KEYS: Mapping[str, str] = {
    "authorization": "Bearer k",
    "x-goog-api-key": "k",
    "anthropic-version": "2026-10-21",
}
STEP = "steps: [{text: ok}]\nthen: repeat\n"
LONG = "word " * 400


def png(wide: int, high: int, more: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", wide, high) + b"\0" * more


def jpeg(wide: int, high: int) -> bytes:
    start = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xd0"
    return start + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", high, wide) + b"\0" * 9


def webp(kind: bytes, tail: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + tail


def claude(*pictures: bytes) -> JsonObject:
    blocks: list[Json] = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": b64encode(data).decode()},
        }
        for data in pictures
    ]
    text: JsonObject = {"type": "text", "text": LONG}
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [*blocks, text]}]}


def gpt(*pictures: bytes) -> JsonObject:
    parts: list[Json] = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{b64encode(data).decode()}"}
        for data in pictures
    ]
    return {
        "model": "m",
        "input": [{"role": "user", "content": [*parts, {"type": "input_text", "text": LONG}]}],
    }


def gemini(*pictures: bytes) -> JsonObject:
    parts: list[Json] = [
        {"inlineData": {"mimeType": "image/png", "data": b64encode(data).decode()}} for data in pictures
    ]
    return {"contents": [{"role": "user", "parts": [*parts, {"text": LONG}]}]}


def chat(*pictures: bytes) -> JsonObject:
    parts: list[Json] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(data).decode()}"}}
        for data in pictures
    ]
    return {
        "model": "m",
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": LONG}]}],
    }


def interactions(*pictures: bytes) -> JsonObject:
    parts: list[Json] = [
        {"type": "image", "mime_type": "image/png", "data": b64encode(data).decode()} for data in pictures
    ]
    step: JsonObject = {"type": "user_input", "content": [*parts, {"type": "text", "text": LONG}]}
    return {"model": "m", "input": [step]}


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, headers=dict(KEYS)) as client:
        yield client


ASKS = {
    "/v1/messages": claude,
    "/v1/responses": gpt,
    "/v1/chat/completions": chat,
    "/groq/openai/v1/chat/completions": chat,
    "/v1/models/m:generateContent": gemini,
    "/v1/interactions": interactions,
}
BIG = {
    "/v1/messages": (413, "Request exceeds the maximum size"),
    "/v1/responses": (413, "413: Maximum content size limit (2000) exceeded (SIZE bytes read)"),
    "/v1/chat/completions": (413, "413: Maximum content size limit (2000) exceeded (SIZE bytes read)"),
    "/groq/openai/v1/chat/completions": (413, "the body is larger than 2,000 bytes"),
    "/v1/models/m:generateContent": (400, "Request payload size exceeds the limit: 2000 bytes."),
    "/v1/interactions": (400, "Request payload size exceeds the limit: 2000 bytes."),
}
WINDOW = {
    "/v1/messages": "prompt is too long: COUNT tokens > 100 maximum",
    "/v1/responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "/v1/chat/completions": "This model's maximum context length is 100 tokens. However, your messages resulted in "
    "COUNT tokens. Please reduce the length of the messages.",
    "/groq/openai/v1/chat/completions": "This model's maximum context length is 100 tokens. However, your messages "
    "resulted in COUNT tokens. Please reduce the length of the messages.",
    "/v1/models/m:generateContent": "The input token count (COUNT) exceeds the maximum number of tokens allowed (100).",
    "/v1/interactions": "The input token count (COUNT) exceeds the maximum number of tokens allowed (100).",
}


@pytest.mark.parametrize("path", ASKS)
async def test_a_request_of_too_many_bytes_is_refused(play: Play, http: httpx.AsyncClient, path: str) -> None:
    mock = await play(f"{STEP}limits: {{request_bytes: 2000}}")
    reply = await http.post(mock.url + path, json=ASKS[path]())
    told = reply.json()["error"]["message"].replace(str(len(reply.request.content)), "SIZE")
    assert (reply.status_code, told) == BIG[path]
    assert mock.report()["generations"] == []


@pytest.mark.parametrize("path", ASKS)
async def test_a_request_of_too_many_tokens_is_refused(
    play: Play, http: httpx.AsyncClient, path: str
) -> None:
    free = await play(STEP)
    assert (await http.post(free.url + path, json=ASKS[path]())).status_code == 200
    (made,) = [members(each) for each in elements(free.report()["generations"])]
    mock = await play(f"{STEP}window: 100")
    reply = await http.post(mock.url + path, json=ASKS[path]())
    told = WINDOW[path].replace("COUNT", str(made["input"]))
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, told)
    exact = await play(f"{STEP}window: {made['input']}")
    assert (await http.post(exact.url + path, json=ASKS[path]())).status_code == 200


async def test_openai_names_the_overflow_by_a_code(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(f"{STEP}window: 10")
    for path in ("/v1/responses", "/v1/chat/completions"):
        error = (await http.post(mock.url + path, json=ASKS[path]())).json()["error"]
        assert (error["code"], error["type"]) == ("context_length_exceeded", "invalid_request_error")


@pytest.mark.parametrize(("kind", "name"), [("true", "nginx"), ("cloudflare", "cloudflare")])
async def test_a_proxy_refuses_in_html(play: Play, http: httpx.AsyncClient, kind: str, name: str) -> None:
    mock = await play(f"steps: [{{text: ok, faults: [{{html_413: {kind}}}]}}]")
    reply = await http.post(f"{mock.url}/v1/messages", json=claude())
    assert (reply.status_code, reply.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert f"<center>{name}</center>" in reply.text
    assert (await http.post(f"{mock.url}/v1/messages", json=claude())).status_code == 200


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([png(8000, 8000)], None),
        ([png(2000, 2000)] * 20, None),
        ([png(8000, 2)] * 20, None),
        (
            [png(8001, 2)],
            "messages.0.content.0.image.source.base64.data: At least one of the image dimensions exceed max allowed "
            "size: 8000 pixels",
        ),
        (
            [png(2000, 2000)] * 20 + [png(1, 2001)],
            "messages.0.content.20.image.source.base64.data: At least one of the image dimensions exceed max allowed "
            "size for many-image requests: 2000 pixels",
        ),
        ([png(1, 1)] * 100, None),
        ([png(1, 1)] * 101, "Too much media: 0 document pages + 101 images > 100"),
        ([png(1, 1, 3_932_136)], None),
        (
            [png(1, 1, 3_932_137)],
            "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes",
        ),
    ],
)
async def test_anthropic_refuses_pictures_that_are_too_large_or_too_many(
    play: Play, http: httpx.AsyncClient, pictures: list[bytes], told: str | None
) -> None:
    mock = await play(STEP)
    reply = await http.post(f"{mock.url}/v1/messages", json=claude(*pictures))
    assert (reply.status_code, reply.json().get("error", {}).get("message")) == (400 if told else 200, told)


@pytest.mark.parametrize("path", [path for path in ASKS if path != "/v1/messages"])
async def test_a_script_can_set_limits_for_pictures(play: Play, http: httpx.AsyncClient, path: str) -> None:
    few = await play(f"{STEP}limits: {{images: 1}}")
    light = await play(f"{STEP}limits: {{image_bytes: 40}}")
    assert [
        (await http.post(few.url + path, json=ASKS[path](*[png(1, 1)] * count))).status_code
        for count in (1, 2)
    ] == [200, 400]
    assert [
        (await http.post(light.url + path, json=ASKS[path](png(1, 1, more)))).status_code for more in (0, 9)
    ] == [200, 400]


@pytest.mark.parametrize(
    "data",
    [
        png(7, 5),
        b"GIF89a" + struct.pack("<HH", 7, 5),
        jpeg(7, 5),
        webp(b"VP8X", b"\0" * 4 + b"\x06\0\0\x04\0\0"),
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 6 | 4 << 14) + b"\0" * 5),
        webp(b"VP8 ", b"\0" * 6 + struct.pack("<HH", 7, 5)),
    ],
    ids=["png", "gif", "jpeg", "webp extended", "webp lossless", "webp"],
)
def test_the_size_of_a_picture_is_read_from_its_beginning(data: bytes) -> None:
    assert pixels(data) == (7, 5)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\x02", png(1, 1)[:20]])
def test_what_is_no_picture_has_no_size(data: bytes) -> None:
    assert pixels(data) == (0, 0)


async def test_openai_counts_what_it_bills(play: Play) -> None:
    mock = await play(STEP)
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1") as client:
        first = await client.responses.create(model="m", input=LONG, instructions="Be brief.")
        alone = await client.responses.input_tokens.count(model="m", input=LONG, instructions="Be brief.")
        counted = await client.responses.input_tokens.count(
            model="m", input="on", previous_response_id=first.id
        )
        second = await client.responses.create(model="m", input="on", previous_response_id=first.id)
        assert first.usage is not None
        assert second.usage is not None
        assert (alone.input_tokens, counted.input_tokens) == (
            first.usage.input_tokens,
            second.usage.input_tokens,
        )
        with pytest.raises(openai.BadRequestError, match="temperature"):
            await client.responses.input_tokens.count(model="m", input="x", extra_body={"temperature": 1})


async def test_anthropic_counts_what_it_bills(play: Play) -> None:
    mock = await play(STEP)
    async with anthropic.AsyncAnthropic(api_key="k", base_url=mock.url) as client:
        system = "Be brief."
        said: list[anthropic.types.MessageParam] = [{"role": "user", "content": LONG}]
        counted = await client.messages.count_tokens(model="m", system=system, messages=said)
        reply = await client.messages.create(model="m", max_tokens=9, system=system, messages=said)
        assert counted.input_tokens == reply.usage.input_tokens
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            await client.messages.count_tokens(model="m", messages=said, extra_body={"max_tokens": 1})


async def test_claude_on_vertex_counts_what_it_bills(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(STEP)
    models = f"{mock.url}/vertex/v1/projects/p/locations/l/publishers/anthropic/models"
    body: JsonObject = {
        "anthropic_version": "vertex-2023-10-16",
        "messages": [{"role": "user", "content": LONG}],
    }
    counted = await http.post(f"{models}/count-tokens:rawPredict", json={**body, "model": "m"})
    reply = await http.post(f"{models}/m:rawPredict", json={**body, "max_tokens": 9})
    assert counted.json()["input_tokens"] == reply.json()["usage"]["input_tokens"]


async def test_gemini_counts_what_it_bills(play: Play, http: httpx.AsyncClient) -> None:
    mock = await play(STEP)
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as client:
        counted = await client.models.count_tokens(model="m", contents=LONG)
        reply = await client.models.generate_content(model="m", contents=LONG)
    whole.close()
    assert reply.usage_metadata is not None
    assert counted.total_tokens is not None
    assert counted.total_tokens == reply.usage_metadata.prompt_token_count
    request: JsonObject = {
        **gemini(),
        "model": "models/m",
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }
    url = f"{mock.url}/v1/models/m:countTokens"
    more = (await http.post(url, json={"generateContentRequest": request})).json()["totalTokens"]
    assert more == counted.total_tokens + 5
    request["model"] = "models/other"
    assert (await http.post(url, json={"generateContentRequest": request})).status_code == 400
