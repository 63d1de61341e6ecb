"""What a session is opened with, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

from treadle.agent.config import Config, Folders
from treadle.agent.messages import UserMessage
from treadle.agent.permit import Asker, nobody
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import LanguageModel, ModelInfo, Output
from treadle.agent.session import Session
from treadle.agent.workspace.instructions import Instructions
from treadle.agent.workspace.skills import Skill
from treadle.sandbox.contract import Level
from treadle.sandbox.frozen import frozen
from treadle.tools.jobs import Jobs


class WorkspaceError(Exception):
    """The folder to work on cannot be used. The message is one line for the user."""


@frozen
class Answer:
    """What the final message must look like, and what must hold before it counts."""

    output: Output = field(default_factory=Output)
    verify: str | None = None
    """A command that must succeed before the turn may end as done."""


@frozen
class Guidance:
    """What tells the model how to work here, as far as the user trusts it."""

    instructions: tuple[Instructions, ...] = ()
    takes_in: Callable[[Path], bool] = lambda file: False
    """Whether the user trusts an instruction file that is come upon while working."""
    skills: tuple[Skill, ...] = ()


@frozen
class Opening:
    """What a session is opened with."""

    folder: Path
    """The workspace; made absolute here."""
    config: Config
    env: Mapping[str, str]
    folders: Folders
    resume: Path | None = None
    """The file of the session to go on with; None begins a new one."""
    ephemeral: bool = False
    """Keep nothing on disk."""
    asker: Asker = nobody
    answer: Answer = Answer()
    guidance: Guidance = Guidance()
    tools: Literal["all", "read", "none"] = "all"
    given: frozenset[str] = frozenset()
    """Keys of the settings that were asked for just now: these alone change a session that goes on."""
    through: Callable[[LanguageModel, Client], LanguageModel] = lambda model, client: model
    """What the session asks instead of the model itself, as one that only looks at requests."""


@frozen
class Opened:
    """A session ready to be prompted, and what a frontend says about it."""

    session: Session
    model: ModelInfo
    level: Level
    facts: tuple[UserMessage, ...]
    """What goes before the first prompt of a new session; empty when it goes on."""
    say: Callable[[str], Awaitable[UserMessage]]
    """Makes a prompt a message, with the files that it mentions."""
    attach: Callable[[UserMessage, Sequence[Path]], Awaitable[UserMessage]]
    """Gives documents along with a message. Raises `WorkspaceError` for one that cannot be read."""
    remarks: tuple[str, ...]
    """Lines for the user."""
    jobs: Jobs
    """The commands that run beside the conversation; they end with it."""


def workspace(folder: Path) -> Path:
    """Return the workspace without links. Raises `WorkspaceError`."""
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise WorkspaceError(f"{folder}: there is no such folder to work on") from error
    if not root.is_dir():
        raise WorkspaceError(f"{folder}: is a file; name the folder to work on with -C DIR")
    return root
