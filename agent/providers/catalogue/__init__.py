"""Which models there are, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Protocol

from pydantic import Field

from treadle.agent.messages import Usage
from treadle.agent.providers.catalogue.rows import CLOSED, ROWS, Row
from treadle.agent.providers.contract import Dialect, InvalidRequest, ModelInfo, NotFound, Prices, WireName
from treadle.agent.providers.dialects import ByWire
from treadle.agent.providers.limits import LimitSettings
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Frozen, as_object

PACKAGED: Mapping[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "openrouter": "openrouter",
    "azure": "azure",
    "zai": "zai",
    "bigmodel": "zhipuai",
    "deepseek": "deepseek",
    "moonshot": "moonshotai",
    "mistral": "mistral",
    "xai": "x-ai",
    "groq": "groq",
}
"""Our vendors by what the data package calls them."""
_UPSTREAM = {"google": "gemini", "z-ai": "zai"}
"""OpenRouter's authors by our vendors, where the two differ."""
_UNKNOWN = Row("")
_VERSION = re.compile(r"(?<=-)\d[\d.]*(?:-\d+)*")


@frozen
class Listed:
    """What a data package says of a model."""

    context_window: int | None
    prices: Prices | None
    later: tuple[Prices, ...] = ()
    """Announced prices, by rising `since`."""
    deprecated: bool = False


class Book(Protocol):
    """A data package of models and prices. Loading one takes a while, so it is asked for when needed."""

    def look(self, vendor: str, model: str, at: datetime) -> Listed | None:
        """What holds at a moment; None for a model that is not listed."""
        ...

    def names(self, vendor: str) -> Collection[str]: ...


class PriceSettings(Frozen):
    """USD a million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


class ModelSettings(Frozen):
    """What a user's configuration says of the models whose VENDOR/MODEL a glob names. None leaves it as it is."""

    wire: WireName | None = None
    context_window: int | None = None
    max_output: int | None = None
    price: PriceSettings | None = None
    dialect: dict[str, Any] = Field(default_factory=dict)
    limits: LimitSettings = Field(default_factory=LimitSettings)

    @property
    def prices(self) -> Prices | None:
        """The price as the catalogue has it."""
        if self.price is None:
            return None
        write = {} if self.price.cache_write is None else {"unknown": self.price.cache_write}
        return Prices(self.price.input, self.price.output, self.price.cache_read, write)


@frozen
class Home:
    """What a vendor brings to every model it serves."""

    vendor: str
    endpoint: str
    """Hash of base URL and account scope."""
    wire: WireName
    """Of a model whose row names none."""
    dialects: ByWire = field(default_factory=dict[WireName, Dialect])
    dialect: Dialect = field(default_factory=dict[str, Any])
    """The user's, over any wire."""
    usual: bool = True
    """False where the vendor's own address was replaced: models there may have any name."""
    chosen: WireName | None = None
    """The user's, for every model there."""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    """The user's, of how much is taken there."""

    @property
    def closed(self) -> bool:
        """Whether nobody but the vendor names models here."""
        return self.usual and self.vendor in CLOSED


@frozen
class Shelf:
    """What models are looked up with."""

    wires: Collection[WireName]
    """Those that this program speaks."""
    book: Callable[[], Book]
    """Called only for a model that no row of ours covers, at a vendor that the package knows."""
    at: datetime
    """When: prices have dates."""


def split(spec: str) -> tuple[str, str]:
    """Cut VENDOR/MODEL in two; the model may hold more slashes. Raises `InvalidRequest`."""
    vendor, slash, model = spec.partition("/")
    if not (slash and vendor and model) or not spec.isprintable() or " " in spec:
        raise InvalidRequest(f"{spec!r} names no model: write VENDOR/MODEL, as in openai/gpt-6-sol.")
    return vendor, model


def find(
    model: str, home: Home, shelf: Shelf, *, settings: Mapping[str, ModelSettings] | None = None
) -> ModelInfo:
    """Make a model's row whole: our own rows, then the data package, then what the user says.

    A model that nothing lists works, with safe defaults and `known` False.

    Raises `NotFound` for what is plainly a slip, at a vendor that alone decides what its models are called, and
    `InvalidRequest` for a model that no wire here can reach.
    """
    row = _row(home.vendor, model)
    listed = None
    if _needs_book(row, home.vendor):
        listed = shelf.book().look(home.vendor, model, shelf.at)
    own = _settings(home.vendor, model, settings or {})
    known = bool(row.context_window or listed or own)
    if not known and home.closed:
        _refuse_slip(home.vendor, model, shelf.book())
    wire = _wire(row, home, own, shelf.wires, model)
    info = ModelInfo(
        id=model,
        wire=wire,
        vendor=home.vendor,
        endpoint=home.endpoint,
        context_window=row.context_window or (listed.context_window if listed else None),
        max_output=row.max_output,
        prices=_valid(row.prices, shelf.at) or (listed.prices if listed else None),
        known=known,
        dialect=_joined(home.dialects.get(wire, {}), row.dialects.get(wire, {}), home.dialect),
        limits=home.limits,
    )
    for each in own:
        info = _amended(info, each)
    return info


