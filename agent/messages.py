"""The conversation, in no provider's words."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from treadle.tools.contract import Content, Frozen, Media, Text, ToolCall, ToolResult

StopReason: TypeAlias = Literal[
    "end",
    "tool_use",
    "length",
    "context_window",
    "stop_sequence",
    "refusal",
    "content_filter",
    "pause",
    "compaction",
    "interrupted",
    "error",
    "other",
]
State: TypeAlias = Literal["complete", "paused", "interrupted", "failed"]
"""complete: whole · paused: the provider wants it back as it is · interrupted: cut short, what came is kept and
sent · failed: cut short and asked again; kept in the log, never sent."""


class Origin(Frozen):
    """Where a reply came from. Replies go back unchanged only to where `home` is the same."""

    wire: str
    vendor: str
    endpoint: str = ""
    """Hash of base URL and account scope."""
    model: str
    """As it was asked for."""
    served: str = ""
    """As the provider reports it; empty when it does not."""

    @property
    def home(self) -> tuple[str, str, str, str]:
        """What must be equal for blocks to be sent back as they came."""
        return (self.wire, self.vendor, self.endpoint, self.model)


class CacheWrite(Frozen):
    """Tokens written to a provider's cache, by how long they are kept."""

    m5: int = 0
    m30: int = 0
    h1: int = 0
    h12: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        return self.m5 + self.m30 + self.h1 + self.h12 + self.unknown

    def __add__(self, other: CacheWrite) -> CacheWrite:
        return CacheWrite(
            m5=self.m5 + other.m5,
            m30=self.m30 + other.m30,
            h1=self.h1 + other.h1,
            h12=self.h12 + other.h12,
            unknown=self.unknown + other.unknown,
        )


class Usage(Frozen):
    """Token counts. `input`, `cache_read`, `cache_write` and `output` are disjoint, so they add up."""

    input: int = 0
    """Neither read from a cache nor written to one."""
    cache_read: int = 0
    cache_write: CacheWrite = CacheWrite()
    output: int = 0
    reasoning: int = 0
    """Of which reasoning: part of `output`."""
    cost: float | None = None
    """USD as the provider reports it; None when it does not."""

    @property
    def input_total(self) -> int:
        return self.input + self.cache_read + self.cache_write.total

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
            cost=sum(costs) if costs else None,
        )


class Warned(Frozen):
    """Something that could not be kept or sent as asked."""

    code: str
    """Short and stable, as in `reasoning_dropped`, `sampling_dropped`."""
    field: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.field, self.detail) if part)


class _Part(Frozen, defer_build=True):  # a start sees no reply yet: its parts wait until there is one
    """What one wire block became.

    `raw` is the wire's own JSON for it, rendered once when the reply was finished; sent back to the same origin
    it goes out byte for byte. Empty when the part is not a block of its own.
    """

    raw: str = ""


class TextPart(_Part):
    type: Literal["text"] = "text"
    text: str
    phase: str | None = None
    """`commentary` or `final_answer` where a provider says so."""


class RefusalPart(_Part):
    type: Literal["refusal"] = "refusal"
    text: str


class ReasoningPart(_Part):
    type: Literal["reasoning"] = "reasoning"
    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False


class MediaPart(_Part):
    type: Literal["media"] = "media"
    media: Media


class CallPart(_Part):
    """A tool call for us to run."""

    type: Literal["call"] = "call"
    call: ToolCall


class HostedCallPart(_Part):
    """A tool call that the provider runs itself."""

    type: Literal["hosted_call"] = "hosted_call"
    id: str
    kind: str
    arguments: str = ""


class HostedResultPart(_Part):
    type: Literal["hosted_result"] = "hosted_result"
    call_id: str
    kind: str
    content: tuple[Content, ...] = ()
    is_error: bool = False


class CitationPart(_Part):
    """What a text before it rests on."""

    type: Literal["citation"] = "citation"
    url: str = ""
    title: str = ""
    quote: str = ""


class CompactionPart(_Part):
    """A provider's own summary of what came before; opaque but for a readable text, if any."""

    type: Literal["compaction"] = "compaction"
    text: str = ""


class OpaquePart(_Part):
    """A block we have no word for. It survives, and goes back to its origin."""

    type: Literal["opaque"] = "opaque"
    kind: str


Part: TypeAlias = Annotated[
    TextPart
    | RefusalPart
    | ReasoningPart
    | MediaPart
    | CallPart
    | HostedCallPart
    | HostedResultPart
    | CitationPart
    | CompactionPart
    | OpaquePart,
    Field(discriminator="type"),
]


class UserMessage(Frozen):
    role: Literal["user"] = "user"
    content: tuple[Content, ...]
    author: Literal["user", "runtime"] = "user"
    """`runtime` marks a notice of ours at the tail: a nudge, a changed mode, a file changed outside."""


class TokenLogprob(Frozen):
    """How likely a token was, in natural-log units, and what else was likely there."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class AssistantMessage(Frozen):
    """One reply. The order of its parts is data; parts are never merged."""

    role: Literal["assistant"] = "assistant"
    parts: tuple[Part, ...]
    origin: Origin
    stop: StopReason
    stop_raw: str = ""
    """The provider's own word."""
    state: State = "complete"
    usage: Usage = Usage()
    response_id: str = ""
    warnings: tuple[Warned, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    diagnosis: str | None = None
    """Why the provider's cache did not hold the request before, in its own word; None when it did or does not say."""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part.call for part in self.parts if isinstance(part, CallPart))

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


class ToolMessage(Frozen):
    """The results of one reply's calls, in the order of the calls."""

    role: Literal["tool"] = "tool"
    results: tuple[ToolResult, ...]


Message: TypeAlias = Annotated[UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


def user(text: str) -> UserMessage:
    """Return a user message of one text."""
    return UserMessage(content=(Text(text=text),))


def notice(text: str) -> UserMessage:
    """Return a message of the runtime's own, of one text."""
    return UserMessage(content=(Text(text=text),), author="runtime")
