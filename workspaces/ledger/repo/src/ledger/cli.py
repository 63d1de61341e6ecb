"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from ledger.accounts import Account
from ledger.errors import JournalError
from ledger.parser import parse
from ledger.report import balance_report, register_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Errors in the journal go to stderr as one line."""
    options = _parser().parse_args(arguments)
    try:
        transactions = parse(Path(options.journal).read_text(encoding="utf-8"))
        if options.command == "balance":
            print(balance_report(transactions, options.depth))
        else:
            print(register_report(transactions, Account.parse(options.account)))
    except (OSError, JournalError, ValueError) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ledger", description="Plain-text double-entry bookkeeping.")
    commands = parser.add_subparsers(dest="command", required=True)
    balance = commands.add_parser("balance", help="what each account holds")
    balance.add_argument("journal")
    balance.add_argument("--depth", type=int, default=None, help="levels of accounts to show")
    register = commands.add_parser("register", help="every change of one account")
    register.add_argument("journal")
    register.add_argument("account")
    return parser
