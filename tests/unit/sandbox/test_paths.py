from __future__ import annotations

from pathlib import Path

import pytest

from treadle.sandbox.contract import Access, Place
from treadle.sandbox.paths import absolute, inside, resolve

PLACE = Place(root="/w", cwd="/w/sub")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", "/w/sub/a"),
        ("./a/./b//c/", "/w/sub/a/b/c"),
        ("../a", "/w/a"),
        ("../../../../etc/passwd", "/etc/passwd"),
        ("/etc/../w/x", "/w/x"),
        ("//etc/passwd", "/etc/passwd"),
        ("", "/w/sub"),
        ("~/x", "/w/sub/~/x"),
        ("a\nb", "/w/sub/a\nb"),
    ],
)
def test_a_path_becomes_absolute_and_normal(path: str, expected: str) -> None:
    assert absolute(path, PLACE) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/w", True), ("/w/a", True), ("/x/y", True), ("/wa", False), ("/", False), ("/x", False)],
)
def test_inside_compares_whole_names(path: str, expected: bool) -> None:
    assert inside(path, ("/w", "/x/y")) is expected


def test_everything_is_inside_the_root_folder() -> None:
    assert inside("/etc", ("/",))


def test_links_are_followed_and_what_does_not_exist_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    link, fresh = str(tmp_path / "link" / "hosts"), str(tmp_path / "fresh")

    resolved = resolve(Access("t", reads=(link,), writes=(fresh, link), runs=("x",)))

    assert resolved == Access("t", reads=("/etc/hosts",), writes=(fresh, "/etc/hosts"), runs=("x",))
