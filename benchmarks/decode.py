"""`python -m benchmarks.decode`: how fast a streamed reply is read, wire by wire, beside the official clients."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any, Final

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types

from treadle.agent.events import StreamDelta
from treadle.agent.messages import user
from treadle.agent.mock.anthropic import Anthropic as MessagesFace
from treadle.agent.mock.chat import Chat as ChatFace
from treadle.agent.mock.completions import Completions as CompletionsFace
from treadle.agent.mock.contract import PATH, Face, Reply, Said, Usage
from treadle.agent.mock.gemini import VERBS
from treadle.agent.mock.gemini import Gemini as GeminiFace
from treadle.agent.mock.interactions import Interactions as InteractionsFace
from treadle.agent.mock.responses import Responses as ResponsesFace
from treadle.agent.providers.contract import ModelInfo, ModelRequest, Output, Renderings, Wire
from treadle.agent.providers.sse import SseParser
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.providers.wires.gemini import Gemini
from treadle.agent.providers.wires.gemini_interactions import GeminiInteractions
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.agent.providers.wires.openai_completions import OpenAICompletions
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.tools.contract import Function

WORDS: Final = 4000
READ: Final = 8192
"""Bytes of a network read."""
GOAL: Final = 2.0
"""How many times as fast as the official client each wire is to be."""

SENTENCE: Final = "The quick brown fox — é — jumps over the lazy dog, and then it goes on. "
TOOL: Final = Function(
    name="write",
    description="Write a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}},
)
ASKED: Final = ModelRequest(("Be brief.",), (TOOL,), (user("Go."),), output=Output(reasoning_summary=True))

Read = Callable[[httpx2.Client], Iterable[object]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A wire, what its provider sends, and the official client that reads the same."""

    name: str
    wire: Wire
    official: str
    read: Read
    face: Face
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the same stream was read: processor time, the least of a few runs."""

    name: str
    official: str
    events: int
    size: int
    ours: float
    theirs: float

    @property
    def times(self) -> float:
        return self.theirs / self.ours


def openai_client(http: httpx2.Client) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://localhost/v1", max_retries=0, http_client=http)


def google_client(http: httpx2.Client) -> genai.Client:
    options = types.HttpOptions(base_url="http://localhost", httpx_client=http)
    return genai.Client(api_key="k", http_options=options)


def _chat(http: httpx2.Client) -> Iterable[object]:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "Go."}]}
    return openai_client(http).chat.completions.create(stream=True, **asked)


def _responses(http: httpx2.Client) -> Iterable[object]:
    return openai_client(http).responses.create(model="m", input="Go.", stream=True)


def _completions(http: httpx2.Client) -> Iterable[object]:
    return openai_client(http).completions.create(model="m", prompt="Go.", stream=True)


def _messages(http: httpx2.Client) -> Iterable[object]:
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=http)
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}]}
    return client.messages.create(stream=True, **asked)


def _gemini(http: httpx2.Client) -> Iterable[object]:
    models: Any = google_client(http).models
    return models.generate_content_stream(model="m", contents="Go.")


def _interactions(http: httpx2.Client) -> Iterable[object]:
    asked: Any = {"model": "m", "input": "Go.", "stream": True}
    return google_client(http).interactions.create(**asked)


VERSION: Final = {"anthropic-version": "2026-10-21", PATH: "/v1/models/m:streamGenerateContent"}
SUBJECTS: Final = (
    Subject("Chat Completions", OpenAIChat(), "openai", _chat, ChatFace(), VERSION),
    Subject("Responses", OpenAIResponses(), "openai", _responses, ResponsesFace(), VERSION),
    Subject("legacy Completions", OpenAICompletions(), "openai", _completions, CompletionsFace(), VERSION),
    Subject("Anthropic Messages", Anthropic(), "anthropic", _messages, MessagesFace(), VERSION),
    Subject("Gemini generateContent", Gemini(), "google-genai", _gemini, GeminiFace(VERBS[1]), VERSION),
    Subject(
        "Gemini Interactions",
        GeminiInteractions(),
        "google-genai",
        _interactions,
        InteractionsFace(),
        VERSION,
    ),
)


def reply() -> Reply:
    """A long reply of every kind: reasoning, text and two calls."""
    said = SENTENCE * (WORDS // 15)
    arguments = json.dumps({"path": "a.txt", "text": said[: len(said) // 4]}, ensure_ascii=False)
    return Reply(
        id="r1",
        created=1,
        model="m",
        reasoning=said[: len(said) // 2],
        text=said,
        calls=(Said("call_a1", "write", arguments), Said("call_b2", "write", arguments)),
        finish="tool_calls",
        usage=Usage(input=9, cached=0, written=0, written_long=0, output=WORDS, reasoning=WORDS // 3),
    )


def stream(subject: Subject) -> bytes:
    """What the provider sends."""
    request = ASKED if subject.wire.name != "openai_completions" else ModelRequest((), (), ASKED.messages)
    model = ModelInfo("m", subject.wire.name, "v", "e")
    call = subject.wire.encode(request, model, Renderings(), stream=True)
    asked = subject.face.read(json.loads(call.body), {**call.headers, **subject.headers})
    return b"".join(subject.face.events(asked, reply()))


def ours(wire: Wire, body: bytes) -> int:
    """Read a stream as the client does, into deltas and a message. Returns how many events there were."""
    parser, decoder = SseParser(), wire.decoder(ModelInfo("m", wire.name, "v", "e"))
    count, deltas = 0, list[StreamDelta]()
    for piece in _reads(body):
        for event, data in parser.feed(piece):
            deltas.extend(decoder.feed(event, data))
            count += 1
    message = decoder.finish()
    assert message.text == reply().text.strip() or wire.name != "openai_completions"
    assert len(message.calls) == (0 if wire.name == "openai_completions" else 2)
    return count


def theirs(read: Read, body: bytes) -> int:
    """Read a stream with the official client, into typed events alone: nothing is put together."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_reads(body))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        return sum(1 for _ in read(http))


