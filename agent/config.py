"""Settings from files, environment and flags; the one place that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from treadle.agent.providers import limits as published
from treadle.agent.providers.catalogue import ModelSettings, PriceSettings
from treadle.agent.providers.retry import Retries
from treadle.agent.providers.transport import Timeouts
from treadle.agent.providers.vendors import ProviderSettings
from treadle.agent.settings import Effort, Mode, Sampling
from treadle.sandbox.frozen import frozen
from treadle.sandbox.rules import parse_rule
from treadle.tools.contract import Frozen, HostedKind, JsonObject, as_object


class ConfigError(Exception):
    """A setting is wrong. The message is one line: what, where, what to do."""


class LimitSettings(Frozen):
    """What one turn may use."""

    steps: int = Field(default=200, ge=1)
    tool_calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=1)
    cost: float | None = Field(default=None, gt=0)
    """USD."""
    time: float | None = Field(default=None, gt=0)
    """Seconds."""


class ReplySettings(Frozen):
    """What is asked of each reply. None leaves it to the provider."""

    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    sampling: Sampling = Sampling()


class ConnectionSettings(Frozen):
    """How patient we are with a provider."""

    retries: Retries = Field(default_factory=Retries)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    background: float = Field(default=86_400.0, gt=0)
    """Seconds after which a reply that is worked on in the background is given up."""


class ContextSettings(Frozen):
    """How long a history may grow."""

    compact_at: Annotated[int, Field(ge=1_000)] | Literal["auto", "never"] = "auto"
    """Tokens of a prompt at which a note takes the place of what came before; `auto` goes by what it costs."""


class CacheSettings(Frozen):
    """How what a provider has read is kept there."""

    keep_warm: int = Field(default=0, ge=0)
    """Pings, at the most, that keep a cache warm while a tool takes its time; each reads the whole prompt."""


class RetrievalSettings(Frozen):
    """How what is too long for a prompt is found again."""

    embeddings: str | None = None
    """VENDOR/MODEL whose vectors are searched beside the words; None goes by words alone."""


class ToolSettings(Frozen):
    """Which tools a session has."""

    edit: Literal["edit", "patch", "both"] | None = None
    """What files are changed with; None takes what the model does best."""


class _Choices(Frozen):
    """What is chosen for a run: the settings that are values, not tables."""

    model: str | None = None
    """VENDOR/MODEL, with any number of fallbacks after commas."""
    effort: Effort | None = None
    mode: Mode | None = None
    sandbox: Literal["auto", "bwrap", "none"] = "auto"
    allow: tuple[str, ...] = ()
    """Rules as in `Shell(git log *)`."""
    deny: tuple[str, ...] = ()
    state: Literal["stateless", "chain", "conversation"] = "stateless"
    """What the provider keeps between requests; the whole transcript is kept here in any case."""
    background: bool = False
    """The provider works on though nobody listens."""
    checkpoints: bool = True
    """Keep the workspace's files before each change, so that `sessions rewind` brings them back."""


