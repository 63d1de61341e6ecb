from __future__ import annotations

import asyncio
import subprocess
import sys
from threading import Event
from time import monotonic

import anyio
import pytest

from treadle.agent.frontends.eventloop import run

HANGING = """
import asyncio, sys, threading
import anyio
from treadle.agent.frontends.cli import leave
from treadle.agent.frontends.eventloop import run

async def hang():
    print("begun")
    with anyio.move_on_after(0.01):
        await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)

run(hang)
leave(7)
"""


def test_what_a_function_returns_and_raises_comes_out() -> None:
    async def answer(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 1 // number

    assert run(answer, 1) == 1
    with pytest.raises(ZeroDivisionError):
        run(answer, 0)


def test_the_loop_does_not_wait_for_a_look_up_that_nobody_waits_for() -> None:
    found = Event()

    async def look_up() -> None:
        with anyio.move_on_after(0.01):
            await asyncio.get_running_loop().run_in_executor(None, found.wait, 10)

    began = monotonic()
    run(look_up)
    took = monotonic() - began
    found.set()
    assert took < 5


def test_the_process_ends_with_its_code_and_its_output_while_a_thread_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, timeout=15, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "begun\n", "")
