"""Keep the provider's cache warm while a tool takes its time: pings that read the prompt and ask for no answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import field, replace
from typing import TypeVar

import anyio

from treadle.agent.cache.planner import Planned, Planner
from treadle.agent.conversation import Conversation
from treadle.agent.events import Keep, KeptWarm
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import LanguageModel, ProviderError
from treadle.sandbox.frozen import frozen

T = TypeVar("T")


@frozen
class Asked:
    """The last request, to be asked again without an answer."""

    planned: Planned
    model: LanguageModel
    conversation: Callable[[], Conversation]


@frozen
class Warmth:
    """How a cache is kept warm."""

    planner: Planner = field(default_factory=Planner)
    pings: int = 0
    """The most in one wait; 0 lets the cache go cold."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def during(self, work: Callable[[], Awaitable[T]], asked: Asked | None, keep: Keep) -> T:
        """Do some work that the next request waits for, and ping meanwhile as often as that pays."""
        if not self.pings or asked is None:
            return await work()
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(group.cancel_scope.cancel)
            group.start_soon(self._ping, asked, keep)
            return await work()

    async def _ping(self, asked: Asked, keep: Keep) -> None:
        for _ in range(self.pings):
            wait = self.planner.next_ping(asked.planned, asked.model.info, asked.conversation())
            if wait is None:
                return
            await self.sleep(wait)
            try:
                await keep(await self._once(asked))
            except ProviderError:
                return  # the next step meets what is wrong, and says so

    async def _once(self, asked: Asked) -> KeptWarm:
        again = self.planner.plan(asked.planned.request, asked.model, asked.conversation())
        request = replace(again.request, caching=replace(again.request.caching, warm=True))
        async with asked.model.stream(request) as reply:
            async for _deltas in reply:
                pass
        usage = reply.message.usage
        return KeptWarm(forecast=again.forecast, usage=usage, cost_usd=cost(usage, asked.model.info.prices))
