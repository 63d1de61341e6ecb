"""How each family of providers keeps what it has read: one row per family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from treadle.agent.providers.contract import ModelInfo, Prices
from treadle.sandbox.frozen import frozen

Ttl: TypeAlias = Literal["5m", "30m", "1h", "12h"]
SECONDS: Mapping[Ttl, int] = {"5m": 300, "30m": 1_800, "1h": 3_600, "12h": 43_200}
FIELD: Mapping[Ttl, str] = {"5m": "m5", "30m": "m30", "1h": "h1", "12h": "h12"}
"""The fields of `CacheWrite`."""
_DAY = 86_400
_LEAST_CLAUDE = (
    (512, ("*fable*", "*mythos-*", "*opus-5*", "*sonnet-5-5*", "*haiku-5-5*")),
    (2048, ("*opus-4-7*",)),
    (4096, ("*opus-4-5*", "*opus-4-6*", "*haiku-4-5*")),
)


POINTS = 4
"""Markers that a request may have."""


@frozen
class Equal:
    """What must be equal beside the bytes."""

    system: tuple[str, ...] = ()
    """For the system prompt to be read, beside tools and model."""
    messages: tuple[str, ...] = ()
    """For the messages to be read."""


@frozen
class Asks:
    """What a provider takes beside markers."""

    diagnosis: Literal["", "previous_message_id", "comparison_response_id"] = ""
    """What a request names for the provider to say why its cache did not hold."""
    warms: Literal["", "max_tokens", "prewarm"] = ""
    """How a request says that nothing is to be answered, only to be kept."""


@frozen
class Row:
    """What holds for a family. Prices relative to input are what holds where the catalogue has none."""

    family: str
    kind: Literal["marked", "exact", "steps", "units", "none"]
    """marked: prefixes that end at markers, found by looking back · exact: at markers and at the newest input ·
    steps: every prefix of whole steps, by itself · units: what each request ended with, by itself · none."""
    least: int = 1024
    """Tokens of the shortest prefix that is kept."""
    lookback: int = 20
    """marked: places looked at for each marker, its own among them."""
    ttls: tuple[Ttl, ...] = ()
    """What a marker may ask for, the shortest first."""
    life: int = 600
    """steps and units: seconds a prefix lives after each use."""
    long_life: tuple[str, int] | None = None
    """The word that asks for a longer life at no price, and how long that is."""
    write: Mapping[Ttl, float] = field(default_factory=dict[Ttl, float])
    read: float = 0.1
    step: int = 128
    equal: Equal = Equal()
    asks: Asks = Asks()

    def price(self, prices: Prices | None, ttl: Ttl) -> float:
        """Return what a token written costs, relative to a fresh one."""
        told = prices.cache_write.get(FIELD[ttl]) if prices and prices.input else None
        return told / prices.input if told is not None and prices else self.write.get(ttl, 1.0)

    def reading(self, prices: Prices | None) -> float:
        """Return what a token read costs, relative to a fresh one."""
        told = prices.cache_read if prices and prices.input else None
        return told / prices.input if told is not None and prices else self.read


_ANTHROPIC = Row(
    "anthropic",
    "marked",
    ttls=("5m", "1h"),
    write={"5m": 1.25, "1h": 2.0},
    equal=Equal(("speed",), ("tool_choice", "parallel", "effort", "images")),
    asks=Asks("previous_message_id", "max_tokens"),
)
_KEYED = ("key", "format")
_EXACT = Row(
    "openai",
    "exact",
    lookback=80,
    ttls=("30m", "12h"),
    write={"30m": 1.25, "12h": 2.5},
    equal=Equal((*_KEYED, "effort", "verbosity", "tier")),
    asks=Asks("comparison_response_id", "prewarm"),
)
_STEPS = Row("openai-before-5.6", "steps", equal=Equal(_KEYED))
_GEMINI = Row("gemini", "steps", least=4096, life=3_600)
_DEEPSEEK = Row("deepseek", "units", least=0, life=_DAY, read=0.033)
_UNKNOWN = Row("automatic", "steps", equal=Equal(_KEYED))
_MARKED = Row(
    "marked",
    "marked",
    ttls=("5m",),
    write={"5m": 1.25, "1h": 2.0},
    equal=Equal(_KEYED, ("effort",)),
)
FAMILIES: Mapping[str, Row] = {
    row.family: row
    for row in (
        _ANTHROPIC,
        _EXACT,
        _STEPS,
        _GEMINI,
        _DEEPSEEK,
        _UNKNOWN,
        _MARKED,
        Row("glm", "steps", read=0.19),
        Row("kimi", "steps", equal=Equal(_KEYED)),
        Row("local", "steps", least=16, step=16, life=_DAY, read=0.0),
        Row("none", "none", read=1.0),
    )
}
"""By the name that a dialect's `cache_family` says."""
_VENDORS: Mapping[str, str] = {
    "deepseek": "deepseek",
    "zai": "glm",
    "bigmodel": "glm",
    "moonshot": "kimi",
    "vllm": "local",
    "sglang": "local",
    "llamacpp": "local",
    "ollama": "local",
}


def row_of(info: ModelInfo) -> Row:
    """Return how a model's provider keeps what it has read: as its dialect says, else by wire and vendor."""
    row = FAMILIES.get(str(info.dialect.get("cache_family", ""))) or FAMILIES[_family(info)]
    name = info.id.lower().replace(".", "-")
    match row.family:
        case "anthropic":
            least = next((size for size, globs in _LEAST_CLAUDE if _any(name, globs)), 1024)
            asks = row.asks if info.vendor == "anthropic" else Asks(warms="max_tokens")
            row = replace(row, least=least, asks=asks)
        case "gemini" if "gemini-2-5" in name:
            row = replace(row, least=2048)
        case "openai":
            row = replace(row, ttls=tuple(info.dialect.get("cache_options", ("30m",))))
        case "openai-before-5.6":
            accepted = tuple(info.dialect.get("cache_retention", ()))
            longer = ("24h", _DAY) if "24h" in accepted else None
            row = replace(row, life=_DAY) if accepted == ("24h",) else replace(row, long_life=longer)
        case "marked":
            row = replace(row, ttls=tuple(info.dialect.get("cache_ttls", ("5m",))))
        case _:
            pass
    return row


def _family(info: ModelInfo) -> str:
    match info.wire:
        case "anthropic":
            return "anthropic"
        case "gemini" | "gemini_interactions":
            return "gemini"
        case _ if info.dialect.get("cache_options"):
            return "openai"
        case _ if info.dialect.get("cache_marker"):
            return "marked"
        case _:
            return (
                "openai-before-5.6"
                if info.vendor in {"openai", "azure"}
                else _VENDORS.get(info.vendor, "automatic")
            )


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
