"""Put a session together from settings: the one place that knows every part."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from treadle.agent.build.checkpointing import checkpointing
from treadle.agent.build.confine import confined, spill_folder
from treadle.agent.build.jobs import JobEnds, jobs_of
from treadle.agent.build.mentions import reader, with_mentions
from treadle.agent.build.model import WIRES, language_model, remarks, wire
from treadle.agent.build.news import DeeperInstructions, ToolSources, joined
from treadle.agent.build.offer import (
    answers_by_tool,
    check_hosted,
    edits_by,
    make_calls,
    offer_answer,
    tokens_of,
    wanted_of,
)
from treadle.agent.build.opening import Answer, Guidance, Opened, Opening, WorkspaceError, workspace
from treadle.agent.build.recall import reach_of, recalling
from treadle.agent.build.remote import RemoteModels, check_travel
from treadle.agent.build.room import room_in
from treadle.agent.build.start import beginning, facts, go_on, has_moved, hosted_of, model_chain, settings_of
from treadle.agent.cache.planner import Planner
from treadle.agent.config import Config
from treadle.agent.desk import Desk
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.providers.client import Client
from treadle.agent.session import Record, Session
from treadle.agent.sessions import MadeFiles, SpillFolder, folder_of, new_id, opened
from treadle.agent.step import Calls
from treadle.agent.warmth import Warmth
from treadle.agent.workspace import DiffError
from treadle.tools.jobs import Jobs

if TYPE_CHECKING:
    from treadle.agent.workspace.diff import Snapshots

__all__ = [
    "WIRES",
    "Answer",
    "Guidance",
    "Opened",
    "Opening",
    "WorkspaceError",
    "confined",
    "language_model",
    "open_calls",
    "open_session",
    "snapshots",
    "wire",
    "workspace",
]


@asynccontextmanager
async def open_session(opening: Opening) -> AsyncGenerator[Opened]:
    """Open a session; leaving gives its file and its connection back.

    Raises `WorkspaceError`, `ConfigError`, `ProviderError` for a model that cannot be had, `SandboxUnavailable`,
    `LogError` and `OSError`.
    """
    root = workspace(opening.folder)
    session_id = opening.resume.stem if opening.resume else new_id(datetime.now(UTC))
    path = opening.resume or folder_of(opening.folders.sessions, root) / f"{session_id}.jsonl"
    with spill_folder(path, ephemeral=opening.ephemeral) as spill, _log(opening, path) as log:
        new = log.head is None
        told = new or has_moved(log, session_id, root)
        async with AsyncExitStack() as connections:
            chain: dict[str, Client] = {}
            hosted = hosted_of(opening, log)
            grants = tokens_of(hosted, opening.env)
            for spec in model_chain(opening, log):
                chain[spec] = language_model(spec, opening.config, opening.env, grants)
                connections.push_async_callback(chain[spec].aclose)
            check_travel(opening.config, chain.values())
            settings = settings_of(opening, log)
            sandbox = connections.enter_context(confined(opening, root, spill, settings.mode))
            record = Record(log)
            checkpoint = await connections.enter_async_context(checkpointing(opening, record, root, path))
            jobs = await connections.enter_async_context(jobs_of(log, SpillFolder(spill), sandbox.place))
            first, info = next(iter(chain)), next(iter(chain.values())).info
            edits = edits_by(opening.config, info, log)
            calls = make_calls(opening, sandbox, record, jobs, settings.mode, edits=edits)
            calls.before = checkpoint
            recall = await connections.enter_async_context(recalling(opening, spill, log))
            if opening.tools != "none":
                calls.toolbox.plug("recall", [recall.tool], deferred=opening.tools == "all")
            for client in chain.values() if hosted else ():
                check_hosted(client, (*calls.toolbox.snapshot().specs, *hosted))
            by_tool = answers_by_tool(opening, info, log)
            if by_tool:
                offer_answer(calls.toolbox, opening.answer.output)
            if new:
                log.append(beginning(opening, session_id, first, calls.toolbox.snapshot().specs, settings))
            changes = go_on(opening, log, first, settings, info)
            remote = RemoteModels(session_id, opening, record)
            connections.push_async_callback(remote.aclose)
            through = {spec: opening.through(remote.around(client), client) for spec, client in chain.items()}
            cache_key = opened(log.branch()).session
            wanted = wanted_of(opening, sandbox, by_tool=by_tool)
            desk = Desk(
                cache_key,
                through.pop(first),
                calls,
                _limits(opening.config),
                wanted,
                opening.config.connection.retries,
                through,
                MadeFiles(None if opening.ephemeral else spill).save,
                warmth=Warmth(Planner(), opening.config.cache.keep_warm),
                make_room=room_in(
                    opening, cache_key, record, sandbox, output=wanted.output, spill=SpillFolder(spill)
                ),
                news=joined(
                    JobEnds(jobs),
                    ToolSources(calls.toolbox, log.conversation),
                    DeeperInstructions(root, lambda: calls.touched, opening.guidance.takes_in),
                ),
            )
            yield Opened(
                Session(session_id, desk, record),
                info,
                sandbox.processes.level,
                facts(opening, root, sandbox.processes.level) if told else (),
                partial(with_mentions, reads=reader(calls), sandbox=sandbox),
                partial(recall.taking, reach=reach_of(log.conversation.prefix.tools)),
                (*(line for client in chain.values() for line in remarks(client.info)), *changes),
                jobs,
            )


@contextmanager
def open_calls(opening: Opening) -> Generator[tuple[Calls, Jobs]]:
    """Yield what runs calls, without a model and with nothing kept, and what must be entered before they run commands.

    Raises as `open_session` does.
    """
    root, mode = workspace(opening.folder), opening.config.mode or "auto"
    with spill_folder(Path(), ephemeral=True) as spill, confined(opening, root, spill, mode) as sandbox:
        record = Record(SessionLog(None))
        jobs = Jobs(SpillFolder(spill))
        yield make_calls(opening, sandbox, record, jobs, mode, edits=edits_by(opening.config)), jobs


def snapshots(root: Path, store: Path, leave_out: Path | None = None) -> Snapshots:
    """Return what compares a workspace with itself, loading git for it. Raises `DiffError`."""
    try:
        from treadle.agent.workspace.diff import Snapshots
    except ImportError as error:
        raise DiffError("git is needed to compare the workspace: install git") from error
    return Snapshots(root, store, leave_out)


@contextmanager
def _log(opening: Opening, path: Path) -> Generator[SessionLog]:
    """Yield the session's log. The file of a session that never began is not left behind."""
    log = SessionLog(None if opening.ephemeral else path)
    try:
        yield log
    finally:
        log.close()
        if len(log.branch()) < 2 and not opening.ephemeral:
            path.unlink(missing_ok=True)


def _limits(config: Config) -> Limits:
    given = config.limits
    return Limits(given.steps, given.tool_calls, given.tokens, given.cost, given.time)
