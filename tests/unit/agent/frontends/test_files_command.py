"""`treadle files` against the three stores of the mock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.agent.headless import Treadle

STORES = {
    "openai": ("OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "azure": ("AZURE_OPENAI_BASE_URL", "/azure/openai/v1", "AZURE_OPENAI_API_KEY"),
    "anthropic": ("ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    "gemini": ("GEMINI_BASE_URL", "", "GEMINI_API_KEY"),
}
stores = pytest.mark.parametrize("vendor", STORES)


def store(treadle: Treadle, vendor: str, script: str = "steps: [{text: Hi.}]") -> None:
    """Serve a store, and say where it is."""
    treadle.serve(script)
    base, path, key = STORES[vendor]
    treadle.patch.setenv(base, treadle.mock.url + path)
    treadle.patch.setenv(key, "key-of-the-user")


def files(treadle: Treadle, *arguments: str) -> list[Any]:
    ran = treadle("files", *arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.events


@stores
def test_a_file_is_uploaded_listed_and_deleted(treadle: Treadle, vendor: str) -> None:
    store(treadle, vendor, "files: {polls: 2}\nsteps: [{text: Hi.}]")
    paths = [treadle.base / name for name in ("a.pdf", "b.txt")]
    for path in paths:
        path.write_bytes(b"%PDF-1.4 " + path.name.encode())
    made = files(treadle, "upload", "--vendor", vendor, *map(str, paths))
    assert [(one["name"], one["mime"], one["bytes"]) for one in made] == [
        ("a.pdf", "application/pdf", 14),
        ("b.txt", "text/plain", 14),
    ]
    listed = files(treadle, "list", "--vendor", vendor)
    assert sorted(one["id"] for one in listed) == sorted(one["id"] for one in made)
    ids = [one["id"] for one in made]
    assert files(treadle, "rm", "--vendor", vendor, *ids) == [{"id": one, "deleted": True} for one in ids]
    assert files(treadle, "list", "--vendor", vendor) == []


@stores
def test_more_files_than_a_page_holds_are_all_listed(treadle: Treadle, vendor: str) -> None:
    store(treadle, vendor)
    paths = [treadle.base / f"{number}.txt" for number in range(103)]
    for path in paths:
        path.write_bytes(b"x")
    files(treadle, "upload", "--vendor", vendor, *map(str, paths))
    names = [one["name"] for one in files(treadle, "list", "--vendor", vendor)]
    assert sorted(names) == sorted(path.name for path in paths)


@stores
def test_what_is_not_there_is_told_and_the_others_are_deleted(treadle: Treadle, vendor: str) -> None:
    store(treadle, vendor)
    path = treadle.base / "a.txt"
    path.write_bytes(b"x")
    (made,) = files(treadle, "upload", "--vendor", vendor, str(path))
    ran = treadle("files", "rm", "--vendor", vendor, "file-none", made["id"])
    assert (ran.code, ran.out) == (2, f"removed {made['id']}\n")
    assert "treadle: file-none: HTTP 40" in ran.err


@stores
def test_a_file_that_a_store_refuses_is_told_and_the_others_go_there(treadle: Treadle, vendor: str) -> None:
    store(treadle, vendor, "limits: {file_bytes: 2000}\nsteps: [{text: Hi.}]")
    for name, size in (("big.txt", 3000), ("small.txt", 10), ("empty.txt", 0)):
        (treadle.base / name).write_bytes(b"x" * size)
    paths = [str(treadle.base / name) for name in ("big.txt", "empty.txt", "small.txt")]
    ran = treadle("files", "upload", "--vendor", vendor, *paths)
    assert (ran.code, ran.out.count("\n"), "small.txt" in ran.out) == (2, 1, True)
    assert "treadle: big.txt: HTTP 4" in ran.err
    assert "treadle: empty.txt: empty.txt is empty" in ran.err


def test_a_gemini_file_says_until_when_it_stays(treadle: Treadle) -> None:
    store(treadle, "gemini", "files: {life: 7200}\nsteps: [{text: Hi.}]")
    path = treadle.base / "a.txt"
    path.write_bytes(b"x")
    (made,) = files(treadle, "upload", "--vendor", "gemini", str(path))
    assert made["expires"] > made["created"]


def test_a_file_that_cannot_be_read_stops_everything_before_the_first_is_sent(treadle: Treadle) -> None:
    store(treadle, "openai")
    ran = treadle("files", "upload", "--vendor", "openai", str(Path(treadle.base, "none.txt")))
    assert (ran.code, treadle.mock.requests) == (1, [])
    assert ran.err.endswith("none.txt: No such file or directory\n")


@pytest.mark.parametrize(
    ("vendor", "told"),
    [
        ("openrouter", "openrouter keeps no files; these do: openai, anthropic, gemini, azure, mock"),
        ("anthropic", "There is no key for anthropic: set ANTHROPIC_API_KEY."),
        ("nowhere", "There is no vendor named 'nowhere'"),
    ],
)
def test_a_store_that_cannot_be_had_is_told_in_one_line(treadle: Treadle, vendor: str, told: str) -> None:
    ran = treadle("files", "list", "--vendor", vendor)
    assert (ran.code, ran.err.startswith(f"treadle: {told}")) == (1, True)
