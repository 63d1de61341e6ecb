"""What a face reads from a request and what it is given to say, in no API's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Miss, Moment, Prompt
from treadle.agent.mock.check import Refused
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.script import Finish, Ran
from treadle.sandbox.frozen import frozen

Vendor = Literal["openai", "anthropic", "gemini", "compatible"]
"""Whose words an API speaks; those that follow OpenAI keep nothing."""
PATH = ":path"
"""Under this name a face finds the path among the headers of a request."""


@frozen
class Offered:
    """A tool that the client runs."""

    name: str
    schema: Json
    """The JSON Schema of its arguments."""
    freeform: bool = False
    """Its arguments are text, not an object."""


@frozen
class Asked:
    """A valid request."""

    body: JsonObject
    model: str
    stream: bool
    key: str
    """What tells conversations apart: the cache key, or else a digest of the first user message."""
    replies: int
    """Assistant replies in the conversation, which is the step to serve."""
    last_result: str | None
    """The text of the newest tool result; None before the first."""
    tools: tuple[Offered, ...]
    wants_call: bool
    """A tool may be called, and none was since the user last spoke."""
    forced: str | None
    """The tool that must be called; None leaves the choice."""
    schema: Json
    """What an answer must look like: a JSON Schema, `{}` for any object, None for plain text."""
    hosted: frozenset[str] = frozenset()
    """Kinds of tools that the provider may run."""
    warms: Finish | None = None
    """Only the cache is to be filled: nothing is said, and this is how the reply ends."""


@frozen
class Said:
    """A tool call in a reply."""

    id: str
    name: str
    arguments: str
    freeform: bool = False


@frozen
class Usage:
    """Tokens. `input` is everything sent: it includes `cached` and `written`; `output` includes `reasoning`."""

    input: int
    cached: int
    written: int
    written_long: int
    """Of `written`, what was written for an hour."""
    output: int
    reasoning: int


@frozen
class Reply:
    """What the model says."""

    id: str
    """Unlike that of any other reply of this server."""
    created: int
    """Seconds since 1970."""
    model: str
    reasoning: str
    text: str
    calls: tuple[Said, ...]
    finish: Finish
    usage: Usage
    hosted: tuple[Ran, ...] = ()
    """What the provider ran before it spoke."""
    miss: Miss | None = None
    """What became of comparing the request with an earlier one; None when nothing is to be told."""


class Face(Protocol):
    """One API's requests, replies and errors. Faces keep no state."""

    path: str
    """`{model}` and the like stand for any name."""
    max_body: int
    """Bytes of the largest body that is read."""
    request_id: str
    """The header that names a request."""
    vendor: Vendor

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check what the headers (lower-case names) must say. Raises Refused."""
        ...

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check an admitted request as the API does. Raises Refused."""
        ...

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Count the request's tokens, and keep in the cache what it leaves there."""
        ...

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """The body of a reply that is not streamed."""
        ...

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """The events of a streamed reply, framed; the last one ends it."""
        ...

    def error(self, refused: Refused) -> bytes:
        """The body of an error."""
        ...

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An error under HTTP 200: an event in a stream, or a whole body."""
        ...

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        ...
