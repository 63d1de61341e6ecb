from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import monotonic

import anyio
import anyio.lowlevel
import pytest
from unit.sandbox.commands import run, running, sleeper, zombies

from treadle.sandbox.contract import Command, ProcessGone, ProcessLimits, Profile, SandboxError
from treadle.sandbox.local import local_processes
from treadle.sandbox.processes import HostProcesses

pytestmark = pytest.mark.anyio

HOST = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "MY_TOKEN": "secret"}


@pytest.fixture
def processes() -> HostProcesses:
    return local_processes(HOST)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_output_and_exit_code_come_back(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        assert processes.level == "none"
        assert await run(processes, "echo out; echo err >&2; exit 3", tmp_path) == (3, "out\nerr\n")
        assert await run(processes, "pwd", tmp_path) == (0, f"{tmp_path}\n")


async def test_a_signal_is_a_negative_exit_code(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        assert await run(processes, "kill -9 $$", tmp_path) == (-9, "")


async def test_the_exit_code_is_known_to_all_who_wait_and_later_too(
    processes: HostProcesses, tmp_path: Path
) -> None:
    codes: list[int] = []

    async def wait() -> None:
        codes.append(await process.wait())

    with anyio.fail_after(5):
        command = Command(("sh", "-c", "exit 7"), str(tmp_path))
        async with processes.spawn(command, Profile(())) as process, anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
        await wait()

    assert codes == [7, 7, 7]


async def test_standard_input_is_empty_unless_asked_for(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        assert await run(processes, "cat; read x || echo none", tmp_path) == (0, "none\n")
        async with processes.spawn(Command(("cat",), str(tmp_path)), Profile(())) as process:
            with pytest.raises(ProcessGone):
                await process.send(b"x")


async def test_what_is_sent_arrives_whole(processes: HostProcesses, tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    echoed = b""
    command = Command(("head", "-c", str(len(data))), str(tmp_path))

    with anyio.fail_after(10):
        async with (
            processes.spawn(command, Profile(()), stdin=True) as process,
            anyio.create_task_group() as group,
        ):
            group.start_soon(process.send, data)
            echoed = b"".join([chunk async for chunk in process.output])

    assert echoed == data


async def test_sending_to_what_has_ended_says_so(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with processes.spawn(Command(("true",), str(tmp_path)), Profile(()), stdin=True) as process:
            await process.wait()
            with pytest.raises(ProcessGone):
                await process.send(b"x")


async def test_a_command_has_a_session_of_its_own(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with processes.spawn(Command(("sleep", sleeper()), str(tmp_path)), Profile(())) as process:
            assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid


@pytest.mark.parametrize("noise", ["sleep {n}", "while :; do echo noise; sleep 0.01; done", "yes {n}"])
async def test_a_background_child_that_keeps_the_pipe_delays_nothing_and_ends(
    processes: HostProcesses, tmp_path: Path, noise: str
) -> None:
    number = sleeper()
    line = f"({noise.format(n=number)}) & echo {number}"
    before = monotonic()

    with anyio.fail_after(5):
        async with processes.spawn(Command(("bash", "-c", line), str(tmp_path)), Profile(())) as process:
            output = b"".join([chunk async for chunk in process.output])
            took = monotonic() - before
            assert await process.wait() == 0

    assert number.encode() in output
    assert took < 2
    assert running(number) == []


async def test_late_output_of_a_short_lived_child_is_still_read(
    processes: HostProcesses, tmp_path: Path
) -> None:
    with anyio.fail_after(5):
        assert await run(processes, "(sleep 0.02; echo late) & echo first", tmp_path) == (0, "first\nlate\n")


async def test_what_was_printed_before_the_end_is_read_by_a_slow_reader_too(
    processes: HostProcesses, tmp_path: Path
) -> None:
    line = f"sleep {sleeper()} & head -c 60000 /dev/zero"
    with anyio.fail_after(5):
        async with processes.spawn(Command(("bash", "-c", line), str(tmp_path)), Profile(())) as process:
            await process.wait()
            size = 0
            async for chunk in process.output:
                size += len(chunk)

    assert size == 60000


TREES = {
    "plain": "sleep {n}",
    "child": "bash -c 'sleep {n}; true'",
    "background": "sleep {n} & sleep {n} & wait",
    "ignores TERM": "trap '' TERM; while :; do sleep {n}; done",
    "stopped": "sleep {n} & kill -STOP $!; wait",
    "setsid": "setsid sleep {n} & wait",
    "setsid, ignores TERM": "setsid bash -c \"trap '' TERM; sleep {n}; true\" & wait",
    "orphan": "(setsid sleep {n} &) ; sleep {n}",
    "double orphan": "(setsid bash -c '(sleep {n} &); sleep {n}' &) ; sleep {n}",
    "without environment": "env -i setsid sleep {n} & wait",
    "closed output": "exec >/dev/null 2>&1; setsid sleep {n} & sleep {n}",
}


@pytest.mark.parametrize("tree", TREES)
async def test_nothing_is_left_of_a_cancelled_command(
    processes: HostProcesses, tmp_path: Path, tree: str
) -> None:
    number, cancelled = sleeper(), 0.0
    line = f"{TREES[tree].format(n=number)}"

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run, processes, line, tmp_path)
            while not running(f"sleep {number}"):
                await anyio.lowlevel.checkpoint()
            cancelled = monotonic()
            group.cancel_scope.cancel()
    took = monotonic() - cancelled

    assert running(number) == []
    assert took < 2
    assert zombies(os.getpid()) == []


async def test_a_daemon_whose_leader_has_ended_is_ended_too(processes: HostProcesses, tmp_path: Path) -> None:
    number = sleeper()

    with anyio.fail_after(5):
        assert await run(processes, f"setsid sleep {number} >/dev/null 2>&1 & echo hi", tmp_path) == (
            0,
            "hi\n",
        )

    assert running(number) == []


async def test_stop_asks_first(processes: HostProcesses, tmp_path: Path) -> None:
    line = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.01; done"

    with anyio.fail_after(5):
        async with processes.spawn(Command(("bash", "-c", line), str(tmp_path)), Profile(())) as process:
            output = process.output
            assert await anext(output) == b"ready\n"
            await process.stop()
            rest = b"".join([chunk async for chunk in output])
            assert await process.wait() == 4
            assert rest.endswith(b"asked\n")


async def test_stop_kills_after_its_grace_and_may_be_called_again(
    processes: HostProcesses, tmp_path: Path
) -> None:
    line = "trap '' TERM; echo ready; while :; do sleep 0.01; done"

    with anyio.fail_after(5):
        async with processes.spawn(Command(("bash", "-c", line), str(tmp_path)), Profile(())) as process:
            assert await anext(process.output) == b"ready\n"
            await process.stop(grace=0.05)
            await process.stop(grace=0.05)
            assert await process.wait() == -signal.SIGKILL


async def test_commands_run_side_by_side_without_ending_each_other(
    processes: HostProcesses, tmp_path: Path
) -> None:
    results: list[tuple[int, str]] = []

    async def one(number: int) -> None:
        results.append(await run(processes, f"sleep 0.0{number}; echo {number}", tmp_path))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(one, number)

    assert sorted(results) == [(0, f"{number}\n") for number in range(8)]


async def test_secrets_stay_out_of_a_command_unless_granted(processes: HostProcesses, tmp_path: Path) -> None:
    granted = Profile((), env_grants=("MY_TOKEN",))

    with anyio.fail_after(5):
        assert await run(processes, 'echo "${MY_TOKEN-none}"', tmp_path) == (0, "none\n")
        assert await run(processes, 'echo "${MY_TOKEN-none}"', tmp_path, granted) == (0, "secret\n")


async def test_the_environment_of_a_command_wins(processes: HostProcesses, tmp_path: Path) -> None:
    command = Command(("sh", "-c", "echo $TERM $MINE"), str(tmp_path), {"TERM": "x", "MINE": "y"})

    with anyio.fail_after(5):
        async with processes.spawn(command, Profile(())) as process:
            assert [chunk async for chunk in process.output] == [b"x y\n"]


async def test_limits_hold(processes: HostProcesses, tmp_path: Path) -> None:
    profile = Profile((), limits=ProcessLimits(file_bytes=1000, memory_bytes=1 << 30))

    with anyio.fail_after(5):
        code, output = await run(processes, "ulimit -v; head -c 5000 /dev/zero > big", tmp_path, profile)

    assert output.startswith(f"{1 << 20}\n")
    assert code != 0
    assert (tmp_path / "big").stat().st_size == 1000


async def test_what_cannot_start_says_why(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        await run(processes, "true", tmp_path)
    before = _descriptors()
    for command in (Command(("no-such-program",), str(tmp_path)), Command(("true",), str(tmp_path / "gone"))):
        with pytest.raises(SandboxError, match=r"no-such-program: No such file|gone does not exist"):
            async with processes.spawn(command, Profile(()), stdin=True):
                raise AssertionError

    assert _descriptors() == before


async def test_no_descriptor_is_left_open(processes: HostProcesses, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        await run(processes, "true", tmp_path)
        before = _descriptors()
        await run(processes, "true", tmp_path)

    assert _descriptors() == before


async def test_the_guard_goes_when_it_is_sent_home_and_another_comes_when_one_is_needed(
    processes: HostProcesses, tmp_path: Path
) -> None:
    with anyio.fail_after(5):
        for _ in range(2):
            before = _descriptors()
            await run(processes, "true", tmp_path)
            assert _descriptors() == before + 1  # the guard's input
            processes.close()
            assert _descriptors() == before


DRIVER = """
import sys, anyio
from pathlib import Path
from treadle.sandbox.contract import Command, Profile
from treadle.sandbox.local import local_processes

async def main():
    processes = local_processes({"PATH": "/usr/bin:/bin"})
    async with processes.spawn(Command(("bash", "-c", sys.argv[1]), "/"), Profile(())) as process:
        async for chunk in process.output:
            print(chunk.decode(), end="", flush=True)

anyio.run(main)
"""


async def test_nothing_is_left_when_we_are_killed(tmp_path: Path) -> None:
    number = sleeper()
    line = f"setsid sleep {number} & (sleep {number} &); echo ready; sleep {number}"

    driver = await anyio.open_process((sys.executable, "-c", DRIVER, line))
    with anyio.fail_after(15):
        assert driver.stdout is not None
        assert await driver.stdout.receive() == b"ready\n"
        driver.kill()
        while running(number):
            await anyio.lowlevel.checkpoint()
        await driver.aclose()
