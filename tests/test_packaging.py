"""The distribution: what it holds, and that it runs inside repositories whose folders have our names."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from treadle.agent import __version__

ROOT = Path(__file__).parents[1]
PARTS = ("agent", "tools", "sandbox", "prompts")
SHIPPED = (*PARTS, "workspaces")
NOT_FOR_VERSION = {"pydantic", "httpx", "click", "rich", "yaml", "git", "anyio"}

pytestmark = pytest.mark.timeout(120)


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these variables added to the environment."""
    env = ("env", *(f"{name}={value}" for name, value in variables.items()))
    return subprocess.run(
        (*env, *command), cwd=cwd, capture_output=True, text=True, timeout=100, encoding="utf-8"
    )


def ours() -> set[str]:
    """What git would commit of what is shipped, as the wheel should name it."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", "--", *SHIPPED, cwd=ROOT).stdout.splitlines()
    return {f"treadle/{name}" for name in listed if (ROOT / name).is_file()}


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the dependencies are lent by this one, the editable install is not."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    lent = sysconfig.get_path("purelib")
    next(home.glob("lib/python*/site-packages")).joinpath("lent.pth").write_text(
        lent + "\n", encoding="utf-8"
    )
    pip = run(
        *(sys.executable, "-m", "pip", "--python", home / "bin/python", "--disable-pip-version-check"),
        *("install", "--no-deps", "--no-index", "--ignore-installed", wheel),
        cwd=home,
    )
    assert pip.returncode == 0, pip.stdout + pip.stderr
    return home / "bin"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A repository that has folders of our names, each of which ends the program that imports it."""
    for part in PARTS:
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").write_text("raise SystemExit('hostile')\n", encoding="utf-8")
    return tmp_path


def test_the_wheel_holds_what_git_holds_and_nothing_else(wheel: Path) -> None:
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == ours()


def test_the_sdist_holds_the_tests_and_the_licence(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "pyproject.toml", "tests/test_packaging.py", "agent/py.typed"} <= names


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "."}], ids=["plain", "PYTHONPATH"])
@pytest.mark.parametrize("door", ["command", "module"])
def test_our_code_runs_in_a_repository_that_has_folders_of_our_names(
    installed: Path, hostile: Path, door: str, variables: dict[str, str]
) -> None:
    command = {"command": [installed / "treadle"], "module": [installed / "python", "-m", "treadle.agent"]}[
        door
    ]
    ran = run(*command, "--version", cwd=hostile, **variables)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"treadle {__version__}\n", "")


def test_the_installed_program_is_the_wheel_and_not_the_work_tree(installed: Path, hostile: Path) -> None:
    ask = "import treadle.agent, treadle.prompts, click; print(treadle.agent.__file__, treadle.prompts.__file__)"
    files = run(installed / "python", "-c", ask, cwd=hostile).stdout.split()
    home = installed.parent.resolve()
    assert [Path(name).resolve().is_relative_to(home) for name in files] == [True, True]


def test_the_installed_program_brings_its_tasks(installed: Path, hostile: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    make = f"from treadle.agent.frontends.tasks import *; prepare(load('ledger'), Path({str(copy)!r}))"
    made = run(installed / "python", "-c", make, cwd=hostile)
    assert (made.returncode, made.stderr) == (0, "")
    listed = run("git", "ls-files", cwd=copy).stdout.splitlines()
    assert listed == run("git", "ls-files", ".", cwd=ROOT / "workspaces/ledger/repo").stdout.splitlines()


def test_the_version_is_said_before_anything_heavy_is_loaded(installed: Path, hostile: Path) -> None:
    ran = run(installed / "python", "-X", "importtime", "-m", "treadle.agent", "--version", cwd=hostile)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "treadle" in loaded
    assert loaded & NOT_FOR_VERSION == set()


@pytest.mark.real
def test_the_wheel_and_its_locked_dependencies_install_into_an_empty_environment(
    wheel: Path, hostile: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=True, symlinks=True)
    lock = ROOT / "requirements.lock"
    for what in (["--require-hashes", "-r", lock], ["--no-deps", "--no-index", wheel]):
        pip = run(home / "bin/python", "-m", "pip", "install", "--quiet", *what, cwd=home)
        assert pip.returncode == 0, pip.stdout + pip.stderr
    assert run(home / "bin/python", "-m", "pip", "check", cwd=home).returncode == 0
    ran = run(home / "bin/treadle", "--help", cwd=hostile, PYTHONPATH=".")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Usage: treadle" in ran.stdout
