from __future__ import annotations

from pathlib import Path

import pytest

from treadle.agent.workspace.instructions import MOST_BYTES, instruction_files, read_instructions


def lay(root: Path, *files: str) -> None:
    """Write files whose text is their own name; a name that ends with / is a folder."""
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name, encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "folder", "found"),
    [
        (["AGENTS.md"], ".", ["AGENTS.md"]),
        (["AGENTS.md", "AGENTS.override.md", "CLAUDE.md"], ".", ["AGENTS.override.md"]),
        (["AGENTS.md", "CLAUDE.md"], ".", ["AGENTS.md"]),
        (["CLAUDE.md"], ".", ["CLAUDE.md"]),
        (["AGENTS.md/", "CLAUDE.md"], ".", ["CLAUDE.md"]),
        (
            [".git/", "AGENTS.md", "a/CLAUDE.md", "a/b/AGENTS.md"],
            "a/b",
            ["AGENTS.md", "a/CLAUDE.md", "a/b/AGENTS.md"],
        ),
        ([".git/", "AGENTS.md", "a/b/"], "a/b", ["AGENTS.md"]),
        ([".git/", "AGENTS.md", "a/AGENTS.md"], ".", ["AGENTS.md"]),
        (["AGENTS.md", "a/.git/", "a/AGENTS.md", "a/b/"], "a/b", ["a/AGENTS.md"]),
        (["AGENTS.md", "a/AGENTS.md"], "a", ["a/AGENTS.md"]),
        (["README.md"], ".", []),
    ],
)
def test_one_file_of_each_folder_counts_from_the_root_of_the_repository_down(
    tmp_path: Path, files: list[str], folder: str, found: list[str]
) -> None:
    lay(tmp_path, *files)
    assert instruction_files((tmp_path / folder).resolve()) == tuple(tmp_path / name for name in found)


def test_what_lies_nearest_is_kept_when_all_of_it_is_too_long(tmp_path: Path) -> None:
    root, middle, leaf = (tmp_path / name for name in ("root", "middle", "leaf"))
    root.write_text("r" * 100, encoding="utf-8")
    middle.write_text("m" * MOST_BYTES, encoding="utf-8")
    leaf.write_text("l" * 1000, encoding="utf-8")
    read = read_instructions((root, middle, leaf))
    assert [(one.path, len(one.text), one.cut) for one in read] == [
        (root, 0, True),
        (middle, MOST_BYTES - 1000, True),
        (leaf, 1000, False),
    ]


def test_a_file_that_fits_exactly_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * MOST_BYTES)
    (one,) = read_instructions((tmp_path / "a",))
    assert (len(one.text), one.cut) == (MOST_BYTES, False)
    (tmp_path / "a").write_bytes(b"a" * (MOST_BYTES + 1))
    (one,) = read_instructions((tmp_path / "a",))
    assert (len(one.text), one.cut) == (MOST_BYTES, True)


def test_what_is_empty_or_cannot_be_read_is_left_out_and_what_is_no_utf8_is_not(tmp_path: Path) -> None:
    (tmp_path / "blank").write_text(" \n", encoding="utf-8")
    (tmp_path / "odd").write_bytes(b"odd \xe9")
    read = read_instructions((tmp_path / "gone", tmp_path / "blank", tmp_path / "odd"))
    assert [one.text for one in read] == ["odd \ufffd"]
