"""What OpenAI's cache makes of a request: breakpoints from GPT-5.6 on, steps of tokens before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import DAY, Rule
from treadle.agent.mock.billing_diagnosis import Asking
from treadle.agent.mock.billing_prompt import Block, Miss, Moment, Prompt, bare, chained, cut, stream, whole
from treadle.agent.mock.jsontext import Json, elements, members, words
from treadle.sandbox.frozen import frozen

MARKER = "prompt_cache_breakpoint"
KEPT = {"30m": 1800.0, "12h": 43_200.0}
MODERN = re.compile(r"gpt-(5\.[6-9]|[6-9])")
"""Models whose cache has breakpoints."""
LONG = re.compile(r"gpt-5\.5")
"""Models whose cache keeps what it has for a day in any case."""
LEAST, LIFE = 1024, 600.0
KNOBS: Sequence[tuple[str, Callable[[Mapping[str, Json]], Json]]] = (
    ("model_changed", lambda body: body["model"]),
    ("prompt_cache_key_changed", lambda body: body.get("prompt_cache_key")),
    (
        "text_format_changed",
        lambda body: body.get("response_format") or members(body.get("text")).get("format"),
    ),
    (
        "reasoning_effort_changed",
        lambda body: body.get("reasoning_effort") or members(body.get("reasoning")).get("effort"),
    ),
    (
        "verbosity_changed",
        lambda body: body.get("verbosity") or members(body.get("text")).get("verbosity"),
    ),
    ("service_tier_changed", lambda body: body.get("service_tier")),
)
"""What makes a cached prefix useless when it changes, with the vendor's word for that."""
FORMAT = 3
"""So many of them do so before 5.6."""


@frozen
class Units:
    """A request's prompt."""

    tools: Sequence[Json]
    items: Sequence[Json]
    """Messages or items."""
    key: Callable[[Mapping[str, Json]], str]
    """Under which an item has its parts."""
    told: Callable[[Mapping[str, Json]], bool]
    """Whether an item is the user's, or a tool's."""


def bill(body: Mapping[str, Json], units: Units, ledger: Ledger, moment: Moment) -> Prompt:
    """Bill a valid request by the rules of its model."""
    model = words(body["model"])
    knobs = tuple((reason, repr(value(body))) for reason, value in KNOBS)
    if MODERN.match(model):
        return _by_breakpoint(body, units, ledger, moment, knobs)
    bared = [bare(members(item), MARKER) for item in (*units.tools, *units.items)]
    long = body.get("prompt_cache_retention") == "24h" or LONG.match(model)
    rule = Rule(LEAST, DAY if long else LIFE)
    return ledger.steps.bill(("openai", *knobs[:FORMAT]), stream(bared), rule, moment)


def _by_breakpoint(
    body: Mapping[str, Json],
    units: Units,
    ledger: Ledger,
    moment: Moment,
    knobs: tuple[tuple[str, str], ...],
) -> Prompt:
    options = members(body.get("prompt_cache_options"))
    usual = KEPT[words(options.get("ttl")) or "30m"]
    tools = [whole(tool) for tool in units.tools]
    items = [block for item in units.items for block in _cut(members(item), units, usual)]
    implicit = usual if options.get("mode", "implicit") == "implicit" else None
    prompt = ledger.marked.openai(("openai", *knobs), [*tools, *items], implicit, moment)
    named = {
        **dict(knobs[:2]),
        "tools_changed": repr(chained("", tools)[0]),
        **dict(knobs[2:]),
    }
    asking = Asking(tuple(named.items()), "input_changed", tuple(chained("", items)[0]), prompt.input)
    previous = words(options.get("comparison_response_id")).removeprefix("resp_") or None
    lost = "comparison_response_not_found"
    miss = ledger.diagnoses.compare(moment.name, asking, prompt.cached, previous, lost)
    if previous is not None and miss is None:
        miss = Miss("cache_hit" if prompt.cached else "unavailable")
    return replace(prompt, miss=miss)


def _cut(item: Mapping[str, Json], units: Units, usual: float) -> list[Block]:
    def keep(mark: Mapping[str, Json]) -> float:
        return KEPT[words(mark["ttl"])] if "ttl" in mark else usual

    blocks = cut(item, units.key(item), MARKER, keep)
    return [*blocks[:-1], replace(blocks[-1], open=units.told(item))]


def chat_units(body: Mapping[str, Json]) -> Units:
    """The prompt of Chat Completions."""
    return Units(
        elements(body.get("tools")),
        elements(body["messages"]),
        key=lambda message: "content",
        told=lambda message: message["role"] in {"user", "tool"},
    )


def responses_units(body: Mapping[str, Json]) -> Units:
    """The prompt of Responses."""
    instructions = body.get("instructions")
    given = body["input"]
    items: list[Json] = [{"role": "user", "content": given}] if isinstance(given, str) else elements(given)
    return Units(
        elements(body.get("tools")),
        [*([{"role": "system", "content": instructions}] if instructions else []), *items],
        key=lambda item: "output" if isinstance(item.get("output"), list) else "content",
        told=lambda item: item.get("role") == "user" or words(item.get("type")).endswith("_call_output"),
    )
