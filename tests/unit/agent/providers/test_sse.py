from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.agent.providers.sse import SseParser


def parse(body: bytes, *, cuts: list[int] | None = None) -> list[tuple[str, str]]:
    parser = SseParser()
    events: list[tuple[str, str]] = []
    edges = [0, *sorted(cuts or []), len(body)]
    for start, end in itertools.pairwise(edges):
        events += parser.feed(body[start:end])
    return events + parser.close()


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [("", "a")]),
        (b"data:a\n\n", [("", "a")]),
        (b"data:  a\n\n", [("", " a")]),
        (b"data\n\n", [("", "")]),
        (b"data: a\r\n\r\n", [("", "a")]),
        (b"data: a\r\r", [("", "a")]),
        (b"data: a\rdata: b\n\r\n", [("", "a\nb")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a"), ("", "b")]),
        (b"event:\ndata: a\n\n", [("", "a")]),
        (b"event: x\n\ndata: a\n\n", [("", "a")]),
        (b": keep-alive\n\ndata: a\n\n", [("", "a")]),
        (b"data: a\n: in the middle\ndata: b\n\n", [("", "a\nb")]),
        (b"id: 7\nretry: 10\nother: x\ndatabase: y\neventual: z\ndata: a\n\n", [("", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        ("data: a\u2028b\u2029c\x85d\x0be\x0cf\n\n".encode(), [("", "a\u2028b\u2029c\x85d\x0be\x0cf")]),
        (b"data: \xff\n\n", [("", "\ufffd")]),
        (b"data: whole line\n", [("", "whole line")]),
        (b"data: half", [("", "half")]),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_a_body_is_cut_into_events_as_the_standard_says(body: bytes, events: list[tuple[str, str]]) -> None:
    assert parse(body) == events
    assert parse(body, cuts=list(range(len(body)))) == events


def test_an_event_is_handed_over_as_soon_as_its_blank_line_is_there() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n\nda") == [("", "a")]
    assert parser.feed(b"ta: b\r\n\r") == [("", "b")]
    assert parser.feed(b"\ndata: c\n\n") == [("", "c")]
    assert parser.close() == []


_LINES = st.sampled_from([
    'data: {"text": "héllo 🌍"}',
    "data:",
    "data: \u2028",
    "event: delta",
    "event:",
    ": comment",
    "id: 1",
    "",
    "",
])


@given(
    lines=st.lists(st.tuples(_LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=20),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_how_a_body_is_chunked_never_matters(lines: list[tuple[str, str]], seed: int) -> None:
    body = "".join(line + end for line, end in lines).encode()
    dice = random.Random(seed)
    cuts = [dice.randrange(len(body) + 1) for _ in range(dice.randrange(12))]
    assert parse(body, cuts=cuts) == parse(body)


def test_a_large_event_in_small_pieces_takes_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        body = b"data: " + b"x" * size + b"\n\n"
        began = time.process_time()
        assert len(parse(body, cuts=list(range(0, len(body), 64)))[0][1]) == size
        return time.process_time() - began

    seconds(100_000)
    assert seconds(2_400_000) < 60 * max(seconds(200_000), 0.001)
