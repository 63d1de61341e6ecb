"""What the edge cases are told in: events and requests of every wire, decoded, encoded, and sent over loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import anyio
import pytest
from unit.agent.providers.raw import END, HEAD, Step, chunk, serving
from wires.cases import HELLO, asks
from wires.rows import WIRES
from wires.test_requests import answered
from wires.test_streams import followed

from treadle.agent.messages import AssistantMessage, Message, ReasoningPart
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import ModelRequest, ProviderError, Renderings
from treadle.agent.providers.transport import Address, Timeouts, Transport
from treadle.tools.contract import JsonObject

CHAT, OPENAI, ROUTER, GLM, MISTRAL = (
    "chat",
    "chat.openai",
    "chat.openrouter",
    "chat.zhipu",
    "chat.strict_host",
)
GPT, CLAUDE, GATEWAY, GEMINI, VERTEX = (
    *("responses.gpt_6", "anthropic.opus", "anthropic.host", "gemini.flash", "gemini.vertex"),
)
STEPS = "interactions.flash"
EACH: Final = (OPENAI, GPT, CLAUDE, GEMINI, STEPS)
"""A model of each wire that knows tools."""
DONE: Final = "[DONE]"
MOST_ANSWERS: Final = 9

Event = Mapping[str, Any] | str


def framed(*said: Event) -> bytes:
    """Events as a server sends them: objects as JSON, words as they are."""
    sent = (each if isinstance(each, str) else json.dumps(each) for each in said)
    return b"".join(b"data: %b\n\n" % data.encode("utf-8", "surrogatepass") for data in sent)


def heard(name: str, *said: Event) -> AssistantMessage:
    """The message that a stream comes to."""
    return followed(WIRES[name].wire.decoder(WIRES[name].model), [framed(*said)], [])


def failed(name: str, *said: Event) -> tuple[ProviderError, AssistantMessage]:
    """The error in which a stream ends, and what came before it."""
    decoder = WIRES[name].wire.decoder(WIRES[name].model)
    with pytest.raises(ProviderError) as caught:
        followed(decoder, [framed(*said)], [])
    return caught.value, decoder.partial()


def sent(name: str, request: ModelRequest, **dialect: Any) -> JsonObject:
    """The body of a request."""
    row = WIRES[name]
    model = replace(row.model, dialect={**row.model.dialect, **dialect})
    return json.loads(row.wire.encode(request, model, Renderings(), stream=True).body)


def back(name: str, message: AssistantMessage, *more: Message) -> JsonObject:
    """The body in which a reply goes back, its calls answered."""
    return sent(name, asks(HELLO, message, *answered(message), *more))


def thought(message: AssistantMessage) -> list[str]:
    """What was reasoned, part by part."""
    return [part.text or "".join(part.summary) for part in message.parts if isinstance(part, ReasoningPart)]


def chat(finish: str | None = None, index: int = 0, **delta: Any) -> JsonObject:
    """A chunk of Chat Completions."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def fragment(text: str = "", name: str | None = None, **item: Any) -> JsonObject:
    """A chunk with a piece of a call."""
    named = {} if name is None else {"name": name}
    return chat(tool_calls=[{**item, "function": {**named, "arguments": text}}])


def claude(*blocks: Sequence[JsonObject], stop: str = "end_turn", **usage: Any) -> list[JsonObject]:
    """A whole stream of Anthropic's: each block a start and its deltas."""
    said: list[JsonObject] = [start()]
    for index, (begun, *deltas) in enumerate(blocks):
        said.append({"type": "content_block_start", "index": index, "content_block": begun})
        said += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        said.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": stop, "stop_sequence": None}
    said.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5, **usage}})
    return [*said, {"type": "message_stop"}]


def start(**message: Any) -> JsonObject:
    """How a message of Anthropic's begins."""
    usage = {"input_tokens": 10, "output_tokens": 1}
    begun: JsonObject = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return {"type": "message_start", "message": {**begun, "stop_reason": None, "usage": usage, **message}}


def uses(*pieces: str, key: str = "toolu_1", given: Any = None) -> list[JsonObject]:
    """A block that calls `read`, its input in pieces."""
    begun: JsonObject = {"type": "tool_use", "id": key, "name": "read", "input": given or {}}
    return [begun, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces)]


