"""What each wire and each vendor can do, found out by asking them for it: the page `docs/providers.md`.

`python -m wires.matrix` from `tests/` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from wires.cases import HELLO, IMAGE, PDF, READ, SCHEMA, call, calls, result, results
from wires.rows import WIRES, Row
from wires.sampling_rows import BY_VENDOR, BY_WIRE, VALUES
from wires.vendor_rows import VENDORS

from treadle.agent.build import language_model
from treadle.agent.config import Config
from treadle.agent.messages import ReasoningPart, UserMessage
from treadle.agent.providers.batch import APIS
from treadle.agent.providers.contract import (
    Breakpoint,
    Caching,
    HttpCall,
    InvalidRequest,
    ModelRequest,
    Output,
    Renderings,
    WireName,
)
from treadle.agent.providers.vendor_rows import FILE_STORES
from treadle.tools.contract import Hosted, HostedKind, JsonObject, ToolSpec

PAGE: Final = Path(__file__).parents[2] / "docs" / "providers.md"
Encode: TypeAlias = Callable[[ModelRequest], HttpCall]
Models: TypeAlias = Sequence[tuple[str, Encode]]
"""Models of one place, each by the name of its row in the shared cases."""
Cell: TypeAlias = Literal["tested", "in words", "by config", "automatic", "not offered"]
_CELLS: Final[tuple[Cell, ...]] = ("tested", "in words", "by config", "automatic", "not offered")

_PLAIN: Final = ModelRequest(system=("S.",), tools=(READ,), messages=(HELLO,))
_BARE: Final = replace(_PLAIN, tools=())
_HOSTED: Final[Mapping[HostedKind, JsonObject]] = {
    "web_search": {},
    "code_interpreter": {},
    "file_search": {"vector_store_ids": ["vs_1"], "knowledge_id": "1"},
    "computer_use": {},
    "image_generation": {},
    "mcp": {"name": "docs", "url": "https://example.org/mcp"},
    "tool_search": {},
}
"""Hosted tools, each with the options without which it makes no sense."""
_AUTOMATIC: Final = frozenset({
    "gemini",
    "vertex, Gemini",
    "interactions",
    "chat",
    "azure",
    "zai",
    "bigmodel",
    "deepseek",
    "moonshot",
    "groq",
    "vllm",
    "lmstudio",
    "ollama",
    "azure by deployment",
    "azure, another's model",
})
"""Those that keep what they have read by themselves and take no word about it, or none from us."""
_BATCHED: Final = frozenset({"openai_chat", "openai_responses", "openai_completions", "anthropic", "gemini"})
"""Wires whose requests a batch may hold: Interactions stand in none."""
_FILES: Final = frozenset({"openai_chat", "openai_responses", "anthropic", "gemini", "gemini_interactions"})
"""Wires on which a request may name a file that the vendor keeps."""
_ALSO: Final[Mapping[str, WireName]] = {"xai": "openai_responses", "groq": "openai_responses"}
"""Vendors that run more of their tools over another wire, which `providers.NAME.wire` chooses."""


def page() -> str:
    """Return the page."""
    wires = {
        name: [(each, _by_row(row)) for each, row in WIRES.items() if row.wire.name == WIRES[name].wire.name]
        for name in BY_WIRE
    }
    vendors = {
        name: [(name, language_model(row.model, Config(), row.env).encode)] for name, row in VENDORS.items()
    }
    titles = {name: f"`{WIRES[name].model.wire}`" for name in BY_WIRE}
    models = {name: f"{name} (`{VENDORS[name].model}`)" for name in VENDORS}
    return "\n".join([
        *_HEAD,
        "## By wire",
        "",
        "What the wire can say to any of the models that the shared cases hold.",
        "",
        *_tables(wires, titles),
        "## By vendor",
        "",
        "One model of each vendor, over the wire that it is reached by.",
        "",
        *_tables(vendors, models),
    ])


_HEAD: Final = (
    "# Providers",
    "",
    "This page is generated: `cd tests && ../.venv/bin/python -m wires.matrix`. A test fails when it is stale. Each cell is what",
    "comes of asking for the feature, as `tests/wires` do:",
    "",
    "- **tested**: it is sent in the vendor's own words, and comes back whole",
    "- **in words**: the vendor has no field for it, so the model is asked in words and the reply is checked here; a warning says so",
    '- **by config**: it depends on the model behind a name that says nothing of it; `[models."VENDOR/GLOB".dialect]` with',
    '  `efforts = ["low", "high"]` says what it takes, and until then it is dropped with a warning',
    "- **automatic**: the vendor caches by itself what it has read, and takes no word about it",
    "- **not offered**: the vendor has no such thing over the wire that it is reached by; it is dropped with a warning that names",
    "  model and field, or, where leaving it out would change what is asked, refused in one line before any request",
    "",
    'xAI and Groq run some of their tools over Responses alone: `[providers.NAME] wire = "openai_responses"` reaches them.',
    "A screen is acted on by a tool of yours that has one; the program itself has none, and says so when it is asked for.",
    "Moonshot's search is a call that its client answers with the call's own words: it is not asked for.",
    "Vertex takes batches from a bucket of yours alone, and xAI and Mistral keep their newest tools and batches to APIs of their own.",
    "",
    "A cell that depends on the model shows the one that is named. `treadle models` lists the others.",
    "",
)


def _by_row(row: Row) -> Encode:
    return lambda request: row.wire.encode(request, row.model, Renderings(), stream=True)


def _tables(places: Mapping[str, Models], titles: Mapping[str, str]) -> Iterable[str]:
    for title, features in (
        ("Replies and requests", _features),
        ("Tools that the provider runs", _hosted),
        ("Sampling", _sampling),
    ):
        cells = {name: _best(features(*each) for each in models) for name, models in places.items()}
        columns = list(next(iter(cells.values())))
        yield f"### {title}"
        yield ""
        yield f"| | {' | '.join(columns)} |"
        yield "|---" * (len(columns) + 1) + "|"
        for name, row in cells.items():
            yield f"| {titles[name]} | {' | '.join(row[column] for column in columns)} |"
        yield ""


def _best(rows: Iterable[Mapping[str, Cell]]) -> Mapping[str, Cell]:
    """Return of each feature the best that any model has."""
    found = list(rows)
    best: dict[str, Cell] = {}
    for column in found[0]:
        cells: list[Cell] = [row[column] for row in found]
        best[column] = min(cells, key=_CELLS.index)
    return best


def _features(name: str, encode: Encode) -> Mapping[str, Cell]:
    plain = _PLAIN if _takes(encode, (READ,)) else _BARE
    called = (HELLO, calls(call("c1")), results(result("c1", IMAGE)))
    return {
        "streaming": _cell(encode(plain).stream),
        "tools": _cell(plain is _PLAIN),
        "effort": _effort(encode, plain),
        "reasoning": _cell(_reasons(name)),
        "JSON Schema": _asked(encode, plain, Output(schema=SCHEMA)),
        "JSON mode": _asked(encode, plain, Output(json_mode=True)),
        "images": _cell(_shows(encode, replace(plain, messages=(UserMessage(content=(IMAGE,)),)))),
        "documents": _cell(_shows(encode, replace(plain, messages=(UserMessage(content=(PDF,)),)))),
        "images in results": _cell(plain is _PLAIN and _shows(encode, replace(plain, messages=called))),
        "cache": _cache(name, encode, plain),
        "batch": _cell(_batched(name)),
        "files": _cell(_keeps_files(name)),
    }


def _cell(works: bool) -> Cell:
    return "tested" if works else "not offered"


def _takes(encode: Encode, tools: tuple[ToolSpec, ...]) -> bool:
    try:
        encode(replace(_PLAIN, tools=tools))
    except InvalidRequest:
        return False
    return True


def _codes(http: HttpCall) -> set[str]:
    return {note.code for note in http.warnings}


def _effort(encode: Encode, plain: ModelRequest) -> Cell:
    http = encode(replace(plain, output=Output(effort="high")))
    if "effort_dropped" not in _codes(http):
        return "tested"
    return "by config" if http.path.endswith("/chat/completions") else "not offered"


def _batched(name: str) -> bool:
    """Say whether requests can be sent in batches: `tests/unit/agent/providers/test_batch.py`."""
    if name in WIRES:
        return WIRES[name].model.wire in _BATCHED
    return _vendor_of(name) in APIS and _wire_of(name) in _BATCHED


def _keeps_files(name: str) -> bool:
    """Say whether files can be kept there, to be named in requests."""
    if name in WIRES:
        return WIRES[name].model.wire in _FILES
    return _vendor_of(name) in FILE_STORES and _wire_of(name) in _FILES


def _vendor_of(name: str) -> str:
    return VENDORS[name].model.partition("/")[0]


def _reasons(name: str) -> bool:
    """Say whether a reply's reasoning is read, in any recorded reply of the wire."""
    wire = WIRES[name].model.wire if name in WIRES else _wire_of(name)
    return any(
        isinstance(part, ReasoningPart)
        for row in WIRES.values()
        if row.model.wire == wire
        for reply in row.replies.values()
        for part in row.wire.decode(reply, row.model).parts
    )


