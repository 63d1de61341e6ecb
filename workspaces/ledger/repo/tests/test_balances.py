import datetime
import unittest

from ledger import Account, Money, parse
from ledger.balances import balances, register

JOURNAL = """\
2024-01-05 Salary
    Assets:Checking    2,000.00
    Income:Salary

2024-01-20 Groceries
    Expenses:Food    80.10
    Assets:Checking

2024-02-02 Bus pass
    Expenses:Transport    49.00
    Assets:Checking
"""


class BalancesTest(unittest.TestCase):
    def test_sums_into_every_ancestor(self) -> None:
        totals = {str(account): total.cents for account, total in balances(parse(JOURNAL)).items()}
        self.assertEqual(totals["Expenses"], totals["Expenses:Food"] + totals["Expenses:Transport"])
        self.assertEqual(totals["Assets:Checking"], 187090)

    def test_counts_until_a_day(self) -> None:
        totals = balances(parse(JOURNAL), until=datetime.date(2024, 1, 20))
        self.assertNotIn(Account.parse("Expenses:Transport"), totals)
        self.assertEqual(totals[Account.parse("Expenses")], Money(8010))

    def test_a_register_runs_by_date(self) -> None:
        rows = list(register(reversed(parse(JOURNAL)), Account.parse("Assets")))
        self.assertEqual([balance.cents for _, _, balance in rows], [200000, 191990, 187090])
