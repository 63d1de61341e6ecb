"""How a session makes room: what is read anew then, and in which order it is tried."""

from __future__ import annotations

from typing import Literal

from treadle.agent.build.opening import Opening
from treadle.agent.build.skills import skill_text
from treadle.agent.compaction.compactor import Around, Compactor
from treadle.agent.conversation import Conversation
from treadle.agent.desk import MakeRoom
from treadle.agent.events import Body, CallFinished
from treadle.agent.log import SessionLog
from treadle.agent.providers.contract import ContextOverflow, LanguageModel, ProviderError, RequestTooLarge
from treadle.agent.session import Record
from treadle.sandbox.contract import Sandbox, SandboxError
from treadle.sandbox.paths import absolute
from treadle.tools.contract import ToolSpec

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

    around = Around(reread, exists, _recall(log.conversation.prefix.tools), opening.config.limits.steps)
    return Compactor(
        cache_key, opening.config.connection.retries, record.show, opening.config.context.compact_at, around
    )


def in_turn(notes: Compactor, others: MakeRoom) -> MakeRoom:
    """Return what makes room by a note when that pays or nothing else would do, and leaves the rest to `others`."""

    async def make_room(
        conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        if refused is None and (bodies := await notes.make_room(conversation, model)):
            return bodies
        try:
            return await others(conversation, model, refused)
        except (ContextOverflow, RequestTooLarge):
            compacted = await notes.compact(conversation, model)
            if compacted is None:
                raise
            return (compacted,)

    return make_room


def _recall(tools: tuple[ToolSpec, ...]) -> Literal["deferred", "direct", "none"]:
    """Say how the model of a session reaches `recall`: its tools are what they were when it began."""
    names = {tool.name for tool in tools}
    return "direct" if "recall" in names else "deferred" if "tools" in names else "none"


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
