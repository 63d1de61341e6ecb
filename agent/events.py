"""What happens in a session: entries, which are kept, and deltas, which are only shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from treadle.agent.forecast import Forecast
from treadle.agent.messages import Message, Usage
from treadle.agent.settings import Settings
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Artifact, Frozen, ToolCall, ToolResult, ToolSpec

FORMAT = 1
"""The version of the session file that this program writes."""

LimitName: TypeAlias = Literal["steps", "tool_calls", "tokens", "cost", "time", "loop", "output_length"]
OutcomeName: TypeAlias = Literal["done", "usage", "failed", "limit", "denied", "cancelled"]


class Prefix(Frozen):
    """What every request of an epoch begins with, as it was rendered when the epoch began."""

    system: tuple[str, ...]
    tools: tuple[ToolSpec, ...]


class SessionOpened(Frozen):
    """The first entry. Begins the first epoch."""

    type: Literal["session_opened"] = "session_opened"
    version: int = FORMAT
    session: str
    workspace: str
    """Absolute path of the folder worked on."""
    commit: str | None = None
    """What HEAD was; None outside a repository."""
    model: str
    """VENDOR/MODEL."""
    prefix: Prefix
    settings: Settings = Settings()


class MessageAdded(Frozen):
    type: Literal["message_added"] = "message_added"
    message: Message
    request_bytes: int = 0
    """For a reply: bytes of the body that asked for it."""
    artifacts: tuple[Artifact, ...] = ()
    """For a reply: files in which its pictures were saved."""
    forecast: Forecast | None = None
    """For a reply: what was expected of the request."""
    reply_bytes: int = 0
    """For a reply: bytes of the body that brought it."""


class CallStarted(Frozen):
    """A call was let through and begins. Without a `CallFinished` it was cut off and may have had effects."""

    type: Literal["call_started"] = "call_started"
    call: ToolCall
    parent_call: str | None = None
    """The call of a tool that made this one; None for a call of the model."""


class CallFinished(Frozen):
    type: Literal["call_finished"] = "call_finished"
    result: ToolResult
    seconds: float = 0.0
    parent_call: str | None = None


class PermissionResolved(Frozen):
    """What was said of a call that needed a decision, and by whom."""

    type: Literal["permission_resolved"] = "permission_resolved"
    call_id: str
    tool: str
    access: str
    """One line for people."""
    granted: bool
    by: Literal["rule", "mode", "user", "command", "headless"]
    reason: str = ""


class SettingsChanged(Frozen):
    """From here on steps are asked with these. The prefix stays as it is."""

    type: Literal["settings_changed"] = "settings_changed"
    settings: Settings


class ModelChanged(Frozen):
    """Another model answers from here on. Begins an epoch."""

    type: Literal["model_changed"] = "model_changed"
    model: str
    prefix: Prefix


class ToolsChanged(Frozen):
    """A source of tools came or went. The prefix stays; a notice at the tail says what is new."""

    type: Literal["tools_changed"] = "tools_changed"
    source: str
    """Empty where that is not known: tools of a source that did not come when the session went on."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """A tool that changed stands in both."""


class KeptWarm(Frozen):
    """A provider was asked to keep the prompt a while longer, and to answer nothing."""

    type: Literal["kept_warm"] = "kept_warm"
    forecast: Forecast | None
    usage: Usage
    cost_usd: float | None = None


class Compacted(Frozen):
    """Room was made: a note stands for what came before. Begins an epoch; the log keeps all."""

    type: Literal["compacted"] = "compacted"
    summary: str
    keep_from: str | None
    """Id of the first entry still sent in full; None when none is."""
    kept: tuple[str, ...] = ()
    """Ids of the messages before that which are sent word for word, ahead of the note."""
    texts: tuple[str, ...] = ()
    """What was read anew to stand behind the note: skills in use, instruction files."""
    usage: Usage = Usage()
    """What it took to ask for the note."""
    cost_usd: float | None = 0.0
    """None when the model's price is not known."""
    request_bytes: int = 0


