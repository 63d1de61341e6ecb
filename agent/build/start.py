"""How a session begins, and what changes when one goes on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from treadle.agent.build.model import price_of_reading
from treadle.agent.build.opening import Opening
from treadle.agent.config import ConfigError
from treadle.agent.events import MessageAdded, ModelChanged, Prefix, SessionOpened, Settings, SettingsChanged
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, UserMessage, notice
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.workspace.head import head_commit, repository
from treadle.prompts import load
from treadle.sandbox.contract import Level
from treadle.tools.contract import ToolSpec


def model_spec(opening: Opening, log: SessionLog) -> str:
    """Return the model: the session's own when it goes on, unless another was asked for just now."""
    own = log.conversation.model
    spec = opening.config.model if not own or "model" in opening.given else own
    if not spec:
        raise ConfigError("no model is chosen: give -m VENDOR/MODEL, or set model in the config file")
    return spec


def settings_of(opening: Opening, log: SessionLog) -> Settings:
    """Return what steps are asked with: of a session that goes on, only what was given just now changes."""
    config = opening.config
    wanted: dict[str, tuple[str, object]] = {
        "mode": ("mode", config.mode or "auto"),
        "effort": ("effort", config.effort),
        "verbosity": ("reply.verbosity", config.reply.verbosity),
        "service_tier": ("reply.service_tier", config.reply.service_tier),
        "max_output": ("reply.max_output_tokens", config.reply.max_output_tokens),
        "sampling": ("sampling", config.sampling),
    }
    given = {key.split(".")[0] if key.startswith("sampling.") else key for key in opening.given}
    new = log.head is None
    changed = {name: value for name, (key, value) in wanted.items() if new or key in given}
    return log.conversation.settings.model_copy(update=changed)


def beginning(
    root: Path, session_id: str, spec: str, tools: tuple[ToolSpec, ...], settings: Settings
) -> SessionOpened:
    """Return the first entry. A session without tools is plain chat and says nothing of its own."""
    return SessionOpened(
        session=session_id,
        workspace=str(root),
        commit=head_commit(root),
        model=spec,
        prefix=Prefix(system=(load("system"),) if tools else (), tools=tools),
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
    for one in opening.instructions:
        path = os.path.relpath(one.path, root)
        texts.append(load("facts/instructions", path=path, text=one.text.strip()))
        if one.cut:
            texts.append(load("facts/instructions_cut", path=path))
    return (notice("\n\n".join(texts)),)


def go_on(log: SessionLog, spec: str, settings: Settings, info: ModelInfo) -> tuple[str, ...]:
    """Keep what changes in a session that goes on, and say what the change costs."""
    conversation = log.conversation
    replies = [message for message in conversation.messages if isinstance(message, AssistantMessage)]
    tokens = replies[-1].usage.input_total + replies[-1].usage.output if replies else 0
    remarks: list[str] = []
    if spec != conversation.model:
        remarks.append(f"from {conversation.model} to {spec}: {price_of_reading(tokens, info)}")
        log.append(ModelChanged(model=spec, prefix=conversation.prefix))
    if settings != conversation.settings:
        if settings.effort != conversation.settings.effort:
            remarks.append(f"effort is now {settings.effort}: {price_of_reading(tokens, info)}")
        if settings.mode != conversation.settings.mode:
            log.append(MessageAdded(message=notice(load("notices/mode", mode=settings.mode))))
        log.append(SettingsChanged(settings=settings))
    return tuple(remarks)
