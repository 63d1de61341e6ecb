"""Tools that a vendor of Chat Completions runs itself: how they are asked for, and what is told of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from treadle.agent.messages import HostedCallPart, HostedResultPart, MediaPart, OpaquePart, Part
from treadle.agent.providers.contract import InvalidRequest, ModelInfo
from treadle.agent.providers.rendering import dumps, mcp_server
from treadle.tools.contract import Content, Hosted, HostedKind, Inline, Json, JsonObject, Media, Text, Url

_KINDS: Final[Mapping[str, HostedKind]] = {
    "mcp": "mcp",
    "web_search": "web_search",
    "search": "web_search",
    "browser_search": "web_search",
    "browser.search": "web_search",
    "retrieval": "file_search",
    "python": "code_interpreter",
    "code_interpreter": "code_interpreter",
}
"""What vendors call what they ran."""
_NEEDED: Final = {"file_search": "knowledge_id"}
"""Options without which a hosted tool is refused."""
_DATA: Final = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)
FIELDS: Final = frozenset({"images", "executed_tools"})
"""Fields of a reply's message that are read here: pictures, and Groq's account of what it ran."""
FOUND: Final = "web_search"
"""The field beside the choices in which GLM tells what it found."""


def hosted_tool(spec: Hosted, model: ModelInfo) -> JsonObject:
    """Return a tool as the vendor wants it. Options go into the object that it has for them, if it has one."""
    known: Mapping[str, JsonObject] = model.dialect.get("hosted", {})
    if spec.kind not in known:
        raise InvalidRequest(f"{model.vendor} does not run {spec.kind} over Chat Completions")
    tool = known[spec.kind]
    place = next((key for key, value in tool.items() if isinstance(value, dict)), None)
    options = _options(spec)
    needed = _NEEDED.get(spec.kind)
    if needed and needed not in options:
        raise InvalidRequest(f"hosted.{spec.kind} needs {needed}")
    if place is None:
        return {**tool, **options}
    inner: JsonObject = {**tool[place], **options}
    return {**tool, place: inner} if inner else {key: value for key, value in tool.items() if key != place}


def _options(spec: Hosted) -> JsonObject:
    server = mcp_server(spec.config) if spec.kind == "mcp" else None
    if server is None:
        return {key: value for key, value in spec.config.items() if key != "deferred"}
    told: JsonObject = {"server_label": server.name, "server_url": server.url}
    if server.token:
        told["headers"] = {"Authorization": f"Bearer {server.token}"}
    if server.tools:
        told["allowed_tools"] = list(server.tools)
    return told | server.rest


def is_hosted(item: JsonObject) -> bool:
    """Say whether a call of a reply was one of the vendor's own, and is over."""
    return item.get("type") in _KINDS


def told(body: JsonObject, fields: JsonObject) -> Iterator[Part]:
    """Yield what a reply tells of hosted tools. The vendor wants none of it back: what was said rests on it."""
    for item in _objects(fields.get("tool_calls")):
        if is_hosted(item):
            yield from _call(item, _text(item.get("id")), _object(item.get(_text(item.get("type")))))
    for number, item in enumerate(_objects(fields.get("executed_tools"))):
        yield from _call(item, f"executed_{number}", item)
    found = [*_objects(body.get(FOUND))]
    if found:
        yield HostedCallPart(id=FOUND, kind="web_search")
        yield HostedResultPart(call_id=FOUND, kind="web_search", content=(Json(value=found),))


def _call(item: JsonObject, key: str, inner: JsonObject) -> Iterator[Part]:
    """Yield a call and what came of it. That a server's tools were listed is no call."""
    kind = _KINDS.get(_text(item.get("type")), "code_interpreter")
    asked = inner.get("arguments")
    if inner.get("type") == "mcp_list_tools":
        return
    arguments = asked if isinstance(asked, str) else "" if asked is None else dumps(asked)
    yield HostedCallPart(id=key, kind=kind, arguments=arguments)
    content: list[Content] = []
    if inner.get("output"):
        output = inner["output"]
        content.append(Text(text=output) if isinstance(output, str) else Json(value=output))
    if inner.get("error"):
        content.append(Json(value=inner["error"]))
    if content:
        failed = bool(inner.get("error"))
        yield HostedResultPart(call_id=key, kind=kind, content=tuple(content), is_error=failed)


def pictures(fields: JsonObject) -> Iterator[MediaPart | OpaquePart]:
    """Yield the pictures that a reply made. The first one holds the field, which goes back as it came."""
    sent = [*_objects(fields.get("images"))]
    urls = [url for image in sent if (url := _text(_object(image.get("image_url")).get("url")))]
    raw = dumps({"images": sent})
    if sent and not urls:
        yield OpaquePart(kind="images", raw=raw)
    for url in urls:
        data = _DATA.fullmatch(url)
        source = Inline(data=data[2]) if data else Url(url=url)
        media = Media(kind="image", mime=data[1] if data else "image/png", source=source)
        yield MediaPart(media=media, raw=raw)
        raw = ""


def _object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> Iterator[JsonObject]:
    yield from map(_object, cast("list[Any]", value) if isinstance(value, list) else [])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
