"""The command line in this very process, against a scripted provider over real HTTP."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from prefix.recorded import unexplained
from unit.agent.headless import Treadle


@pytest.fixture(scope="session")
def portal() -> Generator[BlockingPortal]:
    """An event loop in a thread, for what is served to commands."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def treadle(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    portal: BlockingPortal,
) -> Generator[Treadle]:
    """A command line whose user has an empty home and a workspace."""
    for name, folder in (("HOME", "home"), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    with ExitStack() as stack:
        command = Treadle(tmp_path, monkeypatch, capsys, stack, portal)
        yield command
        taken = [
            {"path": one.path, "body": one.body.decode("utf-8", "replace"), "status": one.status}
            for one in command.mock.requests
        ]
        assert unexplained(taken, tmp_path) == []
