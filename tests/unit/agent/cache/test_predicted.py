"""What is expected of a request is what it is billed as, token for token."""

from __future__ import annotations

import anyio
import pytest
from unit.agent.cache.sessions import calls, expected, provider, split, told

pytestmark = pytest.mark.anyio
MODELS = (
    "anthropic/claude-opus-5-5",
    "anthropic/claude-sonnet-5",
    "anthropic/claude-haiku-4-5",
    "openai/gpt-6-sol",
    "openai/gpt-5.6-terra",
    "openai/gpt-5.5",
    "openai/gpt-5.4",
    "gemini/gemini-3.6-flash",
    "gemini/gemini-2.5-pro",
    "deepseek/deepseek-v4-flash",
    "mock/m",
)


@pytest.mark.parametrize("spec", MODELS)
async def test_every_step_is_billed_as_expected(spec: str) -> None:
    script = [calls("read"), calls("read", "shell", "edit", text="Three at once."), *[calls("shell")] * 8]
    gaps = (0, 10, 0, 400, 10, 700, 5, 4000, 0, 100_000)
    async with provider(*script) as mock, told(mock, spec) as session:
        for number, gap in enumerate(gaps):
            mock.clock.advance(gap)
            with anyio.fail_after(5):
                planned, usage = await session.step()
            assert expected(planned) == split(usage), number
