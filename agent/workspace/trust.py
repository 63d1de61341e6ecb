"""Which folders the user trusts: by the content of what would take effect there, so that a change is asked about."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from treadle.agent.workspace.instructions import instruction_files
from treadle.agent.workspace.skills import project_skill_files, resources
from treadle.tools.contract import as_object

PROJECT_CONFIG = Path(".treadle") / "config.toml"


def takes_effect(folder: Path) -> tuple[Path, ...]:
    """Return the files of a workspace that would steer a session: nothing of them is read before it is trusted."""
    config = folder / PROJECT_CONFIG
    skills = project_skill_files(folder)
    scripts = (file for skill in skills for file in resources(skill.parent))
    return (*instruction_files(folder), *((config,) if config.is_file() else ()), *skills, *scripts)


def digest(files: tuple[Path, ...]) -> str:
    """Return a hash over names and contents. One that cannot be read counts as empty."""
    whole = sha256()
    for file in files:
        content = sha256(_bytes(file)).hexdigest()
        whole.update(f"{file}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


class TrustStore:
    """The user's decisions, in one file: which folder with which content."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def trusts(self, folder: Path) -> bool:
        """Say whether the folder is trusted as it is now. One in which nothing takes effect needs no trust."""
        files = takes_effect(folder)
        return not files or self._read().get(str(folder)) == digest(files)

    def trust(self, folder: Path) -> None:
        """Trust the folder as it is now. Raises OSError; the file is replaced whole or not at all."""
        self._write({str(folder): digest(takes_effect(folder))})

    def trusts_file(self, file: Path) -> bool:
        """Say whether a single file is trusted as it is now, as an instruction file deep in a workspace."""
        return self._read().get(str(file)) == digest((file,))

    def trust_file(self, file: Path) -> None:
        """Trust a single file as it is now. Raises OSError."""
        self._write({str(file): digest((file,))})

    def _write(self, decisions: dict[str, str]) -> None:
        decisions = self._read() | decisions
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._file.with_name(f".{self._file.name}.{token_hex(4)}")
        try:
            with os.fdopen(
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(decisions, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)

    def _read(self) -> dict[str, str]:
        """Return the decisions; a file that is missing or damaged holds none."""
        try:
            decisions = as_object(json.loads(self._file.read_text(encoding="utf-8"))) or {}
        except (OSError, ValueError):
            return {}
        return {folder: value for folder, value in decisions.items() if isinstance(value, str)}


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
