"""How a session makes room: what is read anew then, and in which order it is tried. Loaded when there is need."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from treadle.agent.build.opening import Opening
from treadle.agent.build.recall import reach_of
from treadle.agent.build.remote import upload
from treadle.agent.build.skills import skill_text
from treadle.agent.compaction.compactor import Around, Compactor
from treadle.agent.conversation import Conversation
from treadle.agent.events import CallFinished
from treadle.agent.ladder import Ladder, Seams
from treadle.agent.log import SessionLog
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import LanguageModel, ModelRequest, Output
from treadle.agent.remote.model import RemoteModel
from treadle.agent.repair import mend
from treadle.agent.session import Record
from treadle.agent.sessions import SpillFolder
from treadle.sandbox.contract import Sandbox, SandboxError
from treadle.sandbox.paths import absolute
from treadle.tools.contract import Media

_SKILL, _SKILLS = 20_000, 100_000
"""Characters of one skill that is read anew, and of all of them."""


def compactor(opening: Opening, cache_key: str, record: Record, sandbox: Sandbox) -> Compactor:
    """Return what makes room in a session by a note."""
    log = record.log

    async def reread(conversation: Conversation) -> tuple[str, ...]:
        return _skills(opening, log)

    async def exists(path: str) -> bool:
        try:
            await sandbox.files.info(absolute(path, sandbox.place))
        except (OSError, SandboxError):
            return False
        return True

    around = Around(reread, exists, reach_of(log.conversation.prefix.tools), opening.config.limits.steps)
    return Compactor(
        cache_key, opening.config.connection.retries, record.show, opening.config.context.compact_at, around
    )


def ladder(notes: Compactor, output: Output, spill: SpillFolder) -> Ladder:
    """Return what makes a session's requests fit; and makes room by a note where that pays."""

    async def write(name: str, text: str) -> str:
        return await to_thread.run_sync(_keep, spill, name, text)

    seams = Seams(
        shrink=_shrunk,
        upload=upload,
        write=write,
        compact=notes.compact,
        pays=notes.make_room,
        count=_count,
        mend=mend,
        show=notes.show,
    )
    return Ladder(notes.cache_key, output, seams)


async def _shrunk(media: Media, side: int, most: int | None) -> Media | None:
    return await to_thread.run_sync(_shrink, media, side, most)


def _shrink(media: Media, side: int, most: int | None) -> Media | None:
    """Scale a picture down, loading what it takes."""
    from treadle.agent.pictures import shrink

    return shrink(media, side, most)


async def _count(model: LanguageModel, request: ModelRequest) -> int | None:
    return await model.count(request) if isinstance(model, Client | RemoteModel) else None


def _keep(spill: SpillFolder, name: str, text: str) -> str:
    path = Path(spill.path(name))
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8", errors="replace")
    return str(path)


def _skills(opening: Opening, log: SessionLog) -> tuple[str, ...]:
    """Return the skills that were loaded on this branch, as they are now, as many as there is room for."""
    finished = [entry.body.result for entry in log.branch() if isinstance(entry.body, CallFinished)]
    loaded = dict.fromkeys((result.details or {}).get("skill") for result in finished if not result.is_error)
    texts: list[str] = []
    room = _SKILLS
    for skill in opening.guidance.skills:
        if skill.name not in loaded:
            continue
        try:
            text = skill_text(skill)[:_SKILL]
        except OSError:
            continue  # it is gone: the tool says so when it is loaded again
        room -= len(text)
        texts += [text] * (room >= 0)
    return tuple(texts)
