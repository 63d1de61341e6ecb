"""The prefix property: within an epoch every request begins with the one before it, whatever happens to a session."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from prefix.bodies import begins, segments
from prefix.lives import WIRES, Life

pytestmark = pytest.mark.anyio
QUICK, SOAK, CHUNK, EVENTS = 200, 5000, 8, 14


async def live(base: Path, seed: int) -> None:
    wire = [*WIRES][seed % len(WIRES)]
    life = Life(base / f"{seed}", wire, Random(seed))
    try:
        await life.run(EVENTS)
    except BaseException as error:
        error.add_note(f"wire {wire}, seed {seed}: {life.trace}")
        raise
    assert life.counts["requests"]


@pytest.mark.parametrize("chunk", range(QUICK // CHUNK))
async def test_whatever_happens_a_request_begins_with_the_one_before(tmp_path: Path, chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        await live(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_for_long_too_a_request_begins_with_the_one_before(tmp_path: Path) -> None:
    for seed in range(QUICK, QUICK + SOAK):
        await live(tmp_path, seed)
        shutil.rmtree(tmp_path / f"{seed}")


def test_one_byte_is_told_and_where() -> None:
    path = "/v1/messages"
    body = b'{"system":[{"type":"text","text":"a","cache_control":{}}],"messages":[{"role":"user","content":[{"n":1}]}]}'
    pieces = segments(path, body)
    assert begins(segments(path, body.replace(b',"cache_control":{}', b"")), pieces) is None
    assert "became" in (begins(segments(path, body.replace(b'"n":1', b'"n":1.0')), pieces) or "")
    assert "became" in (begins(segments(path, body.replace(b'"a"', b'"b"')), pieces) or "")
    assert "nothing" in (begins(pieces[:1], pieces) or "")
