from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from treadle.agent.frontends.prompt import MOST_PROMPT, UsageError, read_prompt

Pipe = Callable[[bytes], None]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Pipe]:
    """Put bytes on standard input."""
    before = os.dup(0)

    def put(data: bytes) -> None:
        (tmp_path / "input").write_bytes(data)
        with (tmp_path / "input").open("rb") as file:
            os.dup2(file.fileno(), 0)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8"))

    yield put
    monkeypatch.undo()
    os.dup2(before, 0)
    os.close(before)


@pytest.mark.parametrize(
    ("given", "piped", "prompt"),
    [
        ("Go.", b"", "Go."),
        ("Go.", b" \n", "Go."),
        ("Go.", b"a diff\n", "Go.\n\n<stdin>\na diff\n\n</stdin>"),
        (None, b"a task\n", "a task\n"),
        ("-", "ü".encode(), "ü"),
    ],
)
def test_a_prompt_comes_from_the_argument_from_the_input_or_from_both(
    pipe: Pipe, given: str | None, piped: bytes, prompt: str
) -> None:
    pipe(piped)
    assert read_prompt(given) == prompt


@pytest.mark.parametrize(
    ("given", "piped", "told"),
    [
        (None, b"", "the prompt is empty"),
        ("", b"", "the prompt is empty"),
        (" \n", b"\n", "the prompt is empty"),
        ("-", b"odd\xe9", "standard input is not valid UTF-8 (byte 3)"),
        ("\udcff", b"", "the prompt is not valid UTF-8"),
        ("-", b"x" * (MOST_PROMPT + 1), "larger than 10 MB"),
        ("x" * (MOST_PROMPT + 1), b"", "larger than 10 MB"),
    ],
)
def test_a_prompt_that_is_none_is_told(pipe: Pipe, given: str | None, piped: bytes, told: str) -> None:
    pipe(piped)
    with pytest.raises(UsageError) as raised:
        read_prompt(given)
    assert told in str(raised.value)


def test_where_none_is_needed_none_is_missed(pipe: Pipe) -> None:
    pipe(b"")
    assert read_prompt(None, optional=True) is None


def test_an_input_that_is_closed_is_nothing(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(b"unread")
    sys.stdin.close()
    assert read_prompt(None, optional=True) is None
    monkeypatch.setattr(sys, "stdin", None)
    assert read_prompt("Go.") == "Go."
