"""What can be wrong with a journal."""


class JournalError(ValueError):
    """The journal cannot be read. `line` is 1-based; 0 when it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class UnbalancedError(JournalError):
    """A transaction does not add up to zero."""
