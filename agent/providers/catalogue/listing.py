"""All models that are known of, each as a run would find it, for people to choose from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Final, Protocol

from treadle.agent.providers.catalogue import (
    PACKAGED,
    Home,
    Listed,
    ModelSettings,
    Shelf,
    find,
    later_prices,
)
from treadle.agent.providers.catalogue.retired import last_day
from treadle.agent.providers.catalogue.rows import ROWS
from treadle.agent.providers.contract import ModelInfo, Prices, ProviderError, WireName
from treadle.sandbox.frozen import frozen

_WILD: Final = frozenset("*[?")
_MEDIA: Final[Mapping[WireName, tuple[str, ...]]] = {
    "openai_chat": ("image",),
    "openai_responses": ("image", "document"),
    "openai_completions": (),
    "anthropic": ("image", "document"),
    "gemini": ("image", "document", "audio", "video"),
    "gemini_interactions": ("image", "document", "audio", "video"),
}
"""What a wire sends where no row says otherwise."""
_EFFORTS: Final[Mapping[WireName, tuple[str, ...]]] = {
    "anthropic": ("low", "medium", "high", "xhigh", "max"),
    "gemini": ("low", "high"),
    "gemini_interactions": ("low", "high"),
}
"""What a wire takes as effort where no row says otherwise."""


@frozen
class Described:
    """What a data package says of a model beside its price."""

    context_window: int | None = None
    max_output: int | None = None
    input: tuple[str, ...] = ()
    """Kinds of content that it reads, as in text, image, document."""
    output: tuple[str, ...] = ()
    deprecated: bool = False


class Limits(Protocol):
    """A data package of limits and modalities."""

    def look(self, vendor: str, model: str) -> Described | None:
        """What is said of a model; None for one that is not listed."""
        ...

    def names(self, vendor: str) -> Collection[str]: ...


@frozen
class Entry:
    """One model of the list."""

    info: ModelInfo
    input: tuple[str, ...]
    """Kinds of content that it reads."""
    output: tuple[str, ...]
    efforts: tuple[str, ...]
    later: tuple[Prices, ...] = ()
    """Prices that have been announced, by rising `since`."""
    ends: date | None = None
    """From when it is no longer served."""
    deprecated: bool = False

    @property
    def name(self) -> str:
        """VENDOR/MODEL."""
        return f"{self.info.vendor}/{self.info.id}"


@frozen
class Sources:
    """What a list is made of."""

    homes: Mapping[str, Home]
    """By vendor."""
    shelf: Shelf
    limits: Callable[[], Limits]
    settings: Mapping[str, ModelSettings]


def listing(sources: Sources, glob: str = "*") -> Iterator[Entry]:
    """Yield the models whose VENDOR/MODEL a glob names, vendor by vendor, by name."""
    glob = glob.lower() if "/" in glob or glob == "*" else f"*{glob.lower()}*"
    for vendor in sources.homes:
        names = _names(vendor, sources)
        for name in sorted(name for name in names if fnmatchcase(f"{vendor}/{name}".lower(), glob)):
            if found := entry(vendor, name, sources):
                yield found


def entry(vendor: str, model: str, sources: Sources) -> Entry | None:
    """Return a model as a run would find it; None where it says nothing in text, or no wire here reaches it."""
    described = sources.limits().look(vendor, model)
    listed = sources.shelf.book().look(vendor, model, sources.shelf.at) if vendor in PACKAGED else None
    if described is None and listed is not None and listed.prices is None:
        return None  # not billed by tokens of text: it draws, speaks or embeds
    if described is not None and "text" not in described.output:
        return None
    home = replace(sources.homes[vendor], usual=False)
    shelf = replace(sources.shelf, book=lambda: _Open(listed))
    try:
        info = find(model, home, shelf, settings=sources.settings)
    except ProviderError:
        return None
    described, ends = described or Described(), last_day(vendor, model)
    own_price = any(
        said.price for glob, said in sources.settings.items() if fnmatchcase(f"{vendor}/{model}", glob)
    )
    return Entry(
        info=replace(
            info,
            context_window=info.context_window or described.context_window,
            max_output=info.max_output or described.max_output,
            known=info.known or described != Described(),
        ),
        input=described.input or ("text", *info.dialect.get("media", _MEDIA[info.wire])),
        output=described.output or ("text",),
        efforts=tuple(info.dialect.get("efforts", _EFFORTS.get(info.wire, ()))),
        later=() if own_price else later_prices(vendor, model, sources.shelf.at, listed),
        ends=ends,
        deprecated=described.deprecated or (listed is not None and listed.deprecated) or ends is not None,
    )


@frozen
class _Open:
    """The data package, open at one model."""

    listed: Listed | None

    def look(self, vendor: str, model: str, at: datetime) -> Listed | None:
        return self.listed

    def names(self, vendor: str) -> Collection[str]:
        return ()


_ELSEWHERE: Final = {"gemini": "claude-*"}
"""What packages list for a vendor's whole house, and another vendor of ours serves."""


def _names(vendor: str, sources: Sources) -> Collection[str]:
    """Return each name once, whatever its case: in the spelling of our rows, then of the packages."""
    ours, stems = _split(row.glob for row in ROWS.get(vendor, ()))
    own = (key.removeprefix(f"{vendor}/") for key in sources.settings if key.startswith(f"{vendor}/"))
    packaged = sources.shelf.book().names(vendor) if vendor in PACKAGED else ()
    listed = (*sources.limits().names(vendor), *packaged)
    names = {name.lower(): name for name in listed if not fnmatchcase(name, _ELSEWHERE.get(vendor, ""))}
    names.update({name: name for name in ours})
    names.update({name.lower(): name for name in own if not _WILD & set(name)})
    for stem in stems:  # a row of ours for a family of which no package has a model
        if stem and not any(name.startswith(stem) for name in names):
            names[stem] = stem
    return names.values()


def _split(globs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the globs that are plain names, and of those that end in a star alone what stands before it."""
    plain: list[str] = []
    stems: list[str] = []
    for glob in globs:
        if not _WILD & set(glob):
            plain.append(glob)
        elif glob.endswith("*") and not _WILD & set(glob[:-1]) and not glob[:-1].endswith("-"):
            stems.append(glob[:-1])
    return plain, stems
