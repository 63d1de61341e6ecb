"""Reports as text, amounts aligned to the right."""

from __future__ import annotations

from typing import Iterable

from ledger.accounts import Account
from ledger.balances import balances, register
from ledger.journal import Transaction
from ledger.money import Money

_WIDTH = 14


def balance_report(transactions: Iterable[Transaction], depth: int | None = None) -> str:
    """One line an account, indented by its depth, and the total, which is zero for a sound journal."""
    totals = balances(transactions)
    lines = [
        f"{str(total):>{_WIDTH}}  {'  ' * (account.depth - 1)}{account.parts[-1]}"
        for account, total in totals.items()
        if depth is None or account.depth <= depth
    ]
    whole = Money.sum(total for account, total in totals.items() if account.depth == 1)
    return "\n".join([*lines, "-" * _WIDTH, f"{str(whole):>{_WIDTH}}"])


def register_report(transactions: Iterable[Transaction], account: Account) -> str:
    """One line a transaction: date, description, change, balance."""
    return "\n".join(
        f"{transaction.date}  {transaction.description[:28]:<28}{str(change):>{_WIDTH}}{str(balance):>{_WIDTH}}"
        for transaction, change, balance in register(transactions, account)
    )
