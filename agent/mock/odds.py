"""How likely the pieces of a text are said to be: made up, but the same for the same text."""

from __future__ import annotations

from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.pieces import pieces


def odds(text: str, most: int) -> list[Json]:
    """One object a piece, as OpenAI words it, with the `most` likeliest pieces: what was said, then others."""
    return [_odds(position, piece, most) for position, piece in enumerate(pieces(text))]


def _odds(position: int, piece: str, most: int) -> JsonObject:
    likely = [piece, *(f"{piece}{number}" for number in range(1, most))][:most]
    said = -0.125 * (position % 4 + 1)
    others: list[Json] = [_token(token, said - number) for number, token in enumerate(likely)]
    return {**_token(piece, said), "top_logprobs": others}


def _token(token: str, logprob: float) -> JsonObject:
    return {"token": token, "bytes": list(token.encode("utf-8", "replace")), "logprob": logprob}