def _wire_of(name: str) -> WireName:
    return language_model(VENDORS[name].model, Config(), VENDORS[name].env).info.wire


def _asked(encode: Encode, plain: ModelRequest, output: Output) -> Cell:
    http = encode(replace(plain, output=output))
    if any(code.endswith("_in_words") for code in _codes(http)):
        return "in words"
    return _cell(json.loads(http.body) != json.loads(encode(plain).body))


def _shows(encode: Encode, request: ModelRequest) -> bool:
    return "media_dropped" not in _codes(encode(request))


def _cache(name: str, encode: Encode, plain: ModelRequest) -> Cell:
    caching = Caching(key="session-1", breakpoints=(Breakpoint("system"), Breakpoint("message", 0)))
    http, bare = encode(replace(plain, caching=caching)), encode(plain)
    if (http.body, http.headers) != (bare.body, bare.headers):
        return "tested"
    return "automatic" if name in _AUTOMATIC else "not offered"


def _hosted(name: str, encode: Encode) -> Mapping[str, Cell]:
    ways = [encode]
    if name in _ALSO:
        config = Config.model_validate({"providers": {name: {"wire": _ALSO[name]}}})
        ways.append(language_model(VENDORS[name].model, config, VENDORS[name].env).encode)
    return {
        kind.replace("_", " "): _cell(any(_takes(way, (Hosted(kind=kind, config=config),)) for way in ways))
        for kind, config in _HOSTED.items()
    }


def _sampling(name: str, encode: Encode) -> Mapping[str, Cell]:
    """Return what `test_sampling` holds every place to."""
    keys = {*{**BY_VENDOR, **BY_WIRE}.get(name, {})}
    if name in BY_WIRE:
        wire = WIRES[name].wire.name
        keys |= {key for vendor, taken in BY_VENDOR.items() if _wire_of(vendor) == wire for key in taken}
    return {f"`{field}`": _cell(field in keys) for field in VALUES}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
