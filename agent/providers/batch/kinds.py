"""What batches are made of, and how each vendor takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.contract import HttpCall, ProviderError
from treadle.agent.providers.plain import segment
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject

Kind: TypeAlias = Literal["openai", "openrouter", "mistral", "anthropic", "gemini"]
Outcome: TypeAlias = AssistantMessage | ProviderError
"""What one request of a batch came to. What asking again may mend is `retryable`."""
Phase: TypeAlias = Literal["working", "done", "failed", "cancelled", "expired"]
"""All but `working` are final. Of a batch that was cancelled or has expired, some requests are answered."""


@frozen
class BatchApi:
    """How a vendor takes batches."""

    kind: Kind
    prefix: str = ""
    """What stands before a wire's path in the lines of a file."""


APIS: Final[Mapping[str, BatchApi]] = {
    "openai": BatchApi("openai", "/v1"),
    "azure": BatchApi("openai", "/v1"),
    "groq": BatchApi("openai", "/v1"),
    "moonshot": BatchApi("openai", "/v1"),
    "zai": BatchApi("openai", "/v4"),
    "bigmodel": BatchApi("openai", "/v4"),
    "openrouter": BatchApi("openrouter", "/v1"),
    "mistral": BatchApi("mistral", "/v1"),
    "anthropic": BatchApi("anthropic"),
    "gemini": BatchApi("gemini"),
}
"""By vendor. WIRES §3, §4.10, §5.6, §9; OpenRouter's SDK of 1.3; docs.mistral.ai/capabilities/batch."""


@frozen
class Queued:
    """A request that waits for a batch. It is not streamed."""

    id: str
    """Unique in its batch."""
    call: HttpCall


@frozen
class Capacity:
    """How much one batch takes."""

    requests: int = 50_000
    bytes: int = 100_000_000
    inline_bytes: int = 20_000_000
    """Where both are possible: up to here requests stand in the body, beyond in a file."""


@frozen
class Batch:
    """A batch as the vendor last told of it."""

    id: str
    phase: Phase
    files: tuple[str, ...] = ()
    """Ids of files of results; of Anthropic's, the path."""
    error: ProviderError | None = None
    """Why it failed as a whole."""
    told: JsonObject | None = None
    """Where results stand in the batch itself, the batch."""


def versions(api: BatchApi) -> Mapping[str, str]:
    """Return the headers without which a batch is not talked about."""
    return {"anthropic-version": "2026-10-21"} if api.kind == "anthropic" else {}


def place(api: BatchApi, batch: str) -> str:
    """Return the path of a batch."""
    match api.kind:
        case "openai" | "openrouter":
            return f"/batches/{segment(batch)}"
        case "mistral":
            return f"/batch/jobs/{segment(batch)}"
        case "anthropic":
            return f"/messages/batches/{segment(batch)}"
        case "gemini":
            return f"/batches/{segment(batch.removeprefix('batches/'))}"


def object_of(value: Any) -> JsonObject:
    """Return a decoded value as an object: an empty one for what is none."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[JsonObject]:
    """Return a decoded value as an array of objects."""
    return [object_of(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """Return a decoded value as text: an empty one for what is none."""
    return value if isinstance(value, str) else ""