def wrote(*pieces: str) -> list[JsonObject]:
    """A block of text."""
    return [{"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces)]


def gemini(*parts: JsonObject, stop: str | None = None, **more: Any) -> JsonObject:
    """A response of Gemini's stream."""
    ended = {} if stop is None else {"finishReason": stop}
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **ended}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r1", **more}


def wants(name: str = "read", **call: Any) -> JsonObject:
    """A part of Gemini's that is a call."""
    return {"functionCall": {"name": name, **call}}


def item(kind: str, index: int, body: Mapping[str, Any]) -> JsonObject:
    """An event of Responses that tells an item: `added` or `done`."""
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": body}


def called(key: str = "call_a1", arguments: str = '{"path":"a"}', **more: Any) -> JsonObject:
    """An item of Responses that calls `read`."""
    return {
        "type": "function_call",
        "id": f"fc_{key}",
        "call_id": key,
        "name": "read",
        "arguments": arguments,
    } | more


def completed(*output: Mapping[str, Any], **more: Any) -> JsonObject:
    """The event that ends a response."""
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    body = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "usage": usage}
    return {"type": "response.completed", "response": {**body, "output": list(output), **more}}


def steps(*told: Sequence[JsonObject], status: str = "completed") -> list[JsonObject]:
    """A whole stream of Interactions: each step a start and its deltas."""
    said: list[JsonObject] = []
    for index, (begun, *deltas) in enumerate(told):
        said.append({"event_type": "step.start", "index": index, "step": begun})
        said += [{"event_type": "step.delta", "index": index, "delta": delta} for delta in deltas]
        said.append({"event_type": "step.stop", "index": index})
    usage = {"total_input_tokens": 10, "total_output_tokens": 5, "total_tokens": 15}
    ended: JsonObject = {"id": "i1", "object": "interaction", "model": "m", "status": status, "usage": usage}
    return [*said, {"event_type": "interaction.completed", "interaction": ended}]


SAID: Final[dict[str, list[JsonObject]]] = {
    OPENAI: [chat(content="I was "), chat("stop", content="able.")],
    GPT: [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "I was able."},
        completed({"type": "message", "content": [{"type": "output_text", "text": "I was able."}]}),
    ],
    CLAUDE: claude(wrote("I was ", "able.")),
    GEMINI: [gemini({"text": "I was "}), gemini({"text": "able."}, stop="STOP")],
    STEPS: steps([
        {"type": "model_output"},
        {"type": "text", "text": "I was "},
        {"type": "text", "text": "able."},
    ]),
}
"""One sentence on each wire; what comes last ends the reply."""

CALLED: Final[dict[str, list[JsonObject]]] = {
    OPENAI: [
        fragment('{"path":', "read", index=0, id="call_a1"),
        fragment('"a"}', index=0),
        chat("tool_calls"),
    ],
    GPT: [item("added", 0, called(arguments="")), item("done", 0, called()), completed(called())],
    CLAUDE: claude(uses('{"path":', '"a"}'), stop="tool_use"),
    GEMINI: [gemini(wants(args={"path": "a"})), gemini(stop="STOP")],
    STEPS: steps(
        [
            {"type": "function_call", "id": "c1", "name": "read", "arguments": {}, "signature": ""},
            {"type": "arguments_delta", "arguments": '{"path":'},
            {"type": "arguments_delta", "arguments": '"a"}'},
        ],
        status="requires_action",
    ),
}
"""One call on each wire."""


def client(name: str, url: str, **timeouts: float) -> Client:
    """A live model of a row at an address."""
    row = WIRES[name]
    times = Timeouts(**{"first_byte": 2.0, "idle": 2.0, **timeouts})
    return Client(row.wire, row.model, Transport(Address(url, {}), times))


@asynccontextmanager
async def at_server(name: str, *steps: Step, **timeouts: float) -> AsyncGenerator[Client]:
    """A live model whose server answers each request with these bytes."""
    with anyio.fail_after(5):
        async with (
            serving(*[steps] * MOST_ANSWERS) as server,
            aclosing(client(name, server.url, **timeouts)) as asked,
        ):
            yield asked


async def listened(asked: Client) -> AssistantMessage:
    """Ask once and hear the reply to its end."""
    async with asked.stream(asks(HELLO)) as stream:
        async for _ in stream:
            pass
        return stream.message


async def got(name: str, *steps: Step, **timeouts: float) -> AssistantMessage:
    """What a live model makes of these bytes. Raises `ProviderError`, out of the server's reach."""
    error: ProviderError | None = None
    async with at_server(name, *steps, **timeouts) as asked:
        try:
            return await listened(asked)
        except ProviderError as failure:
            error = failure
    assert error is not None
    raise error


def streamed(*said: Event) -> tuple[bytes, ...]:
    """Events as a whole HTTP reply."""
    return HEAD, chunk(framed(*said)), END