def _reads(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), READ):
        yield body[at : at + READ]


def speeds(runs: int = 7) -> Iterator[Speed]:
    """Measure every wire."""
    for subject in SUBJECTS:
        body = stream(subject)
        events = ours(subject.wire, body)
        told = theirs(subject.read, body)
        assert told > events * 0.9, (subject.name, told, events)
        both = partial(ours, subject.wire, body), partial(theirs, subject.read, body)
        took = [tuple(map(_timed, both)) for _ in range(runs)]
        least = [min(each) for each in zip(*took, strict=True)]
        yield Speed(subject.name, subject.official, events, len(body), *least)


def _timed(work: Callable[[], object]) -> float:
    begun = process_time()
    work()
    return process_time() - begun


def section(found: Iterable[Speed]) -> list[str]:
    """The part of the report that tells it, in lines."""
    head = "| wire | events | MB/s | μs an event | official client | MB/s | μs an event | times as fast | |"
    rows = [
        f"| {each.name} | {each.events:,} | {each.size / each.ours / 1e6:.1f} | {each.ours / each.events * 1e6:.1f} "
        f"| {each.official} | {each.size / each.theirs / 1e6:.1f} | {each.theirs / each.events * 1e6:.1f} "
        f"| {each.times:.1f} | {'met' if each.times >= GOAL else '**not met**'} |"
        for each in found
    ]
    return [
        "## Decoding",
        "",
        f"A reply of {WORDS:,} words with reasoning and two calls, streamed in reads of {READ:,} bytes; processor time, "
        "the least of a few runs. We put a message together and show each piece of it; the official clients, which are "
        f"asked for typed events alone, do not. The goal is {GOAL:.0f} times their speed.",
        "",
        head,
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "google-genai makes a pydantic model anew for each event of Interactions: that is nearly all of its time.",
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(section(speeds())) + "\n")
