"""Put a session together from settings: the one module that knows every part."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from treadle.agent.checks import Check, fits_schema, is_json, verified
from treadle.agent.config import Config, ConfigError, Folders
from treadle.agent.events import (
    MessageAdded,
    Mode,
    ModelChanged,
    Prefix,
    SessionOpened,
    Settings,
    SettingsChanged,
)
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog, opened
from treadle.agent.loop import Desk, Wanted
from treadle.agent.messages import AssistantMessage, Usage, UserMessage, notice
from treadle.agent.permit import Asker, Gate, nobody
from treadle.agent.providers import catalogue, vendors
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import LanguageModel, ModelInfo, Output, Wire, WireName
from treadle.agent.providers.transport import Address, Transport
from treadle.agent.session import Record, Session
from treadle.agent.sessions import SpillFolder, folder_of, new_id
from treadle.agent.step import Calls
from treadle.agent.workspace import DiffError
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

if TYPE_CHECKING:
    from treadle.agent.workspace.diff import Snapshots


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
    """What the final message must look like."""
    verify: str | None = None
    """A command that must succeed before the turn may end as done."""
    instructions: tuple[Instructions, ...] = ()
    """What the workspace tells agents, when the user trusts it."""
    tools: Literal["all", "read", "none"] = "all"
    given: frozenset[str] = frozenset()
    """Keys of the settings that were asked for just now: these alone change a session that goes on."""
    through: Callable[[Client], LanguageModel] = lambda client: client
    """What the session asks instead of the model itself, as one that only looks at requests."""


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
    session_id = opening.resume.stem if opening.resume else new_id(datetime.now(UTC))
    path = opening.resume or folder_of(opening.folders.sessions, root) / f"{session_id}.jsonl"
    with _spill_folder(path, ephemeral=opening.ephemeral) as spill, closing(_log(opening, path)) as log:
        new = log.head is None
        spec = _model_spec(opening, log)
        client = language_model(spec, opening.config, opening.env)
        try:
            sandbox = make_sandbox(opening, root, spill)
            record = Record(log)
            settings = _settings(opening, log)
            calls = _calls(opening, sandbox, record, SpillFolder(spill), settings.mode)
            by_tool = _answers_by_tool(opening, client.info)
            if by_tool:
                _offer_answer(calls.toolbox, opening.output)
            if new:
                log.append(_beginning(root, session_id, spec, calls.toolbox, settings))
            changes = _go_on(log, spec, settings, client.info)
            wanted = _wanted(opening, sandbox, by_tool=by_tool)
            key = opened(log.branch()).session
            desk = Desk(
                key, client, calls, _limits(opening.config), wanted, opening.config.connection.retries
            )
            yield Opened(
                Session(session_id, desk, record),
                client.info,
                sandbox.processes.level,
                _facts(opening, root, sandbox.processes.level) if new else (),
                (*_remarks(client.info), *changes),
            )
        finally:
            await client.aclose()


@contextmanager
def open_calls(opening: Opening) -> Generator[Calls]:
    """Yield what runs calls, without a model and with nothing kept. Raises as `open_session` does."""
    root = workspace(opening.folder)
    with _spill_folder(Path(), ephemeral=True) as spill:
        record = Record(SessionLog(None))
        sandbox = make_sandbox(opening, root, spill)
        yield _calls(opening, sandbox, record, SpillFolder(spill), opening.config.mode or opening.mode)


def snapshots(root: Path, store: Path, leave_out: Path | None = None) -> Snapshots:
    """Return what compares a workspace with itself, loading git for it. Raises `DiffError`."""
    try:
        from treadle.agent.workspace.diff import Snapshots
    except ImportError as error:
        raise DiffError("git is needed to compare the workspace: install git") from error
    return Snapshots(root, store, leave_out)


def _answers_by_tool(opening: Opening, info: ModelInfo) -> bool:
    """Say whether the answer comes as a call: where no wire format holds the model to a schema, but tools work."""
    native = info.dialect.get("structured", "json_schema") == "json_schema"
    return opening.output.schema is not None and not native and opening.tools != "none"


def _offer_answer(toolbox: Toolbox, output: Output) -> None:
    from treadle.tools.builtin.answer import AnswerTool

    assert output.schema is not None
    toolbox.plug("answer", [AnswerTool(output.schema)])


def _wanted(opening: Opening, sandbox: Sandbox, *, by_tool: bool) -> Wanted:
    """Say what must hold before the turn may end as done."""
    checks: list[Check] = []
    if opening.output.schema is not None and not by_tool:
        from treadle.tools.schema import misfit

        checks.append(fits_schema(opening.output.schema, misfit))
    if opening.output.json_mode:
        checks.append(is_json())
    if opening.verify is not None:
        checks.append(verified(sandbox, opening.verify))
    return Wanted(Output() if by_tool else opening.output, tuple(checks), "answer" if by_tool else None)


def _log(opening: Opening, path: Path) -> SessionLog:
    return SessionLog(None if opening.ephemeral else path)


def _model_spec(opening: Opening, log: SessionLog) -> str:
    """Return the model: the session's own when it goes on, unless another was asked for just now."""
    own = log.conversation.model
    spec = opening.config.model if not own or "model" in opening.given else own
    if not spec:
        raise ConfigError("no model is chosen: give -m VENDOR/MODEL, or set model in the config file")
    return spec


