"""`python -m benchmarks.documents`: ten questions to a document of 50 MB, and that section of benchmarks/RESULTS.md."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cache.report import RESULTS

TITLE = "## Ten questions to a document of 50 MB"
SIZE = 50_000_000
TREADLE = str(Path(sys.executable).with_name("treadle"))
WORDS = 20_000
FACTS = (
    ("The warranty of the pump lasts seventeen months.", "pump warranty", "seventeen"),
    ("Invoice 8841 was paid by Kestrel Ltd.", "who paid invoice 8841", "Kestrel"),
    ("The vault code was changed to 52-19-07.", "code of the vault", "52-19-07"),
    ("Dr. Imre Halasz chairs the audit board.", "chair of the audit board", "Halasz"),
    ("Line 4 runs at 312 units per hour.", "units per hour of line 4", "312"),
    ("The Oslo office closes on 3 March.", "when does the Oslo office close", "3 March"),
    ("Batch QX-77 failed the salt spray test.", "which batch failed salt spray", "QX-77"),
    ("The depot in Tartu stores lithium cells.", "depot with lithium cells", "Tartu"),
    ("The purchase of the automobile was approved by Yusuf.", "who let them buy the car", "Yusuf"),
    ("The physician of the crew is Ana Brandt.", "crew doctor", "Brandt"),
)
"""What stands in the document, how it is asked for, and what the answer must hold."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to."""

    seconds: float
    memory: float
    """Peak of the process, MB."""
    answered: int
    prompt: int
    """Of the last and longest request, in tokens of four bytes."""
    requests: int
    """For vectors."""


def main() -> None:
    """Measure and write."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "big.md")
        write(file)
        embeddings = ("-c", "retrieval.embeddings=mock/embed-1")
        words = ask(Path(folder, "words"), file, ())
        vectors = ask(Path(folder, "vectors"), file, embeddings)
        again = ask(Path(folder, "vectors"), file, embeddings)
        chars = file.stat().st_size
    lines = section(chars, {"words (BM25)": words, "words and vectors": vectors, "the same, cached": again})
    sys.stdout.write("\n".join(lines) + "\n")
    text = RESULTS.read_text(encoding="utf-8")
    before, _, after = text.partition(f"\n{TITLE}\n")
    rest = after[after.index("\n## ") + 1 :].rstrip("\n") if "\n## " in after else ""
    RESULTS.write_text(
        "\n".join([before.rstrip("\n"), "", *lines, *(["", rest] if rest else []), ""]), encoding="utf-8"
    )


def section(size: int, runs: dict[str, Figures]) -> list[str]:
    """Return the section."""
    rows = [
        f"| {name} | {ran.seconds:.1f} | {ran.memory:.0f} | {ran.answered} | {ran.prompt:,} | {ran.requests} |"
        for name, ran in runs.items()
    ]
    return [
        TITLE,
        "",
        f"`python -m benchmarks.documents`, load {os.getloadavg()[0]:.1f} when it ended: Markdown of {size / 1e6:.1f} MB, attached with `--attach`; ten calls of "
        "`recall`, whose results stay in the prompt. The mock's vectors know a few words that mean the same: two of "
        "the questions share no telling word with their answer. Goal: ≤ 10,000 tokens.",
        "",
        "| search | s, all of it | peak MB | answered of 10 | longest prompt, tokens | requests for vectors |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def write(file: Path) -> None:
    """Write the document: words whose frequency falls as in a language, and a fact in every tenth of it."""
    # Not for secrets: each run must write the same.
    chance = random.Random(7)  # noqa: S311
    vocabulary = ["".join(chance.choices("aeiourstlnmdk", k=chance.randint(3, 9))) for _ in range(WORDS)]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    pages = [" ".join(chance.choices(vocabulary, weights, k=80)) + ".\n\n" for _ in range(5_000)]
    length, number, facts = 0, 0, list(FACTS)
    with file.open("w", encoding="utf-8") as target:
        while length < SIZE:
            page = chance.choice(pages)
            if number % 400 == 0:
                page = f"# Chapter {number // 400}\n\n{page}"
            if facts and length > SIZE * (11 - len(facts)) / 11:
                page += f"{facts.pop(0)[0]}\n\n"
            length += target.write(page)
            number += 1


def ask(home: Path, file: Path, options: Sequence[str]) -> Figures:
    """Ask all questions in one run and see what was found."""
    workspace = home / "work"
    workspace.mkdir(parents=True, exist_ok=True)
    steps: list[dict[str, object]] = [
        {"calls": [{"tools": {"action": "call", "name": "recall", "arguments": {"query": question}}}]}
        for _, question, _ in FACTS
    ]
    script, record = home / "script.yaml", home / "requests.jsonl"
    script.write_text(json.dumps({"steps": [*steps, {"text": "Done."}]}), encoding="utf-8")
    argv = (TREADLE, "mock", str(script), "--record", str(record))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2]
        try:
            ran = _run(home, workspace, url, ("--attach", str(file), *options))
        finally:
            server.terminate()
    sent = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    prompts = [request["body"] for request in sent if request["path"].endswith("/chat/completions")]
    results = [
        message["content"] for message in json.loads(prompts[-1])["messages"] if message["role"] == "tool"
    ]
    answered = sum(found in str(result) for (_, _, found), result in zip(FACTS, results, strict=True))
    vectors = sum(request["path"].endswith("/embeddings") for request in sent)
    return Figures(*ran, answered, max(map(len, prompts)) // 4, vectors)


def _run(home: Path, workspace: Path, url: str, options: Sequence[str]) -> tuple[float, float]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "TREADLE_MOCK_URL": url,
        "LANG": "C.UTF-8",
    }
    argv = (TREADLE, "run", "-m", "mock/demo", "--sandbox", "none", "--output", "json", *options, "Answer.")
    with subprocess.Popen(
        argv, cwd=workspace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        result = json.loads(run.stdout.read())
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if result["outcome"] != "done":
        raise RuntimeError(result)
    return result["duration_ms"] / 1e3, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
