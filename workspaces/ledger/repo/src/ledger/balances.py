"""Sums over accounts."""

from __future__ import annotations

import datetime
from typing import Iterable, Iterator

from ledger.accounts import Account
from ledger.journal import Transaction
from ledger.money import Money


def balances(transactions: Iterable[Transaction], until: datetime.date | None = None) -> dict[Account, Money]:
    """What each account holds, with everything below it; sorted by name.

    `until` is the last day that counts; None counts everything.
    """
    totals: dict[Account, Money] = {}
    for transaction in transactions:
        if until is not None and transaction.date > until:
            continue
        for posting in transaction.postings:
            for account in (*posting.account.ancestors, posting.account):
                totals[account] = totals.get(account, Money()) + posting.amount
    return dict(sorted(totals.items()))


def register(
    transactions: Iterable[Transaction], account: Account
) -> Iterator[tuple[Transaction, Money, Money]]:
    """Each transaction that moves the account, by date: the change and the balance after it."""
    running = Money()
    for transaction in sorted(transactions, key=lambda each: each.date):
        change = Money.sum(
            posting.amount for posting in transaction.postings if posting.account.is_within(account)
        )
        if change:
            running += change
            yield transaction, change, running
