"""Scripts served on the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from treadle.agent.mock.script import parse
from treadle.agent.mock.server import Mock, serve

Play = Callable[[str], Awaitable[Mock]]


@pytest.fixture
async def play() -> AsyncGenerator[Play]:
    """Serve a script, written as YAML, until the test ends; an empty one improvises."""
    async with AsyncExitStack() as stack:

        async def start(text: str) -> Mock:
            return await stack.enter_async_context(serve(parse(text) if text else None))

        yield start