def later_prices(vendor: str, model: str, at: datetime, listed: Listed | None) -> tuple[Prices, ...]:
    """Return what was announced for after a moment, by rising `since`: by our own row, or else by the package."""
    own = _row(vendor, model).prices
    if not own:
        return listed.later if listed else ()
    return tuple(each for each in own if each.since is not None and each.since > at.date())


def cost(usage: Usage, prices: Prices | None) -> float | None:
    """Return what tokens cost in USD; None when neither the provider says it nor a price is known.

    A provider's own figure wins. Above a tier's threshold its prices hold for the whole request. Where reading from a
    cache or writing to one has no price of its own, it costs as much as other input.
    """
    if usage.cost is not None or prices is None:
        return usage.cost
    for threshold, dearer in prices.tiers:
        if usage.input_total > threshold:
            prices = dearer
    read = prices.input if prices.cache_read is None else prices.cache_read
    write, written = prices.cache_write, usage.cache_write
    other = write.get("unknown", prices.input)
    total = usage.input * prices.input + usage.cache_read * read + usage.output * prices.output
    total += written.m5 * write.get("m5", other) + written.m30 * write.get("m30", other)
    total += (
        written.h1 * write.get("h1", other) + written.h12 * write.get("h12", other) + written.unknown * other
    )
    return total / 1e6


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> tuple[str, ...]:
    """Return up to three of the names that look most like `name`, the likest first."""
    return tuple(get_close_matches(name, list(known), n=3, cutoff=cutoff))


def _row(vendor: str, model: str) -> Row:
    if vendor == "openrouter":
        vendor, _, model = model.partition("/")
        row = _row(_UPSTREAM.get(vendor, vendor), model.partition(":")[0])
        return Row(row.glob, row.context_window, row.max_output) if row is not _UNKNOWN else row
    names = {model.lower(), model.lower().replace(".", "-")} if vendor == "anthropic" else {model.lower()}
    if vendor == "vertex":
        names = {name.partition("@")[0] for name in names}  # after it comes a version
    rows = ROWS.get(vendor, ())
    return next((row for row in rows if any(fnmatchcase(name, row.glob) for name in names)), _UNKNOWN)


def _needs_book(row: Row, vendor: str) -> bool:
    """Say whether the package can add something. OpenRouter bills what it reports, so a window is enough there."""
    if vendor not in PACKAGED or row.prices:
        return False
    return row is _UNKNOWN or vendor != "openrouter"


def _settings(vendor: str, model: str, settings: Mapping[str, ModelSettings]) -> list[ModelSettings]:
    """Return all that a user says of a model, in the user's order."""
    return [said for glob, said in settings.items() if fnmatchcase(f"{vendor}/{model}".lower(), glob.lower())]


def _refuse_slip(vendor: str, model: str, book: Book) -> None:
    """Raise `NotFound` for a name that is a known one but for a slip of the finger.

    A name that differs in its version alone is a version that we do not know yet.
    """
    rows = (row.glob for row in ROWS.get(vendor, ()) if not set(row.glob) & set("*[?"))
    known = {*book.names(vendor), *rows}
    near = nearest(model.lower(), known, cutoff=0.88)
    if near and not any(_VERSION.sub("", name) == _VERSION.sub("", model.lower()) for name in near):
        raise NotFound(f"{vendor} has no model {model!r}; did you mean {' or '.join(near[:2])}?")


def _wire(
    row: Row, home: Home, own: Iterable[ModelSettings], wires: Collection[WireName], model: str
) -> WireName:
    """Return the wire: what the user says of the model or of the vendor, else the best one that there is."""
    said: list[WireName] = [each.wire for each in own if each.wire is not None]
    chosen = said[-1] if said else home.chosen
    wanted: tuple[WireName, ...] = (chosen,) if chosen is not None else row.wires or (home.wire,)
    for wire in wanted:
        if wire in wires:
            return wire
    raise InvalidRequest(f"{home.vendor}/{model} is reached over {wanted[0]} only, which is not there yet.")


def _joined(*dialects: Dialect) -> Dialect:
    """Put dialects together: the later ones win, but fields of `extra_body` add up."""
    whole = {key: value for dialect in dialects for key, value in dialect.items()}
    bodies = [body for dialect in dialects if (body := as_object(dialect.get("extra_body")))]
    return whole | ({"extra_body": {k: v for body in bodies for k, v in body.items()}} if bodies else {})


def _valid(prices: tuple[Prices, ...], at: datetime) -> Prices | None:
    begun = [each for each in prices if each.since is None or each.since <= at.date()]
    return begun[-1] if begun else None


def _amended(info: ModelInfo, said: ModelSettings) -> ModelInfo:
    return replace(
        info,
        context_window=said.context_window or info.context_window,
        max_output=said.max_output or info.max_output,
        prices=said.prices or info.prices,
        dialect=_joined(info.dialect, said.dialect),
        limits={**info.limits, **said.limits.given},
    )
