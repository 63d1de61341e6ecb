"""The command line in this very process, against a scripted provider over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from treadle.agent.frontends.cli import code_of
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Object]:
        """Standard output as JSON, a line an object."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> Object:
        """The last object."""
        return self.events[-1]

    def items(self, kind: str) -> list[Object]:
        """Return the items of a kind that were completed."""
        return [
            event["item"]
            for event in self.events
            if event["type"] == "item.completed" and event["item"]["type"] == kind
        ]


class Treadle:
    """The command line of a user who has nothing but a workspace."""

    def __init__(
        self,
        base: Path,
        patch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        stack: ExitStack,
        portal: BlockingPortal,
    ) -> None:
        self.base = base
        self.workspace = base / "work"
        self.patch = patch
        self._capsys = capsys
        self._stack = stack
        self._portal = portal
        self.mock = Mock(None)
        self.workspace.mkdir()

    def __call__(self, *arguments: str) -> Ran:
        """Run a command."""
        self._capsys.readouterr()
        code = code_of(list(arguments))
        captured = self._capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    def script(self, *steps: Object) -> None:
        """Let a provider of its own answer from here on."""
        self.serve(json.dumps({"steps": [{"usage": {"input": 100, "output": 10}, **step} for step in steps]}))

    def serve(self, script: str) -> None:
        """Let a provider answer as a script in YAML says."""
        self.mock = self._stack.enter_context(self._portal.wrap_async_context_manager(serve(parse(script))))
        self.patch.setenv("TREADLE_MOCK_URL", self.mock.url)

    def run(self, *arguments: str, steps: Sequence[Object] = (), prompt: Sequence[str] = ("Go.",)) -> Ran:
        """Run a task without a sandbox; the model says what the steps say."""
        self.script(*steps)
        common = ("--output", "stream-json", "--sandbox", "none", "-m", "mock/m", "-C", str(self.workspace))
        return self("run", *common, *arguments, *prompt)

    @property
    def bodies(self) -> list[Object]:
        """What the provider was sent."""
        return [json.loads(request.body) for request in self.mock.requests]

    @property
    def sessions(self) -> list[Path]:
        """The session files, oldest first."""
        files = (self.base / "state/treadle/sessions").glob("*/*.jsonl")
        return sorted(files, key=lambda file: file.stat().st_mtime_ns)
