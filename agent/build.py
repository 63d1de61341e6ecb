"""Put a session together from settings: the one module that knows every part."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from treadle.agent.config import Config, ConfigError, Folders
from treadle.agent.events import Mode, Prefix, SessionOpened, Settings
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.loop import Desk
from treadle.agent.messages import UserMessage, notice
from treadle.agent.permit import Asker, Gate, nobody
from treadle.agent.providers import catalogue, vendors
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import ModelInfo, Output, Wire, WireName
from treadle.agent.providers.transport import Address, Transport
from treadle.agent.session import Record, Session
from treadle.agent.sessions import SpillFolder, folder_of, new_id
from treadle.agent.step import Calls
from treadle.agent.workspace.head import head_commit, repository
from treadle.agent.workspace.instructions import Instructions
from treadle.prompts import load
from treadle.sandbox.contract import Level, Place, Processes, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.masks import Masks, user_masks
from treadle.sandbox.paths import inside
from treadle.sandbox.rules import parse_rule
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.dispatch import tools_tool
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import Spill, Tool
from treadle.tools.toolbox import Toolbox


class WorkspaceError(Exception):
    """The folder to work on cannot be used. The message is one line for the user."""


@dataclass(frozen=True, slots=True)
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
    mode: Mode = "auto"
    """When the config names none."""
    asker: Asker = nobody
    output: Output = field(default_factory=Output)
    instructions: tuple[Instructions, ...] = ()
    """What the workspace tells agents, when the user trusts it."""
    tools: Literal["all", "read", "none"] = "all"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session ready to be prompted, and what a frontend says about it."""

    session: Session
    model: ModelInfo
    level: Level
    facts: tuple[UserMessage, ...]
    """What goes before the first prompt of a new session; empty when it goes on."""
    remarks: tuple[str, ...] = ()
    """Lines for the user."""


@asynccontextmanager
async def open_session(opening: Opening) -> AsyncGenerator[Opened]:
    """Open a session; leaving gives its file and its connection back.

    Raises `WorkspaceError`, `ConfigError`, `ProviderError` for a model that cannot be had, `SandboxUnavailable`,
    `LogError` and `OSError`.
    """
    root = workspace(opening.folder)
    client = language_model(opening.config, opening.env)
    session_id = opening.resume.stem if opening.resume else new_id(datetime.now(UTC))
    path = opening.resume or folder_of(opening.folders.sessions, root) / f"{session_id}.jsonl"
    with _spill_folder(path, ephemeral=opening.ephemeral) as spill:
        sandbox = make_sandbox(opening, root, spill)
        log = SessionLog(None if opening.ephemeral else path)
        try:
            record = Record(log)
            calls = _calls(opening, sandbox, record, SpillFolder(spill))
            new = log.head is None
            if new:
                log.append(_beginning(opening, root, session_id, calls.toolbox))
            config = opening.config
            desk = Desk(session_id, client, calls, _limits(config), opening.output, config.connection.retries)
            yield Opened(
                Session(desk, record),
                client.info,
                sandbox.processes.level,
                _facts(opening, root, sandbox.processes.level) if new else (),
                _remarks(client.info),
            )
        finally:
            log.close()
            await client.aclose()


def workspace(folder: Path) -> Path:
    """Return the workspace without links. Raises `WorkspaceError`."""
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise WorkspaceError(f"{folder}: there is no such folder to work on") from error
    if not root.is_dir():
        raise WorkspaceError(f"{folder}: is a file; name the folder to work on with -C DIR")
    return root


def language_model(config: Config, env: Mapping[str, str]) -> Client:
    """Put a model together. Raises `ProviderError` when the name, the key or the address does not do."""
    if config.model is None:
        raise ConfigError("no model is chosen: give -m VENDOR/MODEL, or set model in the config file")
    vendor, name = catalogue.split(config.model)
    endpoint = vendors.resolve(vendor, env, config.providers)
    home = catalogue.Home(
        vendor, endpoint.hash, endpoint.wire, endpoint.dialects, endpoint.dialect, endpoint.usual
    )
    shelf = catalogue.Shelf(WIRES, _book, datetime.now(UTC))
    info = catalogue.find(name, home, shelf, settings=config.models)
    timeouts = config.connection.timeouts
    if config.limits.time is not None:
        timeouts = timeouts.model_copy(update={"connect": min(timeouts.connect, config.limits.time / 2)})
    transport = Transport(Address(endpoint.base_url, endpoint.headers, endpoint.proxy), timeouts=timeouts)
    return Client(wire(info.wire), info, transport, secrets=endpoint.secrets)


