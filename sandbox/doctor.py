"""What of the sandbox works on this machine, and what to do about the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from treadle.sandbox.bubblewrap import find, probe
from treadle.sandbox.contract import SandboxUnavailable


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `treadle doctor`."""

    name: str
    ok: bool
    detail: str
    """What was found, or what is wrong and what helps."""


def check_sandbox(host: Mapping[str, str], root: str) -> tuple[Check, ...]:
    """Look at bubblewrap, and at who works in which workspace. `host` is the environment, `root` the workspace."""
    return _bubblewrap(host, root), _user(root), _workspace(host, root)


def _bubblewrap(host: Mapping[str, str], root: str) -> Check:
    try:
        program = find(host.get("PATH", ""), (root,))
        probe(program)
    except SandboxUnavailable as error:
        return Check("bubblewrap", False, f"{error} Until then: --sandbox none runs commands unconfined.")
    return Check("bubblewrap", True, f"{program} works: commands are confined")


def _user(root: str) -> Check:
    owner = Path(root).stat().st_uid
    if os.geteuid() != 0:
        return Check("user", True, f"uid {os.geteuid()}, an ordinary user")
    if owner == 0:
        return Check("user", False, "Running as root in root's workspace: prefer an ordinary user.")
    return Check("user", True, f"root; confined commands run as the workspace's owner, uid {owner}")


def _workspace(host: Mapping[str, str], root: str) -> Check:
    real = Path(root).resolve()
    broad = {Path("/"), *(Path(f"/{name}").resolve() for name in ("tmp", "home", "root", "var/tmp"))}
    if home := host.get("HOME"):
        broad.add(Path(home).resolve())
    if real in broad:
        return Check("workspace", False, f"{real} holds more than one project: work in a folder of its own.")
    return Check("workspace", True, str(real))
