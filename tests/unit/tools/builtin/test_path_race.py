from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from treadle.sandbox.contract import Place, SandboxError
from treadle.sandbox.files import HostFiles
from treadle.sandbox.masks import Masks
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.edit import edit_tool
from treadle.tools.builtin.patch import PatchTool
from treadle.tools.builtin.write import write_tool
from treadle.tools.contract import Freeform, JsonObject, Tool, ToolContext, ToolError

pytestmark = pytest.mark.anyio

Calls = Callable[[int], tuple[Tool, JsonObject]]


def patch(body: str) -> JsonObject:
    return {"input": f"*** Begin Patch\n{body}*** End Patch"}


def patching(lines: str) -> Calls:
    tool = PatchTool(Freeform(name="patch", description=""), Seen())
    return lambda number: (tool, patch(lines.replace("{n}", str(number))))


def writing(number: int) -> tuple[Tool, JsonObject]:
    return write_tool(Seen()), {"path": f"d/new{number}", "content": "x\n"}


def editing(number: int) -> tuple[Tool, JsonObject]:
    edits: list[dict[str, Any]] = [{"old": "secret", "new": "stolen"}]
    return edit_tool(Seen()), {"path": "d/f", "edits": edits}


ATTACKED: dict[str, Calls] = {
    "write": writing,
    "edit": editing,
    "patch that adds": patching("*** Add File: d/new{n}\n+x\n"),
    "patch that changes": patching("*** Update File: d/f\n-secret\n+stolen\n"),
    "patch that deletes": patching("*** Delete File: d/f\n"),
    "patch that moves in": patching("*** Update File: own{n}\n*** Move to: d/moved{n}\n"),
    "patch that moves out": patching("*** Update File: d/f\n*** Move to: got{n}\n"),
}


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in memory, where nothing waits for a disk."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@contextmanager
def exchanged(one: Path, other: Path) -> Generator[None]:
    """Let two names change places again and again (renameat2(2), RENAME_EXCHANGE)."""
    libc, stop = ctypes.CDLL(None), threading.Event()

    def attack() -> None:
        while not stop.is_set():
            libc.renameat2(-100, bytes(one), -100, bytes(other), 2)

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def fill(folder: Path) -> None:
    """Put the file there that is to be changed, unless this is the link just now."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        file = os.open("f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=descriptor)
        os.write(file, b"secret\n")
        os.close(file)
        os.close(descriptor)


async def attack(shared: Path, ctx: ToolContext, calls: Calls, tries: int) -> int:
    """Make calls while a folder of the workspace and a link out of it change places; return how many did their work."""
    root, out = shared / "work", shared / "out"
    (root / "d").mkdir(parents=True)
    out.mkdir()
    (out / "f").write_text("secret\n", encoding="utf-8")
    (root / "link").symlink_to(out)
    files = HostFiles((str(root),), Masks())
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, place=Place(str(root), str(root)), files=files))
    done = 0
    with exchanged(root / "link", root / "d"):
        for number in range(tries):
            (root / f"own{number}").write_text("own\n", encoding="utf-8")
            fill(root / "d")
            fill(root / "link")
            await anyio.lowlevel.checkpoint()
            tool, arguments = calls(number)
            with suppress(ToolError, SandboxError, OSError):
                await tool.run(arguments, ctx)
                done += 1
    assert {path.name: path.read_text("utf-8") for path in out.iterdir()} == {"f": "secret\n"}
    return done


@pytest.mark.parametrize("name", ATTACKED)
async def test_no_tool_is_led_out_of_the_workspace_in_200_tries(
    name: str, shared: Path, ctx: ToolContext
) -> None:
    with anyio.fail_after(30):
        assert await attack(shared, ctx, ATTACKED[name], 200) > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", ATTACKED)
async def test_no_tool_is_led_out_of_the_workspace_in_3000_tries(
    name: str, shared: Path, ctx: ToolContext
) -> None:
    with anyio.fail_after(300):
        assert await attack(shared, ctx, ATTACKED[name], 3_000) > 0
