from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from e2e.conftest import Serve

WORDS = [
    "river",
    "stone",
    "valley",
    "paper",
    "engine",
    "window",
    "market",
    "bridge",
    "garden",
    "letter",
    "winter",
    "copper",
    "silent",
    "orbit",
]
FACTS = (
    ("The warranty of the pump lasts seventeen months.", "pump warranty", "seventeen"),
    ("Invoice 8841 was paid by Kestrel Ltd.", "who paid invoice 8841", "Kestrel"),
    ("The vault code was changed to 52-19-07.", "code of the vault", "52-19-07"),
    ("Dr. Imre Halasz chairs the audit board.", "chair of the audit board", "Halasz"),
    ("Line 4 runs at 312 units per hour.", "units per hour of line 4", "312"),
    ("The Oslo office closes on 3 March.", "when does the Oslo office close", "3 March"),
    ("Batch QX-77 failed the salt spray test.", "which batch failed salt spray", "QX-77"),
    ("The depot in Tartu stores lithium cells.", "depot with lithium cells", "Tartu"),
    ("Clause 19 forbids subletting.", "what does clause 19 forbid", "subletting"),
    ("The purchase of the automobile was approved by Yusuf.", "who let them buy the car", "Yusuf"),
)


def document(size: int) -> str:
    """Return Markdown of about so many characters in which the facts are spread."""
    chance = random.Random(7)
    lines: list[str] = []
    length, number = 0, 0
    while length < size:
        if number % 40 == 0:
            lines.append(f"# Chapter {number // 40}\n")
        lines.append(" ".join(chance.choices(WORDS, k=60)) + ".\n")
        length += len(lines[-1])
        number += 1
    for index, (fact, _, _) in enumerate(FACTS):
        lines.insert((index + 1) * len(lines) // 11, f"{fact}\n")
    return "\n".join(lines)


def script(facts: tuple[tuple[str, str, str], ...]) -> str:
    """Return a script that asks one question a step and demands that each was answered."""
    steps: list[dict[str, object]] = []
    answer = ""
    for _, question, found in facts:
        asked = {"action": "call", "name": "recall", "arguments": {"query": question}}
        step: dict[str, object] = {"calls": [{"tools": asked}]}
        steps.append(step | ({"when": {"last_result": answer}} if answer else {}))
        answer = found
    steps.append({"when": {"last_result": answer}, "text": "All ten are answered."})
    return json.dumps({"steps": steps})


@pytest.mark.parametrize("embeddings", [(), ("-c", "retrieval.embeddings=mock/embed-1")])
def test_ten_questions_to_a_long_document_are_answered_within_ten_thousand_tokens(
    serve: Serve, embeddings: tuple[str, ...]
) -> None:
    # The last question shares no word with its answer: only vectors find it.
    facts = FACTS if embeddings else FACTS[:-1]
    home, mock = serve(script(facts))
    file = home.workspace.parent / "big.md"
    file.write_text(document(1_000_000), encoding="utf-8")
    ran = home.run("--attach", file, *embeddings, "Answer my questions.")
    assert (ran.code, ran.result["message"]) == (0, "All ten are answered."), ran.err
    asked = [request for request in mock.requests if request["path"].endswith("/chat/completions")]
    assert max(len(request["body"]) for request in asked) / 4 < 10_000
    vectors = [request for request in mock.requests if request["path"].endswith("/embeddings")]
    assert bool(vectors) is bool(embeddings)


def test_a_short_document_is_shown_as_it_is_and_a_picture_as_one(serve: Serve) -> None:
    home, mock = serve("steps:\n  - text: Seen.\n")
    note, table = home.workspace / "note.txt", home.workspace / "ages.csv"
    note.write_text("Mind the gap.\n", encoding="utf-8")
    table.write_text("name,age\nAda,36\n", encoding="utf-8")
    picture = home.workspace / "dot.png"
    picture.write_bytes(_DOT)
    ran = home.run("--attach", note, "--attach", table, "--attach", picture, "Look.")
    assert ran.code == 0, ran.err
    (body,) = mock.bodies
    content = body["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "text", "text", "image_url"]
    assert content[1]["text"] == '<attachment name="note.txt">\nMind the gap.\n</attachment>'
    assert "name: Ada; age: 36" in content[2]["text"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.zip", b"PK\x03\x04\x00\x00", "a.zip is not text (zip archive): text can be attached, Markdown"),
        ("a.pdf", b"no", "a.pdf: cannot be read as PDF"),
        ("a.docx", b"no", "a.docx: cannot be read as DOCX"),
    ],
)
def test_what_cannot_be_attached_is_said_before_anything_is_sent(
    serve: Serve, name: str, data: bytes, told: str
) -> None:
    home, mock = serve("steps: []\n")
    (home.workspace / name).write_bytes(data)
    ran = home.run("--attach", Path(name), "Look.")
    assert (ran.code, ran.result["outcome"]) == (1, "usage")
    assert told in ran.complaint
    assert mock.requests == []
    assert home.sessions == []


def test_a_long_document_cannot_be_searched_without_tools(serve: Serve) -> None:
    home, _ = serve("steps: []\n")
    (home.workspace / "a.txt").write_text("word " * 10_000, encoding="utf-8")
    ran = home.run("--attach", "a.txt", "--tools", "none", "Look.")
    assert "is too long for a prompt, and without tools it cannot be searched" in ran.complaint


def test_a_fork_searches_the_document_of_its_source(serve: Serve) -> None:
    home, _ = serve(script(FACTS[:2]))
    (home.workspace / "big.md").write_text(document(100_000), encoding="utf-8")
    assert home.run("--attach", "big.md", "Answer.").code == 0
    source = home.sessions[0].stem
    ran = home.run("--fork", f"{source}@e3", "Answer again.")
    assert ran.code == 0, ran.err


_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf50"
    "0f0003860180dc3fb1a60000000049454e44ae426082"
)
