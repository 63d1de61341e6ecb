"""What OpenAI's Chat Completions accepts in a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check, Refused, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words
from treadle.agent.mock.openai_frame import check_metadata, check_parameters, check_strict_root

NAME = r"[A-Za-z0-9_-]{1,64}"

_BREAKPOINT: Mapping[str, Check] = {
    "prompt_cache_breakpoint": c.record({"mode": c.one_of("explicit")}, {"ttl": c.one_of("30m", "12h")})
}


def _part(kind: str, check: Check, *, breakpoint_: bool = True) -> Check:
    return c.record({"type": c.anything, kind: check}, _BREAKPOINT if breakpoint_ else {})


def _image_url(value: Json, path: str) -> None:
    c.text(1)(value, path)
    if not words(value).startswith(("data:image/", "http://", "https://")):
        raise wrong(path, "expected a data: URL of an image or an http(s) URL")


def _file(value: Json, path: str) -> None:
    c.record({}, {"file_id": c.text(1), "file_data": c.text(1), "filename": c.text(1)})(value, path)
    if not {"file_id", "file_data"} & members(value).keys():
        raise wrong(path, "one of file_id and file_data is required", "missing_required_parameter")


_TEXT = _part("text", c.text())
_REFUSAL = _part("refusal", c.text(), breakpoint_=False)
_IMAGE = c.record({"url": _image_url}, {"detail": c.one_of("auto", "low", "high", "original")})
_AUDIO = c.record({"data": c.text(1), "format": c.one_of("wav", "mp3")})
_USER_PARTS = {
    "text": _TEXT,
    "image_url": _part("image_url", _IMAGE),
    "input_audio": _part("input_audio", _AUDIO),
    "file": _part("file", _file),
}


def _content(variants: Mapping[str, Check]) -> Check:
    return c.text_or(c.items(c.tagged("type", variants), least=1))


_FUNCTION_CALL = c.record({"name": c.text(1, pattern=NAME), "arguments": c.text()})
_TOOL_CALL = c.tagged(
    "type",
    {
        "function": c.record({"id": c.text(1), "type": c.anything, "function": _FUNCTION_CALL}),
        "custom": c.record({
            "id": c.text(1),
            "type": c.anything,
            "custom": c.record({"name": c.text(1, pattern=NAME), "input": c.text()}),
        }),
    },
)
_ASSISTANT = c.record(
    {"role": c.anything},
    {
        "content": c.nullable(_content({"text": _TEXT, "refusal": _REFUSAL})),
        "refusal": c.nullable(c.text()),
        "tool_calls": c.items(_TOOL_CALL, least=1, most=128),
        "name": c.text(1),
        "audio": c.nullable(c.record({"id": c.text(1)})),
        "function_call": c.nullable(_FUNCTION_CALL),
        "reasoning_content": c.nullable(c.text()),  # compatible vendors; the API itself has no such thing
    },
)


def _assistant(value: Json, path: str) -> None:
    _ASSISTANT(value, path)
    said = members(value)
    if all(said.get(key) is None for key in ("content", "refusal", "tool_calls", "audio", "function_call")):
        raise wrong(f"{path}.content", "required unless there are tool_calls", "missing_required_parameter")


_INSTRUCTIONS = c.record({"role": c.anything, "content": _content({"text": _TEXT})}, {"name": c.text(1)})
_MESSAGE = c.tagged(
    "role",
    {
        "system": _INSTRUCTIONS,
        "developer": _INSTRUCTIONS,
        "user": c.record({"role": c.anything, "content": _content(_USER_PARTS)}, {"name": c.text(1)}),
        "assistant": _assistant,
        "tool": c.record({
            "role": c.anything,
            "content": _content({"text": _TEXT}),
            "tool_call_id": c.text(1),
        }),
        "function": c.record({
            "role": c.anything,
            "content": c.nullable(c.text()),
            "name": c.text(1, pattern=NAME),
        }),
    },
)


_FUNCTION = c.record(
    {"name": c.text(1, pattern=NAME)},
    {"description": c.text(), "parameters": check_parameters, "strict": c.nullable(c.flag)},
)
_GRAMMAR = c.record({"definition": c.text(1), "syntax": c.one_of("lark", "regex")})
_CUSTOM = c.record(
    {"name": c.text(1, pattern=NAME)},
    {
        "description": c.text(),
        "format": c.tagged(
            "type",
            {
                "text": c.record({"type": c.anything}),
                "grammar": c.record({"type": c.anything, "grammar": _GRAMMAR}),
            },
        ),
    },
)
_TOOL = c.tagged(
    "type",
    {
        "function": c.record({"type": c.anything, "function": _FUNCTION}),
        "custom": c.record({"type": c.anything, "custom": _CUSTOM}),
    },
)
_NAMED = c.record({"name": c.text(1)})
_NAMED_TOOL = c.tagged(
    "type",
    {
        "function": c.record({"type": c.anything, "function": _NAMED}),
        "custom": c.record({"type": c.anything, "custom": _NAMED}),
    },
)
_CHOICE_OBJECT = c.tagged(
    "type",
    {
        "function": c.record({"type": c.anything, "function": _NAMED}),
        "custom": c.record({"type": c.anything, "custom": _NAMED}),
        "allowed_tools": c.record({
            "type": c.anything,
            "allowed_tools": c.record({
                "mode": c.one_of("auto", "required"),
                "tools": c.items(_NAMED_TOOL, least=1),
            }),
        }),
    },
)


def _choice(value: Json, path: str) -> None:
    (c.one_of("none", "auto", "required") if isinstance(value, str) else _CHOICE_OBJECT)(value, path)


def _bias(value: Json, path: str) -> None:
    c.mapping(value, path)
    for token, bias in members(value).items():
        c.number(-100, 100)(bias, f"{path}.{token}")


_SCHEMA = c.record(
    {"name": c.text(1, pattern=NAME)},
    {"description": c.text(), "schema": c.mapping, "strict": c.nullable(c.flag)},
)
_FORMAT = c.tagged(
    "type",
    {
        "text": c.record({"type": c.anything}),
        "json_object": c.record({"type": c.anything}),
        "json_schema": c.record({"type": c.anything, "json_schema": _SCHEMA}),
    },
)
_STREAM_OPTIONS = c.record({}, {"include_usage": c.flag, "include_obfuscation": c.flag})
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_REQUEST = c.record(
    {"model": c.text(1), "messages": c.items(_MESSAGE, least=1)},
    {
        "audio": c.nullable(c.mapping),
        "frequency_penalty": c.nullable(c.number(-2, 2)),
        "function_call": c.anything,
        "functions": c.items(_FUNCTION, least=1, most=128),
        "logit_bias": c.nullable(_bias),
        "logprobs": c.nullable(c.flag),
        "max_completion_tokens": c.nullable(c.integer(1)),
        "max_tokens": c.nullable(c.integer(1)),
        "metadata": c.nullable(check_metadata),
        "modalities": c.nullable(c.items(c.one_of("text", "audio"))),
        "moderation": c.nullable(c.mapping),
        "n": c.nullable(c.integer(1, 1)),  # a script has one reply to a request
        "parallel_tool_calls": c.flag,
        "prediction": c.nullable(
            c.record({"type": c.one_of("content"), "content": _content({"text": _TEXT})})
        ),
        "presence_penalty": c.nullable(c.number(-2, 2)),
        "prompt_cache_key": c.nullable(c.text(1)),
        "prompt_cache_options": c.record(
            {}, {"mode": c.one_of("implicit", "explicit"), "ttl": c.one_of("30m")}
        ),
        "prompt_cache_retention": c.nullable(c.one_of("in_memory", "24h")),
        "reasoning_effort": c.nullable(c.one_of(*_EFFORTS)),
        "response_format": _FORMAT,
        "safety_identifier": c.nullable(c.text(0, 128)),
        "seed": c.nullable(c.integer(-(2**63), 2**63 - 1)),
        "service_tier": c.nullable(c.one_of("auto", "default", "flex", "scale", "priority", "fast")),
        "stop": c.nullable(c.text_or(c.items(c.text(1), least=1, most=4))),
        "store": c.nullable(c.flag),
        "stream": c.nullable(c.flag),
        "stream_options": c.nullable(_STREAM_OPTIONS),
        "temperature": c.nullable(c.number(0, 2)),
        "tool_choice": _choice,
        "tools": c.items(_TOOL, least=1, most=128),
        "top_logprobs": c.nullable(c.integer(0, 20)),
        "top_p": c.nullable(c.number(0, 1)),
        "user": c.text(),
        "verbosity": c.nullable(c.one_of("low", "medium", "high")),
        "web_search_options": c.mapping,
    },
)


def tool_name(tool: Json) -> str:
    """The name of a tool, of a tool call or of a named choice, whichever kind it is."""
    held = members(tool)
    return words(members(held.get(words(held.get("type")))).get("name"))


def check(body: Json) -> JsonObject:
    """A request that the API would accept. Raises Refused with the path of the first thing wrong."""
    _REQUEST(body, "")
    request: JsonObject = dict(members(body))
    _agree(request)
    _tools_agree(request)
    _pair(elements(request["messages"]))
    return request


def _agree(request: Mapping[str, Json]) -> None:
    def given(key: str) -> bool:
        return request.get(key) is not None

    if given("max_tokens") and given("max_completion_tokens"):
        raise wrong("max_tokens", "max_tokens and max_completion_tokens exclude each other")
    if given("stream_options") and not request.get("stream"):
        raise wrong("stream_options", "only allowed when stream is true")
    if given("top_logprobs") and not request.get("logprobs"):
        raise wrong("top_logprobs", "only allowed when logprobs is true")
    form = members(members(request.get("response_format")).get("json_schema"))
    if form.get("strict") is True:
        check_strict_root(form.get("schema"), "response_format.json_schema.schema")
    for key in ("tool_choice", "parallel_tool_calls"):
        if key in request and "tools" not in request:
            raise wrong(key, f"{key} is only allowed when tools are given")


def _tools_agree(request: Mapping[str, Json]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(elements(request.get("tools"))):
        name = tool_name(tool)
        if name in names:
            raise wrong(f"tools[{index}]", f"the tool name {name!r} is used twice")
        names.add(name)
        function = members(members(tool).get("function"))
        if function.get("strict") is True:
            check_strict_root(function.get("parameters"), f"tools[{index}].function.parameters")
    choice = members(request.get("tool_choice"))
    allowed = elements(members(choice.get("allowed_tools")).get("tools"))
    chosen = allowed if choice.get("type") == "allowed_tools" else [dict(choice)] if choice else []
    for tool in chosen:
        if tool_name(tool) not in names:
            raise wrong("tool_choice", f"the tool {tool_name(tool)!r} is not among tools")


def _pair(messages: Sequence[Json]) -> None:
    """Every tool call is answered, once, by the messages right after it; nothing else is."""
    open_: dict[str, str] = {}
    for index, message in enumerate(messages):
        held = members(message)
        path = f"messages[{index}]"
        if held["role"] == "tool":
            _answer(open_, words(held["tool_call_id"]), path)
            continue
        if open_:
            raise _unanswered(open_)
        for position, call in enumerate(elements(held.get("tool_calls"))):
            at = f"{path}.tool_calls[{position}].id"
            call_id = words(members(call)["id"])
            if call_id in open_:
                raise wrong(at, f"the tool call id {call_id!r} is used twice in this message")
            open_[call_id] = at
    if open_:
        raise _unanswered(open_)


def _answer(open_: dict[str, str], call_id: str, path: str) -> None:
    if call_id not in open_:
        what = f"{call_id!r} answers no tool call of the assistant message before it"
        raise wrong(f"{path}.tool_call_id", what)
    del open_[call_id]


def _unanswered(open_: Mapping[str, str]) -> Refused:
    (call_id, at), *_ = open_.items()
    return wrong(at, f"the tool call {call_id!r} is not answered by a tool message right after it")
