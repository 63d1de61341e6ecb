"""Ready-made tasks: a small repository, what to do in it, the proof that it was done, and a scripted model."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treadle.sandbox.frozen import frozen

HOME = Path(__file__).parents[2] / "workspaces"
"""Where the tasks are: beside our packages, installed or not."""
VERIFY_SECONDS = 120

_NEUTRAL = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.abbrev=7")
_BEFORE = "2025-01-06T09:00:00+00:00"
_IDENTITY: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_NAME": "treadle" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "treadle@localhost" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": _BEFORE for who in ("AUTHOR", "COMMITTER")},
}


class TaskError(Exception):
    """A task that cannot be used: one line that says which, and what to do."""


class _Sheet(BaseModel):
    """What task.toml says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    verify: str = Field(min_length=1)
    expect: tuple[str, ...] = Field(min_length=1)
    needs: tuple[str, ...]


@frozen
class Task:
    """One task, in a folder of its own."""

    folder: Path
    name: str
    title: str
    prompt: str
    verify: str
    """A shell command, run in the working copy; exit 0 proves that the task is done."""
    expect: tuple[str, ...]
    """The paths that a right solution changes, sorted."""
    needs: tuple[str, ...]
    """Programs that the task runs."""

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def script(self) -> Path:
        """What a scripted model says."""
        return self.folder / "script.yaml"

    @property
    def expected(self) -> str:
        """The scripted model's changes, as `diff` writes them."""
        return (self.folder / "expected.diff").read_text(encoding="utf-8")

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of `needs` that this machine lacks."""
        return tuple(program for program in self.needs if shutil.which(program) is None)


@frozen
class Proof:
    """What the verify command came to."""

    passed: bool
    output: str
    """Its stdout and stderr, in the order they were written."""


def names(home: Path = HOME) -> tuple[str, ...]:
    """The tasks that there are, sorted."""
    return tuple(sorted(sheet.parent.name for sheet in home.glob("*/task.toml")))


def load(name: str, home: Path = HOME) -> Task:
    """Read a task. Raises TaskError."""
    folder = home / name
    sheet = folder / "task.toml"
    if name not in names(home):
        raise TaskError(f"there is no task {name!r}; there are: {', '.join(names(home)) or 'none'}")
    try:
        read = _Sheet.model_validate(tomllib.loads(sheet.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaskError(f"{sheet}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise TaskError(f"{sheet}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if read.name != name:
        raise TaskError(f"{sheet}: name is {read.name!r}, but the folder is {name!r}")
    return Task(folder, name, read.title, read.prompt, read.verify, tuple(sorted(read.expect)), read.needs)


def prepare(task: Task, into: Path) -> Path:
    """Make a working copy, a repository with one commit that is the same everywhere, and return its path.

    Raises TaskError when `into` is not empty, or git is missing or fails.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise TaskError(f"{into}: not an empty folder")
    shutil.copytree(task.repo, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    _git(into, "init", "--quiet", "--initial-branch=main", "--template=")
    _git(into, "add", "--all")
    _git(into, "commit", "--quiet", "--no-gpg-sign", "--message", task.title)
    return into


def diff(copy: Path) -> str:
    """What differs from the first commit in a working copy, new files included, as a patch."""
    _git(copy, "add", "--intent-to-add", "--all")
    return _git(copy, "diff", "--no-color", "--no-ext-diff", "--no-renames", "HEAD")


def changed(copy: Path) -> tuple[str, ...]:
    """The paths that differ from the first commit in a working copy, sorted."""
    _git(copy, "add", "--intent-to-add", "--all")
    return tuple(filter(None, _git(copy, "diff", "--name-only", "--no-renames", "-z", "HEAD").split("\0")))


def verify(task: Task, copy: Path) -> Proof:
    """Run the task's proof in a working copy, outside of any sandbox, for at most VERIFY_SECONDS."""
    limit = ("timeout", "--verbose", "--kill-after=5", str(VERIFY_SECONDS))
    ran = subprocess.run(
        (*limit, "sh", "-c", task.verify),
        cwd=copy,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return Proof(ran.returncode == 0, _text(ran.stdout))


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")


def _git(copy: Path, *arguments: str) -> str:
    """Run git in a working copy with no one's configuration. Raises TaskError."""
    git = shutil.which("git")
    if git is None:
        raise TaskError("git is needed to make a working copy: install git")
    ran = subprocess.run(
        (git, *_NEUTRAL, *arguments), cwd=copy, env=_IDENTITY, stdin=subprocess.DEVNULL, capture_output=True
    )
    if ran.returncode != 0:
        raise TaskError(f"git {arguments[0]} failed in {copy}: {_text(ran.stderr).strip()}")
    return _text(ran.stdout)
