"""What goes wrong with commands: each row of the faults of processes, by its number."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from treadle.tools.contract import Outcome, Text, ToolError
from treadle.tools.jobs import Jobs

pytestmark = pytest.mark.anyio
Run = Callable[..., Awaitable[Outcome]]
MIB = 2**20


@pytest.fixture(autouse=True)
async def entered(jobs: Jobs) -> AsyncGenerator[None]:
    async with jobs:
        yield


def told(outcome: Outcome) -> str:
    (part,) = outcome.content
    assert isinstance(part, Text)
    return part.text


@pytest.mark.parametrize(
    "command",
    [
        "read x || echo over",
        "python3 -c 'input()'",
        "python3 < /dev/stdin",
        "cat",
        "git init -q . && git -c user.name=a -c user.email=a@b commit --allow-empty",
        "sh -c '</dev/tty cat'",
        "select x in a b; do echo $x; done",
        "python3 -c 'import getpass; getpass.getpass()'",
        "printf 'q\\n' | ${PAGER:-less}",
        "$EDITOR nothing",
    ],
)
async def test_r29_what_waits_for_input_ends_at_once(run: Run, command: str) -> None:
    with anyio.fail_after(5):
        assert told(await run("shell", command=command)).startswith("exit ")


@pytest.mark.parametrize(
    ("command", "size"),
    [
        ("head -c {size} /dev/zero | tr '\\0' x", 200 * MIB),
        ("head -c {size} /dev/zero", 20 * MIB),
        ("head -c {size} /dev/urandom", 20 * MIB),
        ("yes $'\\e[32mgreen\\e[0m' | head -c {size}", 20 * MIB),
        ("yes $'progress\\r' | tr -d '\\n' | head -c {size}", 20 * MIB),
        pytest.param("yes | head -c {size}", 10_000 * MIB, marks=pytest.mark.soak),
    ],
)
async def test_r31_output_of_any_size_and_kind_is_counted_exactly_in_little_memory(
    run: Run, command: str, size: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with anyio.fail_after(600):
        outcome = await run("shell", command=command.format(size=size), timeout=600)
    assert f" · {size:,} bytes · " in told(outcome)
    assert len(told(outcome)) < 40_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_r31_a_byte_at_a_time_is_shown_whole(run: Run) -> None:
    with anyio.fail_after(5):
        outcome = await run("shell", command="for i in {1..20}; do printf $((i % 10)); sleep 0.01; done")
    assert told(outcome).endswith("\n12345678901234567890")


async def test_r34_a_workspace_that_is_gone_is_named_and_works_again_when_it_is_back(
    run: Run, root: Path
) -> None:
    (root / "sub").mkdir()
    with anyio.fail_after(8):
        await run("shell", command="cd sub")
        shutil.rmtree(root)
        with pytest.raises(ToolError, match=r"^shell failed: "):
            await run("shell", command="true")
        await anyio.Path(root).mkdir()
        assert re.match(r"exit 0 .* cwd \.", told(await run("shell", command="true")))


async def test_r34_a_command_may_remove_the_folder_it_is_in(run: Run, root: Path) -> None:
    (root / "sub").mkdir()
    with anyio.fail_after(5):
        assert "exit 0" in told(await run("shell", command="cd sub; rmdir ../sub; true"))
        assert "exit 0" in told(await run("shell", command="true"))
