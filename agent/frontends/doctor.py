"""`treadle doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Literal
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.table import Table

from treadle.agent import __version__
from treadle.agent.config import Config, ConfigError, environment, folders, load
from treadle.agent.frontends.outputs import OutputClosed, emit, wants_color
from treadle.agent.providers import catalogue, vendors
from treadle.agent.providers.contract import ProviderError
from treadle.agent.providers.vendor_rows import VENDORS
from treadle.agent.providers.vendors import base_variables
from treadle.sandbox.bubblewrap import find, probe
from treadle.sandbox.contract import SandboxUnavailable
from treadle.sandbox.frozen import frozen

_MARKS = {"ok": ("ok", "green"), "note": ("-", "yellow"), "broken": ("BROKEN", "red")}


@frozen
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "broken"]
    """`note`: something is missing that a run does without. `broken`: a plain `treadle run` does not work."""
    found: str
    remedy: str = ""
    """What to do; empty when there is nothing to do."""


def run_doctor(*, as_json: bool) -> int:
    """Look at everything and tell. Returns 0 when nothing is broken, else 1."""
    env = environment()
    checks = list(_checks(env))
    broken = any(check.state == "broken" for check in checks)
    try:
        if as_json:
            emit(json.dumps({"ok": not broken, "checks": [asdict(check) for check in checks]}))
        elif wants_color(None, sys.stdout):
            _table(checks, color=wants_color(env.get("NO_COLOR"), sys.stdout))
        else:
            for check in checks:
                remedy = f" -> {check.remedy}" if check.remedy else ""
                emit(f"{_MARKS[check.state][0]:7}{check.name}: {check.found}{remedy}")
    except OutputClosed:
        return 2
    return 1 if broken else 0


def _table(checks: list[Check], *, color: bool) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "what", "found", "what to do"):
        table.add_column(title, overflow="fold")
    for check in checks:
        mark, style = _MARKS[check.state]
        table.add_row(mark, check.name, check.found, check.remedy, style=style if check.state != "ok" else "")
    Console(no_color=not color, highlight=False, markup=False).print(table)


def _checks(env: Mapping[str, str]) -> Iterator[Check]:
    implementation = f"{platform.python_implementation()} {platform.python_version()}"
    yield Check("treadle", "ok", f"{__version__} on {implementation}, {sys.executable}")
    config, told = _config(env)
    yield told
    yield _sandbox(env, config)
    yield _state(env)
    yield _model(env, config)
    yield _keys(env, config)
    yield _addresses(env, config)
    yield _program(env, "git", "needed by `treadle demo` and --output-dir: install git")
    yield _program(env, "rg", "searches work without ripgrep, but slower: install ripgrep")
    yield _terminal(env)


def _config(env: Mapping[str, str]) -> tuple[Config, Check]:
    file = folders(env).config / "config.toml"
    try:
        config = load(env, {})
    except ConfigError as error:
        return Config(), Check("config", "broken", str(error), f"correct or remove it: {file}")
    return config, Check("config", "ok", str(file) if file.is_file() else f"none ({file})")


def _sandbox(env: Mapping[str, str], config: Config) -> Check:
    if config.sandbox == "none":
        return Check("sandbox", "note", "switched off by your settings", "remove the setting `sandbox`")
    try:
        program = find(env.get("PATH", ""), ())
        probe(program)
    except SandboxUnavailable as error:
        remedy = "or run without one in a container of your own: --sandbox none"
        return Check("sandbox", "broken", str(error), remedy)
    return Check("sandbox", "ok", f"bubblewrap works ({program})")


def _state(env: Mapping[str, str]) -> Check:
    state = folders(env).state
    there = next(place for place in (state, *state.parents) if place.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check("sessions", "ok", f"kept in {folders(env).sessions}")
    remedy = "set XDG_STATE_HOME to a folder that you may write to, or run with --ephemeral"
    return Check("sessions", "broken", f"{there} cannot be written to", remedy)


def _model(env: Mapping[str, str], config: Config) -> Check:
    if config.model is None:
        return Check(
            "model", "note", "none is set", "give -m VENDOR/MODEL, or set `model` in the config file"
        )
    try:
        for name in config.model.split(","):
            vendor, _ = catalogue.split(name.strip())
            vendors.resolve(vendor, env, config.providers)
    except ProviderError as error:
        return Check("model", "broken", f"{config.model}: {error}")
    return Check("model", "ok", config.model)


def _keys(env: Mapping[str, str], config: Config) -> Check:
    """Name the variables that hold keys. Their values are never looked at, but for whether there are any."""
    names = {name: (*vendor.key_env, *vendor.token_env) for name, vendor in VENDORS.items()}
    names |= {name: (own.key_env,) for name, own in config.providers.items() if own.key_env}
    found = [
        f"{vendor} ({variable})"
        for vendor, variables in names.items()
        if (variable := next((name for name in variables if env.get(name, "").strip()), ""))
    ]
    if found:
        return Check("keys", "ok", ", ".join(found))
    return Check(
        "keys", "note", "none is set", "set one, as OPENAI_API_KEY; a server of your own may need none"
    )


def _addresses(env: Mapping[str, str], config: Config) -> Check:
    """Name the base URLs that are not the vendors' own."""
    given = {
        name: env[name] for vendor in VENDORS.values() for name in base_variables(vendor) if env.get(name)
    }
    given |= {f"providers.{name}": own.base_url for name, own in config.providers.items() if own.base_url}
    told = [f"{name}={_public(value)}" for name, value in given.items()]
    return Check("base URLs", "ok", ", ".join(told) or "the vendors' own")


def _public(url: str) -> str:
    """Return a URL without what may be secret in it."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(no URL)"
    return f"{parts.scheme}://{host}{parts.path}" if host else url.rpartition("@")[2].partition("?")[0]


def _program(env: Mapping[str, str], name: str, remedy: str) -> Check:
    program = shutil.which(name, path=env.get("PATH"))
    if program is None:
        return Check(name, "note", "not found", remedy)
    return Check(name, "ok", f"{_version(program)} ({program})")


def _version(program: str) -> str:
    try:
        done = subprocess.run(
            (program, "--version"), stdin=subprocess.DEVNULL, capture_output=True, timeout=5, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return "does not start"
    return (done.stdout.decode(errors="replace").splitlines() or ["no version"])[0]


def _terminal(env: Mapping[str, str]) -> Check:
    if not sys.stdout.isatty():
        return Check("terminal", "ok", "standard output is not one")
    color = "colours" if wants_color(env.get("NO_COLOR"), sys.stdout) else "no colours (NO_COLOR)"
    size = shutil.get_terminal_size()
    return Check("terminal", "ok", f"{env.get('TERM', 'unknown')}, {size.columns}x{size.lines}, {color}")
