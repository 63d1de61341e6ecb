"""What each request of a session was billed as, beside what was expected, and why what was sent before was not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from treadle.agent.events import Compacted, Entry, KeptWarm, MessageAdded, ModelChanged, SessionOpened
from treadle.agent.forecast import Forecast
from treadle.agent.messages import AssistantMessage, Usage
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import Prices
from treadle.sandbox.frozen import frozen

Known: TypeAlias = Callable[[str, datetime], Prices | None]
"""Gives the prices of a model, by VENDOR/MODEL, at a moment."""
_SLACK = 128
"""Tokens by which a provider may round down what it reads."""
_WORDS = {
    "": "the provider no longer had it",
    "first": "nothing was sent before",
    "expired": "more time had passed than it is kept",
    "model_changed": "another model answers",
    "settings_changed": "effort or another setting changed that the cache depends on",
    "tools_changed": "the tools changed",
    "system_changed": "the system prompt changed",
    "messages_changed": "earlier messages changed",
    "room_made": "room was made",
    "too_short": "what was sent before was too short to be kept",
    "unplanned": "nothing was expected of the request",
}


@frozen
class Missed:
    """Tokens that an earlier request had sent, and that were not read again."""

    tokens: int
    cause: str
    """As in a `Forecast`; empty when the provider was expected to have them still, `unplanned` without a forecast."""
    where: str = ""
    said: str = ""
    """The provider's own word."""
    cost: float | None = None
    """USD beyond what reading them would have cost."""

    @property
    def words(self) -> str:
        """The cause for people."""
        return ": ".join(part for part in (_WORDS.get(self.cause, self.cause), self.where, self.said) if part)


@frozen
class Line:
    """One request."""

    entry: str
    kind: Literal["step", "ping", "note"]
    """A reply to the conversation; nothing but keeping a cache warm; a note that stands for what came before."""
    at: datetime
    model: str
    usage: Usage
    up: int = 0
    """Bytes of the request's body."""
    down: int = 0
    """Bytes of the reply's."""
    cost: float | None = None
    """USD; None when the price is not known."""
    forecast: Forecast | None = None
    missed: Missed | None = None


def ledger(entries: Sequence[Entry], prices: Known) -> tuple[Line, ...]:
    """Return the requests of a branch, oldest first."""
    return tuple(_lines(entries, prices))


def _lines(entries: Sequence[Entry], prices: Known) -> Iterator[Line]:
    model, before = "", 0
    for entry in entries:
        match entry.body:
            case SessionOpened(model=name) | ModelChanged(model=name):
                model = name
            case MessageAdded(message=AssistantMessage() as message) as body if message.usage.input_total:
                price = prices(model, entry.at)
                yield Line(
                    entry=entry.id,
                    kind="step",
                    at=entry.at,
                    model=model,
                    usage=message.usage,
                    up=body.request_bytes,
                    down=body.reply_bytes,
                    cost=cost(message.usage, price),
                    forecast=body.forecast,
                    missed=_missed(message, body.forecast, before, price),
                )
                before = message.usage.input_total
            case KeptWarm(usage=usage, cost_usd=dollars, forecast=forecast):
                yield Line(entry.id, "ping", entry.at, model, usage, cost=dollars, forecast=forecast)
            case Compacted(usage=usage, cost_usd=dollars, request_bytes=sent) if usage.input_total:
                yield Line(entry.id, "note", entry.at, model, usage, up=sent, cost=dollars)
            case _:
                pass


def _missed(
    message: AssistantMessage, forecast: Forecast | None, before: int, prices: Prices | None
) -> Missed | None:
    usage = message.usage
    if forecast is None:
        lost, cause = (before - usage.cache_read, "unplanned") if before else (0, "")
    else:
        short = forecast.read - usage.cache_read
        lost = forecast.lost + short
        cause = forecast.cause if forecast.lost > _SLACK else ""
    if lost <= _SLACK:
        return None
    return Missed(
        lost, cause, forecast.where if forecast else "", message.diagnosis or "", _dearer(lost, usage, prices)
    )


def _dearer(lost: int, usage: Usage, prices: Prices | None) -> float | None:
    """Return what tokens cost more than they would have, had they been read: written ones at the price of writing."""
    if prices is None:
        return None
    lost = min(lost, usage.input + usage.cache_write.total)
    written = min(lost, usage.cache_write.total)
    share = written / usage.cache_write.total if written else 0.0
    writes = usage.cache_write.model_dump()
    paid = cost(
        Usage.model_validate({
            "input": lost - written,
            "cache_write": {name: round(count * share) for name, count in writes.items()},
        }),
        prices,
    )
    read = cost(Usage(cache_read=lost), prices)
    return None if paid is None or read is None else max(0.0, paid - read)
