"""The script that a mock provider follows, as it is written in YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    model_validator,
)

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ScriptError(ValueError):
    """A script that cannot be followed: one line that names the file, the step and the key."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pace(_Part):
    """How fast a reply comes."""

    first: Seconds = 0.0
    """Seconds before the first byte."""
    rate: Seconds = 0.0
    """Tokens per second; 0 sends everything at once."""
    polls: Count = 0
    """How often work in the background is asked for before it is done, however much time has passed."""


class Call(_Part):
    """A tool call that the model makes, written `NAME: ARGUMENTS` or in the long form."""

    name: Annotated[str, Field(min_length=1)]
    arguments: dict[str, JsonValue] = {}
    raw: str | None = None
    """The arguments as they stand, for those that are no JSON object; None renders `arguments`."""
    id: str | None = None
    """None lets the mock choose one."""

    @model_validator(mode="before")
    @classmethod
    def _open(cls, given: object) -> object:
        if not isinstance(given, dict):
            raise ValueError("write a call as `NAME: {ARGUMENTS}` or with `name` and `arguments`")
        call = cast("dict[object, object]", given)
        if isinstance(call.get("name"), str) and call.keys() & {"arguments", "raw", "id"}:
            if {"arguments", "raw"} <= call.keys():
                raise ValueError("`arguments` and `raw` exclude each other")
            return call
        if len(call) != 1:
            raise ValueError("a call in the short form has one key, the tool's name")
        ((name, arguments),) = call.items()
        return {"name": name, "arguments": {} if arguments is None else arguments}

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        return json.dumps(self.arguments, ensure_ascii=False) if self.raw is None else self.raw


HostedKind = Literal[
    "web_search", "code_interpreter", "file_search", "image_generation", "mcp", "tool_search"
]


class Ran(_Part):
    """A tool that the provider runs, written `KIND: INPUT` or in the long form."""

    kind: HostedKind
    input: dict[str, JsonValue] = {}
    output: str | None = None
    """What came of it: text, or a picture in base64; None lets the mock make something up."""
    error: bool = False

    @model_validator(mode="before")
    @classmethod
    def _open(cls, given: object) -> object:
        if not isinstance(given, dict):
            raise ValueError("write a hosted call as `KIND: {INPUT}` or with `kind` and `input`")
        call = cast("dict[object, object]", given)
        if "kind" in call:
            return call
        if len(call) != 1:
            raise ValueError("a hosted call in the short form has one key, the tool's kind")
        ((kind, input_),) = call.items()
        return {"kind": kind, "input": {} if input_ is None else input_}


class Billed(_Part):
    """Token counts that a step reports. None is counted by the mock."""

    input: Count | None = None
    cached: Count | None = None
    written: Count | None = None
    output: Count | None = None
    reasoning: Count | None = None


class StatusFault(_Part):
    """Answer with this status and body instead; without a body, with the API's error for the status."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    headers: dict[str, str] = {}
    body: JsonValue = None


class StreamErrorFault(_Part):
    """Report an error inside a reply that began with HTTP 200, after this many events."""

    stream_error: dict[str, JsonValue]
    after: Count = 0


class StallFault(_Part):
    """Stop sending after this many events, wait this many seconds, then close."""

    stall: Seconds
    after: Count = 0


class CutFault(_Part):
    """Close the connection after this many bytes of the body."""

    cut: Count


class SilentFault(_Part):
    """Accept the request, send nothing for this many seconds, then close."""

    silent: Seconds


class NoDoneFault(_Part):
    """Send the whole reply but for the event that ends it."""

    no_done: Literal[True]


Forgettable = Literal["chain", "conversation", "response", "file"]


class ForgetFault(_Part):
    """Forget what the request leans on: its chain, conversation or files. What leans on it is refused as the API does.

    `response` forgets the reply to this request, as soon as it is given.
    """

    forget: Forgettable


class HtmlFault(_Part):
    """Answer 413 with the page of a proxy that stands before the API."""

    html_413: Literal[True, "nginx", "cloudflare"]


_FAULTS = ("stream_error", "stall", "cut", "silent", "no_done", "forget", "html_413", "status", "body")


def _kind(given: object) -> str | None:
    if not isinstance(given, dict):
        return None
    kinds = [kind for kind in _FAULTS if kind in given]
    return "status" if kinds == ["body"] else kinds[0] if kinds else None


Fault = Annotated[
    Annotated[StatusFault, Tag("status")]
    | Annotated[StreamErrorFault, Tag("stream_error")]
    | Annotated[StallFault, Tag("stall")]
    | Annotated[CutFault, Tag("cut")]
    | Annotated[SilentFault, Tag("silent")]
    | Annotated[NoDoneFault, Tag("no_done")]
    | Annotated[ForgetFault, Tag("forget")]
    | Annotated[HtmlFault, Tag("html_413")],
    Discriminator(
        _kind,
        custom_error_type="fault",
        custom_error_message="a fault is one of " + ", ".join(_FAULTS),
    ),
]


class When(_Part):
    """What a step expects of the request that it answers."""

    last_result: str
    """The newest tool result contains this."""


class Step(_Part):
    """One reply of the model, and how its first attempts fail."""

    reasoning: str = ""
    hosted: tuple[Ran, ...] = ()
    """Before the text: what the provider ran."""
    text: str = ""
    calls: tuple[Call, ...] = ()
    pace: Pace | None = None
    """None takes the script's."""
    gap: Seconds = 0.0
    """The clock is put forward by so many seconds before the step is first served."""
    usage: Billed = Billed()
    finish: Finish | None = None
    """None: tool_calls if there are calls, else stop."""
    faults: tuple[Fault, ...] = ()
    """Tried in order, one an attempt; then the step itself is served."""
    when: When | None = None


