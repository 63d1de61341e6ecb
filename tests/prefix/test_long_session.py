"""Four hundred steps: every request begins with the one before it, and reads what that one had."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import anyio
import pytest
from prefix.lives import Life

from treadle.agent.messages import user
from treadle.agent.mock.script import Step

pytestmark = pytest.mark.anyio
TURNS, STEPS = 4, 100


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "wire",
    [
        "anthropic",
        *(
            pytest.param(wire, marks=pytest.mark.soak)
            for wire in ("openai_responses", "openai_chat", "gemini")
        ),
    ],
)
async def test_four_hundred_steps_read_all_that_was_sent_before(tmp_path: Path, wire: str) -> None:
    life = Life(tmp_path, wire, Random(0), compact_at="never")
    life.provider.keep = True
    await life.open()
    for turn in range(TURNS):
        life.script = [_step(turn * STEPS + number) for number in range(STEPS - 1)]
        with anyio.fail_after(60):
            ended = await life.opened.session.prompt(
                *(() if turn else life.opened.facts), user(f"Go {turn}.")
            )
        assert (ended.outcome, ended.steps) == ("done", STEPS)
        if turn == 1:
            await life.open()
    await life.stack.aclose()
    sent = [one.prompt for one in life.provider.sent]
    assert len(sent) == TURNS * STEPS
    assert len(life.epochs) == 1
    assert all(after.cached >= before.input for before, after in pairwise(sent) if before.input >= 1024)


def _step(number: int) -> Step:
    call = {"name": "grep", "arguments": {"pattern": f"nothing-{number}"}, "id": f"c{number}"}
    return Step.model_validate({"text": f"Step {number}.", "calls": [call]})
