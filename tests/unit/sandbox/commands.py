"""Run commands in tests, and look for what they left."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

from treadle.sandbox.contract import Command, Processes, Profile


def sleeper() -> str:
    """A number of seconds that no other process sleeps: names it in the process table."""
    return f"6{int(token_hex(4), 16)}"


async def run(processes: Processes, line: str, cwd: Path, profile: Profile | None = None) -> tuple[int, str]:
    """Run a line in bash; its exit code and output."""
    command = Command(("bash", "-c", line), str(cwd))
    async with processes.spawn(command, profile or Profile((str(cwd),))) as process:
        output = b"".join([chunk async for chunk in process.output])
        return await process.wait(), output.decode()


def running(word: str) -> list[str]:
    """Command lines of the machine with this word in them."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder.name.isdigit() and word in line:
            found.append(line)
    return found


def zombies(parent: int) -> list[str]:
    """Ended processes that this parent has not reaped."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except OSError:
            continue
        state, ppid, *_ = rest.split()
        if state == "Z" and int(ppid) == parent:
            found.append(name)
    return found
