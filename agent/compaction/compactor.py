"""Asks for the note, checks it, and says what is kept beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from treadle.agent.compaction import note, prune
from treadle.agent.compaction.size import Size, size, tokens
from treadle.agent.compaction.when import At, due, signs
from treadle.agent.context import assemble
from treadle.agent.conversation import Conversation
from treadle.agent.events import Body, Compacted, Delta, Noted, RetryScheduled, Show
from treadle.agent.limits import Spent
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, UserMessage, notice, user
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import (
    ContextOverflow,
    LanguageModel,
    ModelRequest,
    Output,
    ProviderError,
    RequestTooLarge,
    WireName,
)
from treadle.agent.providers.retry import Retries
from treadle.agent.reply import ask
from treadle.prompts import load
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Text, ToolResult

KEPT = 20_000
"""Tokens of the user's messages that stay word for word."""
_EARLIER = 8_000
"""Characters of the note before, in one that is made from the log alone."""
_NO_CALLS: frozenset[WireName] = frozenset({"openai_responses", "gemini"})
"""Where calls can be forbidden for one request without a change to what was cached."""

Reread: TypeAlias = Callable[[Conversation], Awaitable[tuple[str, ...]]]
"""Gives the texts that must stand behind a note as they are now: skills in use, instruction files."""


async def nothing(conversation: Conversation) -> tuple[str, ...]:
    """Read nothing anew."""
    return ()


async def nowhere(path: str) -> bool:
    """Say that there is no file."""
    return False


