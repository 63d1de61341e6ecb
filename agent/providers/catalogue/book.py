"""Models and prices from the `genai-prices` package, whose import takes longer than our own start."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, Tier, TieredPrices

from treadle.agent.providers.catalogue import PACKAGED, Listed
from treadle.agent.providers.contract import Prices

_FIELDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")


class PackageBook:
    """Reads what the installed package brings; nothing is fetched."""

    def look(self, vendor: str, model: str, at: datetime) -> Listed | None:
        """What holds at a moment; None for a model that is not listed."""
        provider = self._provider(vendor)
        found = provider.find_model(model) if provider else None
        if found is None:
            return None
        return Listed(
            context_window=found.context_window,
            prices=_prices(found.get_prices(at)),
            later=tuple(_later(found, at)),
            deprecated=bool(found.deprecated),
        )

    def names(self, vendor: str) -> Collection[str]:
        """The models that a vendor is listed with."""
        provider = self._provider(vendor)
        return [model.id for model in provider.models] if provider else []

    def _provider(self, vendor: str) -> Provider | None:
        wanted = PACKAGED.get(vendor)
        return next((each for each in get_snapshot().providers if each.id == wanted), None)


def _later(found: ModelInfo, at: datetime) -> Iterator[Prices]:
    """Yield the prices that were announced for after a moment."""
    for each in found.prices if isinstance(found.prices, list) else ():
        begins = each.constraint
        if isinstance(begins, StartDateConstraint) and not begins.active(at):
            price = _prices(each.prices)
            if price is not None:
                yield replace(price, since=begins.start_date)


def _prices(price: ModelPrice) -> Prices | None:
    """Translate what the package says; None for a model that is not billed by tokens of text."""
    thresholds = sorted({tier.start for name in _FIELDS for tier in _tiers(price, name)})
    base = _at(price, None)
    if base is None or not thresholds:
        return base
    dearer = ((threshold, _at(price, threshold)) for threshold in thresholds)
    return replace(base, tiers=tuple((threshold, each) for threshold, each in dearer if each))


def _at(price: ModelPrice, threshold: int | None) -> Prices | None:
    """Return the prices that hold just above a threshold, or below all of them."""
    figures = {name: _figure(getattr(price, name, None), threshold) for name in _FIELDS}
    given, taken = figures["input_mtok"], figures["output_mtok"]
    if given is None or taken is None:
        return None
    write, hour = figures["cache_write_mtok"], figures["cache_write_1h_mtok"]
    writes = {"m5": write, "m30": write, "unknown": write, "h1": hour if hour is not None else write}
    known = {ttl: figure for ttl, figure in writes.items() if figure is not None}
    return Prices(given, taken, figures["cache_read_mtok"], known)


def _tiers(price: ModelPrice, name: str) -> list[Tier]:
    value: object = getattr(price, name, None)
    return value.tiers if isinstance(value, TieredPrices) else []


def _figure(value: object, threshold: int | None) -> float | None:
    if isinstance(value, TieredPrices):
        reached = [tier.price for tier in value.tiers if threshold is not None and tier.start <= threshold]
        value = reached[-1] if reached else value.base
    return float(value) if isinstance(value, Decimal) else None
