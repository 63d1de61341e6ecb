"""What it takes to talk to a model: a request, a wire format, a stream of what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import date
from typing import Any, Literal, Protocol, TypeAlias

from treadle.agent.events import StreamDelta
from treadle.agent.messages import AssistantMessage, Message, Warned
from treadle.agent.settings import Effort, Sampling
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, ToolSpec

WireName: TypeAlias = Literal[
    "openai_chat", "openai_responses", "openai_completions", "anthropic", "gemini", "gemini_interactions"
]
Dialect: TypeAlias = Mapping[str, Any]


@frozen
class Prices:
    """USD a million tokens. None means that the figure is not known."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: Mapping[str, float] = field(default_factory=dict[str, float])
    """By the fields of `CacheWrite`."""
    since: date | None = None
    """The day, in UTC, from which these hold; None for ever."""
    tiers: tuple[tuple[int, Prices], ...] = ()
    """What a whole request costs when its input is longer than so many tokens, by rising threshold."""


@frozen
class ModelInfo:
    """Which model, over which wire, from which vendor: one row of the catalogue, made whole."""

    id: str
    """As the vendor spells it."""
    wire: WireName
    vendor: str
    endpoint: str
    """Hash of base URL and account scope: the part of an origin that is not a name."""
    context_window: int | None = None
    max_output: int | None = None
    prices: Prices | None = None
    known: bool = True
    """False for a model that no data package lists: safe defaults hold."""
    dialect: Dialect = field(default_factory=dict[str, Any])
    """Where this vendor or model strays from the wire's standard, as data."""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    """What the user says of how much it takes, in the words of `providers.limits`."""


@frozen
class Breakpoint:
    """A place up to which a provider is asked to keep what it has read."""

    after: Literal["tools", "system", "message"]
    message: int = -1
    """Index of the message, when `after` is `message`."""
    ttl: Literal["5m", "30m", "1h", "12h"] | None = None
    """None is the provider's default."""


@frozen
class Caching:
    breakpoints: tuple[Breakpoint, ...] = ()
    key: str = ""
    """Routes requests with one prefix to one cache; empty sends none."""
    retention: str | None = None
    warm: bool = False
    """Keep the prompt and answer nothing."""
    previous: str | None = None
    """Id of the response before, for the provider to say why its cache did not hold that; empty for the first one,
    None asks nothing."""


@frozen
class Output:
    schema: JsonObject | None = None
    """JSON Schema that the reply must fit; None for plain text."""
    json_mode: bool = False
    max_tokens: int | None = None
    effort: Effort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_summary: bool = False


ToolChoice: TypeAlias = Literal["auto", "none", "required"]


@frozen
class Stored:
    """That the provider is to keep the reply, and what it has kept already."""

    within: Literal["response", "conversation"] = "response"
    id: str = ""
    """Of the response that this request goes on from, or of the conversation; empty when nothing is kept yet."""
    known: int = 0
    """How many of the messages it has: these are not sent again, nor is the system prompt."""
    background: bool = False
    """Work on though nobody listens."""


@frozen
class ModelRequest:
    """What a model is asked, in the order in which providers cache it."""

    system: tuple[str, ...]
    tools: tuple[ToolSpec, ...]
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    caching: Caching = field(default_factory=Caching)
    output: Output = field(default_factory=Output)
    tool_choice: ToolChoice | tuple[str, ...] = "auto"
    """A tuple names the tools that may be called; the list itself never changes."""
    parallel: bool | None = None
    service_tier: str | None = None
    stored: Stored | None = None
    """None: the provider keeps nothing."""


@frozen
class FormPart:
    """One field of a multipart body."""

    name: str
    data: bytes
    filename: str | None = None
    mime: str = "application/octet-stream"


@frozen
class HttpCall:
    """An encoded request: data, not I/O. A batch file is made of these too."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    """Below the vendor's base URL, as in `/chat/completions`."""
    body: bytes = b""
    segments: tuple[bytes, ...] = ()
    """What a provider caches, in its order (tools, system, items), without cache markers and per-request knobs:
    the prefix property is about these. Each stands in `body` as it is here, but for markers."""
    ends: tuple[int, ...] = ()
    """How many segments there are up to the end of the tools, of the system prompt, and of each message."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    multipart: tuple[FormPart, ...] = ()
    """In place of `body` for uploads."""
    warnings: tuple[Warned, ...] = ()
    """What could not be sent as asked."""
    stream: bool = False


@frozen
class Rendered:
    """One message in a wire's bytes, and what was lost on the way."""

    segments: tuple[bytes, ...]
    warnings: tuple[Warned, ...] = ()