class HistoryRepaired(Frozen):
    """The history cannot go out as it was: entries are left out, or others are sent for them, from here on. Begins an epoch."""

    type: Literal["history_repaired"] = "history_repaired"
    reason: str
    dropped: tuple[str, ...] = ()
    replaced: dict[str, Message] = Field(default_factory=dict[str, Message])
    """What is sent instead of the message that an entry gave, by the entry's id."""


class RemoteKept(Frozen):
    """A provider keeps something for this session: it goes when the session goes."""

    type: Literal["remote_kept"] = "remote_kept"
    kind: Literal["file", "conversation", "response", "cache"]
    vendor: str
    endpoint: str
    """As in the origin of a reply: ids mean nothing elsewhere."""
    id: str
    of: str = ""
    """What it holds: sha256 in hex of a file's bytes; of a response, the id of the entry that it answers; of a
    conversation, the session that goes on in it."""
    expires: datetime | None = None
    """When the provider lets it go; None when that is not known."""


class RemoteGone(Frozen):
    """A provider no longer keeps something: it was deleted, has expired, or was forgotten."""

    type: Literal["remote_gone"] = "remote_gone"
    kind: Literal["file", "conversation", "response", "cache"]
    id: str


class Checkpointed(Frozen):
    """The workspace's files as they are at this point can be brought back: calls that may change them follow."""

    type: Literal["checkpointed"] = "checkpointed"
    snapshot: str
    """Name of the tree in the session's private store; empty when the files could not be kept."""


class Rewound(Frozen):
    """The user went back: what follows continues from its parent, not from the line before it."""

    type: Literal["rewound"] = "rewound"
    left: str
    """Id of the entry that was the head."""


class TurnEnded(Frozen):
    """The last entry of every turn, on every way out."""

    type: Literal["turn_ended"] = "turn_ended"
    outcome: OutcomeName
    limit: LimitName | None = None
    error: str | None = None
    steps: int = 0
    tool_calls: int = 0
    request_bytes: int = 0
    usage: Usage = Usage()
    cost_usd: float | None = None
    """None when the model's price is not known."""


Body: TypeAlias = Annotated[
    SessionOpened
    | MessageAdded
    | CallStarted
    | CallFinished
    | PermissionResolved
    | SettingsChanged
    | ModelChanged
    | ToolsChanged
    | KeptWarm
    | Compacted
    | HistoryRepaired
    | RemoteKept
    | RemoteGone
    | Checkpointed
    | Rewound
    | TurnEnded,
    Field(discriminator="type"),
]


class Entry(Frozen):
    """One line of a session file. Entries form a tree: a fork shares its parent's past."""

    id: str
    parent: str | None
    """None for the first entry."""
    prev: str | None
    """Sha256, in hex, of the parent's exact line bytes without the line end; None for the first entry."""
    at: datetime
    body: Body


@frozen
class TextDelta:
    text: str


@frozen
class ReasoningDelta:
    text: str


@frozen
class CallDelta:
    """More of a call that is being written. `id` and `name` are known as soon as its first delta."""

    index: int
    id: str
    name: str
    arguments: str


@frozen
class HostedDelta:
    """A tool that the provider runs moved on."""

    kind: str
    state: str


StreamDelta: TypeAlias = TextDelta | ReasoningDelta | CallDelta | HostedDelta


@frozen
class StepStarted:
    number: int


@frozen
class RetryScheduled:
    """A request failed and is made again after a wait; what was shown of its reply no longer counts."""

    reason: str
    seconds: float
    attempt: int


@frozen
class CallProgress:
    call_id: str
    text: str


@frozen
class PermissionAsked:
    call: ToolCall
    access: str
    reason: str


@frozen
class Noted:
    """Something the user should know, once."""

    text: str


Delta: TypeAlias = StreamDelta | StepStarted | RetryScheduled | CallProgress | PermissionAsked | Noted
Event: TypeAlias = Entry | Delta
Show: TypeAlias = Callable[[Delta], Awaitable[None]]
Keep: TypeAlias = Callable[..., Awaitable[None]]
"""Append bodies to the log, all with one write, and show the entries."""
