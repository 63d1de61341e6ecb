"""What we know of models ourselves: limits, wires, prices and oddities, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, Prices, WireName
from treadle.agent.providers.dialects import ByWire
from treadle.sandbox.frozen import frozen


@frozen
class Row:
    """What holds for the models that a glob names."""

    glob: str
    """Of the vendor's own spelling, in lower case."""
    context_window: int | None = None
    max_output: int | None = None
    prices: tuple[Prices, ...] = ()
    """By rising `since`; the last one that has begun holds."""
    wires: tuple[WireName, ...] = ()
    """The best first; empty leaves it to the vendor."""
    dialects: ByWire = field(default_factory=dict[WireName, Dialect])


def _claude(given: float, taken: float, read: float) -> Prices:
    """Writes cost 1.25 times the input for five minutes and twice for an hour."""
    write = given * 1.25
    return Prices(given, taken, read, {"m5": write, "h1": given * 2, "unknown": write})


def _always_thinks(glob: str, prices: Prices) -> Row:
    """Return the row of a Claude that always thinks."""
    return Row(glob, _MILLION, 128_000, (prices,), dialects=dialects.CLAUDE_ALWAYS_THINKS)


def _openai(given: float, taken: float, read: float, write: float | None = None) -> Prices:
    """Above 272,000 tokens of input a request costs double, and its output half as much again."""
    return replace(
        _plain(given, taken, read, write),
        tiers=((272_000, _plain(given * 2, taken * 1.5, read * 2, write and write * 2)),),
    )


def _plain(given: float, taken: float, read: float, write: float | None = None) -> Prices:
    return Prices(given, taken, read, {} if write is None else {"m30": write, "unknown": write})


def _gemini_pro(given: float, taken: float, read: float) -> Prices:
    return Prices(given, taken, read, tiers=((200_000, Prices(given * 2, taken * 1.5, read * 2)),))


def _gpt(glob: str, window: int, dialects: ByWire, *prices: Prices) -> Row:
    return Row(glob, window, 128_000, prices, _GPT_WIRES, dialects)


def _glm(prices: Prices, older: Prices) -> tuple[Row, ...]:
    return (
        Row("glm-5.3", 1_048_576, 131_072, (prices,), dialects=dialects.GLM_5_3),
        Row("glm-5.2", 1_048_576, 131_072, (prices,), dialects=dialects.GLM_5_2),
        Row("glm-5.1", 200_000, 131_072, (older,), dialects=dialects.GLM_5_1),
        Row("glm-5.3*", dialects=dialects.GLM_5_3),
        Row("glm-*[0-9]v*", dialects=dialects.GLM_VISION),
        Row("glm-*", dialects=dialects.GLM_5_1),
    )


_GPT_WIRES: tuple[WireName, ...] = ("openai_responses", "openai_chat")
_ONLY_RESPONSES: tuple[WireName, ...] = ("openai_responses",)
_WIDE = 1_050_000
_MILLION = 1_000_000
_FLASH = (Prices(0.75, 3.75, 0.075), Prices(1.5, 7.5, 0.15, since=date(2027, 1, 1)))

