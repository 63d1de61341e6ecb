"""Run one command to its end and keep the end of what it says."""

from __future__ import annotations

import anyio

from treadle.sandbox.contract import Command, Sandbox
from treadle.sandbox.frozen import frozen


@frozen
class Finished:
    """How a command ended."""

    exit_code: int
    """Negative signal number when a signal ended it; -9 after a time-out."""
    output: bytes
    """The last bytes of standard output and error together."""
    timed_out: bool = False


async def run(sandbox: Sandbox, argv: tuple[str, ...], *, time_limit: float, most: int) -> Finished:
    """Run a command in the session's working folder. Nothing of it is left afterwards. Raises `SandboxError`.

    Args:
        sandbox: Where it runs, with the session's own profile.
        argv: The program and its arguments.
        time_limit: Seconds after which it is ended.
        most: Bytes of output kept.
    """
    kept = bytearray()
    command = Command(argv, sandbox.place.cwd)
    async with sandbox.processes.spawn(command, sandbox.profile) as process:
        with anyio.move_on_after(time_limit):
            async for chunk in process.output:
                kept += chunk
                del kept[:-most]
            return Finished(await process.wait(), bytes(kept))
    return Finished(-9, bytes(kept), timed_out=True)
