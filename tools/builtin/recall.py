"""The `recall` tool: finds what a session has seen and no longer shows, and what is in attached documents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from pydantic import Field

from treadle.prompts import load
from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Frozen, Outcome, Text, Tool, ToolContext, ToolError
from treadle.tools.define import define

_PAGE = 6_000
"""Characters of one entry or chunk that are shown at once."""


@frozen
class Hit:
    """A place that was found."""

    id: str
    """Under which the whole of it can be had."""
    title: str
    excerpt: str


class Searched(Protocol):
    """What can be searched."""

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        """Return what fits, best first. Raises OSError."""
        ...

    async def whole(self, name: str) -> str | None:
        """Return what stands under an id; None when there is no such thing. Raises OSError."""
        ...


class RecallArguments(Frozen):
    query: str = ""
    id: str = ""
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=4, ge=1, le=20)


def recall_tool(searched: Searched) -> Tool:
    """Return the tool over what a session keeps."""
    run = partial(_run, searched)
    return define("recall", RecallArguments, description=load("tools/recall"), access=_access, run=run)


def _access(arguments: RecallArguments, place: Place) -> Access:
    """Free: it shows what the session itself was given."""
    return Access(tool="recall", free=True)


async def _run(searched: Searched, arguments: RecallArguments, ctx: ToolContext) -> Outcome:
    if arguments.id:
        return _text(_page(await searched.whole(arguments.id), arguments))
    if not arguments.query.strip():
        raise ToolError("recall failed: give a query, or the id of something that was found")
    hits = await searched.search(arguments.query, arguments.limit)
    if not hits:
        return _text("Nothing found. Try other words; what is still in this conversation is not searched.")
    return _text("\n".join(f"[{hit.id}] {hit.title}\n{hit.excerpt}" for hit in hits))


def _page(whole: str | None, arguments: RecallArguments) -> str:
    if whole is None:
        raise ToolError(f"recall failed: there is nothing with the id {arguments.id}")
    end = arguments.offset + _PAGE
    more = f"\n[{len(whole):,} characters; go on with offset={end}]" if end < len(whole) else ""
    return whole[arguments.offset : end] + more


def _text(text: str) -> Outcome:
    return Outcome((Text(text=text),))
