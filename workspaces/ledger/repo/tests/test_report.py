import unittest

from ledger import Account, parse
from ledger.report import balance_report, register_report

SALARY = """\
2024-01-05 Salary
    Assets:Checking    2,000.00
    Income:Salary
"""
CARD = """\
2024-01-09 Bookshop
    Expenses:Books    31.25
    Liabilities:Card
"""


class ReportTest(unittest.TestCase):
    def test_indents_accounts_below_their_parents(self) -> None:
        self.assertEqual(
            balance_report(parse(SALARY)).splitlines(),
            [
                "      2,000.00  Assets",
                "      2,000.00    Checking",
                "     -2,000.00  Income",
                "     -2,000.00    Salary",
                "--------------",
                "          0.00",
            ],
        )

    def test_stops_at_the_wanted_depth(self) -> None:
        self.assertNotIn("Checking", balance_report(parse(SALARY), depth=1))

    def test_what_is_owed_mirrors_what_was_bought(self) -> None:
        lines = balance_report(parse(CARD), depth=1).splitlines()
        self.assertEqual(lines[:2], ["         31.25  Expenses", "        -31.25  Liabilities"])

    def test_a_register_shows_change_and_balance(self) -> None:
        (line,) = register_report(parse(SALARY), Account.parse("Assets:Checking")).splitlines()
        self.assertEqual(line, f"2024-01-05  {'Salary':<28}{'2,000.00':>14}{'2,000.00':>14}")