_OPENAI: tuple[Row, ...] = (
    *(
        Row(glob, wires=_ONLY_RESPONSES, dialects=dialects.ONLY_RESPONSES)
        for glob in (
            "gpt-5*-pro*",
            "gpt-6*-pro*",
            "o[13]-pro*",
            "*codex*",
            "*deep-research*",
            "gpt-daybreak-*",
            "*-cyber*",
            "*rosalind*",
            "gpt-6.2-astra-law*",
        )
    ),
    _gpt("gpt-6*-astra", _WIDE, dialects.GPT_6_ASTRA, _openai(10, 50, 1, 12.5)),
    _gpt("gpt-6-sol", _WIDE, dialects.GPT_6, _openai(2, 10, 0.2, 2.5)),
    _gpt("gpt-6.[12]-sol", _WIDE, dialects.GPT_6, _openai(2, 10, 0.1, 2.5)),
    _gpt("gpt-6.1-terra", _WIDE, dialects.GPT_6, _openai(1, 5, 0.05, 1.25)),
    _gpt("gpt-6-luna", _WIDE, dialects.GPT_6, _openai(0.1, 0.5, 0.01, 0.125)),
    _gpt(
        "gpt-5.6-sol",
        _WIDE,
        dialects.GPT_5_6,
        _openai(5, 30, 0.5, 6.25),
        replace(_openai(4, 20, 0.4, 5), since=date(2026, 8, 21)),
    ),
    _gpt(
        "gpt-5.6-terra",
        _WIDE,
        dialects.GPT_5_6,
        _openai(2.5, 15, 0.25, 3.125),
        replace(_openai(2, 12, 0.2, 2.5), since=date(2026, 7, 30)),
    ),
    _gpt(
        "gpt-5.6-luna",
        _WIDE,
        dialects.GPT_5_6,
        _openai(1, 6, 0.1, 1.25),
        replace(_openai(0.2, 1.2, 0.02, 0.25), since=date(2026, 7, 30)),
    ),
    _gpt("gpt-5.5", _MILLION, dialects.GPT_5_5, _openai(5, 30, 0.5)),
    _gpt("gpt-5.4", _WIDE, dialects.GPT_5_4, _openai(2.5, 15, 0.25)),
    _gpt("gpt-5.4-mini", 400_000, dialects.GPT_5_4, _plain(0.75, 4.5, 0.075)),
    _gpt("gpt-5.4-nano", 400_000, dialects.GPT_5_4, _plain(0.2, 1.25, 0.02)),
    _gpt("gpt-5.2", 400_000, dialects.GPT_5_2, _plain(1.75, 14, 0.175)),
    _gpt("gpt-5.1", 400_000, dialects.GPT_5_1, _plain(1.25, 10, 0.125)),
    _gpt("gpt-5", 400_000, dialects.GPT_5, _plain(1.25, 10, 0.125)),
    _gpt("gpt-5-mini", 400_000, dialects.GPT_5, _plain(0.25, 2, 0.025)),
    _gpt("gpt-5-nano", 400_000, dialects.GPT_5, _plain(0.05, 0.4, 0.005)),
    Row("gpt-6*", wires=_GPT_WIRES, dialects=dialects.GPT_6),
    Row("gpt-5*", wires=_GPT_WIRES, dialects=dialects.GPT_5_2),
)

_GEMINI: tuple[Row, ...] = (
    Row(
        "gemini-4-argon",
        1_048_576,
        1_048_576,
        (Prices(2, 10, 0.1), Prices(4, 20, 0.2, since=date(2026, 12, 1))),
        dialects=dialects.GEMINI_4,
    ),
    Row("gemini-3.[678]-flash", _MILLION, 65_536, _FLASH, dialects=dialects.GEMINI_3_FLASH),
    Row("gemini-3.5-flash", _MILLION, 65_536, (Prices(1.5, 9, 0.15),), dialects=dialects.GEMINI_3_FLASH),
    Row(
        "gemini-3.5-flash-lite", _MILLION, 65_536, (Prices(0.3, 2.5, 0.03),), dialects=dialects.GEMINI_3_FLASH
    ),
    Row(
        "gemini-3.1-pro-preview",
        1_048_576,
        65_536,
        (_gemini_pro(2, 12, 0.2),),
        dialects=dialects.GEMINI_3_PRO,
    ),
    Row(
        "gemini-2.5-pro", 1_048_576, 65_536, (_gemini_pro(1.25, 10, 0.125),), dialects=dialects.GEMINI_2_5_PRO
    ),
    Row("gemini-2.5-flash", 1_048_576, 65_536, (Prices(0.3, 2.5, 0.03),), dialects=dialects.GEMINI_2_5_FLASH),
    Row("gemini-4-*", dialects=dialects.GEMINI_4),
    Row("gemini-3*flash*", dialects=dialects.GEMINI_3_FLASH),
    Row("gemini-3*", dialects=dialects.GEMINI_3_PRO),
    Row("gemini-2.5-flash-lite*", dialects=dialects.GEMINI_2_5_LITE),
    Row("gemini-2.5-flash*", dialects=dialects.GEMINI_2_5_FLASH),
    Row("gemini-2.5-*", dialects=dialects.GEMINI_2_5_PRO),
)

