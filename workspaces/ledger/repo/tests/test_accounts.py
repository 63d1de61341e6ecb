import unittest

from ledger.accounts import Account


class AccountTest(unittest.TestCase):
    def test_knows_its_kind_and_its_ancestors(self) -> None:
        account = Account.parse("Expenses:Housing:Rent")
        self.assertEqual(account.kind, "Expenses")
        self.assertEqual([str(each) for each in account.ancestors], ["Expenses", "Expenses:Housing"])

    def test_lies_within_its_ancestors_and_itself(self) -> None:
        food = Account.parse("Expenses:Food")
        self.assertTrue(food.is_within(Account.parse("Expenses")))
        self.assertTrue(food.is_within(food))
        self.assertFalse(food.is_within(Account.parse("Expenses:Foo")))

    def test_refuses_unknown_kinds_and_empty_parts(self) -> None:
        for text in ("Stuff:Things", "Assets:", "Assets::Cash", ""):
            with self.subTest(text), self.assertRaises(ValueError):
                Account.parse(text)
