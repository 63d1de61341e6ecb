"""Plain-text double-entry bookkeeping."""

from ledger.accounts import Account
from ledger.errors import JournalError, UnbalancedError
from ledger.journal import Posting, Transaction
from ledger.money import Money
from ledger.parser import parse

__all__ = ["Account", "JournalError", "Money", "Posting", "Transaction", "UnbalancedError", "parse"]
__version__ = "0.4.0"