class Config(_Choices):
    """All settings, joined. None leaves a choice to the part that it is about."""

    context: ContextSettings = Field(default_factory=ContextSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    reply: ReplySettings = Field(default_factory=ReplySettings)
    hosted: dict[HostedKind, dict[str, Any] | bool] = Field(
        default_factory=dict[HostedKind, dict[str, Any] | bool]
    )
    """Tools that the provider runs: true, or the vendor's own options; false turns off what another place turned on."""
    tools: ToolSettings = Field(default_factory=ToolSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    connection: ConnectionSettings = Field(default_factory=ConnectionSettings)
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    """By VENDOR/MODEL, where both may be globs."""


@frozen
class Folders:
    """Where treadle keeps its things."""

    config: Path
    state: Path

    @property
    def sessions(self) -> Path:
        return self.state / "sessions"


def environment() -> Mapping[str, str]:
    """Return the environment as it is now, without what `__main__` has set for this process alone."""
    own = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
    return dict(pair for pair in os.environ.items() if pair != own)


def folders(env: Mapping[str, str]) -> Folders:
    """Return the folders of the XDG base directory specification that are ours."""
    home = Path(env.get("HOME") or "/")

    def base(variable: str, default: str) -> Path:
        value = env.get(variable, "")
        return (Path(value) if value.startswith("/") else home / default) / "treadle"

    return Folders(base("XDG_CONFIG_HOME", ".config"), base("XDG_STATE_HOME", ".local/state"))


def load(
    env: Mapping[str, str],
    flags: Mapping[str, Any],
    assignments: Sequence[str] = (),
    project: Path | None = None,
) -> Config:
    """Join the user's file, the project's, `TREADLE_*` variables, `-c KEY=VALUE` assignments and flags; later ones win.

    Rules add up: a later `deny` takes none of the earlier ones away. `flags` are by dotted key; None means that a flag was not given. `project` is the config file of a workspace that
    the user trusts; None when there is none. Raises `ConfigError`.
    """
    file = folders(env).config / "config.toml"
    settings = _read(file)
    _check(settings, str(file))
    if project is not None:
        _join(settings, _project_settings(project))
    for key, value in _from_environment(env):
        _put(settings, key, value)
    for assignment in assignments:
        key, value = _parse_assignment(assignment)
        _put(settings, key, value)
    for key, value in flags.items():
        if value is not None and value != ():
            _put(settings, key, value)
    config = _check(settings, "settings")
    for rule in (*config.allow, *config.deny):
        try:
            parse_rule(rule, "deny")
        except ValueError as error:
            raise ConfigError(f"settings: {error}") from error
    return config


def _read(file: Path) -> JsonObject:
    try:
        return _toml(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error


def _toml(text: str) -> JsonObject:
    """Parse TOML. Raises ValueError. Most starts have none to parse, and the parser takes 2 ms to load."""
    import tomllib

    return tomllib.loads(text)


def _project_settings(file: Path) -> JsonObject:
    """Read a project's file. What would send requests or keys elsewhere, or weaken the sandbox, is the user's alone."""
    settings = _read(file)
    _check(settings, str(file))
    for key in sorted(settings.keys() & _USERS_OWN):
        raise ConfigError(f"{file}: {key} cannot be set by a project; set it in your own config file")
    if settings.get("mode") == "yolo":
        raise ConfigError(f"{file}: mode yolo cannot be set by a project")
    return settings


_USERS_OWN = {"providers", "models", "sandbox", "hosted", "retrieval"}


def _join(settings: JsonObject, more: JsonObject) -> None:
    for key, value in more.items():
        _set(settings, key, value)


def _set(settings: JsonObject, key: str, value: Any) -> None:
    old = settings.get(key)
    table, more = as_object(old), as_object(value)
    if table is not None and more is not None:
        _join(table, more)
        value = table
    elif key in _RULES and isinstance(old, list | tuple) and isinstance(value, list | tuple):
        value = [*old, *value]
    settings[key] = value


_RULES = {"allow", "deny"}


def _from_environment(env: Mapping[str, str]) -> list[tuple[str, Any]]:
    """`TREADLE_MODEL` is `model`, `TREADLE_LIMITS__STEPS` is `limits.steps`.

    A name that only looks like a setting's is a slip; one that looks like none is somebody else's variable.
    """
    found: list[tuple[str, Any]] = []
    for name, text in sorted(env.items()):
        if not name.startswith("TREADLE_"):
            continue
        key = name.removeprefix("TREADLE_").lower().replace("__", ".")
        first = key.split(".")[0]
        if first in Config.model_fields:
            found.append((key, _value(text)))
        elif near := get_close_matches(first, Config.model_fields, n=1, cutoff=0.8):
            raise ConfigError(f"{name}: no setting has this name; did you mean TREADLE_{near[0].upper()}?")
    return found


def assigned(assignments: Sequence[str]) -> frozenset[str]:
    """Return the keys that `-c` assignments set, down to those within a table. Raises `ConfigError`."""
    return frozenset(key for one in assignments for key in _leaves(*_parse_assignment(one)))


def _leaves(key: str, value: Any) -> list[str]:
    table = as_object(value)
    return [leaf for name in table for leaf in _leaves(f"{key}.{name}", table[name])] if table else [key]


def _parse_assignment(assignment: str) -> tuple[str, Any]:
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"-c {assignment}: write it as KEY=VALUE, as in -c limits.steps=20")
    return key.strip(), _value(text.strip())


def _value(text: str) -> Any:
    """Read a TOML value; what is none is taken as a string."""
    try:
        return _toml(f"value = {text}")["value"]
    except ValueError:
        return text


def _put(settings: JsonObject, key: str, value: Any) -> None:
    name, dot, rest = key.partition(".")
    if not dot:
        _set(settings, name, value)
        return
    table = as_object(settings.get(name, {}))
    if table is None:
        raise ConfigError(f"{key}: {name} is a value, not a table")
    _put(table, rest, value)
    settings[name] = table


def _check(settings: JsonObject, where: str) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        errors = error.errors()
        unknown = (one for one in errors if one["type"] == "extra_forbidden")
        first = next(unknown, errors[0])  # a misspelt key is also one that is missing
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{where}: unknown key {key!r}{_nearest(first['loc'])}") from error
        raise ConfigError(f"{where}: {key}: {first['msg']}, not {first['input']!r:.60}") from error


def _nearest(path: Sequence[str | int]) -> str:
    """Name the known key next to the last one of this path."""
    table: type[BaseModel] = Config
    for name in path[:-1]:
        inner = _INNER.get((table, str(name))) or _TABLES.get(str(name))
        table = inner if inner is not None else table
    names = list(table.model_fields)
    near = get_close_matches(str(path[-1]), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"


_TABLES: Mapping[str, type[BaseModel]] = {
    "limits": LimitSettings,
    "context": ContextSettings,
    "retrieval": RetrievalSettings,
    "reply": ReplySettings,
    "tools": ToolSettings,
    "connection": ConnectionSettings,
    "retries": Retries,
    "timeouts": Timeouts,
    "sampling": Sampling,
    "providers": ProviderSettings,
    "models": ModelSettings,
    "price": PriceSettings,
}
_INNER: Mapping[tuple[type[BaseModel], str], type[BaseModel]] = {
    (ProviderSettings, "limits"): published.LimitSettings,
    (ModelSettings, "limits"): published.LimitSettings,
}
"""Tables whose name means something else elsewhere."""
