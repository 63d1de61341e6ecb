"""The `tools` tool: finds, describes and calls the tools that a model is not told about."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from math import log
from typing import Any, Literal

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import (
    Caller,
    Frozen,
    Function,
    JsonObject,
    Outcome,
    Text,
    Tool,
    ToolContext,
    ToolError,
    ToolSpec,
)
from treadle.tools.define import define

_FOUND = 10
_LISTED = 50
_SUMMARY = 160


class ToolsArguments(Frozen):
    action: Literal["search", "describe", "call"]
    query: str = ""
    name: str = ""
    arguments: dict[str, Any] | None = None


def tools_tool(
    deferred: Callable[[], Mapping[str, Tool]], caller: Caller, known: Collection[str] = ()
) -> Tool:
    """Return the dispatcher over what `deferred` returns at the time of the call.

    `known` are the names of all tools that there are or ever were, as they are at that time.
    """
    run = partial(_run, deferred, caller, known)
    return define("tools", ToolsArguments, description=load("tools/tools"), access=_access, run=run)


def _access(arguments: ToolsArguments, place: Place) -> Access:
    """Free: the tool that is called says itself what it touches, and is judged as any other."""
    return Access(tool="tools", free=True)


async def _run(
    deferred: Callable[[], Mapping[str, Tool]],
    caller: Caller,
    known: Collection[str],
    arguments: ToolsArguments,
    ctx: ToolContext,
) -> Outcome:
    specs = {name: tool.spec for name, tool in deferred().items()}
    match arguments.action:
        case "search":
            return _text(_listing(arguments.query, specs))
        case "describe":
            return _text(_described(_known(arguments.name, specs, known)))
        case "call":
            _known(arguments.name, specs, known)
            result = await caller.call(arguments.name, arguments.arguments or {}, parent=ctx.call_id)
            return Outcome(result.content, result.is_error, result.details, result.artifacts)


def _text(text: str) -> Outcome:
    return Outcome((Text(text=text),))


def _known(name: str, specs: Mapping[str, ToolSpec], known: Collection[str]) -> ToolSpec:
    if name in specs:
        return specs[name]
    if name in known:
        raise ToolError(f"tools failed: {name} is not available any more, or is called by itself")
    near = get_close_matches(name, specs, 3, 0.5)
    hint = f"near names: {', '.join(near)}" if near else "search finds the ones there are"
    raise ToolError(f"tools failed: there is no tool {name!r} to reach from here; {hint}")


def _described(spec: ToolSpec) -> str:
    return json.dumps(spec.model_dump(exclude={"type", "strict"}, exclude_none=True), ensure_ascii=False)


def _listing(query: str, specs: Mapping[str, ToolSpec]) -> str:
    names = rank(query, specs) if query.strip() else sorted(specs)
    shown = names[: _FOUND if query.strip() else _LISTED]
    if not shown:
        return f"No tool matches; {len(specs)} can be reached." if specs else "There are no more tools."
    lines = [f"{name}: {_summary(specs[name])}" for name in shown]
    lines += [f"[{len(shown)} of {len(names)}; search with a query for the others]"] * (
        len(names) > len(shown)
    )
    return "\n".join(lines)


def _summary(spec: ToolSpec) -> str:
    text = " ".join(_description(spec).split())
    return text if len(text) <= _SUMMARY else f"{text[: _SUMMARY - 3]}..."


def _description(spec: ToolSpec) -> str:
    return f"runs at the provider ({spec.kind})" if spec.type == "hosted" else spec.description


def rank(query: str, specs: Mapping[str, ToolSpec]) -> list[str]:
    """Return the names of the tools that share words with the query, best first.

    BM25 over name (which counts three times), description and argument names.
    """
    bags = {name: Counter(_words(spec)) for name, spec in specs.items()}
    average = sum(bag.total() for bag in bags.values()) / max(len(bags), 1)
    holders = Counter(word for bag in bags.values() for word in bag)
    scores: dict[str, float] = {}
    for name, bag in bags.items():
        norm = 1.2 * (0.25 + 0.75 * bag.total() / average) if average else 1.0
        score = sum(
            log(1 + (len(bags) - holders[word] + 0.5) / (holders[word] + 0.5))
            * bag[word]
            * 2.2
            / (bag[word] + norm)
            for word in _split(query)
        )
        if score or query.strip() == name:
            scores[name] = score + 1000 * (query.strip() == name)
    return sorted(scores, key=lambda name: (-scores[name], name))


def _words(spec: ToolSpec) -> Sequence[str]:
    properties: JsonObject = spec.parameters.get("properties", {}) if isinstance(spec, Function) else {}
    return [*_split(spec.name) * 3, *_split(_description(spec)), *_split(" ".join(properties))]


def _split(text: str) -> list[str]:
    """Return the words of a text, those inside names too, without the endings of plurals."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", text)
    return [word.lower() if len(word) < 4 else word.lower().removesuffix("s") for word in words]
