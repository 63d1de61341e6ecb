"""The folder that a session works on: what git knows of it, what has changed in it."""

from __future__ import annotations


class DiffError(Exception):
    """A folder cannot be compared with what it was. The message is one line for the user."""
