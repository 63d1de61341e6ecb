from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from treadle.agent.messages import CacheWrite, Usage
from treadle.agent.providers.catalogue import (
    PACKAGED,
    Home,
    Listed,
    ModelSettings,
    PriceSettings,
    Shelf,
    cost,
    find,
    nearest,
    split,
)
from treadle.agent.providers.catalogue.book import PackageBook
from treadle.agent.providers.catalogue.rows import ROWS, Row
from treadle.agent.providers.contract import InvalidRequest, ModelInfo, NotFound, Prices, WireName

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ALL: Collection[WireName] = ("openai_chat", "openai_responses", "anthropic", "gemini")


@dataclass
class ScriptedBook:
    """A data package of a few models, which remembers what it was asked."""

    models: Mapping[str, Listed] = field(default_factory=dict[str, Listed])
    asked: list[str] = field(default_factory=list[str])

    def look(self, vendor: str, model: str, at: datetime) -> Listed | None:
        self.asked.append(f"{vendor}/{model}")
        return self.models.get(model)

    def names(self, vendor: str) -> Collection[str]:
        return self.models.keys()


def shelf(book: ScriptedBook | None = None, *wires: WireName, at: datetime = NOW) -> Shelf:
    return Shelf(wires=wires or ALL, book=lambda: book or ScriptedBook(), at=at)


def home(vendor: str, wire: WireName = "openai_chat", *, usual: bool = True) -> Home:
    return Home(vendor=vendor, endpoint="e", wire=wire, usual=usual)


def test_a_model_of_ours_is_found_without_opening_the_package() -> None:
    book = ScriptedBook()
    info = find("gpt-6-sol", home("openai"), shelf(book))
    assert (info.wire, info.vendor, info.endpoint, info.known) == ("openai_responses", "openai", "e", True)
    assert (info.context_window, info.max_output) == (1_050_000, 128_000)
    assert info.prices
    assert (info.prices.input, info.prices.cache_write["m30"]) == (2, 2.5)
    assert book.asked == []


def test_the_best_wire_that_is_there_is_taken() -> None:
    assert find("gpt-6-sol", home("openai"), shelf(None, "openai_chat")).wire == "openai_chat"
    assert find("gpt-4.1", home("openai"), shelf()).wire == "openai_chat"
    assert find("claude-opus-5-5", home("anthropic", "anthropic"), shelf()).wire == "anthropic"
    with pytest.raises(InvalidRequest, match="openai_responses"):
        find("gpt-6-cyber", home("openai"), shelf(None, "openai_chat"))


def test_a_wire_that_the_user_names_wins_and_brings_its_own_dialect() -> None:
    vendor: Mapping[WireName, Mapping[str, object]] = {"openai_chat": {"a": 1}, "openai_responses": {"b": 2}}
    place = Home("openai", "e", "openai_responses", dialects=vendor, chosen="openai_chat")
    info = find("gpt-6-sol", place, shelf())
    assert (info.wire, info.dialect["a"], "b" in info.dialect) == ("openai_chat", 1, False)
    said = {"openai/*": ModelSettings(wire="openai_responses"), "openai/gpt-*": ModelSettings()}
    info = find("gpt-6-sol", place, shelf(), settings=said)
    assert (info.wire, info.dialect["b"], "a" in info.dialect) == ("openai_responses", 2, False)
    with pytest.raises(InvalidRequest, match="gemini_interactions"):
        find("x", replace(place, chosen="gemini_interactions"), shelf())


def test_fields_for_every_body_add_up() -> None:
    place = replace(home("zai"), dialect={"extra_body": {"tool_stream": True}})
    said = {"zai/*": ModelSettings(dialect={"extra_body": {"user_id": "u-1234"}})}
    body = find("glm-5.3", place, shelf(), settings=said).dialect["extra_body"]
    assert body == {
        "thinking": {"type": "enabled", "clear_thinking": False},
        "tool_stream": True,
        "user_id": "u-1234",
    }


def test_vertex_serves_each_maker_over_its_own_wire() -> None:
    for model, wire in {
        "claude-opus-4-5@20251101": "anthropic",
        "claude-next": "anthropic",
        "gemini-2.5-pro": "gemini",
        "meta/llama-4-maas": "openai_chat",
    }.items():
        assert find(model, home("vertex", "gemini"), shelf()).wire == wire
    info = find("claude-opus-5@20260801", home("vertex", "gemini"), shelf())
    assert (info.id, info.max_output) == ("claude-opus-5@20260801", 128_000)


