"""The first half of a step: ask the model for a reply."""

from __future__ import annotations

from random import SystemRandom

import anyio

from treadle.agent.events import Keep, MessageAdded, RetryScheduled, Show
from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import (
    LanguageModel,
    ModelRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    ReplyStream,
)
from treadle.agent.providers.retry import Retries, wait


async def ask(
    model: LanguageModel, request: ModelRequest, retries: Retries, keep: Keep, show: Show
) -> MessageAdded:
    """Ask the model and show the reply as it comes; ask again when that may help.

    No call of a reply runs before the reply is whole, so asking again repeats nothing. What came of a reply that
    failed is kept, marked as such. Raises `ProviderError` when asking again does not help.
    """
    attempt = 0
    while True:
        began = anyio.current_time()
        try:
            return await _ask_once(model, request, keep, show)
        except ProviderError as error:
            attempt += 1
            took = anyio.current_time() - began
            seconds = wait(error, attempt, random=SystemRandom().random(), retries=retries)
            if seconds is None or began + 2 * took + seconds >= anyio.current_effective_deadline():
                raise  # there is no time for another attempt like this one
            await show(RetryScheduled(reason=str(error), seconds=seconds, attempt=attempt))
            await anyio.sleep(seconds)


async def _ask_once(model: LanguageModel, request: ModelRequest, keep: Keep, show: Show) -> MessageAdded:
    async with model.stream(request) as stream:
        try:
            await _show_all(stream, show)
            message = stream.message
            if stream.warnings:
                message = message.model_copy(update={"warnings": (*stream.warnings, *message.warnings)})
            return MessageAdded(message=message, request_bytes=stream.sent, reply_bytes=stream.received)
        except ProviderError:
            await _keep_partial(stream, keep, failed=True)
            raise
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(1, shield=True):
                await _keep_partial(stream, keep, failed=False)
            raise


async def _show_all(stream: ReplyStream, show: Show) -> None:
    async for deltas in stream:
        for delta in deltas:
            await show(delta)


async def _keep_partial(stream: ReplyStream, keep: Keep, *, failed: bool) -> None:
    """Keep what came of a reply that was cut: out of the conversation when it is asked for again."""
    message = stream.partial
    if message.parts:
        state = "failed" if failed else "interrupted"
        await keep(
            MessageAdded(message=message.model_copy(update={"state": state}), request_bytes=stream.sent)
        )


def is_out_of_reach(error: ProviderError) -> bool:
    """Say whether it is the model that cannot be had, be it for now; not that the request or the key is wrong."""
    return error.retryable or isinstance(error, QuotaExhausted | NotFound)


def stopped(message: AssistantMessage) -> str:
    """Say why the provider would not go on; empty when it would."""
    match message.stop:
        case "refusal" | "content_filter":
            said = next((part.text for part in message.parts if part.type == "refusal"), "")
            return f"the provider stopped the reply: {said or message.stop_raw or message.stop}"
        case "context_window":
            return "the conversation no longer fits the model's window"
        case _:
            return ""
