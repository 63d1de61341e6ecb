"""What a tool is: its description, one call to it, and what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from treadle.sandbox.contract import Access, Place, Sandbox
from treadle.sandbox.frozen import frozen

JsonObject: TypeAlias = dict[str, Any]
_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


def as_object(value: object) -> JsonObject | None:
    """Return a decoded JSON value as an object; None when it is something else."""
    return _OBJECT.validate_python(value) if isinstance(value, dict) else None


class Frozen(BaseModel):
    """A value: immutable, compared by content, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Frozen):
    type: Literal["text"] = "text"
    text: str


class Inline(Frozen):
    """Bytes carried along."""

    type: Literal["inline"] = "inline"
    data: str
    """Base64, without a `data:` prefix."""


class Blob(Frozen):
    """Bytes kept beside the session, found by their hash."""

    type: Literal["blob"] = "blob"
    sha256: str


class FileRef(Frozen):
    """A file in a provider's own store; of use to that provider alone."""

    type: Literal["file_ref"] = "file_ref"
    vendor: str
    id: str


class Url(Frozen):
    type: Literal["url"] = "url"
    url: str


Source: TypeAlias = Annotated[Inline | Blob | FileRef | Url, Field(discriminator="type")]


class Media(Frozen):
    """A picture, a document or another file that a model may be shown."""

    type: Literal["media"] = "media"
    kind: Literal["image", "audio", "video", "document", "other"]
    mime: str
    source: Source
    filename: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None
    """How closely a model should look; None leaves it to the provider."""


class Json(Frozen):
    """Structured output of a tool."""

    type: Literal["json"] = "json"
    value: Any


class Resource(Frozen):
    """Something an MCP server names by URI, with its text when it sent one."""

    type: Literal["resource"] = "resource"
    uri: str
    mime: str | None = None
    text: str | None = None


class ToolRef(Frozen):
    """Names a deferred tool that the model may use from now on."""

    type: Literal["tool_ref"] = "tool_ref"
    name: str


Content: TypeAlias = Annotated[Text | Media | Json | Resource | ToolRef, Field(discriminator="type")]


class Function(Frozen):
    """A tool that takes one JSON object."""

    type: Literal["function"] = "function"
    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of the arguments object."""
    strict: bool = False
    """True asks the provider to hold the model to the schema, where it can."""


class Grammar(Frozen):
    syntax: Literal["lark", "regex"]
    definition: str


class Freeform(Frozen):
    """A tool that takes plain text, held to a grammar where the provider can."""

    type: Literal["freeform"] = "freeform"
    name: str
    description: str
    grammar: Grammar | None = None


HostedKind: TypeAlias = Literal[
    "web_search",
    "code_interpreter",
    "file_search",
    "computer_use",
    "image_generation",
    "mcp",
    "tool_search",
]


class Hosted(Frozen):
    """A tool that the provider runs itself."""

    type: Literal["hosted"] = "hosted"
    kind: HostedKind
    config: JsonObject = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.kind


ToolSpec: TypeAlias = Annotated[Function | Freeform | Hosted, Field(discriminator="type")]
"""What a model is told about a tool."""


class ToolCall(Frozen):
    """One call that a model made."""

    id: str
    """Unique in its session; what results refer to."""
    name: str
    arguments: str
    """What the model wrote: JSON text, or free text. Kept byte for byte, even when it is not valid."""
    input: Literal["json", "text"] = "json"


Status: TypeAlias = Literal["ok", "error", "denied", "interrupted"]


class Artifact(Frozen):
    """A file that a call made for the user."""

    path: str
    mime: str | None = None


class ToolResult(Frozen):
    """What one call came to. A model sees `content`; people and logs see the rest too."""

    call_id: str
    content: tuple[Content, ...]
    status: Status = "ok"
    details: JsonObject | None = None
    """For frontends and logs; a model never sees it. None when there is nothing to add."""
    artifacts: tuple[Artifact, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.status != "ok"


@frozen
class Outcome:
    """What a tool's `run` returns."""

    content: tuple[Content, ...]
    is_error: bool = False
    details: JsonObject | None = None
    artifacts: tuple[Artifact, ...] = ()


class ToolError(Exception):
    """A failure that the model is told about and may correct. `details` goes to frontends and logs."""

    def __init__(self, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.details = details


@frozen
class ToolContext:
    """All that a running call may reach."""

    call_id: str
    sandbox: Sandbox
    report: Callable[[str], Awaitable[None]]
    """Show progress to whoever watches; the model does not see it."""


class Tool(Protocol):
    """Something that a model may call."""

    @property
    def spec(self) -> ToolSpec: ...

    def access(self, arguments: JsonObject, place: Place) -> Access:
        """What this call would touch: pure and lexical; the policy asks before anything runs.

        Raises `ToolError` when the arguments do not fit.
        """
        ...

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        """Do it. Raises `ToolError` for what the model should hear about."""
        ...


class Caller(Protocol):
    """Calls another tool on behalf of a tool, under the same permit, limits and log."""

    async def call(self, name: str, arguments: JsonObject, *, parent: str) -> ToolResult:
        """Run one call as a child of the call `parent`."""
        ...


class Spill(Protocol):
    """Keeps what is too long for a model, where `read` and `grep` find it."""

    def path(self, call_id: str) -> str:
        """The absolute path of the file to write for this call. Its folder exists."""
        ...
