"""Transactions and their postings."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ledger.accounts import Account
from ledger.errors import UnbalancedError
from ledger.money import Money


@dataclass(frozen=True)
class Posting:
    account: Account
    amount: Money


@dataclass(frozen=True)
class Transaction:
    date: datetime.date
    description: str
    postings: tuple[Posting, ...]
    cleared: bool = False
    line: int = 0

    def check(self) -> None:
        """Raise UnbalancedError unless the postings add up to zero."""
        rest = Money.sum(posting.amount for posting in self.postings)
        if rest:
            raise UnbalancedError(f"{self.description}: postings add up to {rest}, not 0.00", self.line)


def complete(postings: list[tuple[Account, Money | None]], line: int) -> tuple[Posting, ...]:
    """Give the one posting without an amount what makes all of them balance."""
    open_ones = [account for account, amount in postings if amount is None]
    if len(open_ones) > 1:
        raise UnbalancedError("only one posting of a transaction may leave out its amount", line)
    rest = -Money.sum(amount for _, amount in postings if amount is not None)
    return tuple(Posting(account, rest if amount is None else amount) for account, amount in postings)