class Renderings:
    """The bytes of messages already rendered for one model, so that none is serialised twice.

    Keeps the messages too, so that an identity stays taken.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Message, Rendered]] = {}

    def of(self, message: Message, render: Callable[[Message], Rendered]) -> Rendered:
        """Return what this very message was rendered to, rendering it when it is new."""
        kept = self._kept.get(id(message))
        if kept is None:
            kept = self._kept[id(message)] = (message, render(message))
        return kept[1]


class Decoder(Protocol):
    """Turns one streamed reply into deltas and then a message. Does no I/O."""

    def feed(self, event: str, data: str) -> Iterable[StreamDelta]:
        """Take one SSE event. Raises a `ProviderError` when it carries one."""
        ...

    def finish(self) -> AssistantMessage:
        """Return the whole message. Raises `StreamCutShort` when it is not whole."""
        ...

    def partial(self) -> AssistantMessage:
        """Return what came of a reply that was cut, as `interrupted`, without calls that are not whole."""
        ...


class Wire(Protocol):
    """One wire format. Does no I/O and holds no state."""

    @property
    def name(self) -> WireName: ...

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        """Raises `InvalidRequest` for what cannot be said on this wire at all."""
        ...

    def decoder(self, model: ModelInfo) -> Decoder: ...

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        """Read a reply that came whole. Raises a `ProviderError` when it is an error under status 200."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Say what an error reply means: provider code first, then message, then status."""
        ...


class ReplyStream(Protocol):
    """A reply as it arrives. Read the deltas to the end, then take the message."""

    def __aiter__(self) -> AsyncIterator[Sequence[StreamDelta]]:
        """Deltas, as many at a time as one network read brought. Raises `ProviderError`."""
        ...

    @property
    def message(self) -> AssistantMessage:
        """The whole reply, after the deltas have ended."""
        ...

    @property
    def partial(self) -> AssistantMessage:
        """What came so far; for a reply that failed or was cancelled."""
        ...

    @property
    def sent(self) -> int:
        """Bytes of the request's body."""
        ...

    @property
    def received(self) -> int:
        """Bytes of the reply's body so far."""
        ...

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What could not be sent as asked."""
        ...


class LanguageModel(Protocol):
    """What the loop drives. A live endpoint, a batch queue and a test script all are one."""

    @property
    def info(self) -> ModelInfo: ...

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        """Ask once; nothing is retried here. Raises `ProviderError`."""
        ...

    def encode(self, request: ModelRequest) -> HttpCall:
        """The exact request that `stream` would send, for looking at."""
        ...


class ProviderError(Exception):
    """A model could not be asked, or did not answer. Cut by what a caller can do about it.

    * ProviderError
      + Unreachable          the network failed or nothing came in time: ask again
      + Busy                 429, 5xx, overloaded: ask again, later
      + StreamCutShort       the reply ended before it was whole: ask again
      + Undecodable          what came is no reply of this wire: ask again
      + Rejected             asking again will not mend it
        - AuthFailed         no or bad credentials
        - QuotaExhausted     money or quota is used up
        - NotFound           no such model, or state that the provider has forgotten
        - StaleState         a chain, container or signature that no longer holds
        - ContextOverflow    more tokens than the model takes
        - RequestTooLarge    more bytes than the endpoint takes
        - ContentBlocked     the provider will not answer this
        - InvalidRequest     anything else that is wrong with the request
    """

    retryable = False

    def __init__(  # every field is part of the taxonomy
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status, derived for errors inside a stream; None when there is none."""
        self.code = code
        """The provider's own code or type."""
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds the provider asks to wait at least; None when it does not say."""


class Unreachable(ProviderError):
    retryable = True


class Busy(ProviderError):
    retryable = True


class StreamCutShort(ProviderError):
    retryable = True


class Undecodable(ProviderError):
    retryable = True


class Rejected(ProviderError): ...


class AuthFailed(Rejected): ...


class QuotaExhausted(Rejected): ...


class NotFound(Rejected): ...


class StaleState(Rejected): ...


class ContextOverflow(Rejected): ...


class RequestTooLarge(Rejected): ...


class ContentBlocked(Rejected): ...


class InvalidRequest(Rejected): ...
