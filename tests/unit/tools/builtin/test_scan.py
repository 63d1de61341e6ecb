from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from treadle.tools.builtin import scan


@pytest.mark.parametrize(
    ("pattern", "matches", "misses"),
    [
        ("*.py", "a.py d/a.py d/e/.py", "a.pyc a.py/x"),
        ("a/*.py", "a/b.py", "a/b/c.py x/a/b.py"),
        ("/a/*.py", "a/b.py", "x/a/b.py"),
        ("**/x", "x a/x a/b/x", "ax a/bx"),
        ("a/**", "a/b a/b/c", "a b/a/c"),
        ("a/**/b", "a/b a/x/b a/x/y/b", "ab a/xb"),
        ("**", "a a/b", ""),
        ("a**b", "ab axb d/axxb", "a/b"),
        ("?", "a d/b", "ab"),
        ("[a-c]x", "ax bx", "dx"),
        ("[!a-c]x", "dx", "ax"),
        ("[^a]x", "dx", "ax"),
        ("[]a]x", "]x ax", "bx"),
        ("a[/]b/c", "", "a/b/c"),
        ("[x", "[x", "x"),
        ("{a,b*}.{c,d}", "a.c bbb.d", "a.b c.c"),
        ("{a,b", "a b", "c"),
        ("a,b}", "a,b}", "a b"),
        (r"\*", "*", "a"),
        ("a\\", "a\\", "a"),
        ("a.b", "a.b", "axb"),
        ("[[]", "[", "]"),
        ("[a&&b]", "a & b", "&&"),
        ("[+--]x", "+x -x ,x", "ax"),
        ("**.py", "a.py d/a.py", "a.pyc"),
    ],
)
def test_a_glob_matches_what_it_means(pattern: str, matches: str, misses: str) -> None:
    regex = scan.path_regex(pattern)
    assert [path for path in matches.split() if not regex.fullmatch(path)] == []
    assert [path for path in misses.split() if regex.fullmatch(path)] == []


@pytest.mark.parametrize(
    ("pattern", "hidden"),
    [(".env", True), ("a/.b/*", True), ("{a,.b}", True), ("*.py", False), ("./a", False), ("../a", False)],
)
def test_a_glob_that_names_a_dot_asks_for_hidden_files(pattern: str, hidden: bool) -> None:
    assert scan.names_hidden(pattern) is hidden


RULES = [
    "*.o\n!keep.o",
    "/only-here",
    "folder/",
    "a/b",
    "**/deep",
    "deep/**",
    "x/**/y",
    "# comment\n\n   \n\\#hash\n\\!bang",
    "trailing \nkept\\ ",
    "[ab]?c",
    "{brace}",
    "*\n!*.py\n!*/",
    "folder\n!folder/kept",
    "caf\xe9",
    "!never-ignored",
    "*.tmp\r",
]
NAMES = [
    "a.o",
    "keep.o",
    "only-here",
    "sub/only-here",
    "folder/x",
    "sub/folder/x",
    "a/b",
    "sub/a/b",
    "deep/x",
    "sub/deep/x",
    "x/y",
    "x/q/y",
    "x/q/r/y",
    "#hash",
    "!bang",
    "trailing",
    "kept ",
    "abc",
    "bxc",
    "{brace}",
    "brace",
    "m.py",
    "sub/m.py",
    "folder/kept",
    "caf\xe9",
    "z",
    "t.tmp",
    "plain",
]


@pytest.mark.parametrize("rules", RULES)
def test_what_is_ignored_is_what_git_ignores(tmp_path: Path, rules: str) -> None:
    for name in NAMES:
        path = tmp_path / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x", encoding="utf-8")
    (tmp_path / ".gitignore").write_text(rules, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    expected = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name} - {".gitignore"}
    assert set(scan.walk(str(tmp_path))) == expected


def test_a_broken_rule_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("[z-a]\nb\n", encoding="utf-8")
    for name in "abz":
        (tmp_path / name).touch()
    assert list(scan.walk(str(tmp_path))) == ["a", "z"]


def test_a_folder_that_is_gone_has_no_files(tmp_path: Path) -> None:
    assert list(scan.walk(str(tmp_path / "gone"))) == []


def test_rules_from_above_hold_up_to_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.a\n", encoding="utf-8")
    (tmp_path / "repo" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "repo" / ".gitignore").write_text("/sub/*.b\n", encoding="utf-8")
    for name in ("f.a", "f.b", "deep/f.b"):
        (tmp_path / "repo" / "sub" / name).touch()
    assert list(scan.walk(str(tmp_path / "repo" / "sub"))) == ["deep/f.b"]
    (tmp_path / "repo" / ".git").mkdir()
    assert list(scan.walk(str(tmp_path / "repo" / "sub"))) == ["deep/f.b", "f.a"]


def found(data: bytes, pattern: str, context: int = 0, most: int | None = None) -> str:
    hits = scan.search(data, re.compile(pattern), context, most)
    return " ".join(f"{number}{':' if matches else '-'}{line}" for number, line, matches in hits)


@pytest.mark.parametrize(
    ("context", "most", "expected"),
    [
        (0, None, "2:x 3:x 7:x"),
        (1, None, "1-a 2:x 3:x 4-b 6-d 7:x"),
        (9, None, "1-a 2:x 3:x 4-b 5-c 6-d 7:x"),
        (0, 1, "2:x"),
        (2, 1, "1-a 2:x 3-x 4-b"),
        (0, 0, ""),
    ],
)
def test_lines_come_once_and_in_order(context: int, most: int | None, expected: str) -> None:
    assert found(b"a\nx\nx\nb\nc\nd\nx", "x", context, most) == expected


@pytest.fixture
def scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, bytes]]:
    """Run the program's main function in a folder and return its exit code and what it prints."""
    monkeypatch.chdir(tmp_path)

    def scanned(**words: Any) -> tuple[int, bytes]:
        query = {
            "target": "",
            "hidden": False,
            "glob": None,
            "ignore_case": False,
            "context": 0,
            "most": None,
        }
        code = scan.main({**query, **words})
        return code, capsysbinary.readouterr().out

    return scanned


def test_the_program_prints_records(tmp_path: Path, scanned: Callable[..., tuple[int, bytes]]) -> None:
    (tmp_path / "a").write_bytes(b"one\nTwo \xff\n")
    (tmp_path / "b.py").write_bytes(b"two\n")
    (tmp_path / "c").write_bytes(b"two\n\0")
    (tmp_path / "d").write_bytes(b"y" * 3000)
    (tmp_path / "long").write_bytes(b"two\n" * (scan.MAX_FILE // 4) + b"x")
    assert scanned(pattern=None) == (0, b"./a\0./b.py\0./c\0./d\0./long\0")
    assert scanned(pattern="two") == (0, b"./b.py\x001:two\n")
    assert scanned(pattern="two", ignore_case=True, context=1) == (
        0,
        b"./a\x001-one\n./a\x002:Two \xff\n./b.py\x001:two\n",
    )
    assert scanned(pattern="one", glob="*.py") == (1, b"")
    assert scanned(pattern="two", target="long", most=1) == (0, b"./long\x001:two\n")
    assert scanned(pattern="y") == (0, b"./d\x001:" + b"y" * 2000 + b"\n")
    assert scanned(pattern="two", target="gone") == (1, b"")
    assert scanned(pattern="(") == (2, b"regex error: missing ), unterminated subpattern at position 0\n")


def test_an_empty_folder_has_nothing_to_print(scanned: Callable[..., tuple[int, bytes]]) -> None:
    assert scanned(pattern=None) == (1, b"")
