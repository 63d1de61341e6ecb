"""How a session begins, and what changes when one goes on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from treadle.agent.build.offer import hosted_tools
from treadle.agent.build.opening import Opening, WorkspaceError, workspace
from treadle.agent.build.skills import index
from treadle.agent.cache.rules import row_of
from treadle.agent.cache.warning import depends_on_effort, forgotten, said, sent
from treadle.agent.config import ConfigError
from treadle.agent.events import MessageAdded, ModelChanged, Prefix, SessionOpened, SettingsChanged
from treadle.agent.log import SessionLog
from treadle.agent.messages import UserMessage, notice
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.sessions import opened
from treadle.agent.settings import Settings
from treadle.agent.workspace.head import head_commit, repository
from treadle.prompts import load
from treadle.sandbox.contract import Level
from treadle.tools.contract import Hosted, ToolSpec


def model_chain(opening: Opening, log: SessionLog) -> tuple[str, ...]:
    """Return the model and its fallbacks: the session's own when it goes on, unless others were asked for just now.

    A session whose own model stands in the configured chain goes on from there.
    """
    own = log.conversation.model
    given = [name.strip() for name in (opening.config.model or "").split(",")]
    if own and "model" not in opening.given:
        given = given[given.index(own) :] if own in given else [own]
    if given == [""]:
        raise ConfigError("no model is chosen: give -m VENDOR/MODEL, or set model in the config file")
    return tuple(dict.fromkeys(given))


def hosted_of(opening: Opening, log: SessionLog) -> tuple[Hosted, ...]:
    """Return the tools that the provider will be asked to run."""
    if log.head is None:
        return hosted_tools(opening.config.hosted)
    tools = _prefix(opening, log.conversation.prefix).tools
    return tuple(tool for tool in tools if isinstance(tool, Hosted))


def settings_of(opening: Opening, log: SessionLog) -> Settings:
    """Return what steps are asked with: of a session that goes on, only what was given just now changes."""
    config = opening.config
    wanted: dict[str, tuple[str, object]] = {
        "mode": ("mode", config.mode or "auto"),
        "effort": ("effort", config.effort),
        "verbosity": ("reply.verbosity", config.reply.verbosity),
        "service_tier": ("reply.service_tier", config.reply.service_tier),
        "max_output": ("reply.max_output_tokens", config.reply.max_output_tokens),
    }
    own, new = log.conversation.settings, log.head is None
    changed = {name: value for name, (key, value) in wanted.items() if new or _is_given(key, opening.given)}
    picked = config.reply.sampling.model_dump()
    sampling = {
        name: value
        for name, value in picked.items()
        if new or _is_given(f"reply.sampling.{name}", opening.given)
    }
    return own.model_copy(update={**changed, "sampling": own.sampling.model_copy(update=sampling)})


def _is_given(key: str, given: frozenset[str]) -> bool:
    """Say whether a setting was asked for just now, by its own key or in a table."""
    return any(key == name or key.startswith(f"{name}.") for name in given)


def beginning(
    opening: Opening, session_id: str, spec: str, tools: tuple[ToolSpec, ...], settings: Settings
) -> SessionOpened:
    """Return the first entry. A session without tools of ours is plain chat and says nothing of its own."""
    root = workspace(opening.folder)
    hosted = hosted_tools(opening.config.hosted)
    return SessionOpened(
        session=session_id,
        workspace=str(root),
        commit=head_commit(root),
        model=spec,
        prefix=Prefix(system=(load("system"),) if tools else (), tools=(*tools, *hosted)),
        settings=settings,
    )


def facts(opening: Opening, root: Path, level: Level) -> tuple[UserMessage, ...]:
    """Say where the model works and what the workspace tells it. Comes before the first prompt, then never changes."""
    if opening.tools == "none":
        return ()
    git = "yes" if repository(root) else "no"
    system = f"{platform.system()} {platform.machine()}"
    sandbox = load(f"facts/{level}")
    texts = [load("facts/workspace", root=str(root), system=system, git=git, sandbox=sandbox)]
    for one in opening.guidance.instructions:
        path = os.path.relpath(one.path, root)
        texts.append(load("facts/instructions", path=path, text=one.text.strip()))
        if one.cut:
            texts.append(load("facts/instructions_cut", path=path))
    if told := index(opening.guidance.skills):
        texts.append(told)
    return (notice("\n\n".join(texts)),)


def go_on(
    opening: Opening, log: SessionLog, spec: str, settings: Settings, info: ModelInfo
) -> tuple[str, ...]:
    """Keep what changes in a session that goes on, and say what the change costs."""
    conversation = log.conversation
    prefix = _prefix(opening, conversation.prefix)
    tokens = sent(conversation)
    remarks: list[str] = []
    if spec != conversation.model:
        remarks.append(f"from {conversation.model} to {spec}: {said(tokens, info)}")
    elif prefix != conversation.prefix:
        remarks.append(f"other tools are run by the provider now: {said(tokens, info)}")
    elif cold := forgotten(conversation, info, datetime.now(UTC)):
        remarks.append(cold)
    if (spec, prefix) != (conversation.model, conversation.prefix):
        log.append(ModelChanged(model=spec, prefix=prefix))
    if settings != conversation.settings:
        if (
            settings.effort != conversation.settings.effort
            and depends_on_effort(row_of(info))
            and not remarks
        ):
            remarks.append(f"effort is now {settings.effort}: {said(tokens, info)}")
        if settings.mode != conversation.settings.mode:
            log.append(MessageAdded(message=notice(load("notices/mode", mode=settings.mode))))
        log.append(SettingsChanged(settings=settings))
    return tuple(remarks)


def _prefix(opening: Opening, prefix: Prefix) -> Prefix:
    """Return a session's prefix, with other hosted tools where they were chosen just now."""
    if not any(key.partition(".")[0] == "hosted" for key in opening.given):
        return prefix
    own = tuple(tool for tool in prefix.tools if not isinstance(tool, Hosted))
    return Prefix(system=prefix.system, tools=(*own, *hosted_tools(opening.config.hosted)))


def has_moved(log: SessionLog, session_id: str, root: Path) -> bool:
    """Say whether a session that goes on has lost its workspace and goes on in another.

    Raises `WorkspaceError` while its own is still there: what it knows is about that one.
    """
    own = Path(opened(log.branch()).workspace)
    if own == root:
        return False
    if own.is_dir():
        raise WorkspaceError(f"session {session_id} works on {own}; go on with it there, with -C {own}")
    return True
