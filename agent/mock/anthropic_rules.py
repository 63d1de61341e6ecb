"""What Anthropic's Messages API accepts in a request."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from treadle.agent.mock import check as c
from treadle.agent.mock.anthropic_hosted import HOSTED_BLOCKS
from treadle.agent.mock.check import Check, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words

NAME = r"[A-Za-z0-9_-]{1,128}"
ID = r"[A-Za-z0-9_-]+"
STRICT_VERSION = "2026-10-21"
VERSIONS = (STRICT_VERSION, "2023-06-01")
BREAKPOINTS = 4
TYPED_TOOL = r"[a-z0-9_]+_20[0-9]{6}"

_CACHE = c.nullable(c.record({"type": c.one_of("ephemeral")}, {"ttl": c.one_of("5m", "1h")}))
_CACHED: Mapping[str, Check] = {"cache_control": _CACHE}


def _spoken(value: Json, path: str) -> None:
    c.text()(value, path)
    if not words(value).strip():
        raise wrong(path, "text must contain something other than whitespace")


def _citations(value: Json, path: str) -> None:
    c.nullable(c.items(c.mapping))(value, path)


_MEDIA = c.one_of("image/jpeg", "image/png", "image/gif", "image/webp")
_LINK = c.record({"type": c.anything, "url": c.text(1, pattern=r"https?://.+")})
_FILE = c.record({"type": c.anything, "file_id": c.text(1)})
_BASE64 = r"[A-Za-z0-9+/]+={0,2}"
_IMAGE_SOURCE = c.tagged(
    "type",
    {
        "base64": c.record({"type": c.anything, "media_type": _MEDIA, "data": c.text(1, pattern=_BASE64)}),
        "url": _LINK,
        "file": _FILE,
    },
)
_PDF = {"media_type": c.one_of("application/pdf"), "data": c.text(1, pattern=_BASE64)}
_PLAIN = {"media_type": c.one_of("text/plain"), "data": c.text(1)}
_DOCUMENT_SOURCE = c.tagged(
    "type",
    {
        "base64": c.record({"type": c.anything, **_PDF}),
        "text": c.record({"type": c.anything, **_PLAIN}),
        "content": c.record({"type": c.anything, "content": c.anything}),
        "url": _LINK,
        "file": _FILE,
    },
)
_TEXT = c.record({"type": c.anything, "text": _spoken}, {**_CACHED, "citations": _citations})
_PLAIN_TEXT = c.record({"type": c.anything, "text": _spoken}, _CACHED)
_IMAGE = c.record(
    {"type": c.anything, "source": _IMAGE_SOURCE}, {**_CACHED, "transformations": c.nullable(c.mapping)}
)
_CITED = c.nullable(c.record({}, {"enabled": c.flag}))
_DOCUMENT = c.record(
    {"type": c.anything, "source": _DOCUMENT_SOURCE},
    {**_CACHED, "title": c.nullable(c.text(1)), "context": c.nullable(c.text(1)), "citations": _CITED},
)
_SEARCH = c.record(
    {"type": c.anything, "source": c.text(), "title": c.text(), "content": c.items(_PLAIN_TEXT, least=1)},
    {**_CACHED, "citations": _CITED},
)
_SHOWN: Mapping[str, Check] = {"image": _IMAGE, "document": _DOCUMENT, "search_result": _SEARCH}
_RESULT_PARTS = c.tagged(
    "type",
    {
        "text": _PLAIN_TEXT,
        "tool_reference": c.record({"type": c.anything, "tool_name": c.text(1, pattern=NAME)}, _CACHED),
        **_SHOWN,
    },
)
_RESULT = c.record(
    {"type": c.anything, "tool_use_id": c.text(1, pattern=ID)},
    {**_CACHED, "content": c.text_or(c.items(_RESULT_PARTS)), "is_error": c.flag, "toolset_name": c.anything},
)
_CALL = c.record(
    {
        "type": c.anything,
        "id": c.text(1, pattern=ID),
        "name": c.text(1, pattern=NAME),
        "input": c.mapping,
    },
    {**_CACHED, "caller": c.mapping, "toolset_name": c.nullable(c.text())},
)
_THINKING = c.record({"type": c.anything, "thinking": c.text(), "signature": c.text(1)})
_REDACTED = c.record({"type": c.anything, "data": c.text(1)})


def _content(variants: Mapping[str, Check]) -> Check:
    blocks = c.items(c.tagged("type", variants), least=1)

    def check(value: Json, path: str) -> None:
        (_spoken if isinstance(value, str) else blocks)(value, path)

    return check


_ROLE: Mapping[str, Check] = {"role": c.anything}
_MESSAGE = c.tagged(
    "role",
    {
        "user": c.record({**_ROLE, "content": _content({"text": _TEXT, "tool_result": _RESULT, **_SHOWN})}),
        "assistant": c.record({
            **_ROLE,
            "content": _content({
                "text": _TEXT,
                "thinking": _THINKING,
                "redacted_thinking": _REDACTED,
                "tool_use": _CALL,
                **HOSTED_BLOCKS,
            }),
        }),
        "system": c.record({**_ROLE, "content": _content({"text": _PLAIN_TEXT})}),
    },
)


def _schema(value: Json, path: str) -> None:
    c.mapping(value, path)
    if members(value).get("type") != "object":
        raise wrong(f"{path}.type", "expected 'object'")


_CUSTOM = c.record(
    {"name": c.text(1, pattern=NAME), "input_schema": _schema},
    {
        **_CACHED,
        "type": c.nullable(c.one_of("custom")),
        "description": c.text(),
        "strict": c.flag,
        "defer_loading": c.flag,
        "eager_input_streaming": c.nullable(c.flag),
        "input_examples": c.items(c.mapping),
        "allowed_callers": c.items(c.text(1)),
    },
)


_TOOLSET = c.record(
    {"type": c.anything, "mcp_server_name": c.text(1)},
    {**_CACHED, "default_config": c.mapping, "configs": c.mapping},
)
_SERVER = c.record(
    {"type": c.one_of("url"), "url": c.text(1, pattern=r"https://.+"), "name": c.text(1)},
    {"authorization_token": c.nullable(c.text(1))},
)


def _tool(value: Json, path: str) -> None:
    kind = members(value).get("type")
    if kind is None or kind == "custom":
        _CUSTOM(value, path)
        return
    if kind == "mcp_toolset":
        _TOOLSET(value, path)
        return
    c.text(1, pattern=TYPED_TOOL)(kind, f"{path}.type")
    c.text(1)(members(value).get("name"), f"{path}.name")


_PARALLEL: Mapping[str, Check] = {"disable_parallel_tool_use": c.flag}
_CHOICE = c.tagged(
    "type",
    {
        "auto": c.record({"type": c.anything}, _PARALLEL),
        "any": c.record({"type": c.anything}, _PARALLEL),
        "tool": c.record({"type": c.anything, "name": c.text(1)}, _PARALLEL),
        "none": c.record({"type": c.anything}),
    },
)
_BINDING = c.record({"prefix_mismatch_behavior": c.one_of("error", "drop_block")})
_DISPLAY: Mapping[str, Check] = {"display": c.nullable(c.one_of("summarized", "omitted"))}
_THINK = c.tagged(
    "type",
    {
        "adaptive": c.record({"type": c.anything}, {**_DISPLAY, "block_binding": _BINDING}),
        "between_tools": c.record({"type": c.anything}, _DISPLAY),
        "enabled": c.record({"type": c.anything, "budget_tokens": c.integer(1024)}, _DISPLAY),
        "disabled": c.record({"type": c.anything}),
    },
)
_OUTPUT = c.record(
    {},
    {
        "effort": c.nullable(c.one_of("low", "medium", "high", "xhigh", "max")),
        "format": c.nullable(c.record({"type": c.one_of("json_schema"), "schema": c.mapping})),
    },
)
_SAMPLING: Mapping[str, Check] = {
    "temperature": c.number(0, 1),
    "top_p": c.number(0, 1),
    "top_k": c.integer(0),
}
_REQUEST = c.record(
    {"model": c.text(1), "max_tokens": c.integer(0), "messages": c.items(_MESSAGE, least=1)},
    {
        **_CACHED,
        **_SAMPLING,
        "container": c.nullable(c.anything),
        "diagnostics": c.nullable(c.record({}, {"previous_message_id": c.nullable(c.text(1))})),
        "inference_geo": c.nullable(c.text(1)),
        "mcp_servers": c.items(_SERVER, most=20),
        "metadata": c.record({}, {"user_id": c.nullable(c.text(0, 256))}),
        "output_config": _OUTPUT,
        "service_tier": c.one_of("auto", "standard_only"),
        "speed": c.nullable(c.one_of("standard", "fast")),
        "stop_sequences": c.items(_spoken),
        "stream": c.flag,
        "system": c.text_or(c.items(_PLAIN_TEXT)),
        "thinking": _THINK,
        "tool_choice": _CHOICE,
        "tools": c.items(_tool),
        "user_profile_id": c.text(1),
        "workspace_id": c.text(1),
    },
)


def signature(model: str, thinking: str) -> str:
    """What proves that this model thought this."""
    text = f"{model}\0{thinking}".encode("utf-8", "surrogatepass")
    return "mock" + b64encode(hashlib.sha256(text).digest()).decode()


def check(body: Json, version: str) -> JsonObject:
    """A request that the API would accept. Raises Refused with the path of the first thing wrong."""
    _REQUEST(body, "")
    request: JsonObject = dict(members(body))
    if version == STRICT_VERSION:
        for key in sorted(_SAMPLING.keys() & request.keys()):
            raise wrong(key, f"not supported by the API version {STRICT_VERSION}")
    _agree(request)
    _tools_agree(request)
    _breakpoints_agree(request)
    messages = [members(message) for message in elements(request["messages"])]
    _take_turns(messages)
    _signed(messages, words(request["model"]))
    _Pairing().follow(messages)
    return request


def blocks(message: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The content of a message; a string is one block of text."""
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [members(block) for block in elements(content)]


