import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from ledger.cli import main

JOURNAL = """\
2024-01-05 Salary
    Assets:Checking    2,000.00
    Income:Salary
"""


class CliTest(unittest.TestCase):
    def run_with(self, text: str, *arguments: str) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "journal.ledger"
            path.write_text(text, encoding="utf-8")
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([arguments[0], str(path), *arguments[1:]])
        return code, out.getvalue(), err.getvalue()

    def test_prints_balances(self) -> None:
        code, out, err = self.run_with(JOURNAL, "balance", "--depth", "1")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("2,000.00  Assets\n", out)

    def test_prints_a_register(self) -> None:
        code, out, _ = self.run_with(JOURNAL, "register", "Income")
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith("2024-01-05  Salary"))

    def test_a_bad_journal_is_one_line_on_stderr(self) -> None:
        code, out, err = self.run_with(JOURNAL.replace("Income", "Inc"), "balance")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("line 3", err)
