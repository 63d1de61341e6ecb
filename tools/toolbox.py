"""The tools on offer: sources come and go, a step works on one frozen snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Tool, ToolSpec
from treadle.tools.screen import acting


@frozen
class ToolSet:
    """What one step may call."""

    revision: int
    tools: Mapping[str, Tool]
    """Told to the model, by name."""
    deferred: Mapping[str, Tool]
    """Not told: found, described and called through the dispatcher only."""
    sources: Mapping[str, str]
    """Where each of them comes from, by name."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told, in an order that depends on the sources alone."""
        return tuple(tool.spec for tool in self.tools.values())

    def find(self, name: str) -> Tool | None:
        """Return the tool that a call names. Actions on a screen have names that each vendor chooses."""
        return self.tools.get(name) or self.deferred.get(name) or acting(self.tools, name)


class Toolbox:
    """Named sources of tools, in the order they were first plugged in; by name within a source.

    A source that is plugged in later lands after the others, so what a provider
    cached about the earlier ones stays a prefix of what it is sent next.
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        """Names of tools that are, or once were, on offer."""
        self._sources: dict[str, _Source] = {}
        self._revision = 0

    def plug(self, source: str, tools: Iterable[Tool], *, deferred: bool = False) -> None:
        """Offer these tools under this source, in place of what it offered before."""
        tools = tuple(sorted(tools, key=lambda tool: tool.spec.name))
        self._sources[source] = _Source(tools, deferred)
        self.known.update(tool.spec.name for tool in tools)
        self._revision += 1

    def unplug(self, source: str) -> None:
        """Stop offering what this source offers."""
        if self._sources.pop(source, None) is not None:
            self._revision += 1

    def snapshot(self) -> ToolSet:
        """Return what is on offer now. Of two tools with one name, the first source's counts."""
        tools: dict[str, Tool] = {}
        deferred: dict[str, Tool] = {}
        sources: dict[str, str] = {}
        for name, source in self._sources.items():
            for tool in source.tools:
                (deferred if source.deferred else tools).setdefault(tool.spec.name, tool)
                sources.setdefault(tool.spec.name, name)
        shown = MappingProxyType(tools), MappingProxyType(deferred), MappingProxyType(sources)
        return ToolSet(self._revision, *shown)


@frozen
class _Source:
    tools: tuple[Tool, ...]
    deferred: bool