def _agree(request: Mapping[str, Json]) -> None:
    budget, most = members(request.get("thinking")).get("budget_tokens"), request["max_tokens"]
    if isinstance(budget, int) and isinstance(most, int) and budget >= most:
        raise wrong("thinking.budget_tokens", "must be less than max_tokens")
    choice = members(request.get("tool_choice")).get("type")
    if budget is not None and choice in {"any", "tool"}:
        raise wrong("tool_choice", "thinking may not be enabled when tool_choice forces tool use")
    form = members(request.get("output_config")).get("format")
    if most == 0 and (request.get("stream") is True or choice in {"any", "tool"} or form is not None):
        raise wrong("max_tokens", "0 fills the cache: neither streamed, nor with a forced tool or a format")


def _tools_agree(request: Mapping[str, Json]) -> None:
    tools = [members(tool) for tool in elements(request.get("tools"))]
    names: set[str] = set()
    servers = {words(members(server)["name"]) for server in elements(request.get("mcp_servers"))}
    toolsets = {words(tool["mcp_server_name"]) for tool in tools if tool.get("type") == "mcp_toolset"}
    if servers != toolsets:
        raise wrong(
            "mcp_servers", "each server needs one mcp_toolset among tools, and each toolset its server"
        )
    for index, tool in enumerate(tools):
        name = words(tool.get("name") or tool.get("mcp_server_name"))
        if name in names:
            raise wrong(f"tools[{index}].name", f"tool names must be unique, {name!r} is not")
        names.add(name)
    if tools and all(tool.get("defer_loading") is True for tool in tools):
        raise wrong("tools", "at least one tool must not be deferred")
    choice = members(request.get("tool_choice"))
    if choice and not tools:
        raise wrong("tool_choice", "may only be given together with tools")
    if choice.get("type") == "tool" and choice["name"] not in names:
        raise wrong("tool_choice.name", f"the tool {words(choice['name'])!r} is not among tools")


