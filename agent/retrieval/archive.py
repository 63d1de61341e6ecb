"""What `recall` searches: what a session's log no longer shows the model, its long outputs and its documents."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from anyio import to_thread

from treadle.agent.events import CallFinished, Entry, MessageAdded
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, UserMessage
from treadle.agent.providers.contract import ProviderError
from treadle.agent.retrieval.chunks import CHUNK, Chunk, Piece, chunks
from treadle.agent.retrieval.shelf import Kept, Shelf, Source, words_of
from treadle.agent.retrieval.vectors import Meaning, fused
from treadle.tools.builtin.recall import Hit
from treadle.tools.contract import Content, Resource, Text, ToolCall

_RANKED = 50
"""Chunks that each way of searching contributes."""
_EXCERPT = 360
_SPILL = 16 * 1024 * 1024
"""Bytes of one long output that are indexed; `grep` finds the rest."""
_ENTRY = re.compile(r"e\d+")
_CHUNK = re.compile(r"#?(\d+)")


@dataclass(frozen=True, slots=True)
class Archive:
    """Searches everything that belongs to a session and is not before the model's eyes."""

    log: SessionLog
    shelf: Shelf
    spills: Path
    meaning: Meaning | None = None
    """None searches by words alone."""

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        """Return what fits the query, best first. Raises OSError."""
        shown = await to_thread.run_sync(self._catch_up)
        found = await to_thread.run_sync(self.shelf.search, query, _RANKED, shown)
        numbers = [kept.id for kept in found]
        near = await self._near(query, self.meaning) if self.meaning is not None else []
        if self.meaning is not None:
            numbers = fused(numbers, near, most=most + len(shown)) if near else numbers
        kept = await to_thread.run_sync(self.shelf.take, numbers)
        titles = await to_thread.run_sync(self.shelf.sources)
        # What is nearest in meaning may share no word with the query to show it by: it is shown whole.
        whole = near[0] if near else None
        hits = (
            _hit(one, query, titles, CHUNK if one.id == whole else _EXCERPT)
            for one in kept
            if one.source not in shown
        )
        return list(islice(hits, most))

    async def whole(self, name: str) -> str | None:
        """Return an entry or a chunk by its id; None when there is none. Raises OSError."""
        if _ENTRY.fullmatch(name):
            entry = next((entry for entry in self.log.branch() if entry.id == name), None)
            return _told(entry, _calls(self.log.branch())) if entry is not None else None
        number = _CHUNK.fullmatch(name)
        if number is None:
            return None
        kept = await to_thread.run_sync(self.shelf.take, [int(number[1])])
        return f"{_heading(kept[0].chunk)}\n{kept[0].chunk.text}" if kept else None

    async def _near(self, query: str, meaning: Meaning) -> list[int]:
        try:
            return await meaning.search(query, _RANKED)
        except ProviderError:
            return []  # words find something too

    def _catch_up(self) -> Collection[str]:
        """Index what came since the last search. Returns the sources that are not to be searched now.

        Those are entries of other branches, and those that the model still has before it.
        """
        branch = self.log.branch()
        epoch = self.log.conversation.epoch
        end = next((index for index, entry in enumerate(branch) if entry.id == epoch), 0)
        sent = {name for name, _ in self.log.conversation.items}
        known = self.shelf.sources()
        calls = _calls(branch)
        past = [entry for entry in branch[:end] if entry.id not in sent]
        new = [entry for entry in past if entry.id not in known and _told(entry, calls)]
        entries = (Source(one.id, _title(one, calls), "", _lines(_told(one, calls))) for one in new)
        files = [file for file in sorted(self.spills.glob("*.txt")) if str(file) not in known]
        if new or files:
            self.shelf.put(chain(entries, map(_spilled, files)))
        searched = {entry.id for entry in past}
        return {name for name in (*known, *sent) if _ENTRY.fullmatch(name)} - searched


def _spilled(file: Path) -> Source:
    with file.open("rb") as opened:
        text = opened.read(_SPILL).decode("utf-8", "replace")
    return Source(str(file), f"output in {file}", "", _lines(text))


def _lines(text: str) -> Iterator[Chunk]:
    return chunks(Piece(line, (), "line", number) for number, line in enumerate(text.split("\n"), 1))


def _calls(branch: Iterable[Entry]) -> dict[str, ToolCall]:
    return {
        call.id: call
        for entry in branch
        if isinstance(entry.body, MessageAdded) and isinstance(entry.body.message, AssistantMessage)
        for call in entry.body.message.calls
    }


def _told(entry: Entry, calls: dict[str, ToolCall]) -> str:
    """Return what an entry says in words; empty for one that says nothing, or only what a search has found."""
    match entry.body:
        case MessageAdded(message=AssistantMessage() as message):
            made = [f"{call.name} {call.arguments}" for call in message.calls if not _is_recall(call)]
            return "\n".join(text for text in (message.text, *made) if text)
        case MessageAdded(message=UserMessage(content=content)):
            return _plain(content)
        case CallFinished(result=result, parent_call=None):
            call = calls.get(result.call_id)
            return "" if call is not None and _is_recall(call) else _plain(result.content)
        case _:
            return ""


def _title(entry: Entry, calls: dict[str, ToolCall]) -> str:
    match entry.body:
        case MessageAdded(message=message):
            return message.role
        case CallFinished(result=result) if result.call_id in calls:
            call = calls[result.call_id]
            return f"{call.name} {call.arguments}"[:160]
        case _:
            return ""


def _is_recall(call: ToolCall) -> bool:
    return call.name == "recall" or (call.name == "tools" and '"recall"' in call.arguments)


def _plain(content: Sequence[Content]) -> str:
    told: list[str] = []
    for part in content:
        match part:
            case Text(text=text) | Resource(text=str(text)):
                told.append(text)
            case _ if part.type == "json":
                told.append(json.dumps(part.value, ensure_ascii=False))
            case _:
                pass
    return "\n".join(told)


def _heading(chunk: Chunk) -> str:
    return ", ".join(part for part in (chunk.title, chunk.place) if part)


def _hit(kept: Kept, query: str, titles: dict[str, str], most: int) -> Hit:
    named = ", ".join(part for part in (titles.get(kept.source, ""), _heading(kept.chunk)) if part)
    is_entry = _ENTRY.fullmatch(kept.source)
    return Hit(kept.source if is_entry else f"#{kept.id}", named, excerpt(kept.chunk.text, query, most))


def excerpt(text: str, query: str, most: int = _EXCERPT) -> str:
    """Return the part of a text in which the most words of a query stand."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    lower = text.lower()
    stems = {word[:6] for word in words_of(query) if len(word) > 2}
    places = sorted(
        (at.start(), stem) for stem in stems for at in re.finditer(rf"\b{re.escape(stem)}", lower)
    )
    best, start = 0, 0
    for index, (place, _) in enumerate(places):
        inside = {stem for other, stem in places[index:] if other < place + most - 40}
        if len(inside) > best:
            best, start = len(inside), max(place - 40, 0)
    start = min(start, len(text) - most)
    return ("…" if start else "") + text[start : start + most] + ("…" if start + most < len(text) else "")
