import datetime
import unittest

from ledger import JournalError, Money, UnbalancedError, parse

RENT = """\
; first of the month
2024-03-01 * Rent
    Expenses:Housing:Rent    950.00
    Assets:Checking
"""


class ParserTest(unittest.TestCase):
    def test_completes_the_open_posting(self) -> None:
        (rent,) = parse(RENT)
        self.assertEqual([posting.amount for posting in rent.postings], [Money(95000), Money(-95000)])

    def test_reads_date_description_and_mark(self) -> None:
        (rent,) = parse(RENT)
        self.assertEqual((rent.date, rent.description, rent.cleared), (datetime.date(2024, 3, 1), "Rent", True))

    def test_a_comment_does_not_end_a_transaction(self) -> None:
        (one,) = parse(RENT.replace("    Assets", "; from the joint account\n    Assets"))
        self.assertEqual(len(one.postings), 2)

    def test_refuses_what_does_not_balance(self) -> None:
        with self.assertRaises(UnbalancedError) as caught:
            parse(RENT.replace("Assets:Checking", "Assets:Checking    -900.00"))
        self.assertEqual(caught.exception.line, 2)
        self.assertIn("50.00", str(caught.exception))

    def test_says_which_line_is_wrong(self) -> None:
        for text, line in ((RENT.replace("950.00", "95O.00"), 3), (RENT.replace("03-01", "02-30"), 2), ("Rent\n", 1)):
            with self.subTest(text), self.assertRaises(JournalError) as caught:
                parse(text)
            self.assertEqual(caught.exception.line, line)
