"""The names under which a model sees the tools of servers: in every provider's letters and lengths, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

LONGEST: Final = 64
"""Letters that every provider takes: OpenAI 64, Anthropic and Gemini 128 (WIRES §15, case 44)."""
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]")
_MARK: Final = 8


def tool_name(server: str, tool: str) -> str:
    """Return `mcp__SERVER__TOOL`, as permission rules of other programs spell it.

    What has to be changed for it, or could be read as another server's tool, ends in a mark of the exact names: so
    two tools get one name only where somebody makes them.
    """
    exact = f"mcp__{server}__{tool}"
    sound = _OTHER.sub("_", exact)
    ambiguous = not server or not tool or "__" in server or server.endswith("_")
    if sound == exact and len(exact) <= LONGEST and not ambiguous:
        return exact
    return _marked(sound, f"{server}\0{tool}")


def tool_names(tools: Iterable[tuple[str, str]], taken: Iterable[str] = ()) -> Mapping[str, tuple[str, str]]:
    """Return by its name for the model which server's tool is meant, in the order given.

    A name that is taken already, be it by another server's tool that was made to look like it, gets a mark more. A
    tool that comes twice is there once.
    """
    found: dict[str, tuple[str, str]] = {}
    used = set(taken)
    for server, tool in dict.fromkeys(tools):
        name, tries = tool_name(server, tool), 0
        while name in used:
            tries += 1
            name = _marked(name, f"{server}\0{tool}\0{tries}")
        used.add(name)
        found[name] = (server, tool)
    return found


def _marked(name: str, exact: str) -> str:
    mark = sha256(exact.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
    return f"{name[: LONGEST - _MARK - 1]}_{mark}"
