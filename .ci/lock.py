"""The lock files: compile them from pyproject.toml, or check offline that they are up to date with it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": ("--group", "build"),
    "requirements-dev.lock": ("--group", "dev", "--constraint", "requirements.lock"),
}
OPTIONS = (
    *(
        "--generate-hashes",
        "--universal",
        "--python-version",
        "3.11",
        "--annotation-style",
        "line",
        "--quiet",
    ),
    *("--no-header", "--no-emit-index-url", "--no-emit-find-links"),
)


def header() -> str:
    """The first line of a lock file: a digest of everything in pyproject.toml that it depends on."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = data["project"]
    inputs = (project["requires-python"], project["dependencies"], data["dependency-groups"])
    return (
        f"# inputs sha256:{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}; renew with `make lock`\n"
    )


def is_current(path: Path) -> bool:
    """Whether the lock file was made from pyproject.toml as it is now."""
    return path.exists() and path.read_text(encoding="utf-8").startswith(header())


def compile_lock(path: Path, options: tuple[str, ...], upgrade: tuple[str, ...]) -> None:
    """Write one lock file; what it pins already stays pinned unless `--upgrade` is among the arguments."""
    command = ("uv", "pip", "compile", "pyproject.toml", *options, *OPTIONS, *upgrade, "-o", path.name)
    subprocess.run(command, cwd=ROOT, check=True)
    path.write_text(header() + path.read_text(encoding="utf-8"), encoding="utf-8")


def main(arguments: list[str]) -> str | None:
    """Compile or check; the result is what went wrong."""
    if arguments == ["--check"]:
        stale = [name for name in LOCKS if not is_current(ROOT / name)]
        return f"not made from this pyproject.toml: {', '.join(stale)}; run `make lock`" if stale else None
    for name, options in LOCKS.items():
        compile_lock(ROOT / name, options, tuple(arguments))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
