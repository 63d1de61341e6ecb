"""The models that a user may choose from, as their runs would find them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from functools import cache

from treadle.agent.build.model import WIRES
from treadle.agent.config import Config
from treadle.agent.providers import catalogue
from treadle.agent.providers.catalogue.listing import Entry, Limits, Sources, entry, listing
from treadle.agent.providers.contract import NotFound
from treadle.agent.providers.vendors import VENDORS, ProviderSettings, Vendor


def all_models(config: Config, glob: str, vendor: str | None, now: datetime) -> Iterator[Entry]:
    """Yield the models whose VENDOR/MODEL a glob names, at one vendor or at all. Raises `NotFound` for no vendor."""
    yield from listing(_sources(config, vendor, now), glob)


def one_model(config: Config, spec: str, vendor: str | None, now: datetime) -> list[Entry]:
    """Return a model that nothing lists, when just that is asked for by its whole name.

    Raises `NotFound` with the names that look most like it.
    """
    sources = _sources(config, vendor, now)
    at, slash, model = spec.partition("/") if not vendor else (vendor, "/", spec.removeprefix(f"{vendor}/"))
    if slash and model and at in sources.homes and not set(spec) & set("*[?"):
        found = entry(at, model, sources)
        return [found] if found else []
    if not any(sources.homes):
        return []
    names = [each.name for each in listing(sources)]
    near = get_close_matches(spec, [*names, *(name.partition("/")[2] for name in names)], n=2)
    raise NotFound(f"no model is named {spec!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def _sources(config: Config, vendor: str | None, now: datetime) -> Sources:
    rows = dict(VENDORS)
    for name in config.providers:
        rows.setdefault(name, Vendor(name))
    if vendor is not None and vendor not in rows:
        near = get_close_matches(vendor, rows, n=1)
        raise NotFound(
            f"there is no vendor named {vendor!r}; "
            + (f"did you mean {near[0]}?" if near else f"known are {', '.join(rows)}")
        )
    homes = {
        name: _home(row, config.providers.get(name, ProviderSettings()))
        for name, row in rows.items()
        if vendor in {None, name}
    }
    return Sources(homes, catalogue.Shelf(WIRES, _book, now), _limits, config.models)


def _home(row: Vendor, own: ProviderSettings) -> catalogue.Home:
    return catalogue.Home(row.name, "", own.wire or row.wire, row.dialects, own.dialect, chosen=own.wire)


@cache
def _book() -> catalogue.Book:
    from treadle.agent.providers.catalogue.book import PackageBook

    return PackageBook()


@cache
def _limits() -> Limits:
    from treadle.agent.providers.catalogue.limits import PackageLimits

    return PackageLimits()