WIRES: tuple[WireName, ...] = ("openai_chat",)
"""The wires that this program speaks."""


def wire(name: WireName) -> Wire:
    """Return a wire, loading it alone."""
    from treadle.agent.providers.wires.openai_chat import OpenAIChat

    assert name in WIRES
    return OpenAIChat()


def _book() -> catalogue.Book:
    from treadle.agent.providers.catalogue.book import PackageBook

    return PackageBook()


def make_sandbox(opening: Opening, root: Path, spill: Path) -> Sandbox:
    """Choose what confines commands. Raises `SandboxUnavailable`; nothing weaker is chosen in its place."""
    place = Place(str(root), str(root))
    own = (str(opening.folders.state), str(opening.folders.config))
    masks = user_masks(opening.env.get("HOME") or "/", own, (str(spill),))
    return Sandbox(
        place, HostFiles((place.root,), masks), _processes(opening, masks, place), Profile((place.root,))
    )


def _processes(opening: Opening, masks: Masks, place: Place) -> Processes:
    if opening.config.sandbox == "none":
        from treadle.sandbox.local import local_processes

        return local_processes(opening.env)
    from treadle.sandbox.bubblewrap import bubblewrap_processes

    return bubblewrap_processes(opening.env, masks, (place.root,))


def _calls(opening: Opening, sandbox: Sandbox, record: Record, spill: Spill) -> Calls:
    config = opening.config
    rules = [
        *(parse_rule(text, "allow") for text in config.allow),
        *(parse_rule(text, "deny") for text in config.deny),
    ]
    contained = sandbox.processes.level != "none" or config.sandbox == "none"
    gate = Gate(rules, config.mode or opening.mode, contained, sandbox.place, opening.asker)
    toolbox = Toolbox()
    calls = Calls(toolbox, sandbox, gate, record.keep, record.show)
    ripgrep = _ripgrep(opening.env.get("PATH", ""), sandbox.place.root)
    dispatcher = tools_tool(lambda: toolbox.snapshot().deferred, calls)
    offered = (*builtin_tools(Seen(), spill, ripgrep), dispatcher)
    toolbox.plug("builtin", [tool for tool in offered if _is_offered(tool, opening.tools)])
    return calls


def _ripgrep(path: str, root: str) -> str | None:
    """Find ripgrep outside the workspace. None: the searches do without."""
    found = shutil.which("rg", path=path)
    real = os.path.realpath(found) if found else ""
    return real if real and not inside(real, (root,)) else None


def _beginning(opening: Opening, root: Path, session_id: str, toolbox: Toolbox) -> SessionOpened:
    config = opening.config
    return SessionOpened(
        session=session_id,
        workspace=str(root),
        commit=head_commit(root),
        model=config.model or "",
        prefix=Prefix(system=(load("system"),), tools=toolbox.snapshot().specs),
        settings=Settings(
            mode=config.mode or opening.mode,
            effort=config.effort,
            verbosity=config.reply.verbosity,
            service_tier=config.reply.service_tier,
            max_output=config.reply.max_output_tokens,
            sampling=config.sampling,
        ),
    )


def _is_offered(tool: Tool, choice: Literal["all", "read", "none"]) -> bool:
    match choice:
        case "all":
            return True
        case "read":
            return tool.spec.name in {"read", "glob", "grep", "plan"}
        case "none":
            return False


def _facts(opening: Opening, root: Path, level: Level) -> tuple[UserMessage, ...]:
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


def _limits(config: Config) -> Limits:
    given = config.limits
    return Limits(given.steps, given.tool_calls, given.tokens, given.cost, given.time)


def _remarks(info: ModelInfo) -> tuple[str, ...]:
    if info.known:
        return ()
    return (f"{info.vendor}/{info.id} is not in the catalogue: its price and limits are not known",)


@contextmanager
def _spill_folder(session: Path, *, ephemeral: bool) -> Generator[Path]:
    """Yield the folder for long outputs: beside the session, or one that goes with it."""
    if not ephemeral:
        yield session.with_suffix("")
        return
    with TemporaryDirectory(prefix="treadle-") as folder:
        yield Path(folder)
