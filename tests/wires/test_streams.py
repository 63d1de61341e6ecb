"""Recorded streams over every wire, however the network cuts them.

`transcripts/ROW/NAME.sse` is what a server sent, `NAME.json` what it means. To renew an expectation, delete it and
run its test: it is written and the test fails once. Look at the difference before it is committed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from wires.rows import WIRES, Row

from treadle.agent.events import CallDelta, ReasoningDelta, StreamDelta, TextDelta
from treadle.agent.messages import AssistantMessage, ReasoningPart, RefusalPart
from treadle.agent.providers.contract import Decoder, ModelRequest, ProviderError, Renderings
from treadle.agent.providers.sse import SseParser

TRANSCRIPTS: Final = Path(__file__).parent / "transcripts"
NAMES: Final = sorted(
    str(path.relative_to(TRANSCRIPTS).with_suffix("")) for path in TRANSCRIPTS.rglob("*.sse")
)


def row_of(name: str) -> Row:
    return WIRES[Path(name).parts[0]]


def recorded(name: str) -> bytes:
    return (TRANSCRIPTS / f"{name}.sse").read_bytes()


def events(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    parser = SseParser()
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.close()


def followed(decoder: Decoder, chunks: Iterable[bytes], deltas: list[StreamDelta]) -> AssistantMessage:
    for event, data in events(chunks):
        deltas += decoder.feed(event, data)
    return decoder.finish()


def meaning(name: str, chunks: Iterable[bytes]) -> str:
    """What a stream comes to, as JSON: a message, or an error with what came before it."""
    row = row_of(name)
    decoder = row.wire.decoder(row.model)
    shown: dict[str, Any]
    try:
        shown = {"message": followed(decoder, chunks, []).model_dump(mode="json", exclude_none=True)}
    except ProviderError as error:
        partial = decoder.partial().model_dump(mode="json", exclude_none=True)
        kind = type(error).__name__
        shown = {"error": [kind, error.status, error.code, str(error)], "partial": partial}
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def cut(data: bytes, rng: random.Random, *lengths: int) -> list[bytes]:
    """Cut at random, into pieces of at most one of these lengths."""
    longest = rng.choice(lengths)
    chunks: list[bytes] = []
    while data:
        size = rng.randint(1, longest)
        chunks.append(data[:size])
        data = data[size:]
    return chunks


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_means_what_its_expectation_says(name: str) -> None:
    path = TRANSCRIPTS / f"{name}.json"
    text = meaning(name, [recorded(name)])
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} is new: look at it, then run again")
    assert text == path.read_text(encoding="utf-8")


# What decodes a reply sees events, never bytes: where a cut falls is over with once the events are the same.
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_has_the_same_events_however_it_is_cut(name: str) -> None:
    rng, data = random.Random(name), recorded(name)
    whole = list(events([data]))
    assert all(list(events(cut(data, rng, 8, 40, 400))) == whole for _ in range(99))
    assert list(events(cut(data, rng, 1))) == whole
    assert meaning(name, cut(data, rng, 40)) == meaning(name, [data])


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_means_the_same_in_a_thousand_cuts(name: str) -> None:
    rng, whole = random.Random(f"soak {name}"), meaning(name, [recorded(name)])
    assert all(meaning(name, cut(recorded(name), rng, 1, 3, 16, 64, 400)) == whole for _ in range(1000))


@pytest.mark.parametrize("name", NAMES)
def test_the_deltas_of_a_stream_add_up_to_its_message(name: str) -> None:
    row, deltas = row_of(name), list[StreamDelta]()
    decoder = row.wire.decoder(row.model)
    try:
        message = followed(decoder, [recorded(name)], deltas)
    except ProviderError:
        message = decoder.partial()
    refused = "".join(part.text for part in message.parts if isinstance(part, RefusalPart))
    reasoned = "".join(
        part.text or "".join(part.summary) for part in message.parts if isinstance(part, ReasoningPart)
    )
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == message.text + refused
    thought = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    assert "".join(thought.split()) == "".join(reasoned.split())
    for index, call in enumerate(message.calls):
        pieces = [delta for delta in deltas if isinstance(delta, CallDelta) and delta.index == index]
        assert {(piece.id, piece.name) for piece in pieces} <= {(call.id, call.name)}
        assert "".join(piece.arguments for piece in pieces) == (call.arguments if call.name else "")


@pytest.mark.parametrize("name", NAMES)
def test_what_came_of_a_stream_that_was_cut_can_be_kept_and_sent(name: str) -> None:
    row = row_of(name)
    decoder = row.wire.decoder(row.model)
    for event, data in events([recorded(name)]):
        try:
            decoder.feed(event, data)
        except ProviderError:
            break
        partial = decoder.partial()
        assert (partial.state, partial.stop) == ("interrupted", "interrupted")
        assert AssistantMessage.model_validate_json(partial.model_dump_json()) == partial
        request = ModelRequest(system=("S",), tools=(), messages=(partial,))
        assert json.loads(row.wire.encode(request, row.model, Renderings(), stream=True).body)


@pytest.mark.parametrize("name", NAMES)
def test_a_message_from_a_stream_is_kept_whole_on_disk(name: str) -> None:
    row = row_of(name)
    decoder = row.wire.decoder(row.model)
    try:
        message = followed(decoder, [recorded(name)], [])
    except ProviderError:
        message = decoder.partial()
    assert AssistantMessage.model_validate_json(message.model_dump_json()) == message
