from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from treadle.tools.builtin.hunks import apply_hunks
from treadle.tools.builtin.patch_grammar import Hunk, Update, parse
from treadle.tools.contract import ToolError

WORDS = ("alpha", "beta", "x = 1", "return 'v'", "# note - here", "call(a, b)", "", "}", "end", 'say "no"')


def hunks_of(body: str) -> tuple[Hunk, ...]:
    (part,) = parse(f"*** Begin Patch\n*** Update File: f\n{body}*** End Patch")
    assert isinstance(part, Update)
    return part.hunks


def test_what_was_ignored_is_told_with_where_each_hunk_went() -> None:
    made = apply_hunks(b"a  \nb\nc\nd\n", hunks_of("@@\n a\n-b\n+B\n@@\n-d\n+D\n"))
    assert (made.data, made.spots, made.ignoring) == (
        b"a  \nB\nc\nD\n",
        (2, 4),
        ("spaces at the end of lines",),
    )


def test_a_file_that_is_not_in_the_encoding_of_its_mark_is_refused() -> None:
    with pytest.raises(ToolError, match="the file is not utf-16-le"):
        apply_hunks(b"\xff\xfea\x00\n", hunks_of("-a\n+b\n"))


def test_many_places_are_counted_and_the_first_ten_named() -> None:
    with pytest.raises(ToolError, match=r"found 12 times \(lines 1, 2, .*10, \.\.\.\)"):
        apply_hunks(b"x\n" * 12, hunks_of("-x\n+y\n"))


ENCODINGS = [
    (codec, mark, end)
    for codec in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "latin-1")
    for mark in ("", "\ufeff")
    for end in ("\n", "\r\n")
    if mark or codec in {"utf-8", "latin-1"}
    if not (mark and codec == "latin-1")
]
WAYS = {
    "exactly": ("key = 'v'\nnext", "key = 'v'\nnext"),
    "but for trailing spaces": ("key = 'v'  \nnext", "key = 'v'\nnext"),
    "but for signs": ("key = \u2018v\u2019\nnext", "key = 'v'\nnext"),
}


def test_there_are_24_fixtures_of_encodings() -> None:
    assert len(FIXTURES) == 24


FIXTURES = [(codec, mark, end, last) for codec, mark, end in ENCODINGS for last in (True, False)][:24]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("codec", "mark", "end", "last"), FIXTURES)
def test_bytes_that_no_hunk_touches_stay_in_every_encoding(
    codec: str, mark: str, end: str, last: bool, way: str
) -> None:
    there, said = WAYS[way]
    if codec == "latin-1" and not there.isascii():
        return
    letters = "caf\u00e9 \u00a0 " + ("" if codec == "latin-1" else "\u65e5\U0001f600")
    text = f"{mark}{letters}\n{there}\n{letters}\nlast" + "\n" * last
    data = text.replace("\n", end).encode(codec)
    first, second = said.split("\n")
    made = apply_hunks(data, hunks_of(f" {first}\n-{second}\n+NEXT\n"))
    assert made.data == text.replace("next", "NEXT").replace("\n", end).encode(codec)


MUTATIONS: dict[str, Callable[[random.Random, list[str]], list[str]]] = {
    "none": lambda rng, lines: lines,
    "trailing": lambda rng, lines: [line + " " * (len(line) % 3) for line in lines],
    "shifted": lambda rng, lines: [f"  {line}" if line.strip() else line for line in lines],
    "tabs": lambda rng, lines: [line.replace("    ", "\t") for line in lines],
    "signs": lambda rng, lines: [line.replace(" - ", " \u2013 ").replace("'", "\u2019") for line in lines],
    "numbered": lambda rng, lines: [f"{n}\t{line}" for n, line in enumerate(lines, 1)],
    "stale": lambda rng, lines: [line.replace("alpha", "omega") for line in lines],
    "left out": lambda rng, lines: lines[:1] + lines[2:],
    "twice": lambda rng, lines: lines[:1] + lines,
}


def outcome(rng: random.Random) -> str:
    """Patch a random file with a hunk that was changed in one way; return what came of it, having checked it."""
    lines = [" " * (4 * rng.randrange(3)) + rng.choice(WORDS) for _ in range(rng.randint(3, 40))]
    end, final = rng.choice(["\n", "\r\n"]), rng.random() < 0.5
    if not final and not lines[-1]:
        lines[-1] = "end"
    first = rng.randrange(len(lines))
    last = min(first + rng.randint(1, 5), len(lines))
    mutation = rng.choice(list(MUTATIONS))
    old = MUTATIONS[mutation](rng, lines[first:last])
    body = "".join(f" {line}\n" for line in old[:-1]) + f"-{old[-1]}\n+    CHANGED = 1\n"
    header = f"@@ {rng.choice(lines[:first])}\n" if first and rng.random() < 0.3 else "@@\n"
    text = end.join(lines) + end * final
    wanted = end.join([*lines[: last - 1], "    CHANGED = 1", *lines[last:]]) + end * final
    try:
        made = apply_hunks(text.encode(), hunks_of(header + body))
    except ToolError:
        return "refused"
    if (
        mutation in {"none", "trailing", "signs"} and header == "@@\n"
    ):  # a line picked at random heads no section
        assert made.data.decode() == wanted
    kept = made.data.decode().replace("    CHANGED = 1", "\0").split(end)
    at = kept.index("\0")  # one line has become another, and it is one that the hunk named
    there = lines[at].translate(str.maketrans({"\u2019": "'", "\u2013": "-"})).rstrip()
    assert [*kept[:at], lines[at], *kept[at + 1 :]] == text.split(end)
    assert there == old[-1].translate(str.maketrans({"\u2019": "'", "\u2013": "-"})).rstrip()
    return "made"


def test_a_changed_hunk_is_made_exactly_or_refused() -> None:
    came = [outcome(random.Random(seed)) for seed in range(500)]
    assert min(came.count("made"), came.count("refused")) > 100


@pytest.mark.soak
def test_a_changed_hunk_is_made_exactly_or_refused_ten_times_as_often() -> None:
    for seed in range(500, 10_000):
        outcome(random.Random(seed))
