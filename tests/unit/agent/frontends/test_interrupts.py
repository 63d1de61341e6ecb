from __future__ import annotations

import os
import signal

import anyio
import pytest

from treadle.agent.frontends.interrupts import Interrupts

pytestmark = pytest.mark.anyio
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@SIGNALS
def test_while_a_run_is_put_together_a_signal_breaks_it_off(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert interrupts.code == 128 + number


@SIGNALS
async def test_while_it_works_a_signal_wakes_who_waits_for_it(number: signal.Signals) -> None:
    with Interrupts() as interrupts, anyio.fail_after(5):
        interrupts.phase = "working"
        async with anyio.create_task_group() as group:
            group.start_soon(interrupts.wait)
            await anyio.wait_all_tasks_blocked()
            os.kill(os.getpid(), number)
        assert interrupts.code == 128 + number


def test_when_the_work_is_over_a_signal_changes_nothing() -> None:
    with Interrupts() as interrupts:
        interrupts.phase = "ending"
        signal.raise_signal(signal.SIGTERM)


def test_what_was_ignored_stays_ignored_and_handlers_are_given_back() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupting = signal.getsignal(signal.SIGINT)
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.code is None
            assert signal.getsignal(signal.SIGINT) is not interrupting
        assert signal.getsignal(signal.SIGINT) is interrupting
    finally:
        signal.signal(signal.SIGHUP, before)
