from __future__ import annotations

import pytest

from treadle.sandbox.contract import Place
from treadle.tools.builtin.paths import absolute, printable, shown

PLACE = Place("/w", "/w/here")


@pytest.mark.parametrize(
    ("path", "full", "name"),
    [
        ("a", "/w/here/a", "a"),
        ("./a//b/", "/w/here/a/b", "a/b"),
        (".", "/w/here", "."),
        ("..", "/w", "/w"),
        ("../../..", "/", "/"),
        ("/etc/../x", "/x", "/x"),
        ("//x", "/x", "/x"),
        ("../hereabouts", "/w/hereabouts", "/w/hereabouts"),
    ],
)
def test_paths_are_lexical_and_shown_from_the_working_folder(path: str, full: str, name: str) -> None:
    assert absolute(PLACE, path) == full
    assert shown(PLACE, full) == name


@pytest.mark.parametrize(
    ("path", "text"),
    [("a b", "a b"), ("a\nb", "a\\nb"), ("\udcff", "\ufffd"), ("猫", "猫"), ("\u202e", "\\u202e")],
)
def test_names_never_break_a_line_or_turn_it_around(path: str, text: str) -> None:
    assert printable(path) == text


def test_at_the_root_names_lose_the_slash() -> None:
    assert shown(Place("/", "/"), "/etc/x") == "etc/x"
