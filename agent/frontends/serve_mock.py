"""`treadle mock`: the scripted provider as a server of its own."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import anyio

from treadle.agent.frontends.outputs import OutputClosed, complain, emit, first_of
from treadle.agent.mock.script import ScriptError
from treadle.agent.mock.server import run


def serve_mock(script: Path | None, port: int, record: Path | None) -> int:
    """Serve until a signal comes. Returns the exit code."""
    try:
        anyio.run(partial(_serve, script, port, record))
    except ExceptionGroup as failures:
        match first_of(failures):
            case ScriptError() as error:
                complain(f"treadle: {error}")
                return 1
            case OSError() as error:
                complain(f"treadle: cannot serve on port {port}: {error.strerror or error}")
                return 1
            case OutputClosed():
                return 2
            case error:
                raise error from None
    return 0


async def _serve(script: Path | None, port: int, record: Path | None) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(run, script, port, record, _announce)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                group.cancel_scope.cancel()
                return


def _announce(url: str) -> None:
    emit(f"listening on {url}")
