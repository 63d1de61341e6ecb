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
from treadle.tools.contract import Hosted, HostedKind, JsonObject, ToolSpec

PAGE: Final = Path(__file__).parents[2] / "docs" / "providers.md"
Encode: TypeAlias = Callable[[ModelRequest], HttpCall]
Models: TypeAlias = Sequence[tuple[str, Encode]]
"""Models of one place, each by the name of its row in the shared cases."""
Cell: TypeAlias = Literal["tested", "in words", "by config", "automatic", "not built", "not offered"]
_CELLS: Final[tuple[Cell, ...]] = ("tested", "in words", "by config", "automatic", "not built", "not offered")

_PLAIN: Final = ModelRequest(system=("S.",), tools=(READ,), messages=(HELLO,))
_BARE: Final = replace(_PLAIN, tools=())
_HOSTED: Final[Mapping[HostedKind, JsonObject]] = {
    "web_search": {},
    "code_interpreter": {},
    "file_search": {"vector_store_ids": ["vs_1"]},
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
_LOCAL: Final = frozenset({"vllm", "ollama", "lmstudio"})
_NO_BATCH: Final = _LOCAL | {"deepseek", "interactions"}
_NO_FILES: Final = _LOCAL | {"deepseek", "groq", "vertex, Claude", "completions"}
_THERE: Final[Mapping[str, frozenset[str]]] = {
    "openai": frozenset({"computer_use"}),
    "responses": frozenset({"computer_use"}),
    "anthropic": frozenset({"computer_use"}),
    "vertex, Claude": frozenset({"computer_use"}),
    "azure": frozenset({"web_search", "computer_use", "image_generation", "tool_search"}),
    "openrouter": frozenset({"web_search", "code_interpreter", "image_generation", "tool_search"}),
    "zai": frozenset({"web_search", "mcp"}),
    "bigmodel": frozenset({"web_search", "mcp"}),
    "mistral": frozenset({"web_search", "code_interpreter", "image_generation"}),
    "xai": frozenset({"web_search", "code_interpreter", "file_search", "mcp"}),
    "groq": frozenset({"web_search", "code_interpreter", "mcp"}),
    "moonshot": frozenset({"web_search"}),
}
"""Hosted tools that a vendor has, as far as WIRES §20 and its own pages tell: what of it we refuse is not built."""


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
    "- **not offered**: the vendor has no such thing; it is dropped with a warning that names model and field, or, where leaving it",
    "  out would change what is asked, refused in one line before any request",
    "- **not built**: the vendor has it, this program not yet; refused or dropped in the same way",
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
        "batch": "not offered" if name.partition(".")[0] in _NO_BATCH else "not built",
        "files": "not offered" if name.partition(".")[0] in _NO_FILES else "not built",
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
    cells: dict[str, Cell] = {}
    for kind, config in _HOSTED.items():
        takes = _takes(encode, (Hosted(kind=kind, config=config),))
        there = kind in _THERE.get(name, ()) or (
            takes and kind == "computer_use"
        )  # nothing here has a screen
        works = takes and kind != "computer_use"
        cells[kind.replace("_", " ")] = "tested" if works else "not built" if there else "not offered"
    return cells


def _sampling(name: str, encode: Encode) -> Mapping[str, Cell]:
    """Return what `test_sampling` holds every place to."""
    keys = {*{**BY_VENDOR, **BY_WIRE}.get(name, {})}
    if name in BY_WIRE:
        wire = WIRES[name].wire.name
        keys |= {key for vendor, taken in BY_VENDOR.items() if _wire_of(vendor) == wire for key in taken}
    return {f"`{field}`": _cell(field in keys) for field in VALUES}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