def _settings(opening: Opening, log: SessionLog) -> Settings:
    """Return what steps are asked with: of a session that goes on, only what was given just now changes."""
    config = opening.config
    wanted: dict[str, tuple[str, object]] = {
        "mode": ("mode", config.mode or opening.mode),
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


def _go_on(log: SessionLog, spec: str, settings: Settings, info: ModelInfo) -> tuple[str, ...]:
    """Keep what changes in a session that goes on, and say what the change costs."""
    conversation = log.conversation
    remarks: list[str] = []
    if spec != conversation.model:
        remarks.append(f"from {conversation.model} to {spec}: {_price_of_reading(log, info)}")
        log.append(ModelChanged(model=spec, prefix=conversation.prefix))
    if settings != conversation.settings:
        if settings.effort != conversation.settings.effort:
            remarks.append(f"effort is now {settings.effort}: {_price_of_reading(log, info)}")
        if settings.mode != conversation.settings.mode:
            log.append(MessageAdded(message=notice(load("notices/mode", mode=settings.mode))))
        log.append(SettingsChanged(settings=settings))
    return tuple(remarks)


def _price_of_reading(log: SessionLog, info: ModelInfo) -> str:
    """Say what it takes to read the conversation without a cache."""
    replies = [message for message in log.conversation.messages if isinstance(message, AssistantMessage)]
    usage = replies[-1].usage if replies else Usage()
    tokens = usage.input_total + usage.output
    price = catalogue.cost(Usage(input=tokens), info.prices) if info.prices else None
    return f"about {tokens:,} tokens are read anew" + ("" if price is None else f", for about ${price:.4f}")


def workspace(folder: Path) -> Path:
    """Return the workspace without links. Raises `WorkspaceError`."""
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise WorkspaceError(f"{folder}: there is no such folder to work on") from error
    if not root.is_dir():
        raise WorkspaceError(f"{folder}: is a file; name the folder to work on with -C DIR")
    return root


def language_model(spec: str, config: Config, env: Mapping[str, str]) -> Client:
    """Put a model together. Raises `ProviderError` when the name, the key or the address does not do."""
    vendor, name = catalogue.split(spec)
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


WIRES: tuple[WireName, ...] = ("openai_chat", "openai_responses", "anthropic")
"""The wires that this program speaks."""


def wire(name: WireName) -> Wire:
    """Return a wire, loading it alone."""
    match name:
        case "openai_responses":
            from treadle.agent.providers.wires.openai_responses import OpenAIResponses

            return OpenAIResponses()
        case "anthropic":
            from treadle.agent.providers.wires.anthropic import Anthropic

            return Anthropic()
        case _:
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


def _calls(opening: Opening, sandbox: Sandbox, record: Record, spill: Spill, mode: Mode) -> Calls:
    config = opening.config
    rules = [
        *(parse_rule(text, "allow") for text in config.allow),
        *(parse_rule(text, "deny") for text in config.deny),
    ]
    contained = sandbox.processes.level != "none" or config.sandbox == "none"
    gate = Gate(rules, mode, contained, sandbox.place, opening.asker)
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


def _beginning(root: Path, session_id: str, spec: str, toolbox: Toolbox, settings: Settings) -> SessionOpened:
    return SessionOpened(
        session=session_id,
        workspace=str(root),
        commit=head_commit(root),
        model=spec,
        prefix=Prefix(system=(load("system"),), tools=toolbox.snapshot().specs),
        settings=settings,
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
