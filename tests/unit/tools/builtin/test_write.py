from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from treadle.sandbox.contract import Access, Files
from treadle.tools.contract import Outcome, Text, Tool, ToolContext, ToolError

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Outcome]]


async def test_a_new_file_is_made_with_its_folders(run: Run, root: Path) -> None:
    outcome = await run("write", path="a/b/c.txt", content="one\ntwo")
    assert (root / "a/b/c.txt").read_bytes() == b"one\ntwo"
    assert outcome == Outcome(
        (Text(text="created a/b/c.txt: 2 lines, 7 bytes (+2 -0 lines)"),),
        details={
            "changes": [{"path": "a/b/c.txt", "kind": "add"}],
            "diff": "--- /dev/null\n+++ b/a/b/c.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n",
        },
    )


async def test_an_empty_file_can_be_made(run: Run, root: Path) -> None:
    outcome = await run("write", path="e", content="")
    assert (root / "e").read_bytes() == b""
    assert outcome.content == (Text(text="created e: 0 lines, 0 bytes (+0 -0 lines)"),)


async def test_a_file_that_was_read_is_replaced(run: Run, root: Path) -> None:
    (root / "f").write_text("old\nsame\n", encoding="utf-8")
    await run("read", path="f")
    outcome = await run("write", path="f", content="new\nsame\n")
    assert outcome.content == (Text(text="replaced f: 2 lines, 9 bytes (+1 -1 lines)"),)
    assert outcome.details == {
        "changes": [{"path": "f", "kind": "update"}],
        "diff": "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n",
    }


async def test_what_the_model_wrote_itself_needs_no_reading(run: Run, root: Path) -> None:
    await run("write", path="f", content="one")
    await run("write", path="f", content="two")
    assert (root / "f").read_text(encoding="utf-8") == "two"


async def test_a_file_that_was_never_read_is_not_replaced(run: Run, root: Path) -> None:
    (root / "f").write_text("precious", encoding="utf-8")
    with pytest.raises(
        ToolError, match=r"^write failed: f exists and you have not read it; read it first, or use edit$"
    ):
        await run("write", path="f", content="x")
    assert (root / "f").read_text(encoding="utf-8") == "precious"


async def test_a_file_that_changed_since_it_was_read_is_not_replaced(run: Run, root: Path) -> None:
    (root / "f").write_text("one", encoding="utf-8")
    await run("read", path="f")
    (root / "f").write_text("two", encoding="utf-8")
    with pytest.raises(ToolError) as caught:
        await run("write", path="f", content="x")
    assert str(caught.value) == (
        "write failed: f changed on disk since you read it; nothing was written. "
        "It holds now, and you have seen it with this:\n1\ttwo"
    )
    assert (root / "f").read_text(encoding="utf-8") == "two"
    await run("write", path="f", content="three")
    assert (root / "f").read_text(encoding="utf-8") == "three"


async def test_what_is_shown_of_a_file_that_changed_is_capped(run: Run, root: Path) -> None:
    (root / "f").write_text("one", encoding="utf-8")
    await run("read", path="f")
    (root / "f").write_text("line\n" * 1000, encoding="utf-8")
    with pytest.raises(ToolError, match=r"400\tline\n\[lines 1 to 400 of 1,000; go on with offset=401\]$"):
        await run("write", path="f", content="x")


async def test_a_file_that_became_binary_is_not_replaced_and_not_shown(run: Run, root: Path) -> None:
    (root / "f").write_text("one", encoding="utf-8")
    await run("read", path="f")
    (root / "f").write_bytes(b"\x00" * 50)
    for _ in range(2):
        with pytest.raises(ToolError, match=r"nothing was written\. It is binary data now$"):
            await run("write", path="f", content="x")


async def test_a_long_file_is_known_again_by_its_size_and_time(run: Run, root: Path) -> None:
    path = root / "f"
    path.write_bytes(b"line\n" * 1_000_000)
    await run("read", path="f", limit=3)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ToolError, match="changed on disk since you read it"):
        await run("write", path="f", content="x")
    await run("read", path="f", limit=3)
    await run("write", path="f", content="x")
    assert path.read_bytes() == b"x"


class RacingFiles:
    """Files that someone else changes between a look and a write."""

    def __init__(self, files: Files, raced: Path) -> None:
        self.info, self.version, self.write, self.list = files.info, files.version, files.write, files.list
        self._read, self.granting = files.read, files.granting
        self._raced = raced

    async def read(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        data = await self._read(path, start, size)
        self._raced.write_text("theirs", encoding="utf-8")
        return data


async def test_a_file_that_changes_in_the_last_moment_is_not_replaced(
    run: Run, tools: dict[str, Tool], ctx: ToolContext, root: Path
) -> None:
    await run("write", path="f", content="mine")
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, files=RacingFiles(ctx.sandbox.files, root / "f")))
    with pytest.raises(ToolError, match=r"^write failed: f changed on disk meanwhile; read it again$"):
        await tools["write"].run({"path": "f", "content": "mine again"}, ctx)
    assert (root / "f").read_text(encoding="utf-8") == "theirs"


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("../outside", "x", "outside the folders that may be written"),
        (".git/config", "x", "inside .git"),
        ("d", "x", "Is a directory"),
        ("d/f/x", "x", "f"),
    ],
)
async def test_what_cannot_be_written_is_explained(
    run: Run, root: Path, path: str, content: str, why: str
) -> None:
    (root / "d").mkdir()
    (root / "d" / "f").touch()
    with pytest.raises(ToolError, match=f"^write failed: .*{why}"):
        await run("write", path=path, content=content)


async def test_the_mode_of_a_replaced_file_stays(run: Run, root: Path) -> None:
    (root / "f").touch(mode=0o751)
    (root / "f").chmod(0o751)
    await run("read", path="f")
    await run("write", path="f", content="x")
    assert (root / "f").stat().st_mode & 0o777 == 0o751


def test_it_says_what_it_would_write(tools: dict[str, Tool], ctx: ToolContext, root: Path) -> None:
    access = tools["write"].access({"path": "a/../b", "content": ""}, ctx.sandbox.place)
    assert access == Access(tool="write", writes=(f"{root}/b",))
