"""What an act would cost that makes a provider read a conversation anew."""

from __future__ import annotations

from datetime import datetime

from treadle.agent.cache.bill import Held
from treadle.agent.cache.rules import Row, row_of
from treadle.agent.conversation import Conversation
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import ModelInfo

_LEAST = 1_024
"""Tokens below which nothing is said of a cache that has gone cold by itself."""


def said(tokens: int, info: ModelInfo) -> str:
    """Say what it costs to send so many tokens to a model that has none of them, at the price of writing them."""
    row, prices = row_of(info), info.prices
    words = f"about {tokens:,} tokens are read anew"
    if prices is None:
        return words
    each = row.price(prices, row.ttls[0]) if row.ttls else 1.0
    return f"{words}, for about ${tokens * each * prices.input / 1e6:.4f}"


def sent(conversation: Conversation) -> int:
    """Return the tokens of the last request and its reply: what the next one begins with."""
    replies = (each for each in reversed(conversation.messages) if isinstance(each, AssistantMessage))
    last = next(replies, None)
    return last.usage.input_total + last.usage.output if last else 0


def depends_on_effort(row: Row) -> bool:
    """Say whether another effort makes a provider read anew: where nothing is known, it may."""
    return row.family == "automatic" or "effort" in (*row.equal.system, *row.equal.messages)


def forgotten(conversation: Conversation, info: ModelInfo, now: datetime) -> str:
    """Say what going on costs because the provider no longer has what was sent; empty when it has, or that is little."""
    forecasts = conversation.forecasts
    tokens = sent(conversation)
    if not forecasts or not forecasts[-1].kept or tokens < _LEAST:
        return ""
    held, last = Held(), forecasts[-1]
    held.learn(forecasts)
    if held.lives(last.kept[-1].chain, now.timestamp()):
        return ""
    minutes = round((now - last.at).total_seconds() / 60)
    return f"{minutes} minutes have passed, longer than the provider keeps a prompt: {said(tokens, info)}"
