from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from treadle.tools.builtin.edit import Edit, apply
from treadle.tools.contract import ToolError

TRAILING, INDENT, SIGNS = (
    "spaces at the end of lines",
    "the indentation",
    "the form of dashes, quotes and spaces",
)


@pytest.mark.parametrize(
    ("data", "old", "new", "result", "ignoring"),
    [
        # Lines that stay keep their spaces; only what changes is written anew.
        ("a  \nb\t\nc\n", "a\nb\nc", "a\nB\nc", "a  \nB\nc\n", TRAILING),
        ("a\nb\n", "a \nb  ", "a \nx", "a\nx\n", TRAILING),
        ("a  \r\nb\r\nc\r\n", "a\nb\n", "a\nx\ny\n", "a  \r\nx\r\ny\r\nc\r\n", TRAILING),
        ("a  \nb", "a\nb", "a\nb\nc", "a  \nb\nc", TRAILING),
        ("a  \nb", "a\nb", "a", "a  ", TRAILING),
        ("a  \nb\nc", "a\nb\n", "", "c", TRAILING),
        ("x\na  \n\nb\n", "a\n\nb", "a\n\nB", "x\na  \n\nB\n", TRAILING),
        # The new lines move with the old ones; empty lines stay empty.
        ("  if x:\n    y\n", "if x:\n  y", "if x:\n\n  z", "  if x:\n\n    z\n", INDENT),
        ("if x:\n  y\n", "    if x:\n      y", "    if x:\n      z", "if x:\n  z\n", INDENT),
        ("\tif x:\n\t\ty \n", "if x:\n\ty", "if x:\n\tz", "\tif x:\n\t\tz\n", INDENT),
        ("\tif x:\r\n\t\ty\r\n", "if x:\n\ty", "if x:\n\tz", "\tif x:\r\n\t\tz\r\n", INDENT),
        # What is written in the file\'s own signs stays, wherever the new text says the same.
        (
            "say \u201chi\u201d \u2013 now\n",
            'say "hi" - now',
            'say "hi" - then',
            "say \u201chi\u201d \u2013 then\n",
            SIGNS,
        ),
        (
            "a\u00a0= \u2018b\u2019\r\nc\r\n",
            "a = 'b'\nc",
            "a = 'b'\nd\ne",
            "a\u00a0= \u2018b\u2019\r\nd\r\ne\r\n",
            SIGNS,
        ),
        ("plain - text", "plain \u2014 text", "plain \u2014 words", "plain - words", SIGNS),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_copy_that_is_not_exact_is_found_in_one_way(
    data: str, old: str, new: str, result: str, ignoring: str, mark: str
) -> None:
    made = apply((mark + data).encode(), [Edit(old=old, new=new)])
    assert made.data.decode() == mark + result
    assert made.ignoring == (ignoring,)


@pytest.mark.parametrize(
    ("data", "old", "new", "why"),
    [
        (
            "a \nb\na \nb\n",
            "a\nb",
            "x",
            "old was found 2 times ignoring spaces at the end of lines (lines 1, 3)",
        ),
        ("  a\n  b\n    a\n    b\n", "   a\n   b", "x", "2 times ignoring the indentation (lines 1, 3)"),
        (" a\n b\n  a\n  b\n", "a\nb", "x", "2 times ignoring the indentation (lines 1, 3)"),
        ("\u2018a\u2019 \u2019a\u2018", "'a'", "x", "2 times ignoring the form of dashes"),
        # Moved by different amounts, or by tabs for spaces: that is no uniform move.
        ("  a\n   b\n", "a\nb", "x", "the indentation or spacing differs"),
        ("\ta\n\t\tb\n", "    a\n        b", "x", "tabs and spaces differ"),
        # The new lines cannot be moved back as far.
        ("a\n b\n", "  a\n   b", "x\n   b", "the indentation or spacing differs"),
        ("a  \nb\n", "a\nb\n", "x", "spaces at the end of lines differ"),
        ("\n\n \n", " \n \n ", "x", "old was not found"),
    ],
)
def test_what_no_way_finds_once_is_refused(data: str, old: str, new: str, why: str) -> None:
    with pytest.raises(ToolError) as caught:
        apply(data.encode(), [Edit(old=old, new=new)])
    assert why in str(caught.value)


def test_bytes_that_are_not_utf8_stay_beside_a_lenient_match() -> None:
    assert apply(b"caf\xe9 \nb  \nc\n", [Edit(old="b\nc", new="b\nd")]).data == b"caf\xe9 \nb  \nd\n"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_found_leniently_too(codec: str) -> None:
    data = "\ufeffa  \nb\nc\n".encode(codec)
    assert apply(data, [Edit(old="a\nb", new="a\nx")]).data == "\ufeffa  \nx\nc\n".encode(codec)


WORDS = ("alpha", "beta", "x = 1", "return 'v'", "# note - here", "call(a, b)", "", "}", "end", 'say "no"')


def source(rng: random.Random) -> str:
    lines = [" " * (4 * rng.randrange(3)) + rng.choice(WORDS) for _ in range(rng.randint(3, 40))]
    end = rng.choice(["\n", "\r\n"])
    return end.join(lines) + rng.choice(["", end])


MUTATIONS: dict[str, Callable[[random.Random, str], str]] = {
    "none": lambda rng, text: text,
    "trailing": lambda rng, text: "\n".join(line + " " * (len(line) % 3) for line in text.split("\n")),
    "shifted": lambda rng, text: "\n".join(
        f"  {line}" if line.strip() else line for line in text.split("\n")
    ),
    "tabs": lambda rng, text: text.replace("    ", "\t"),
    "signs": lambda rng, text: text.replace(" - ", " \u2013 ").replace("'", "\u2019"),
    "numbered": lambda rng, text: "\n".join(f"{n}\t{line}" for n, line in enumerate(text.split("\n"), 1)),
    "stale": lambda rng, text: text.replace("alpha", "omega", 1),
}


def outcome(rng: random.Random) -> str:
    """Edit a random file with a copy that was changed in one way; return what came of it, having checked it."""
    text = source(rng)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(end)
    first = rng.randrange(len(lines))
    last = min(first + rng.randint(1, 5), len(lines))
    old = "\n".join(lines[first:last])
    new = "\n".join([*lines[first : last - 1], "    CHANGED = 1"])
    mutation = rng.choice(list(MUTATIONS))
    changed = MUTATIONS[mutation]
    wanted = end.join([*lines[:first], *new.split("\n"), *lines[last:]])
    try:
        made = apply(text.encode(), [Edit(old=changed(rng, old), new=changed(rng, new))])
    except ToolError:
        return "refused"
    got = made.data.decode()
    if mutation == "none":
        assert got == wanted
    if not made.ignoring:  # what was changed stands in the file as it is, once
        return "made"
    unmoved = [line for line in got.split(end) if "CHANGED" not in line]
    kept = [*lines[: last - 1], *lines[last:]]
    assert sorted(unmoved) == sorted(kept), "a line that was not meant has changed"
    return "made"


def test_a_changed_copy_is_made_exactly_or_refused() -> None:
    came = [outcome(random.Random(seed)) for seed in range(500)]
    assert min(came.count("made"), came.count("refused")) > 100


@pytest.mark.soak
def test_a_changed_copy_is_made_exactly_or_refused_ten_times_as_often() -> None:
    for seed in range(500, 20_000):
        outcome(random.Random(seed))
