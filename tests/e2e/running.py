"""Real processes: `treadle` against `treadle mock`, with folders of their own and nothing of the user's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prefix.recorded import unexplained

from treadle.agent.config import environment

TREADLE = str(Path(sys.executable).with_name("treadle"))
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
MODEL = "mock/demo-1"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Object]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> Object:
        """The result object, which must be the last line."""
        last = self.lines[-1]
        assert last["type"] == "result", last
        return last

    @property
    def complaint(self) -> str:
        """The one line on standard error that says what is wrong; there must be no other of ours."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("treadle: ")]
        assert "Traceback" not in self.err, self.err
        return line.removeprefix("treadle: ")


@dataclass(frozen=True, slots=True)
class Home:
    """A user's folders, and the workspace of one test."""

    base: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def workspace(self) -> Path:
        return self.base / "workspace"

    @property
    def sessions(self) -> list[Path]:
        return sorted(self.base.glob("state/treadle/sessions/*/*.jsonl"))

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": SYSTEM_PATH,
            "HOME": str(self.base / "home"),
            "XDG_CONFIG_HOME": str(self.base / "config"),
            "XDG_STATE_HOME": str(self.base / "state"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: value for name, value in environment().items() if name.startswith("COVERAGE_")},
            **self.env,
        }

    def with_env(self, **env: str) -> Home:
        """Return the same home with more variables set."""
        return replace(self, env={**self.env, **env})

    def configure(self, toml: str) -> None:
        """Write the user's config file."""
        file = self.base / "config/treadle/config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(toml, encoding="utf-8")

    def start(
        self, *arguments: str | Path | bytes, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start `treadle` with these arguments."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            (TREADLE, *arguments),
            cwd=self.workspace,
            env=self.variables,
            stdin=stdin,
            stdout=pipe,
            stderr=pipe,
        )

    def treadle(self, *arguments: str | Path | bytes, stdin: bytes | None = None) -> Ran:
        """Run `treadle` to its end."""
        feed = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        with self.start(*arguments, stdin=feed) as process:
            out, err = process.communicate(stdin, timeout=15)
        return Ran(process.returncode, out.decode(), err.decode())

    def run(self, *arguments: str | Path | bytes, stdin: bytes | None = None) -> Ran:
        """Run a task with JSON lines on standard output and no sandbox."""
        always = ("run", "--sandbox", "none", "--output", "stream-json", "-m", MODEL)
        return self.treadle(*always, *arguments, stdin=stdin)

    def shell(self, line: str) -> Ran:
        """Run a shell line in which `treadle` is `$T`."""
        done = subprocess.run(
            ("sh", "-c", line),
            cwd=self.workspace,
            env={**self.variables, "T": TREADLE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=15,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def new_home(base: Path, **env: str) -> Home:
    """Make a user with empty folders."""
    for name in ("home", "workspace"):
        (base / name).mkdir()
    return Home(base, env)


@dataclass(frozen=True, slots=True)
class Provider:
    """A mock provider in a process of its own."""

    url: str
    record: Path

    @property
    def requests(self) -> list[Object]:
        """What it was asked, in order: method, path, headers, body, status."""
        return [json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines()]

    @property
    def bodies(self) -> list[Object]:
        """The bodies of what it was asked, parsed."""
        return [json.loads(request["body"]) for request in self.requests]


@contextmanager
def provider(folder: Path, script: Path | str | None = None) -> Generator[Provider]:
    """Serve a script: a file, its text, or none. In the end every session's requests must have begun with one another."""
    if isinstance(script, str):
        (folder / "script.yaml").write_text(script, encoding="utf-8")
        script = folder / "script.yaml"
    record = folder / "requests.jsonl"
    command: Sequence[str | Path] = (TREADLE, "mock", *((script,) if script else ()), "--record", record)
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            served = Provider(line.split()[2], record)
            yield served
            assert unexplained(served.requests, folder) == []
        finally:
            server.terminate()
