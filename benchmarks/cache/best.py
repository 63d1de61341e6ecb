"""The least that a session could have cost: all markers and times chosen by one who knows what comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.cache.play import Played, unmarked
from treadle.agent.cache.rules import row_of
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import DAY, Rule, google
from treadle.agent.mock.billing_prompt import Moment, Prompt, stream, whole
from treadle.agent.providers.contract import ModelInfo
from treadle.tools.contract import JsonObject


@dataclass(frozen=True, slots=True)
class Rates:
    """What tokens cost, relative to fresh ones, and how long what is written lives."""

    read: float
    short: float
    long: float
    lives: tuple[float, float]
    least: int


def rates_of(info: ModelInfo) -> Rates:
    """Return the rates of a model, from the catalogue and its vendor's published minimum."""
    assert info.prices is not None
    base, write = info.prices.input, info.prices.cache_write
    read = (info.prices.cache_read or 0.0) / base
    least = row_of(info).least
    if info.wire == "anthropic":
        return Rates(read, write["m5"] / base, write["h1"] / base, (300.0, 3_600.0), least)
    if info.dialect.get("cache_options"):
        short = write.get("m30", 1.25 * base) / base
        return Rates(read, short, write.get("h12", 2.5 * base) / base, (1_800.0, 43_200.0), least)
    return Rates(read, 1.0, 1.0, (0.0, 0.0), least)


def bill(played: Played) -> float:
    """Return what a session's input was billed, in fresh tokens."""
    rates = rates_of(played.info)
    return sum(_cost(each.prompt, rates) for each in played.sent)


def _cost(prompt: Prompt, rates: Rates) -> float:
    written = rates.short * (prompt.written - prompt.written_long) + rates.long * prompt.written_long
    return prompt.input - prompt.cached - prompt.written + rates.read * prompt.cached + written


def best(played: Played) -> float:
    """Return the least that the same requests at the same times could have been billed."""
    rates = rates_of(played.info)
    asked = [_units(unmarked(each.body)) for each in played.sent]
    if not rates.lives[0]:
        return _automatic(played, asked, rates)
    ends = [sum(map(_size, units)) for units in asked]
    static = min(_shared(one, other) for one, other in zip(asked[:1] * len(asked), asked, strict=True))
    return min(_marked(asked, ends, played.times, rates, static, long=long) for long in (False, True))


def _automatic(played: Played, asked: Sequence[Sequence[JsonObject]], rates: Rates) -> float:
    """Bill what keeps by itself, with the longest life that can be had for nothing."""
    ledger, info = Ledger(), played.info
    rule = google(info.id) if info.wire.startswith("gemini") else Rule(1024, DAY)
    total = 0.0
    for units, now in zip(asked, played.times, strict=True):
        moment = Moment(now, now, "")
        if info.vendor == "deepseek":
            blocks = [replace(whole(unit), open=unit.get("role") == "assistant") for unit in units]
            prompt = ledger.units.bill("", blocks, stream(units), moment)
        else:
            prompt = ledger.steps.bill("", stream(units), rule, moment)
        total += _cost(prompt, rates)
    return total


@dataclass(frozen=True, slots=True)
class _State:
    """Tokens of the longest prefix that is kept for the longer and for the shorter time."""

    long: int
    short: int


def _marked(
    asked: Sequence[Sequence[JsonObject]],
    ends: Sequence[int],
    times: Sequence[float],
    rates: Rates,
    static: int,
    *,
    long: bool,
) -> float:
    """Go through all choices: the end of each request kept for the longer time, the shorter, or not at all.

    What all requests share is marked in each, for the longer time or the shorter one: `long`.
    """
    states: dict[_State, float] = {_State(0, 0): 0.0}
    before: Sequence[JsonObject] = ()
    for index, units in enumerate(asked):
        gap = times[index] - times[index - 1] if index else float("inf")
        goes_on = list(units[: len(before)]) == list(before)
        found: dict[_State, float] = {}
        for state, spent in states.items():
            left = _left(state, gap, rates, static, goes_on=goes_on)
            for after, cost in _choices(left, ends[index], rates, static, long=long):
                known = found.get(after)
                found[after] = spent + cost if known is None else min(known, spent + cost)
        states, before = found, units
    return min(states.values())


def _left(state: _State, gap: float, rates: Rates, static: int, *, goes_on: bool) -> _State:
    short = state.short if gap <= rates.lives[0] else 0
    long = state.long if gap <= rates.lives[1] else 0
    return _State(long, short) if goes_on else _State(min(long, static), min(short, static))


def _choices(
    state: _State, end: int, rates: Rates, static: int, *, long: bool
) -> Iterator[tuple[_State, float]]:
    hit = max(state.long, state.short)
    base = rates.read * hit
    yield state, base + end - hit
    if end < rates.least:
        return
    first = max(0, static - hit) if long and static >= rates.least else 0
    kept = static if first else state.long
    yield _State(kept, end), base + rates.long * first + rates.short * (end - hit - first)
    yield _State(end, state.short), base + rates.long * (end - hit)


def _units(body: JsonObject) -> list[JsonObject]:
    """Return a request's prompt in the order of its cache."""
    given = [body[key] for key in ("tools", "system", "messages", "input") if key in body]
    if "contents" in body:
        tools = [each for tool in body["tools"] for each in tool["functionDeclarations"]]
        contents = (body["systemInstruction"], *body["contents"])
        given = [tools, *(content["parts"] for content in contents)]
    return [unit for units in given for unit in units]


def _size(unit: JsonObject) -> int:
    return whole(unit).tokens


def _shared(one: Sequence[JsonObject], other: Sequence[JsonObject]) -> int:
    """Return the tokens of what two requests begin with."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += _size(first)
    return count
