"""How long a checkpoint takes: of a large repository with a few changes, and of a small one with none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from benchmarks.place import Place
from benchmarks.rows import Row
from treadle.agent.workspace.checkpoints import Checkpoints

FILES, A_FOLDER = 20_000, 50


def checkpoints(place: Place, runs: int) -> list[Row]:
    """Time of a checkpoint, without the first, which has everything to look at."""
    del place
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        files = _repository(root)
        kept = Checkpoints(root, Path(folder, "store"))
        began = perf_counter()
        kept.take()
        first = perf_counter() - began
        few = median(_take(kept, files[number :: FILES // 3][:3], str(number)) for number in range(runs))
        none = median(_take(kept, [], "") for _ in range(runs))
    return [
        Row("first checkpoint of a repository of 20,000 files, ms", None, first * 1e3, None),
        Row("checkpoint of 20,000 files with 3 changed, ms", None, few, 150),
        Row("checkpoint of 20,000 files with none changed, ms", None, none, None),
    ]


def _repository(root: Path) -> list[Path]:
    files = [root / f"{number // 1000}/{number // A_FOLDER}/{number}.py" for number in range(FILES)]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"value = {number}\n" * 20, encoding="utf-8")
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(("git", *words), cwd=root, check=True)
    return files


def _take(kept: Checkpoints, changed: list[Path], text: str) -> float:
    """Return milliseconds."""
    for file in changed:
        file.write_text(text, encoding="utf-8")
    sleep(0.05)  # a model takes longer
    began = perf_counter()
    kept.take()
    return (perf_counter() - began) * 1e3
