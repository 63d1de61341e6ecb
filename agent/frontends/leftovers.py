"""What providers keep for a session that is to go."""

from __future__ import annotations

from pathlib import Path

from treadle.agent.build.remote import delete_kept, still_kept
from treadle.agent.config import ConfigError, Folders, environment, load
from treadle.agent.events import RemoteKept
from treadle.agent.frontends.eventloop import run
from treadle.agent.frontends.outputs import complain
from treadle.agent.log import LogError, SessionLog
from treadle.agent.log import load as load_log


def delete_leftovers(places: Folders, file: Path, log: SessionLog) -> list[str]:
    """Delete what providers keep for a session and no other refers to. Returns a line for each thing that is left."""
    kept = still_kept(load_log(file).entries)
    alone = [one for name, one in kept.items() if not _is_shared(places, file, name)]
    if shared := len(kept) - len(alone):
        complain(f"treadle: {file.stem}: {shared} things at providers stay: another session refers to them")
    if not alone:
        return []
    try:
        config = load(environment(), {})
    except ConfigError as error:
        return [f"{_told(one)}: {error}" for one in alone]
    return run(delete_kept, log, alone, config, environment())


def _is_shared(places: Folders, file: Path, name: str) -> bool:
    """Say whether another session's file names this, and does not say that it is gone."""
    for other in places.sessions.glob("*/*.jsonl"):
        if other == file or name.encode() not in other.read_bytes():
            continue
        try:
            if name in still_kept(load_log(other).entries):
                return True
        except LogError:
            return True  # it may be what a damaged file needs
    return False


def _told(kept: RemoteKept) -> str:
    return f"{kept.kind} {kept.id} at {kept.vendor}"
