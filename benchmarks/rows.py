"""What is measured: a function a row, each with treadle beside the floor."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.listener import Listener, listening, streamed
from benchmarks.place import NOBODY, Place

STEPS = 50
RESULT = 2100
"""Characters of what a step reads: with it the floor's bill is that of the runs the goals were taken from."""
TOKENS = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is what it must not exceed; None where there is no such thing."""

    name: str
    floor: float | None
    ours: float
    goal: float | None
    digits: int = 0


def start(place: Place, runs: int) -> list[Row]:
    """Time from spawning the process to its first request, and from the last byte of the answer to its end."""
    with listening(streamed(5, 1)) as listener:
        floor, ours = (
            _begins_and_ends(place, argv, listener, runs) for _, argv in _both(place, listener.url)
        )
    return [
        Row("start → first request, ms", floor[0], ours[0], 200),
        Row("end of answer → process gone, ms", floor[1], ours[1], 40),
    ]


def _begins_and_ends(place: Place, argv: Sequence[str], listener: Listener, runs: int) -> tuple[float, float]:
    begins: list[float] = []
    ends: list[float] = []
    for _ in range(runs + 1):
        listener.arrived.clear()
        listener.sent.clear()
        ran = place.run(argv, listener.url)
        begins.append((listener.arrived[0] - ran.spawned) * 1e3)
        ends.append((ran.gone - listener.sent[-1]) * 1e3)
    return median(begins[1:]), median(ends[1:])  # the first one fills the caches


def steps(place: Place, runs: int) -> list[Row]:
    """Take fifty steps that read a file each: time and memory of a step, size of the first request, the bill."""
    for number in range(STEPS - 1):
        _write(place.workspace / f"part-{number}.txt", RESULT, number)
    files = [f"part-{number}.txt" for number in range(STEPS - 1)]
    reads = [{"read": {"path": name}} for name in files]
    commands = [{"shell": {"command": f"cat {name}"}} for name in files]
    floor, ours = (_fifty(place, name, reads, runs) for name in ("floor", "treadle"))
    shell_floor, shell = (_fifty(place, name, commands, runs) for name in ("floor", "treadle"))
    bill = f"bill of {STEPS} steps, thousand base tokens"
    return [
        Row(f"a step of {STEPS} that reads a file, ms", floor.step, ours.step, 6, 1),
        Row(f"a step of {STEPS} that runs `cat` in the sandbox, ms", shell_floor.step, shell.step, None, 1),
        Row(f"peak memory of the tree over {STEPS} steps, MB", floor.memory, ours.memory, 80),
        Row("first request: system and tools, tokens", floor.first / 4, ours.first / 4, 2000),
        Row("first request: system and tools, characters", floor.first, ours.first, 8000),
        Row(f"{bill}, with `cat`", shell_floor.bill, shell.bill, 112, 1),
        Row(f"{bill}, with `read`, which numbers the lines", floor.bill, ours.bill, 112, 1),
    ]


@dataclass(frozen=True, slots=True)
class _Fifty:
    step: float
    memory: float
    first: int
    bill: float


def _fifty(place: Place, name: str, calls: Sequence[Any], runs: int) -> _Fifty:
    """Measure fifty steps. The mock is a new one, so that its cache holds nothing of others."""
    script = [{"calls": [call]} for call in calls]
    with _mock(place, [*script, {"text": "Done."}]) as mock:
        argv = dict(_both(place, mock.url))[name]
        watched = [place.run(argv, mock.url, watch=True) for _ in range(runs)]
        first = mock.taken()[0]
        took: list[float] = []
        for _ in range(runs):
            place.run(argv, mock.url)
            requests = mock.taken()
            took.append((requests[-1]["at"] - requests[0]["at"]) / (STEPS - 1) * 1e3)
    memory = median(ran.peak for ran in watched) / 1e6
    return _Fifty(median(took), memory, _first_size(first), _bill(watched[0].out) / 1e3)


def parallel(place: Place, runs: int) -> list[Row]:
    """Time from the first request to the second, with eight commands of 0.2 s asked for in between."""
    calls = [{"shell": {"command": f"sleep 0.2 # {number}"}} for number in range(8)]
    with _mock(place, [{"calls": calls}, {"text": "Done."}]) as mock:
        took = {name: _gaps(place, argv, mock, runs) for name, argv in _both(place, mock.url)}
    return [Row("8 parallel `sleep 0.2`, ms", median(took["floor"]), median(took["treadle"]), 235)]


def sandbox(place: Place, runs: int) -> list[Row]:
    """Time that bubblewrap adds to a command, as an ordinary user."""
    script = [{"calls": [{"shell": {"command": f"true {number}"}}]} for number in range(20)]
    as_nobody = NOBODY if os.geteuid() == 0 else ()
    if as_nobody:
        _give_away(place.base / "home", place.workspace)
    with _mock(place, [*script, {"text": "Done."}]) as mock:
        took = {
            level: median(_gaps(place, (*as_nobody, *place.command(sandbox=level)), mock, runs))
            for level in ("none", "bwrap")
        }
    return [
        Row(
            "what the sandbox adds to a command, as an ordinary user, ms",
            None,
            took["bwrap"] - took["none"],
            10,
            1,
        )
    ]


def tokens(place: Place, runs: int) -> list[Row]:
    """Processor time of a streamed token, from replies of 20,000 tokens and of one."""
    rows: list[Row] = []
    for per_chunk in (1, 10, 100):
        one, many = (_spent(place, streamed(count, per_chunk), runs) for count in (1, TOKENS))
        floor, ours = ((after - before) / TOKENS * 1e6 for before, after in zip(one, many, strict=True))
        rows.append(Row(f"CPU of a streamed token, μs, {per_chunk} to a chunk", floor, ours, 8, 1))
    return rows


def _spent(place: Place, answer: bytes, runs: int) -> tuple[float, float]:
    with listening(answer) as listener:
        floor, ours = (
            median(place.run(argv, listener.url).cpu for _ in range(runs))
            for _, argv in _both(place, listener.url)
        )
    return floor, ours


ROWS: tuple[Callable[[Place, int], list[Row]], ...] = (start, steps, parallel, sandbox, tokens)


def imports(place: Place, runs: int = 5) -> list[tuple[str, float]]:
    """Return what each module took to import by itself, in ms, the least of a few runs, over a whole short run."""
    took: dict[str, float] = {}
    with listening(streamed(5, 1)) as listener:
        for _ in range(runs):
            log = subprocess.run(
                (place.python, "-X", "importtime", *place.command()),
                cwd=place.workspace,
                env=place.env(listener.url),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                check=True,
            ).stderr
            for own, name in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", log):
                took[name] = min(took.get(name, 1e9), int(own) / 1e3)
    return sorted(took.items(), key=lambda item: -item[1])


@dataclass(frozen=True, slots=True)
class _Mock:
    url: str
    record: Path

    def taken(self) -> list[dict[str, Any]]:
        """Return the requests since the last time."""
        text = self.record.read_text(encoding="utf-8")
        os.truncate(self.record, 0)
        return [json.loads(line) for line in text.replace("\0", "").splitlines()]


@contextmanager
def _mock(place: Place, script: Sequence[Any]) -> Generator[_Mock]:
    """Serve a script in a process of its own."""
    file, record = place.base / "script.yaml", place.base / "requests.jsonl"
    file.write_text(json.dumps({"steps": script}), encoding="utf-8")
    argv = (place.treadle, "mock", str(file), "--record", str(record))
    with subprocess.Popen(argv, env=place.env(), stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        try:
            yield _Mock(server.stdout.readline().split()[-1], record)
        finally:
            server.terminate()


def _both(place: Place, url: str) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("floor", place.floor(url)), ("treadle", place.command())


def _gaps(place: Place, argv: Sequence[str], mock: _Mock, runs: int) -> list[float]:
    """Return the times between requests that follow each other, in ms; a median a run."""
    found: list[float] = []
    for _ in range(runs):
        mock.taken()
        place.run(argv, mock.url)
        found.append(median(after["at"] - before["at"] for before, after in pairwise(mock.taken())) * 1e3)
    return found


def _write(file: Path, size: int, number: int) -> None:
    lines = (
        f"{number}.{line}: what stands in this line is of no importance to anybody\n" for line in range(size)
    )
    text = ""
    while len(text) < size:
        text += next(lines)
    file.write_text(text[:size], encoding="utf-8")


def _first_size(request: dict[str, Any]) -> int:
    body = json.loads(request["body"])
    system = "".join(
        _text(message) for message in body["messages"] if message["role"] in {"system", "developer"}
    )
    return len(system) + len(json.dumps(body["tools"], ensure_ascii=False, separators=(",", ":")))


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _bill(out: str) -> float:
    """Return base tokens, as the mock's simulated cache bills them: what is read from a cache costs a tenth."""
    usage = json.loads(out.splitlines()[-1])["usage"]
    return usage["input_tokens"] - 0.9 * usage["cached_input_tokens"]


def _give_away(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
