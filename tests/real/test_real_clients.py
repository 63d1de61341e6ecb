"""Clients that are not ours judge the mock provider: codex and gemini-cli, as npm has them, each do a task against it.

They are told to call nobody, and a proxy that serves nobody is where they would be heard if they did.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from e2e.running import SYSTEM_PATH, Object, Provider, provider

from treadle.agent.config import environment

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

CODEX, GEMINI_CLI = "@openai/codex@0.169.0", "@google/gemini-cli@0.61.0"
TASK = "Write a greeting to out.txt and count its letters."
CODEX_SCRIPT = """
steps:
  - {reasoning: I must write., text: Writing., calls: [{exec_command: {cmd: "echo hello > out.txt; cat out.txt"}}]}
  - reasoning: Two things at once.
    text: Looking.
    calls: [{exec_command: {cmd: wc -c out.txt}}, {exec_command: {cmd: cat out.txt}}]
    faults: [{status: 503}]
    when: {last_result: hello}
  - {text: "All done: é."}
"""
GEMINI_SCRIPT = """
steps:
  - {reasoning: I must write., text: Writing., calls: [{run_shell_command: {command: "echo hello > out.txt; cat out.txt"}}]}
  - reasoning: Two things at once.
    text: Looking.
    calls: [{run_shell_command: {command: wc -c out.txt}}, {read_file: {file_path: out.txt}}]
    when: {last_result: hello}
  - {text: "All done: é."}
"""
CODEX_CONFIG = """
model = "demo-1"
model_provider = "mock"
check_for_update_on_startup = false

[model_providers.mock]
name = "mock"
base_url = "URL/v1"
env_key = "MOCK_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 0

[features]
plugins = false
apps = false

[analytics]
enabled = false

[otel]
exporter = "none"
"""
GEMINI_SETTINGS: Object = {
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
}


def installed(package: str) -> Path:
    """The folder of a client's commands. What was installed once serves later runs too."""
    shelf = Path(tempfile.gettempdir(), f"treadle-clients-{os.getuid()}")
    shelf.mkdir(mode=0o700, exist_ok=True)
    assert shelf.stat().st_uid == os.getuid(), f"{shelf} is somebody else's"
    folder = shelf / package.rsplit("/", 1)[1]
    if folder.exists():
        return folder / "node_modules/.bin"
    with tempfile.TemporaryDirectory(dir=shelf) as half:
        whole = Path(half, "whole")
        npm = ("npm", "install", "--prefix", whole, "--ignore-scripts", "--no-audit", "--no-fund", package)
        done = subprocess.run(npm, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        with suppress(OSError):  # somebody else was faster
            whole.rename(folder)
    return folder / "node_modules/.bin"


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a proxy, and what it was asked for. It closes every connection."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def attend() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(2)
                    asked.append(connection.recv(400))

        thread = Thread(target=attend, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def finished(base: Path, proxy: str, *command: str | Path, **variables: str) -> list[Object]:
    """Run a client in a workspace of its own with an empty home. Returns its standard output, a line an object."""
    node = shutil.which("node") or "node"
    env = {
        "PATH": f"{Path(node).parent}:{SYSTEM_PATH}",
        "HOME": str(base / "home"),
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "NO_PROXY": "127.0.0.1",
        **{name: value for name, value in environment().items() if name == "TMPDIR"},
        **variables,
    }
    (base / "workspace").mkdir()
    done = subprocess.run(
        command,
        cwd=base / "workspace",
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrote(base: Path) -> str:
    """What the task left behind."""
    return (base / "workspace/out.txt").read_text(encoding="utf-8")


def statuses(served: Provider) -> list[int]:
    return [request["status"] for request in served.requests]


def test_codex_does_a_task_over_the_responses_face(
    tmp_path: Path, elsewhere: tuple[str, list[bytes]]
) -> None:
    proxy, asked = elsewhere
    with provider(tmp_path, CODEX_SCRIPT) as served:
        settings = tmp_path / "home/.codex/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(CODEX_CONFIG.replace("URL", served.url), encoding="utf-8")
        told = finished(
            tmp_path,
            proxy,
            *(installed(CODEX) / "codex", "exec", "--json", "--skip-git-repo-check"),
            *("--dangerously-bypass-approvals-and-sandbox", TASK),
            MOCK_KEY="key",
        )
        requests, codes = served.bodies, statuses(served)
    assert codes == [200, 503, 200, 200]
    assert wrote(tmp_path) == "hello\n"
    items = [each["item"] for each in told if each["type"] == "item.completed"]
    ran = {
        item["command"]: item["aggregated_output"] for item in items if item["type"] == "command_execution"
    }
    assert sorted(ran.values()) == ["6 out.txt\n", "hello\n", "hello\n"]
    assert [item["text"] for item in items if item["type"] == "reasoning"] == [
        "I must write.",
        "Two things at once.",
    ]
    assert [item["text"] for item in items if item["type"] == "agent_message"][-1] == "All done: é."
    usage = told[-1]["usage"]
    assert usage["input_tokens"] > usage["cached_input_tokens"] > 0
    kinds = [item["type"] for item in requests[-1]["input"]]
    assert kinds.count("reasoning") == 2
    assert kinds.count("function_call") == kinds.count("function_call_output") == 3
    assert asked == []


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-pro-preview"])
def test_gemini_cli_does_a_task_over_the_gemini_face(
    tmp_path: Path, elsewhere: tuple[str, list[bytes]], model: str
) -> None:
    proxy, asked = elsewhere
    with provider(tmp_path, GEMINI_SCRIPT) as served:
        settings = tmp_path / "home/.gemini/settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(GEMINI_SETTINGS), encoding="utf-8")
        told = finished(
            tmp_path,
            proxy,
            *(installed(GEMINI_CLI) / "gemini", "--model", model, "--yolo"),
            *("--output-format", "stream-json", "--prompt", TASK),
            GEMINI_API_KEY="key",
            GOOGLE_GEMINI_BASE_URL=served.url,
            GEMINI_CLI_TRUST_WORKSPACE="true",
        )
        requests, codes = served.bodies, statuses(served)
    assert codes == [200, 200, 200]
    assert wrote(tmp_path) == "hello\n"
    results = [each for each in told if each["type"] == "tool_result"]
    assert [each["status"] for each in results] == ["success"] * 3
    said = [each["content"] for each in told if each.get("role") == "assistant"]
    assert "".join(said).endswith("All done: é.")
    assert told[-1]["status"] == "success"
    assert told[-1]["stats"]["cached"] > 0
    parts = [part for content in requests[-1]["contents"] for part in content["parts"]]
    assert signed(parts) == [True, True, False]
    assert asked == []


def signed(parts: list[Any]) -> list[bool]:
    """Whether each call goes back with a signature: the first of each reply has one."""
    return ["thoughtSignature" in part for part in parts if "functionCall" in part]