def test_what_is_left_of_legacy_completions_is_reached_over_it() -> None:
    legacy: tuple[WireName, ...] = ("openai_chat", "openai_completions")
    assert find("gpt-3.5-turbo-instruct", home("openai"), shelf(None, *legacy)).wire == "openai_completions"
    assert find("gpt-6-sol", home("azure-deployments"), shelf()).wire == "openai_chat"


def test_a_wires_dialect_is_the_vendors_then_the_models_then_the_users() -> None:
    vendor: Mapping[WireName, Mapping[str, object]] = {"openai_chat": {"efforts": (), "media": ("image",)}}
    said = {"openai/gpt-5.1": ModelSettings(dialect={"verbosity": False})}
    place = Home("openai", "e", "openai_chat", dialects=vendor, dialect={"cache_key": False})
    dialect = find("gpt-5.1", place, shelf(None, "openai_chat"), settings=said).dialect
    assert dialect["efforts"] == ("none", "low", "medium", "high")
    assert (dialect["media"], dialect["cache_key"], dialect["verbosity"]) == (("image",), False, False)
    assert "media" not in find("gpt-5.1", place, shelf()).dialect


def test_a_deployment_named_after_a_model_is_spoken_to_as_that_model() -> None:
    info = find("gpt-6.1-sol", home("azure"), shelf())
    assert (info.wire, info.context_window) == ("openai_responses", 1_050_000)
    assert info.dialect["efforts"] == ("none", "low", "medium", "high", "xhigh", "max")
    assert "cache_options" not in info.dialect
    assert find("our-deployment", home("azure"), shelf()).wire == "openai_chat"


def test_what_we_have_no_row_for_comes_from_the_package() -> None:
    book = ScriptedBook({"mistral-large-4": Listed(1_048_576, Prices(0.7, 2.1))})
    info = find("mistral-large-4", home("mistral"), shelf(book))
    assert (info.context_window, info.prices, info.known) == (1_048_576, Prices(0.7, 2.1), True)
    assert book.asked == ["mistral/mistral-large-4"]


def test_a_model_that_nobody_lists_works_with_nothing_assumed() -> None:
    book = ScriptedBook()
    info = find("llama-9:latest", home("ollama"), shelf(book))
    assert info == ModelInfo(
        id="llama-9:latest", wire="openai_chat", vendor="ollama", endpoint="e", known=False
    )
    assert book.asked == []


@pytest.mark.parametrize("slip", ["gpt-6-soll", "gpt6-sol", "GPT-6-SOLL"])
def test_a_slip_of_the_finger_is_refused_with_the_names_that_were_meant(slip: str) -> None:
    with pytest.raises(NotFound, match="did you mean gpt-6-sol"):
        find(slip, home("openai"), shelf(ScriptedBook({"gpt-6-luna": Listed(None, None)})))


@pytest.mark.parametrize("new", ["gpt-6.7-sol", "gpt-7-sol", "gpt-8-vega", "gpt-6-1-sol"])
def test_a_version_that_came_out_after_us_is_no_slip(new: str) -> None:
    assert not find(new, home("openai"), shelf()).known


def test_elsewhere_than_at_the_vendors_own_address_any_name_will_do() -> None:
    assert not find("gpt-6-soll", home("openai", usual=False), shelf()).known


def test_openrouter_lends_windows_from_the_makers_rows_and_nothing_else() -> None:
    book = ScriptedBook()
    info = find("anthropic/claude-opus-4.8:beta", home("openrouter"), shelf(book))
    assert (info.context_window, info.prices, info.wire, info.known) == (1_000_000, None, "openai_chat", True)
    assert find("google/gemini-4-argon", home("openrouter"), shelf(book)).max_output == 1_048_576
    assert book.asked == []
    assert not find("who/knows", home("openrouter"), shelf(book)).known
    assert book.asked == ["openrouter/who/knows"]


def test_prices_hold_from_their_day_on() -> None:
    def price(month: int, day: int) -> Prices | None:
        at = datetime(2026, month, day, tzinfo=UTC)
        return find("gemini-4-argon", home("gemini", "gemini"), shelf(at=at)).prices

    before, after = price(11, 30), price(12, 1)
    assert before
    assert after
    assert (before.input, after.input) == (2, 4)


