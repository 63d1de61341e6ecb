"""The contents that Gemini caches when it is asked to: read by their name, and paid by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from treadle.agent.mock.check import Refused, wrong
from treadle.agent.mock.jsontext import Json, elements, members, words

TOO = ("systemInstruction", "tools", "toolConfig")
"""What a request that names cached contents must not say again."""


@dataclass(slots=True)
class Cached:
    """Contents that are kept."""

    name: str
    model: str
    tokens: int
    since: float
    until: float
    label: str


@dataclass(slots=True)
class Caches:
    """All that is kept, and what keeping it has come to."""

    kept: dict[str, Cached] = field(default_factory=dict[str, Cached])
    token_hours: float = 0.0
    """Of contents that are no longer kept."""

    def read(self, body: Mapping[str, Json], model: str, now: float) -> int:
        """Return the tokens of the contents that a request names. Raises Refused."""
        for key in TOO:
            if body.get(key):
                told = f"{key} belongs to the CachedContent, not to the GenerateContent request that uses it"
                raise wrong(key, told)
        found = self.find(words(body["cachedContent"]), now)
        if found.model != model:
            raise wrong("cachedContent", f"was made for {found.model}, not for {model}")
        return found.tokens

    def find(self, name: str, now: float) -> Cached:
        """Return contents that are still kept. Raises Refused."""
        found = self.kept.get(name)
        if found is not None and found.until < now:
            self.drop(found, found.until)
            found = None
        if found is None:
            raise Refused("CachedContent not found (or permission denied)", status=403)
        return found

    def drop(self, cached: Cached, now: float) -> None:
        """Keep contents no longer."""
        del self.kept[cached.name]
        self.token_hours += cached.tokens * (now - cached.since) / 3600


def parts_of(body: Mapping[str, Json]) -> list[Json]:
    """The units of a prompt: functions, other tools, the parts of the system instruction and of the contents."""
    tools = [members(tool) for tool in elements(body.get("tools"))]
    functions = [each for tool in tools for each in elements(tool.get("functionDeclarations"))]
    hosted: list[Json] = [dict(tool) for tool in tools if "functionDeclarations" not in tool]
    said = [members(content) for content in (body.get("systemInstruction"), *elements(body.get("contents")))]
    return [*functions, *hosted, *(part for content in said for part in elements(content.get("parts")))]
