from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from treadle.agent.providers.catalogue import Home, Listed, ModelSettings, PriceSettings, Shelf
from treadle.agent.providers.catalogue.book import PackageBook
from treadle.agent.providers.catalogue.limits import PackageLimits
from treadle.agent.providers.catalogue.listing import Described, Entry, Sources, entry, listing
from treadle.agent.providers.contract import Prices, WireName

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WIRES: tuple[WireName, ...] = ("openai_chat", "openai_responses", "anthropic", "gemini")


@dataclass(frozen=True)
class Package:
    """Both data packages, of a few models."""

    listed: Mapping[str, Listed] = field(default_factory=dict[str, Listed])
    described: Mapping[str, Described] = field(default_factory=dict[str, Described])


@dataclass(frozen=True)
class Priced:
    models: Mapping[str, Listed]

    def look(self, vendor: str, model: str, at: datetime) -> Listed | None:
        return self.models.get(model)

    def names(self, vendor: str) -> Collection[str]:
        return self.models.keys()


@dataclass(frozen=True)
class Limited:
    models: Mapping[str, Described]

    def look(self, vendor: str, model: str) -> Described | None:
        return self.models.get(model)

    def names(self, vendor: str) -> Collection[str]:
        return self.models.keys()


def sources(
    vendor: str, package: Package | None = None, settings: Mapping[str, ModelSettings] | None = None
) -> Sources:
    package = package or Package()
    return Sources(
        {vendor: Home(vendor, "", "openai_chat")},
        Shelf(WIRES, lambda: Priced(package.listed), NOW),
        lambda: Limited(package.described),
        settings or {},
    )


def found(vendor: str, package: Package, glob: str = "*") -> dict[str, Entry]:
    return {each.info.id: each for each in listing(sources(vendor, package), glob)}


def test_what_our_rows_the_price_package_and_the_limits_package_know_is_one_list() -> None:
    package = Package(
        listed={"grok-a": Listed(1000, Prices(1, 2))},
        described={
            "grok-a": Described(999, 50, ("text", "image"), ("text",)),
            "grok-b": Described(2000, 60, ("text",), ("text",)),
        },
    )
    models = found("xai", package)
    assert sorted(models) == ["grok-a", "grok-b"]
    assert models["grok-a"].info.prices == Prices(1, 2)
    assert [each.info.context_window for each in models.values()] == [1000, 2000]
    assert [each.info.max_output for each in models.values()] == [50, 60]
    assert models["grok-a"].input == ("text", "image")


def test_a_name_in_two_spellings_is_listed_once_in_ours() -> None:
    models = found("zai", Package(listed={"GLM-5.3": Listed(None, Prices(9, 9))}))
    assert [name for name in models if name.lower() == "glm-5.3"] == ["glm-5.3"]


def test_what_draws_speaks_or_embeds_is_no_model_of_the_list() -> None:
    package = Package(
        listed={"embed-1": Listed(8000, None)},
        described={"voice-1": Described(1000, 100, ("text",), ("audio",))},
    )
    assert found("xai", package) == {}


def test_a_family_of_ours_that_no_package_lists_is_named_by_what_stands_before_its_star() -> None:
    assert "claude-fable-5-2" in found("anthropic", Package())


def test_a_price_that_is_announced_stands_beside_the_one_that_holds() -> None:
    models = found("gemini", Package())
    argon = models["gemini-4-argon"]
    assert argon.info.prices == Prices(2, 10, 0.1)
    assert argon.later == (Prices(4, 20, 0.2, since=date(2026, 12, 1)),)


def test_a_users_row_is_listed_and_wins() -> None:
    settings = {
        "gemini/gemini-4-argon": ModelSettings(price=PriceSettings(input=7, output=8)),
        "gemini/mine": ModelSettings(context_window=5),
        "gemini/glob-*": ModelSettings(context_window=6),
    }
    models = {each.info.id: each for each in listing(sources("gemini", settings=settings))}
    assert models["gemini-4-argon"].info.prices == Prices(7, 8)
    assert models["gemini-4-argon"].later == ()
    assert (models["mine"].info.context_window, models["mine"].info.known) == (5, True)
    assert not any("glob" in name for name in models)


def test_a_model_with_an_end_is_deprecated_from_the_day_that_is_said() -> None:
    models = found("openai", Package(), "gpt-5")
    assert (models["gpt-5"].ends, models["gpt-5"].deprecated) == (date(2026, 12, 11), True)
    assert (models["gpt-5.2"].ends, models["gpt-5.2"].deprecated) == (None, False)


def test_a_glob_without_a_vendor_is_looked_for_anywhere_in_a_name() -> None:
    assert set(found("anthropic", Package(), "sonnet")) == {"claude-sonnet-5", "claude-sonnet-5-5"}
    assert set(found("anthropic", Package(), "anthropic/claude-sonnet-5")) == {"claude-sonnet-5"}


def test_a_model_that_nothing_lists_has_safe_defaults() -> None:
    unknown = entry("xai", "grok-99", sources("xai"))
    assert unknown
    assert (unknown.info.known, unknown.info.prices, unknown.info.context_window) == (False, None, None)


def test_the_packages_themselves_are_read() -> None:
    real = Sources(
        {
            "anthropic": Home("anthropic", "", "anthropic"),
            "openrouter": Home("openrouter", "", "openai_chat"),
        },
        Shelf(WIRES, PackageBook, NOW),
        PackageLimits,
        {},
    )
    models = {each.name: each for each in listing(real, "claude-opus-4-5")}
    opus = models["anthropic/claude-opus-4-5"]
    assert (opus.info.max_output, opus.input, opus.efforts) == (
        64_000,
        ("text", "image", "document"),
        ("low", "medium", "high"),
    )