def test_the_user_may_change_a_row_or_add_one() -> None:
    said = {
        "own/*": ModelSettings(context_window=32_000, price=PriceSettings(input=1, output=2, cache_write=3)),
        "own/big": ModelSettings(context_window=64_000, max_output=8_000, wire="anthropic"),
    }
    info = find("big", home("own"), shelf(), settings=said)
    assert (info.context_window, info.max_output, info.wire, info.known) == (64_000, 8_000, "anthropic", True)
    assert info.prices == Prices(1, 2, None, {"unknown": 3})
    with pytest.raises(InvalidRequest, match="anthropic"):
        find("big", home("own"), shelf(None, "openai_chat"), settings=said)


@pytest.mark.parametrize("spec", ["gpt-6-sol", "/x", "openai/", "", "open ai/x", "openai/x\n"])
def test_what_names_no_model_is_refused(spec: str) -> None:
    with pytest.raises(InvalidRequest, match="VENDOR/MODEL"):
        split(spec)


def test_a_models_name_may_hold_slashes() -> None:
    assert split("openrouter/anthropic/claude") == ("openrouter", "anthropic/claude")


def test_nearest_names_come_likest_first() -> None:
    assert nearest("claud", ["claude", "cloud", "zebra"])[0] == "claude"
    assert nearest("xyz", ["claude"]) == ()


def test_a_cost_adds_up_what_was_read_written_and_said() -> None:
    usage = Usage(
        input=1_000_000,
        cache_read=1_000_000,
        cache_write=CacheWrite(m5=1_000_000, h1=1_000_000, h12=1_000_000, unknown=1_000_000),
        output=1_000_000,
    )
    prices = Prices(10, 50, 1, {"m5": 12.5, "h1": 20, "unknown": 13})
    assert cost(usage, prices) == pytest.approx(10 + 1 + 12.5 + 20 + 13 + 13 + 50)
    assert cost(usage, Prices(10, 50)) == pytest.approx(10 * 6 + 50)


def test_a_providers_own_figure_wins_and_without_a_price_there_is_none() -> None:
    assert cost(Usage(input=5, cost=0.25), Prices(1, 1)) == 0.25
    assert cost(Usage(input=5), None) is None
    assert cost(Usage(input=5, cost=0.0), None) == 0.0


def test_above_a_threshold_the_whole_request_costs_the_dearer_price() -> None:
    prices = Prices(1, 1, tiers=((100, Prices(2, 2)), (200, Prices(3, 3))))
    assert cost(Usage(input=100), prices) == pytest.approx(100e-6)
    assert cost(Usage(input=50, cache_read=51), prices) == pytest.approx(202e-6)
    assert cost(Usage(input=1000), prices) == pytest.approx(3000e-6)


_EXAMPLES = {"*-astra": "-astra", "[12]": "1", "[78]": "8", "[678]": "7", "[13]": "1", "*": ""}


def _example(glob: str) -> str:
    for pattern, example in _EXAMPLES.items():
        glob = glob.replace(pattern, example)
    return glob


@pytest.mark.parametrize("at", [NOW, datetime(2026, 7, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)])
@pytest.mark.parametrize(
    ("vendor", "row"), [(vendor, row) for vendor in PACKAGED for row in ROWS.get(vendor, ()) if row.prices]
)
def test_our_own_prices_are_those_of_the_package(vendor: str, row: Row, at: datetime) -> None:
    listed = PackageBook().look(vendor, _example(row.glob), at)
    ours = find(_example(row.glob), home(vendor), replace(shelf(at=at), wires=ALL)).prices
    assert listed
    assert listed.prices
    assert ours
    assert _plain(ours) == pytest.approx(_plain(listed.prices))


def _plain(prices: Prices) -> dict[str, float]:
    """What our tokens would cost, as figures by name."""
    sizes = {"below": 0, **{str(threshold): threshold + 1 for threshold, _ in prices.tiers}}
    kinds = {
        "input": Usage(input=1000),
        "output": Usage(output=1000),
        "read": Usage(cache_read=1000),
        "write": Usage(cache_write=CacheWrite(unknown=1000)),
        "hour": Usage(cache_write=CacheWrite(h1=1000)),
    }
    return {
        f"{kind} {name}": (cost(usage + Usage(input=size), prices) or 0) * 1e3
        for kind, usage in kinds.items()
        for name, size in sizes.items()
    }


def test_the_package_knows_every_vendor_that_we_look_up_in_it() -> None:
    book = PackageBook()
    assert all(book.names(vendor) for vendor in PACKAGED)
    assert book.names("ollama") == []
    assert book.look("ollama", "x", NOW) is None
    assert book.look("openai", "no such model", NOW) is None
    assert book.look("openai", "whisper-1", NOW) == Listed(context_window=None, prices=None)
