"""The prefix property over whatever a test recorded: requests by the session that made them, and what its log explains."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prefix.bodies import begins, segments

from treadle.agent.events import Compacted, Entry, HistoryRepaired, ModelChanged, Rewound, SessionOpened
from treadle.agent.log import LogError, load
from treadle.prompts import load as words

_ENDS = ("/chat/completions", "/responses")
"""Where a request names its session: by the key under which its cache is found."""
_EPOCHS = (Compacted, HistoryRepaired, ModelChanged, Rewound)


def unexplained(requests: Iterable[Mapping[str, Any]], folder: Path) -> list[str]:
    """Say which requests do not begin with the one before from the same session, where no log says why.

    `requests` have a path, a body and a status; the sessions' files lie anywhere below the folder.
    """
    asking = json.dumps(words("compaction/ask")[:50])[1:-1]
    allowed = _explained(folder)
    last: dict[str, list[str]] = {}
    strays: defaultdict[str, list[str]] = defaultdict(list)
    for request in requests:
        if request["status"] != 200 or not str(request["path"]).endswith(_ENDS):
            continue
        body = json.loads(request["body"])
        key = body.get("prompt_cache_key", "")
        if key not in allowed or "previous_response_id" in body or "conversation" in body:
            continue
        pieces = segments(request["path"], request["body"])
        if any(begin in pieces[-1] for begin in _asked_in_words()):
            pieces.pop()  # a knob for which a vendor has no field: it comes last in each request anew
        if stray := begins(pieces, last.get(key, [])):
            strays[key].append(stray)
        if asking not in pieces[-1]:  # what asks for a note is followed by what goes on without it
            last[key] = pieces
    return [stray for key, found in strays.items() for stray in found[allowed[key] :]]


def _asked_in_words() -> list[str]:
    texts = [words(f"wires/{name}") for name in ("json", "must_call", "no_tools")]
    texts.append(words("wires/only_tools", tools=""))
    return [text[:40] for text in texts]


def _explained(folder: Path) -> Counter[str]:
    """Count by session how often its log says that what follows begins anew. A fork has its parent's name."""
    counts: Counter[str] = Counter()
    for file in folder.rglob("*.jsonl"):
        entries = _entries(file)
        if entries and isinstance(entries[0].body, SessionOpened):
            name = entries[0].body.session
            forks = name in counts
            counts[name] += forks + sum(isinstance(entry.body, _EPOCHS) for entry in entries)
    return counts


def _entries(file: Path) -> tuple[Entry, ...]:
    try:
        return tuple(load(file).entries)
    except (LogError, OSError, ValueError):
        return ()