_CLAUDE: tuple[Row, ...] = (
    _always_thinks("claude-opus-5-5*", _claude(4, 20, 0.2)),
    Row(
        "claude-sonnet-5-5*",
        _MILLION,
        128_000,
        (_claude(2, 10, 0.1),),
        dialects=dialects.CLAUDE_SONNET_5_5,
    ),
    Row(
        "claude-haiku-5-5*",
        _MILLION,
        128_000,
        (replace(_claude(0.1, 0.5, 0.01), tiers=((100_000, _claude(0.5, 2.5, 0.05)),)),),
        dialects=dialects.CLAUDE_HAIKU_5_5,
    ),
    _always_thinks("claude-fable-5-2*", _claude(8, 40, 0.2)),
    _always_thinks("claude-fable-5-1*", _claude(10, 50, 0.25)),
    Row("claude-opus-5", _MILLION, 128_000, (_claude(5, 25, 0.5),), dialects=dialects.CLAUDE_OPUS),
    Row("claude-opus-4-8*", _MILLION, 128_000, (_claude(5, 25, 0.5),), dialects=dialects.CLAUDE_OPUS),
    Row("claude-opus-4-7*", _MILLION, 128_000, (_claude(5, 25, 0.5),)),
    Row("claude-opus-4-5*", 200_000, 64_000, (_claude(5, 25, 0.5),), dialects=dialects.CLAUDE_OPUS_4_5),
    Row("claude-sonnet-5", _MILLION, 128_000, (_claude(2, 10, 0.2),)),
    Row("claude-haiku-4-5*", 200_000, 64_000, (_claude(1, 5, 0.1),), dialects=dialects.CLAUDE_BUDGET),
    Row("claude-mythos-5*", dialects=dialects.CLAUDE_ALWAYS_THINKS),
    Row("claude-*-4-6*", dialects=dialects.CLAUDE_4_6),
    Row("claude-*-4-[0-5]*", dialects=dialects.CLAUDE_BUDGET),
    Row("claude-*-4", dialects=dialects.CLAUDE_BUDGET),
    Row("claude-*-4-20*", dialects=dialects.CLAUDE_BUDGET),
    Row("claude-3-7*", dialects=dialects.CLAUDE_BUDGET),
    Row("claude-[23]*", dialects=dialects.CLAUDE_OLD),
    Row("claude-instant*", dialects=dialects.CLAUDE_OLD),
)
_AZURE = tuple(replace(row, prices=(), dialects=dialects.uncached(row.dialects)) for row in _OPENAI)
_CHAT: tuple[WireName, ...] = ("openai_chat",)
_LEGACY: tuple[WireName, ...] = ("openai_completions",)
_INSTRUCT = (
    Row("gpt-3.5-turbo-instruct*", 4096, wires=_LEGACY),
    Row("davinci-002", 16_384, wires=_LEGACY),
    Row("babbage-002", 16_384, wires=_LEGACY),
)

ROWS: Mapping[str, tuple[Row, ...]] = {
    "openai": (*_OPENAI, *_INSTRUCT),
    "azure": _AZURE,
    "azure-deployments": tuple(replace(row, wires=_CHAT) for row in _AZURE if _CHAT[0] in row.wires),
    "anthropic": _CLAUDE,
    "gemini": _GEMINI,
    "vertex": (
        *_GEMINI,
        *(replace(row, wires=("anthropic",)) for row in (*_CLAUDE, Row("claude-*"))),
        Row("*/*", wires=_CHAT),
    ),
    "zai": _glm(Prices(1.4, 4.4, 0.26), Prices(1.4, 4.4, 0.26)),
    "bigmodel": _glm(Prices(1.103, 3.862, 0.276), Prices(0.828, 3.31, 0.179)),
    "mock": (
        Row("*", _MILLION, 128_000, (_plain(2, 10, 0.1, 2.5),)),
    ),  # simulated: what a mid-size model costs
}
CLOSED = frozenset({"openai", "anthropic", "gemini"})
"""Vendors that alone decide what their models are called."""
