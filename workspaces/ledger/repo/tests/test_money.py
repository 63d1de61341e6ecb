import unittest

from ledger.money import Money


class MoneyTest(unittest.TestCase):
    def test_reads_signs_thousands_and_decimals(self) -> None:
        read = {text: Money.parse(text).cents for text in ("7", "+7.5", "-0.05", "1,250.25", "-12,000")}
        self.assertEqual(
            read, {"7": 700, "+7.5": 750, "-0.05": -5, "1,250.25": 125025, "-12,000": -1200000}
        )

    def test_refuses_what_is_no_amount(self) -> None:
        for text in ("", "abc", "1.234", "1,25", "--1", "1.", "1 000"):
            with self.subTest(text), self.assertRaises(ValueError):
                Money.parse(text)

    def test_writes_thousands_and_two_decimals(self) -> None:
        self.assertEqual([str(Money(cents)) for cents in (0, 5, 150, 125025)], ["0.00", "0.05", "1.50", "1,250.25"])

    def test_adds_and_subtracts(self) -> None:
        self.assertEqual(Money(250) + Money(-300) - Money(25), Money(-75))
        self.assertEqual(Money.sum([Money(1), Money(2), -Money(3)]), Money())

    def test_splits_without_losing_a_cent(self) -> None:
        self.assertEqual(Money(1000).split(3), [Money(334), Money(333), Money(333)])
        self.assertEqual(Money.sum(Money(-1000).split(7)), Money(-1000))


if __name__ == "__main__":
    unittest.main()
