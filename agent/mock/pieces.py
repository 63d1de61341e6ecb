"""Text cut the way a model streams it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

_PIECE = re.compile(r"\s?\w{1,6}|\s?[^\w\s]{1,3}|\s+")


def pieces(text: str) -> list[str]:
    """Small pieces, about a token each, that join to the text."""
    return _PIECE.findall(text)


def interleaved(texts: Sequence[str]) -> list[tuple[int, str]]:
    """The pieces of several texts taken in turns, each with the index of its text."""
    rounds = zip_longest(*map(pieces, texts))
    return [(index, piece) for row in rounds for index, piece in enumerate(row) if piece is not None]
