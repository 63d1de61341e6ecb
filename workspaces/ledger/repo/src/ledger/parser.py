"""Journal text to transactions. See docs/format.md."""

from __future__ import annotations

import datetime
import re
from typing import Iterator

from ledger.accounts import Account
from ledger.errors import JournalError
from ledger.journal import Transaction, complete
from ledger.money import Money

_HEADER = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2})(?:\s+(?P<cleared>\*))?\s+(?P<description>\S.*)")
_POSTING = re.compile(r"\s+(?P<account>\S+(?: \S+)*)(?:\s{2,}(?P<amount>\S+))?")


def parse(text: str) -> list[Transaction]:
    """Read a journal; its transactions in file order. Raises JournalError."""
    return [_transaction(block) for block in _blocks(text)]


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Runs of lines that are not blank, numbered from 1, without comments."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition(";")[0].rstrip()
        if content:
            block.append((number, content))
        elif block and not line.strip():
            yield block
            block = []
    if block:
        yield block


def _transaction(block: list[tuple[int, str]]) -> Transaction:
    number, header = block[0]
    match = _HEADER.fullmatch(header)
    if match is None:
        raise JournalError(f"a transaction starts with a date and a description: {header!r}", number)
    try:
        date = datetime.date.fromisoformat(match["date"])
    except ValueError as error:
        raise JournalError(f"no such day: {match['date']}", number) from error
    postings = [_posting(line_number, line) for line_number, line in block[1:]]
    if len(postings) < 2:
        raise JournalError("a transaction has at least two postings", number)
    transaction = Transaction(
        date, match["description"], complete(postings, number), match["cleared"] is not None, number
    )
    transaction.check()
    return transaction


def _posting(number: int, line: str) -> tuple[Account, Money | None]:
    match = _POSTING.fullmatch(line)
    if match is None:
        raise JournalError(f"a posting is indented and has an account: {line.strip()!r}", number)
    try:
        amount = None if match["amount"] is None else Money.parse(match["amount"])
        return Account.parse(match["account"]), amount
    except ValueError as error:
        raise JournalError(str(error), number) from error
