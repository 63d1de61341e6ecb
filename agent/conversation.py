"""What a branch of the log says: the messages to send, and what holds at its end."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from itertools import dropwhile
from typing import assert_never

from treadle.agent.events import (
    Body,
    CallFinished,
    CallStarted,
    Compacted,
    Entry,
    HistoryRepaired,
    KeptWarm,
    MessageAdded,
    ModelChanged,
    Prefix,
    RemoteGone,
    RemoteKept,
    SessionOpened,
    SettingsChanged,
    ToolsChanged,
)
from treadle.agent.forecast import Forecast
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from treadle.agent.settings import Settings
from treadle.prompts import load
from treadle.tools.contract import Text, ToolCall, ToolResult


class Conversation:
    """A fold over the entries of one branch, taken one entry at a time.

    The same entries always give the same messages; a message once given keeps its identity. Calls that were never
    answered (the process died, the user cancelled) are answered here: the log itself is never mended.
    """

    def __init__(self) -> None:
        self.prefix = Prefix(system=(), tools=())
        self.model = ""
        self.settings = Settings()
        self.epoch = ""
        """Id of the entry that began the epoch."""
        self.answered_at: datetime | None = None
        """When the last reply came; None before the first."""
        self.remote: dict[str, RemoteKept] = {}
        """What providers keep for this branch, by id."""
        self.kept_in: dict[str, str] = {}
        """The epoch in which each of these began to be kept."""
        self.told: dict[str, bool] = {}
        """The tools of which a notice said that they came (True) or went, by name, as far as it is still sent."""
        self.settled = 0
        """How many of the messages were there when the epoch began."""
        self.forecasts: list[Forecast] = []
        """What was expected of the requests that were answered."""
        self.billed: list[Usage] = []
        """What each of these was billed as."""
        self._items: list[tuple[str, Message]] = []
        self._open: tuple[ToolCall, ...] = ()
        self._answers: dict[str, ToolResult] = {}
        self._started: set[str] = set()

    @property
    def items(self) -> tuple[tuple[str, Message], ...]:
        """The messages that are whole, each with the id of the entry that gave or closed it.

        Results that no entry closed, because the process died, have the id of the entry after them and `.calls`.
        """
        return tuple(self._items)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What a model is sent now."""
        sent = tuple(message for _, message in self._items)
        return (*sent, self._answered()) if self._open else sent

    def after(self, *bodies: Body) -> Conversation:
        """Return what this would be if these were kept: to look at, before they are."""
        seen = copy(self)
        seen._items, seen.remote = list(self._items), dict(self.remote)
        seen.kept_in, seen.told = dict(self.kept_in), dict(self.told)
        seen.forecasts, seen.billed = list(self.forecasts), list(self.billed)
        for number, body in enumerate(bodies):
            at = self.answered_at or datetime.now(UTC)
            seen.admit(Entry(id=f"{self.epoch}+{number}", parent=None, prev=None, at=at, body=body))
        return seen

    def admit(self, entry: Entry) -> None:
        """Take the entry that comes next on the branch."""
        match entry.body:
            case SessionOpened(model=model, prefix=prefix, settings=settings):
                self.model, self.prefix, self.settings, self.epoch = model, prefix, settings, entry.id
            case SettingsChanged(settings=settings):
                self.settings = settings
            case ModelChanged(model=model, prefix=prefix):
                self.model, self.prefix, self.epoch = model, prefix, entry.id
                self.settled = len(self._items)
            case MessageAdded(message=message):
                self._add(entry.id, message)
                if isinstance(message, AssistantMessage):
                    self.answered_at = entry.at
                    self._note_bill(entry.body, message.usage)
            case CallStarted(call=call, parent_call=None):
                self._started.add(call.id)
            case CallFinished(result=result, parent_call=None):
                self._answers[result.call_id] = result
                if all(call.id in self._answers for call in self._open):
                    self._close(entry.id)
            case Compacted() | HistoryRepaired():
                self._begin_again(entry.id, entry.body)
            case _:
                self._note_beside(entry.body)

    def _note_bill(self, body: MessageAdded | KeptWarm, usage: Usage) -> None:
        if body.forecast is not None and usage.input_total:
            self.forecasts.append(body.forecast)
            self.billed.append(usage)

    def _note_beside(self, body: Body) -> None:
        match body:
            case RemoteKept(id=name):
                self.remote[name], self.kept_in[name] = body, self.epoch
            case RemoteGone(id=name):
                self.remote.pop(name, None)
            case KeptWarm(usage=usage):
                self._note_bill(body, usage)
            case ToolsChanged(added=added, removed=removed):
                self.told |= {**dict.fromkeys(removed, False), **dict.fromkeys(added, True)}
            case _:
                pass

    def _add(self, entry_id: str, message: Message) -> None:
        if isinstance(message, AssistantMessage) and message.state == "failed":
            return
        self._close(f"{entry_id}.calls")
        self._items.append((entry_id, message))
        if isinstance(message, AssistantMessage):
            self._open = message.calls

    def _close(self, entry_id: str) -> None:
        if self._open:
            self._items.append((entry_id, self._answered()))
        self._open, self._answers, self._started = (), {}, set()

    def _answered(self) -> ToolMessage:
        return ToolMessage(
            results=tuple(self._answers.get(call.id) or self._cut(call) for call in self._open)
        )

    def _cut(self, call: ToolCall) -> ToolResult:
        text = load("notices/call_cut" if call.id in self._started else "notices/call_not_run")
        return ToolResult(call_id=call.id, content=(Text(text=text),), status="interrupted")

    def _begin_again(self, entry_id: str, body: Compacted | HistoryRepaired) -> None:
        self._close(f"{entry_id}.calls")
        self.epoch = entry_id
        match body:
            case Compacted(keep_from=keep_from, kept=kept):
                tail = list(dropwhile(lambda item: item[0] != keep_from, self._items))
                before = self._items[: len(self._items) - len(tail)]
                texts = tuple(Text(text=text) for text in (body.summary, *body.texts))
                note = UserMessage(content=texts, author="runtime")
                self._items = [*(item for item in before if item[0] in kept), (entry_id, note), *tail]
                self.told = {}
            case HistoryRepaired(dropped=dropped, replaced=replaced):
                self._items = [
                    (name, replaced.get(name, message))
                    for name, message in self._items
                    if name not in dropped
                ]
            case _:
                assert_never(body)
        self.settled = len(self._items)


def first_words(messages: tuple[Message, ...]) -> str:
    """Return the beginning of what the user first said, as a title on one line."""
    for message in messages:
        if isinstance(message, UserMessage) and message.author == "user":
            text = " ".join(part.text for part in message.content if isinstance(part, Text))
            return " ".join(text.split())[:80]
    return ""
