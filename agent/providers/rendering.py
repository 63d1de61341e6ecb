"""What every wire renders alike: JSON bytes, texts for what a wire has no block for, values snapped to a list."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias, cast

from treadle.agent.messages import Warned
from treadle.agent.providers.contract import InvalidRequest
from treadle.agent.settings import Effort
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import (
    Content,
    FileRef,
    Inline,
    Json,
    JsonObject,
    Media,
    Resource,
    Status,
    Text,
    ToolRef,
    ToolResult,
    Url,
)

Notes: TypeAlias = list[Warned]
"""Where a rendering function leaves what was lost."""

NO_OUTPUT: Final = "(no output)"
MEDIA_FOLLOWS: Final = "(see the attachment in the next message)"
_EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SECONDS: Final = {"5m": 300, "30m": 1800, "1h": 3600, "12h": 43200, "24h": 86400}
_MARKS: Final[Mapping[Status, str]] = {
    "error": "Error: ",
    "denied": "Denied: ",
    "interrupted": "Interrupted: ",
}
MCP_KEYS: Final = ("name", "url", "token_env", "tools")
_ESCAPE: Final = re.compile(r"\\(?:u0000|.)")


def dumps(value: Any) -> str:
    """Return compact JSON: keys in their order, characters as themselves, no lone surrogate and no NUL."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in text:
        text = _ESCAPE.sub(lambda found: "\ufffd" if found[0] == "\\u0000" else found[0], text)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encoded(value: Any) -> bytes:
    """Return `dumps(value)` in UTF-8."""
    return dumps(value).encode()


def array(items: Iterable[bytes]) -> bytes:
    """Return a JSON array of values that are JSON already."""
    return b"[" + b",".join(items) + b"]"


@frozen
class McpServer:
    """An MCP server that the provider is to connect to."""

    name: str
    url: str
    token: str
    """What stands for the bearer token in a request: the client puts the token there. Empty for none."""
    tools: tuple[str, ...]
    """Names of those that may be called; empty for all."""
    rest: JsonObject
    """Options in the vendor's own words."""


def mcp_server(config: JsonObject) -> McpServer | None:
    """Return the server that a hosted tool's config names as {name, url, token_env, tools}.

    None for a config that is all in the vendor's own words. Raises `InvalidRequest` for one without a name.
    """
    if config and "url" not in config:
        return None
    name, url, variable, tools = (config.get(key) for key in MCP_KEYS)
    if not isinstance(name, str) or not isinstance(url, str):
        raise InvalidRequest("hosted.mcp needs a name and a url, both strings")
    token = stands_for(str(variable)) if variable else ""
    rest = {key: value for key, value in config.items() if key not in MCP_KEYS}
    return McpServer(name, url, token, tuple(map(str, tools or ())), rest)


def stands_for(variable: str) -> str:
    """Return what stands in a request for the value of an environment variable."""
    return f"${{{variable}}}"


def members(raw: str) -> str:
    """Return what stands between the braces of a JSON object, to be put into another one as it is."""
    return raw.strip()[1:-1].strip()


def content_text(content: Content, notes: Notes) -> str:
    """Return what a model reads where only text can stand. Media leave a placeholder and a warning."""
    match content:
        case Text(text=text):
            return text
        case Json(value=value):
            return dumps(value)
        case Resource(uri=uri, text=text):
            return uri if text is None else f"{uri}\n{text}"
        case ToolRef(name=name):
            return f"Tool available now: {name}"
        case _:
            return media_placeholder(content, notes)


def media_placeholder(media: Media, notes: Notes) -> str:
    """Return the text that stands for media which a model cannot be shown, and note the loss."""
    name = " ".join(filter(None, (media.kind, media.filename, f"({media.mime})")))
    notes.append(
        Warned(code="media_dropped", field=media.kind, detail=f"{name} was replaced by a placeholder")
    )
    return f"[{name} not shown]"


def result_text(result: ToolResult, notes: Notes, *, media_note: str = MEDIA_FOLLOWS) -> str:
    """Return a result as text. Media are left out: they stand elsewhere, as the note says if nothing else is said."""
    shown = [item for item in result.content if not isinstance(item, Media)]
    text = "\n".join(content_text(item, notes) for item in shown)
    if not text.strip():
        text = media_note if len(shown) < len(result.content) else NO_OUTPUT
    return _MARKS.get(result.status, "") + text


def media_url(media: Media) -> str | None:
    """Return a URL for media, a `data:` one for bytes. None for a blob or a file in a provider's store."""
    match media.source:
        case Inline(data=data):
            return f"data:{media.mime};base64,{data}"
        case Url(url=url):
            return url
        case _:
            return None


def file_id(media: Media, vendor: str) -> str | None:
    """Return the id of a file that this vendor keeps; None for everything else."""
    match media.source:
        case FileRef(vendor=owner, id=key) if owner == vendor:
            return key
        case _:
            return None


def snap_effort(wanted: Effort, accepted: Sequence[str]) -> str | None:
    """Return the lowest accepted effort that is at least the wanted one, else the highest; None if none is."""
    ranked = sorted((effort for effort in _EFFORTS if effort in accepted), key=_EFFORTS.index)
    enough = [effort for effort in ranked if _EFFORTS.index(effort) >= _EFFORTS.index(wanted)]
    return next(iter(enough), ranked[-1] if ranked else None)


def snap_ttl(wanted: str, accepted: Sequence[str]) -> str | None:
    """Return the longest accepted time that is not above the wanted one, else the shortest; None if none is."""
    ranked = sorted((ttl for ttl in _SECONDS if ttl in accepted), key=_SECONDS.__getitem__)
    limit = _SECONDS.get(wanted, 0)
    short = [ttl for ttl in ranked if _SECONDS[ttl] <= limit]
    return short[-1] if short else next(iter(ranked), None)


def sound_name(name: str) -> str:
    """Return a tool's name as APIs take it. A model may call what does not exist, and history must hold it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"


def derived_id(*seed: object, prefix: str = "call_", length: int = 24) -> str:
    """Return an id that is the same for the same seed."""
    text = "\x1f".join(str(part) for part in seed)
    return prefix + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]


def holds_strictly(schema: Any) -> bool:
    """Tell whether a schema is one that strict modes take: every object closed, every property required."""
    if isinstance(schema, list):
        return all(holds_strictly(item) for item in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return True
    node = cast("JsonObject", schema)
    if "properties" in node or node.get("type") == "object":
        properties = cast("JsonObject", node.get("properties", {}))
        closed = node.get("additionalProperties") is False
        if not closed or set(properties) != set(node.get("required", ())):
            return False
    return all(holds_strictly(value) for value in node.values())


def inlined(schema: JsonObject) -> JsonObject:
    """Return a schema with its `$defs` put where they are referred to. A schema that refers to itself stays."""
    definitions = cast("JsonObject", schema.get("$defs", {}))

    def walk(node: Any, within: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [walk(item, within) for item in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        plain = cast("JsonObject", node)
        name = str(plain.get("$ref", "")).removeprefix("#/$defs/")
        if name not in definitions:
            return {key: walk(value, within) for key, value in plain.items() if key != "$defs"}
        if name in within:
            raise RecursionError(name)
        beside = {key: value for key, value in plain.items() if key != "$ref"}
        return walk(definitions[name], (*within, name)) | walk(beside, within)

    try:
        return walk(schema, ())
    except RecursionError:
        return schema


def ends(*sizes: int) -> tuple[int, ...]:
    """Return how many segments there are up to the end of each layer: tools, system, then each message."""
    return tuple(accumulate(sizes))