def _places(request: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Every place that can hold a breakpoint, with its path, in the cache's order."""
    for index, tool in enumerate(elements(request.get("tools"))):
        yield f"tools[{index}]", members(tool)
    for index, block in enumerate(elements(request.get("system"))):
        yield f"system[{index}]", members(block)
    for at, message in enumerate(elements(request["messages"])):
        for index, block in enumerate(elements(members(message)["content"])):
            path = f"messages[{at}].content[{index}]"
            yield path, members(block)
            content = members(block).get("content") if members(block).get("type") == "tool_result" else None
            for inner, part in enumerate(elements(content)):
                yield f"{path}.content[{inner}]", members(part)


def _breakpoints_agree(request: Mapping[str, Json]) -> None:
    set_ = [
        (path, members(held["cache_control"])) for path, held in _places(request) if held.get("cache_control")
    ]
    if automatic := members(request.get("cache_control")):
        set_.append(("", automatic))
    if len(set_) > BREAKPOINTS:
        raise wrong("cache_control", f"at most {BREAKPOINTS} blocks may have one, found {len(set_)}")
    short = False
    for path, mark in set_:
        if mark.get("ttl") == "1h" and short:
            raise wrong(c.join(path, "cache_control.ttl"), "a '1h' breakpoint must not come after a '5m' one")
        short = short or mark.get("ttl", "5m") == "5m"


def _take_turns(messages: Sequence[Mapping[str, Json]]) -> None:
    if messages[0]["role"] != "user":
        raise wrong("messages[0].role", "the first message must be the user's")
    if messages[-1]["role"] == "assistant":
        raise wrong(f"messages[{len(messages) - 1}]", "the conversation must end with a user message")
    for index, message in enumerate(messages):
        if message["role"] == "system" and messages[index - 1]["role"] == "assistant":
            raise wrong(f"messages[{index}].role", "a system entry must follow a user message")


def _signed(messages: Sequence[Mapping[str, Json]], model: str) -> None:
    for at, message in enumerate(messages):
        for index, block in enumerate(blocks(message)):
            if block["type"] != "thinking":
                continue
            if block["signature"] != signature(model, words(block["thinking"])):
                path = f"messages[{at}].content[{index}]"
                raise wrong(
                    path, "invalid `signature` in `thinking` block: it was changed, or is another model's"
                )


@dataclass(slots=True)
class _Pairing:
    """Every tool_use is answered, once, at the start of the user's next turn; nothing else is."""

    open: dict[str, str] = field(default_factory=dict[str, str])
    used: set[str] = field(default_factory=set[str])
    results_over: bool = False
    """The user's turn has gone on to something else."""
    role: Json = None

    def follow(self, messages: Sequence[Mapping[str, Json]]) -> None:
        for at, message in enumerate(messages):
            if message["role"] != self.role:
                if self.role == "user":
                    self._all_answered()
                self.role, self.results_over = message["role"], message["role"] != "user"
            for index, block in enumerate(blocks(message)):
                self._block(block, f"messages[{at}].content[{index}]")
        self._all_answered()

    def _block(self, block: Mapping[str, Json], path: str) -> None:
        match block["type"]:
            case "tool_use":
                call_id = words(block["id"])
                if call_id in self.used:
                    raise wrong(f"{path}.id", f"`tool_use` ids must be unique, {call_id!r} is not")
                self.used.add(call_id)
                self.open[call_id] = path
            case "tool_result":
                call_id = words(block["tool_use_id"])
                if self.open.pop(call_id, None) is None:
                    what = f"unexpected `tool_use_id` {call_id!r}: no unanswered tool_use before has it"
                    raise wrong(f"{path}.tool_use_id", what)
                if self.results_over:
                    raise wrong(path, "`tool_result` blocks come first in the message after their tool_use")
            case _:
                self.results_over = True

    def _all_answered(self) -> None:
        for call_id, path in self.open.items():
            raise wrong(path, f"the tool_use {call_id!r} has no tool_result in the next message")
