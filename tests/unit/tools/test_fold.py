from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.tools.fold import Fold, folded


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"1%\r50%\r100%\ndone\n", b"100%\ndone\n"),
        (b"long line\rshort\x1b[K\n", b"short\n"),
        (b"abc\b\bX\n", b"aXc\n"),
        (b"a: 1\nb: 1\n\x1b[2Aa: 2\n\x1b[Bdone", b"a: 2\nb: 1\ndone"),
        (b"one\ntwo\n\x1b[1A\x1b[2Knew", b"one\nnew\n"),
        (b"one\ntwo\x1b[1F\x1b[Jend", b"end"),
        (b"ab\x1b[3Cc\x1b[2GX", b"aX   c"),
        (b"x\x1b[2J\x1b[Hy\n", b"xy\n"),
        (b"\xff\x1b[1m\xe7\x8c\xab\x1b[0m\r\n", b"\xff\xe7\x8c\xab\n"),
        (b"abc\x1b[1K", b""),
        (b"up\n\x1bMdown", b"down\n"),
        (b"half \x1b[3", b"half "),
    ],
)
def test_what_was_redrawn_is_left_as_it_was_last(data: bytes, left: bytes) -> None:
    assert folded(data) == left


@given(st.lists(st.sampled_from([b"plain ", b"\n", b"\r", b"\b", b"\x1b[A", b"\x1b[K", b"\x1b[1m", b"\xff"])))
def test_folding_what_is_folded_and_goes_on_changes_nothing(pieces: list[bytes]) -> None:
    cut = len(pieces) // 2
    first, rest = b"".join(pieces[:cut]), b"".join(pieces[cut:])
    assert folded(folded(first, whole=False) + rest) == folded(first + rest)


def test_a_long_stream_of_progress_comes_to_its_last_state() -> None:
    fold, out = Fold(), b""
    for number in range(20_000):
        out += fold.feed(b"\x1b[32m%5d of 20000\x1b[0m\r" % number)
    out += fold.feed(b"\nok\n") + fold.rest
    assert out == b"19999 of 20000\nok\n"


def test_plain_bytes_come_out_as_they_went_in() -> None:
    fold, chunks = Fold(), [b"line %d\n" % number for number in range(30_000)]
    assert b"".join([*map(fold.feed, chunks), fold.rest]) == b"".join(chunks)


def test_a_line_that_never_ends_is_not_held_for_ever() -> None:
    fold = Fold()
    out = b"".join(fold.feed(b"x" * 1000) for _ in range(1000))
    assert len(out) > 800_000
    assert out + fold.rest == b"x" * 1_000_000