class Limits(_Part):
    """Limits in place of the vendor's own. None leaves that."""

    request_bytes: Count | None = None
    file_bytes: Count | None = None
    images: Count | None = None
    """In one request."""
    image_bytes: Count | None = None
    """Of one image, as it is sent: in base64."""
    image_pixels: Count | None = None
    """On a side."""
    many_images: Count | None = None
    """More images than this make `many_pixels` the limit."""
    many_pixels: Count | None = None


class Filing(_Part):
    """How files are kept."""

    polls: Count = 0
    """How often Gemini is asked for a file before it is no longer PROCESSING."""
    life: Seconds | None = None
    """Seconds until any file expires; None leaves it to the vendor and the request."""


class Batching(_Part):
    """How batches end."""

    polls: Count = 1
    """How often a batch is looked at before it has ended."""
    errors: tuple[Count, ...] = ()
    """Requests that are refused, by their place in the batch from 0."""
    expired: tuple[Count, ...] = ()
    """Requests that are not answered in time."""


class Clocked(_Part):
    """How time passes for the script."""

    still: bool = False
    """Only by gaps, and when a client puts the clock forward."""


class Script(_Part):
    """What a model says, step by step."""

    model: str | None = None
    """The name reported in replies; None repeats the request's."""
    pace: Pace = Pace()
    clock: Clocked = Clocked()
    steps: tuple[Step, ...]
    then: Literal["end", "repeat", "error"] = "end"
    """Past the last step: say "Done.", repeat the last step, or answer 400."""
    window: Count | None = None
    """Tokens that a request may hold; None takes any number."""
    limits: Limits = Limits()
    files: Filing = Filing()
    batches: Batching = Batching()

    @model_validator(mode="after")
    def _has_what_it_repeats(self) -> Script:
        if self.then == "repeat" and not self.steps:
            raise ValueError("`then: repeat` needs a step to repeat")
        return self


def load(path: Path) -> Script:
    """Read a script from a file. Raises ScriptError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: not UTF-8 text") from error
    return parse(text, str(path))


def parse(text: str, name: str = "script") -> Script:
    """Read a script from YAML. Raises ScriptError, which begins with `name`."""
    try:
        given: object = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ScriptError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ScriptError(f"{name}: a script is a mapping with the key `steps`")
    try:
        return Script.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ScriptError(f"{name}: {_where(first['loc'])}{_what(first['type'], first['msg'])}") from error


def _where(place: tuple[int | str, ...]) -> str:
    path = ""
    for at, part in enumerate(place):
        if at > 1 and place[at - 2] == "faults" and isinstance(place[at - 1], int):
            continue  # pydantic's name for the kind of fault, not a key of the file
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return f"{path}: " if path else ""


def _what(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "this key is required"
        case _:
            return " ".join(message.removeprefix("Value error, ").split())
