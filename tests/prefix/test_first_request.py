"""How much a session says before its user's first word has been answered."""

from __future__ import annotations

from pathlib import Path
from random import Random

import anyio
import pytest
from prefix.lives import MODES, WIRES, Life, Sourced

from treadle.agent.messages import user
from treadle.agent.settings import Mode

pytestmark = pytest.mark.anyio
MOST = 8_000
"""Characters, of everything that is sent."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wire", WIRES)
async def test_the_first_request_is_short_however_many_tools_servers_have(
    tmp_path: Path, wire: str, mode: Mode
) -> None:
    life = Life(tmp_path, wire, Random(0), compact_at="auto")
    life.provider.keep = True
    await life.open(mode=mode)
    tools = [Sourced(f"tool_{number}", "Does something. " * 20) for number in range(40)]
    life.opened.session.calls.toolbox.plug("server", tools, deferred=True)
    with anyio.fail_after(5):
        await life.opened.session.prompt(*life.opened.facts, user("Go."))
    await life.stack.aclose()
    assert len(life.provider.sent[0].body.decode()) < MOST
