"""Where measuring happens: a fresh environment with the built wheel, folders of its own, nothing of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

ROOT = Path(__file__).parents[1]
FLOOR = Path(__file__).with_name("floor.py")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
SAMPLE = 0.01
"""Seconds between two looks at the memory of a tree."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended. Times are on `perf_counter`."""

    spawned: float
    gone: float
    cpu: float
    """Seconds, user and system, with all children it waited for."""
    peak: int
    """Bytes: the largest sum of the resident sizes of the tree, when it was watched."""
    out: str


@dataclass(frozen=True, slots=True)
class Place:
    """An environment, a home and a workspace."""

    base: Path

    @property
    def python(self) -> str:
        return str(self.base / "venv/bin/python")

    @property
    def treadle(self) -> str:
        return str(self.base / "venv/bin/treadle")

    @property
    def workspace(self) -> Path:
        return self.base / "workspace"

    def env(self, url: str = "") -> dict[str, str]:
        """Return the variables of a process; `url` is where the provider is."""
        home = str(self.base / "home")
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": home,
            "LANG": "C.UTF-8",
            "TREADLE_MOCK_URL": url,
        }

    def command(self, *more: str, sandbox: str = "auto") -> tuple[str, ...]:
        """Return the command line of a run."""
        return (
            self.treadle,
            "run",
            "-m",
            "mock/any",
            "--output",
            "json",
            "--sandbox",
            sandbox,
            *more,
            "Do it.",
        )

    def floor(self, url: str, *more: str) -> tuple[str, ...]:
        """Return the command line of the bare httpx loop."""
        return (self.python, str(FLOOR), url, str(self.workspace), *more)

    def run(self, argv: Sequence[str], url: str = "", *, watch: bool = False) -> Ran:
        """Run a process to its end. Raises RuntimeError when it fails."""
        read, write = os.pipe()
        spawned = perf_counter()
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write, 1),
            (os.POSIX_SPAWN_CLOSE, read),
        ]
        os.chdir(self.workspace)
        pid = os.posix_spawnp(argv[0], tuple(argv), self.env(url), file_actions=files, setsigmask=())
        os.close(write)
        over, peaks = Event(), [0]
        watcher = Thread(target=_watch, args=(pid, over, peaks))
        if watch:
            watcher.start()
        with os.fdopen(read, encoding="utf-8") as pipe:
            out = pipe.read()
        _, status, usage = os.wait4(pid, 0)
        gone = perf_counter()
        over.set()
        if watch:
            watcher.join()
        if status:
            raise RuntimeError(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}: {out}")
        return Ran(spawned, gone, usage.ru_utime + usage.ru_stime, peaks[0], out)


def _watch(pid: int, over: Event, peaks: list[int]) -> None:
    while not over.wait(SAMPLE):
        peaks[0] = max(peaks[0], _resident(pid))


def _resident(pid: int) -> int:
    """Sum up what a process and its descendants hold in memory, shared pages once for each."""
    folder = Path(f"/proc/{pid}")
    try:
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        children = (folder / f"task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)


@contextmanager
def prepared(python: str) -> Generator[Place]:
    """Build the wheel and install it, with what the lock file names, for this interpreter."""
    with tempfile.TemporaryDirectory(prefix="treadle-bench-") as folder:
        place = Place(Path(folder))
        place.base.chmod(0o755)  # an ordinary user measures here too
        venv = str(place.base / "venv")
        _do(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            str(ROOT),
        )
        _do(python, "-m", "venv", venv)
        pip = (place.python, "-m", "pip", "--disable-pip-version-check", "-q", "install")
        _do(*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock"))
        _do(*pip, "--no-deps", "--no-index", *map(str, place.base.glob("treadle-*.whl")))
        (place.base / "home").mkdir()
        place.workspace.mkdir()
        _do("git", "init", "-q", str(place.workspace))
        yield place


def _do(*argv: str) -> None:
    subprocess.run(argv, check=True, cwd="/", stderr=subprocess.DEVNULL)
