"""Who is asked about a call that rules leave open: a person at the terminal, or a program of the user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from tempfile import TemporaryFile

import anyio

from treadle.agent.frontends.outputs import complain, visible
from treadle.agent.permit import Allowed, Asker, Refused, in_words
from treadle.sandbox.contract import Access
from treadle.tools.contract import ToolCall, as_object

PATIENCE = 600.0
"""Seconds that a program may take to answer; a person may take for ever."""


class TerminalAsker:
    """Asks the person who started the run. `a` allows this very access for the rest of the session."""

    def __init__(self) -> None:
        self._always: set[Access] = set()

    async def __call__(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        if access in self._always:
            return Allowed("user", "allowed for this session")
        complain(f"\n{visible(reason)}\n  {visible(in_words(access))}")
        while True:
            answer = await _line("allow? [y]es, [a]lways this, or say why not: ")
            word = answer.strip().lower()
            if word in {"y", "yes", "a", "always"}:
                if word[0] == "a":
                    self._always.add(access)
                return Allowed("user")
            if word:
                why = "" if word in {"n", "no"} else f" They say: {answer.strip()}"
                return Refused("user", f"The user refused this call.{why}")
            if not answer:
                return Refused("user", "Nobody answered: the terminal was closed.")


async def _line(prompt: str) -> str:
    """Read a line from the terminal without blocking anything else. Empty at its end, and when it is gone."""
    read = bytearray()
    try:
        sys.stderr.write(prompt)
        sys.stderr.flush()
        while not read.endswith(b"\n"):
            await anyio.wait_readable(0)
            data = os.read(0, 4096)
            if not data:
                return ""
            read += data
    except OSError:
        return ""
    return read.decode("utf-8", "replace")


class CommandAsker:
    """Asks a program of the user's: JSON on its standard input; exit code 0 allows, anything else refuses.

    What it prints is the reason. `{"decision": "allow" | "deny", "reason": "…"}` on its standard output decides too.
    """

    def __init__(self, command: str, folder: str, env: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._command = command
        self._folder = folder
        self._env = env
        self._patience = patience

    async def __call__(self, call: ToolCall, access: Access, reason: str) -> Allowed | Refused:
        question = {
            "tool": call.name,
            "arguments": call.arguments,
            "access": asdict(access),
            "summary": in_words(access),
            "reason": reason,
        }
        try:
            # From a file, so that a program that does not read the question is no error.
            with TemporaryFile() as asked, anyio.fail_after(self._patience):
                asked.write(json.dumps(question).encode())
                asked.seek(0)
                done = await anyio.run_process(
                    ["/bin/sh", "-c", self._command],
                    stdin=asked,
                    check=False,
                    cwd=self._folder,
                    env=self._env,
                    stderr=subprocess.PIPE,
                )
        except TimeoutError:
            return Refused("command", f"The permission command did not answer within {self._patience:g} s.")
        except OSError as error:
            return Refused("command", f"The permission command cannot be run: {error.strerror}.")
        return _answer(done.returncode, done.stdout, done.stderr)


def _answer(code: int, output: bytes, errors: bytes) -> Allowed | Refused:
    said = output.decode("utf-8", "replace").strip()
    try:
        answer = as_object(json.loads(said)) or {}
    except (ValueError, RecursionError):
        answer = {"reason": said}
    reason = str(answer.get("reason") or errors.decode("utf-8", "replace").strip())[:2000]
    if code == 0 and answer.get("decision", "allow") == "allow":
        return Allowed("command", reason)
    return Refused("command", reason or f"The permission command refused (exit code {code}).")


def asker_for(command: str | None, folder: str, env: Mapping[str, str]) -> Asker | None:
    """Return whom to ask: the program when one is named, the person when there is a terminal, else nobody."""
    if command is not None:
        return CommandAsker(command, folder, env)
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty():
        return TerminalAsker()
    return None
