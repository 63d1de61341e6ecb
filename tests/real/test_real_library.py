"""A library that is not ours, with a bug planted in it: `treadle run` mends it, and its own tests say so."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data/real_library"
BIN = Path(sys.executable).parent
LIBRARY = "sqlparse==0.5.3"
SHA256 = "09f67787f56a0b16ecdbde1bfc7f5d9c3371ca683cfeaa8e6ff60b4807ec9272"
BROKEN = "sqlparse/engine/statement_splitter.py"
SUITE = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
PROMPT = "One of this library's tests fails. Find the cause, fix it in the library, and run the whole suite."

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with our environment's programs first, and with these variables added."""
    env = ("env", "PYTHONDONTWRITEBYTECODE=1", *(f"{name}={value}" for name, value in variables.items()))
    first = ("sh", "-c", 'PATH="$0:$PATH" exec "$@"', BIN)
    return subprocess.run(
        (*first, *env, *command), cwd=cwd, capture_output=True, text=True, timeout=120, encoding="utf-8"
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's source archive, as its registry has it."""
    folder = tmp_path_factory.mktemp("sdist")
    pip = run(
        *("python", "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", folder),
        *("--no-deps", "--no-binary=:all:", "--no-build-isolation", LIBRARY),
        cwd=folder,
    )
    assert pip.returncode == 0, pip.stderr
    (archive,) = folder.iterdir()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    return archive


@pytest.fixture
def library(sdist: Path, tmp_path: Path) -> Path:
    """The library's folder, a repository whose one commit has the bug."""
    folder = tmp_path / "library"
    folder.mkdir()
    author = ("-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    for command in (
        ("tar", "-xf", sdist, "--strip-components=1"),
        ("git", "init", "--quiet"),
        ("git", "apply", DATA / "plant.diff"),
        ("git", "add", "--all"),
        ("git", *author, "commit", "--quiet", "--message", "As it was released, but for one thing"),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def provider() -> Iterator[str]:
    """The base URL of a scripted model, in a process of its own."""
    command = (BIN / "treadle", "mock", DATA / "script.yaml", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            yield line.split()[2]
        finally:
            server.terminate()


def original(sdist: Path, name: str) -> str:
    member = f"{sdist.name.removesuffix('.tar.gz')}/{name}"
    return subprocess.check_output(("tar", "-xOf", sdist, member), text=True, encoding="utf-8")


def test_a_planted_bug_is_found_and_the_librarys_own_suite_is_green_again(
    sdist: Path, library: Path, provider: str, tmp_path: Path
) -> None:
    before = run(*SUITE, cwd=library)
    assert (before.returncode, before.stdout.count("\nFAILED ")) == (1, 1), before.stdout

    ran = run(
        *("treadle", "run", "-C", library, "-m", "mock/demo-1", "--output", "json", PROMPT),
        cwd=tmp_path,
        TREADLE_MOCK_URL=provider,
        MOCK_API_KEY="any",
        XDG_STATE_HOME=str(tmp_path / "state"),
        XDG_CONFIG_HOME=str(tmp_path / "config"),
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert (result["outcome"], result["steps"], result["denials"]) == ("done", 6, [])
    assert result["message"].startswith(f"Fixed in `{BROKEN}`")
    assert run("git", "status", "--porcelain", cwd=library).stdout == f" M {BROKEN}\n"
    assert (library / BROKEN).read_text(encoding="utf-8") == original(sdist, BROKEN)
    after = run(*SUITE, cwd=library)
    assert after.returncode == 0, after.stdout
    assert "461 passed" in after.stdout