@frozen
class Around:
    """What a compactor needs to know of the session around it."""

    reread: Reread = nothing
    exists: note.Exists = nowhere
    recall: Literal["deferred", "direct", "none"] = "none"
    """How the model reaches `recall`."""
    steps: int | None = None
    """Replies that a turn may have; None without a limit."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@frozen
class Compactor:
    """Makes room in a conversation: `make_room` when it pays, `compact` when it must be."""

    cache_key: str
    retries: Retries
    show: Show
    at: At = "auto"
    around: Around = field(default_factory=Around)

    async def make_room(self, conversation: Conversation, model: LanguageModel) -> tuple[Body, ...]:
        """Return what must be kept before the model is asked: usually nothing."""
        if self.at == "never" or not conversation.items:
            return ()
        if prune.is_cold(conversation, model.info, self.around.now()):
            cleared = prune.prune(conversation, model.info)
            if cleared is not None:
                return (cleared,)
        measured = self._measured(conversation)
        found = signs(conversation.messages, self._steps_left(conversation))
        now = due(measured, self.at, model.info, found)
        made = await self._compact(conversation, model, must=now == "must") if now != "no" else None
        return (made,) if made is not None else ()

    async def compact(self, conversation: Conversation, model: LanguageModel) -> Compacted | None:
        """Compact now. None when there is nothing that a note could stand for, or it was turned off."""
        return await self._compact(conversation, model, must=True) if self.at != "never" else None

    async def _compact(
        self, conversation: Conversation, model: LanguageModel, *, must: bool
    ) -> Compacted | None:
        items = conversation.items
        tail = _tail(items)
        if not any(isinstance(message, AssistantMessage) for _, message in items[:tail]):
            return None
        asked = _Asked()
        found = note.facts(conversation.messages)
        try:
            text = await self._note(conversation, model, asked)
        except (ContextOverflow, RequestTooLarge):
            text = ""
        except ProviderError:
            if not must:
                return None  # the step itself meets what is wrong, and says so
            text = ""
        recall = load(f"compaction/recall_{self.around.recall}")
        return Compacted(
            summary=load(
                "compaction/note",
                recall=recall,
                note=text or note.from_log(found, _earlier(items)),
                facts=note.told(found),
            ).rstrip(),
            keep_from=items[tail][0] if tail < len(items) else None,
            kept=kept(conversation, items[:tail]),
            texts=await self.around.reread(conversation),
            usage=asked.spent.usage,
            cost_usd=asked.spent.cost,
            request_bytes=asked.spent.request_bytes,
        )

    async def _note(self, conversation: Conversation, model: LanguageModel, asked: _Asked) -> str:
        """Ask for the note, and once more when it does not do. Empty when there is none to be had."""
        request = assemble(conversation, self.cache_key, Output())
        if model.info.wire in _NO_CALLS:
            request = replace(request, tool_choice="none")
        request = _with(request, user(load("compaction/ask")))
        instructions = "\n".join(request.system)
        text = ""
        for last in (False, True):
            reply = await self._ask(model, request, asked)
            text = reply.text
            wrong = await note.flaws(text, conversation.messages, instructions, self.around.exists)
            if not wrong:
                return text
            if last and not wrong.missing:
                return note.without(text, wrong)
            again = load("compaction/again", wrong=str(wrong))
            refused = [_refused(reply)] if reply.calls else []
            request = _with(request, reply, *refused, user(again))
        return ""

    async def _ask(self, model: LanguageModel, request: ModelRequest, asked: _Asked) -> AssistantMessage:
        added = await ask(model, request, self.retries, _drop, self._show)
        message = added.message
        assert isinstance(message, AssistantMessage)
        asked.spent = asked.spent.aside(
            message.usage, cost(message.usage, model.info.prices), added.request_bytes
        )
        return message

    async def _show(self, delta: Delta) -> None:
        """Show what the user should know; what the model writes here is no answer to them."""
        if isinstance(delta, RetryScheduled | Noted):
            await self.show(delta)

    def _measured(self, conversation: Conversation) -> Size:
        items = conversation.items
        tail = _tail(items)
        names = kept(conversation, items[:tail])
        stays = [message for name, message in items[:tail] if name in names]
        return size(conversation, [*stays, *(message for _, message in items[tail:])])

    def _steps_left(self, conversation: Conversation) -> int | None:
        if self.around.steps is None:
            return None
        made = 0
        for message in reversed(conversation.messages):
            if isinstance(message, UserMessage) and message.author == "user":
                break
            made += isinstance(message, AssistantMessage)
        return max(self.around.steps - made, 0)


@dataclass(slots=True)
class _Asked:
    """What asking has come to."""

    spent: Spent = field(default_factory=Spent)


def kept(conversation: Conversation, items: Sequence[tuple[str, Message]]) -> tuple[str, ...]:
    """Return the ids of what stays word for word, in order.

    What stands before the first prompt, the first prompt, then the user's other messages from the newest on as long
    as there is room; and the notice that says which mode holds.
    """
    asked = [index for index, (_, message) in enumerate(items) if _is_users(message)]
    first = asked[0] + 1 if asked else 0
    stays = (
        set(range(first)) if not any(_is_reply(message) for _, message in items[:first]) else set(asked[:1])
    )
    room = KEPT - tokens([items[index][1] for index in asked[:1]])
    for index in reversed(asked[1:]):
        room -= tokens([items[index][1]])
        if room < 0:
            break
        stays.add(index)
    mode = notice(load("notices/mode", mode=conversation.settings.mode))
    stays.update([index for index, (_, message) in enumerate(items) if message == mode][-1:])
    return tuple(items[index][0] for index in sorted(stays))


def _tail(items: Sequence[tuple[str, Message]]) -> int:
    """Return where what nobody has answered yet begins."""
    end = len(items)
    while end and isinstance(items[end - 1][1], UserMessage):
        end -= 1
    return end


def _is_users(message: Message) -> bool:
    return isinstance(message, UserMessage) and message.author == "user"


def _is_reply(message: Message) -> bool:
    return isinstance(message, AssistantMessage)


def _earlier(items: Sequence[tuple[str, Message]]) -> str:
    """Return the note that stands in a conversation already; empty when there is none."""
    begin = load("compaction/note", recall="", note="", facts="")[:14]
    texts = [
        part.text
        for _, message in items
        if isinstance(message, UserMessage) and message.author == "runtime"
        for part in message.content[:1]
        if isinstance(part, Text) and part.text.startswith(begin)
    ]
    return texts[-1].partition("\n\n")[2][:_EARLIER] if texts else ""


def _with(request: ModelRequest, *messages: Message) -> ModelRequest:
    return replace(request, messages=(*request.messages, *messages))


def _refused(reply: AssistantMessage) -> ToolMessage:
    said = (Text(text=load("compaction/refused")),)
    return ToolMessage(
        results=tuple(ToolResult(call_id=call.id, content=said, status="denied") for call in reply.calls)
    )


async def _drop(*bodies: Body) -> None:
    """Keep nothing of a note that was cut: it is asked for again, or made from the log."""
