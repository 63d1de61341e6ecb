"""Runs the command line in a folder of its own."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from notes.cli import main


class CommandCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "notes.json"

    def notes(self, *arguments: str) -> str:
        """Run a command that must succeed; what it prints."""
        code, out, err = self.run_notes(*arguments)
        self.assertEqual((code, err), (0, ""))
        return out

    def run_notes(self, *arguments: str) -> "tuple[int, str, str]":
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(["--file", str(self.file), *arguments])
            except SystemExit as stop:
                code = int(stop.code or 0)
        return code, out.getvalue(), err.getvalue()
