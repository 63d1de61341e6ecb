from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from treadle.sandbox.contract import Place, Profile, Sandbox, SandboxError
from treadle.sandbox.files import HostFiles
from treadle.sandbox.local import local_processes
from treadle.sandbox.masks import Masks
from treadle.sandbox.run import Finished, run

pytestmark = pytest.mark.anyio


@pytest.fixture
def here(tmp_path: Path) -> Sandbox:
    root = str(tmp_path)
    processes = local_processes({"PATH": os.defpath})
    return Sandbox(Place(root, root), HostFiles((root,), Masks()), processes, Profile((root,)))


def lives(pid: str) -> bool:
    try:
        return ") Z " not in Path("/proc", pid, "stat").read_text(encoding="utf-8")
    except OSError:
        return False


@pytest.mark.parametrize(
    ("script", "finished"),
    [
        ("echo out; echo err >&2", Finished(0, b"out\nerr\n")),
        ("exit 7", Finished(7, b"")),
        ("kill -TERM $$", Finished(-15, b"")),
        ("printf 0123456789abcdef", Finished(0, b"6789abcdef")),
        ("cat", Finished(0, b"")),
    ],
)
async def test_how_a_command_ended_and_the_end_of_what_it_said(
    here: Sandbox, script: str, finished: Finished
) -> None:
    with anyio.fail_after(5):
        assert await run(here, ("sh", "-c", script), time_limit=5, most=10) == finished


async def test_it_runs_in_the_folder_that_is_worked_on(here: Sandbox, tmp_path: Path) -> None:
    finished = await run(here, ("pwd",), time_limit=5, most=1000)
    assert finished.output.decode().strip() == str(tmp_path)


async def test_a_command_that_takes_too_long_is_ended_with_all_it_started(
    here: Sandbox, tmp_path: Path
) -> None:
    with anyio.fail_after(5):
        finished = await run(here, ("sh", "-c", "sleep 60 & echo $!; sleep 60"), time_limit=0.3, most=1000)
    assert (finished.exit_code, finished.timed_out) == (-9, True)
    assert not lives(finished.output.decode().strip())


async def test_a_program_that_is_not_there_is_told(here: Sandbox) -> None:
    with pytest.raises((SandboxError, OSError), match="no-such-program"):
        await run(here, ("no-such-program",), time_limit=5, most=10)
