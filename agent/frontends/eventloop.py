"""The event loop of a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

T = TypeVar("T")


def run(function: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Run an async function to its end in a loop of its own, which does not wait for look-ups that nobody waits for."""
    return anyio.run(function, *arguments, backend_options={"loop_factory": _loop})


class _Threads(ThreadPoolExecutor):
    """The loop's own threads. All they do for us is to look up addresses, which cannot be interrupted."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Threads(thread_name_prefix="address"))
    return loop
