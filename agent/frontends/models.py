"""`treadle models`: which models there are, with what is known of each."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from treadle.agent.build.models import all_models, one_model
from treadle.agent.config import ConfigError, environment, load
from treadle.agent.frontends.outcome import EXIT
from treadle.agent.frontends.outputs import OutputClosed, as_line, complain, emit
from treadle.agent.providers.catalogue.listing import Entry
from treadle.agent.providers.contract import Prices, ProviderError
from treadle.tools.contract import JsonObject

COLUMNS = ("model", "wire", "window", "output", "reads", "efforts", "in", "out", "read", "write", "notes")
"""Window and output in tokens; in, out, cache read and cache write in USD a million tokens."""


def show_models(glob: str, vendor: str | None, *, as_json: bool) -> int:
    """List the models that a glob names, at one vendor or at all: a JSON object a line, a table, or lines with tabs."""
    try:
        config, now = load(environment(), {}), datetime.now(UTC)
        found = list(all_models(config, glob, vendor, now)) or one_model(config, glob, vendor, now)
        if as_json:
            for each in found:
                emit(as_line(_told(each)))
        elif sys.stdout is not None and sys.stdout.isatty():
            _table(found)
        else:
            for row in (COLUMNS, *map(_row, found)):
                emit("\t".join(row))
    except (ConfigError, ProviderError) as error:
        complain(f"treadle: {error}")
        return EXIT["usage"]
    except OutputClosed:
        return EXIT["failed"]
    return EXIT["done"]


def _table(found: Iterable[Entry]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        numeric = name in {"window", "output", "in", "out", "read", "write"}
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name == "model")
    for each in found:
        table.add_row(*_row(each))
    Console().print(table)


def _row(each: Entry) -> tuple[str, ...]:
    info, prices = each.info, each.info.prices
    figures = (prices.input, prices.output, prices.cache_read, _write(prices)) if prices else (None,) * 4
    return (
        each.name,
        info.wire,
        *("-" if size is None else f"{size}" for size in (info.context_window, info.max_output)),
        ",".join(each.input),
        ",".join(each.efforts) or "-",
        *("-" if figure is None else f"{figure:g}" for figure in figures),
        "; ".join(_notes(each)) or "-",
    )


def _write(prices: Prices) -> float | None:
    """Return what the shortest write costs, which is what a run asks for unless told otherwise."""
    return next(iter(prices.cache_write.values()), None)


def _notes(each: Entry) -> Iterable[str]:
    if not each.info.known:
        yield "not in the catalogue: safe defaults"
    if each.ends is not None:
        yield f"served until {each.ends}"
    elif each.deprecated:
        yield "deprecated"
    for later in each.later:
        yield f"from {later.since}: {later.input:g} in, {later.output:g} out"
    for threshold, dearer in each.info.prices.tiers if each.info.prices else ():
        yield f"above {threshold} tokens: {dearer.input:g} in, {dearer.output:g} out"


def _told(each: Entry) -> JsonObject:
    info = each.info
    return {
        "model": each.name,
        "vendor": info.vendor,
        "id": info.id,
        "wire": info.wire,
        "known": info.known,
        "deprecated": each.deprecated,
        "served_until": each.ends and str(each.ends),
        "context_window": info.context_window,
        "max_output": info.max_output,
        "input": each.input,
        "output": each.output,
        "efforts": each.efforts,
        "prices": _priced(info.prices),
        "later": [_priced(later) for later in each.later],
    }


def _priced(prices: Prices | None) -> JsonObject | None:
    """Return prices in USD a million tokens."""
    if prices is None:
        return None
    return {
        "input": round(prices.input, 6),
        "output": round(prices.output, 6),
        "cache_read": prices.cache_read and round(prices.cache_read, 6),
        "cache_write": {ttl: round(figure, 6) for ttl, figure in prices.cache_write.items()},
        "since": prices.since and str(prices.since),
        "tiers": [{"above": threshold, **(_priced(each) or {})} for threshold, each in prices.tiers],
    }
