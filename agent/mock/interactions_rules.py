"""What Gemini's Interactions API accepts in a request, after what the server keeps was put into its input."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check, wrong
from treadle.agent.mock.gemini_rules import NAME
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words

_OWN = ("google_search", "url_context", "code_execution", "file_search", "google_maps", "retrieval")
HOSTED = (*_OWN, "processing", "mcp_server_tool", "tool_search")
_TYPE: Mapping[str, Check] = {"type": c.anything}
_DATA = r"[A-Za-z0-9+/_-]+={0,2}"
_MEDIA = c.record(
    {**_TYPE},
    {
        "data": c.text(1, pattern=_DATA),
        "uri": c.text(1),
        "mime_type": c.text(1, pattern=r"[a-z]+/[A-Za-z0-9.+-]+"),
        "resolution": c.anything,
        "processing": c.anything,
    },
)
_TEXT = c.record({**_TYPE, "text": c.text()}, {"annotations": c.items(c.mapping)})
_CONTENT = c.tagged("type", {"text": _TEXT, **dict.fromkeys(("image", "audio", "video", "document"), _MEDIA)})
_SIGNATURE: Mapping[str, Check] = {"signature": c.text(1, pattern=_DATA)}


def _result(value: Json, path: str) -> None:
    if not isinstance(value, dict):
        c.text_or(c.items(_CONTENT, least=1))(value, path)


_STEP = c.tagged(
    "type",
    {
        "user_input": c.record({**_TYPE, "content": c.items(_CONTENT, least=1)}),
        "model_output": c.record(_TYPE, {"content": c.items(_CONTENT), "error": c.mapping}),
        "thought": c.record(_TYPE, {**_SIGNATURE, "summary": c.items(_CONTENT)}),
        "function_call": c.record({
            **_TYPE,
            "id": c.text(1),
            "name": c.text(1, pattern=NAME),
            "arguments": c.mapping,
        }),
        "function_result": c.record(
            {**_TYPE, "call_id": c.text(1), "result": _result}, {"name": c.text(1), "is_error": c.flag}
        ),
        **{f"{name}_{part}": c.mapping for name in HOSTED for part in ("call", "result")},
    },
)


def _schema(value: Json, path: str) -> None:
    c.mapping(value, path)
    if members(value).get("type", "object") != "object":
        raise wrong(path, "the schema of a function's parameters has type object")


_TOOL = c.tagged(
    "type",
    {
        "function": c.record(
            {**_TYPE, "name": c.text(1, pattern=NAME)},
            {
                "description": c.text(),
                "parameters": _schema,
                "defer_loading": c.flag,
                "short_description": c.text(),
            },
        ),
        **dict.fromkeys((*_OWN, "computer_use", "mcp_server", "tool_search"), c.mapping),
    },
)
_MODE = c.one_of("auto", "any", "none", "validated")
_ALLOWED = c.record({"allowed_tools": c.record({"tools": c.items(c.text(1), least=1)}, {"mode": _MODE})})


def _choice(value: Json, path: str) -> None:
    (_MODE if isinstance(value, str) else _ALLOWED)(value, path)


_CONFIG = c.record(
    {},
    {
        "temperature": c.number(0, 2),
        "top_p": c.number(0, 1),
        "seed": c.integer(-(2**31), 2**31 - 1),
        "stop_sequences": c.items(c.text(1), most=5),
        "max_output_tokens": c.integer(1),
        "thinking_level": c.one_of("minimal", "low", "medium", "high", "xhigh"),
        "thinking_summaries": c.one_of("auto", "none"),
        "tool_choice": _choice,
        "speech_config": c.anything,
        "image_config": c.mapping,
    },
)
_FORM = c.record(
    {"type": c.one_of("text")}, {"mime_type": c.one_of("application/json", "text/plain"), "schema": c.mapping}
)


def _forms(value: Json, path: str) -> None:
    (c.items(_FORM) if isinstance(value, list) else _FORM)(value, path)


_REQUEST = c.record(
    {"model": c.text(1), "input": c.text_or(c.items(_STEP, least=1))},
    {
        "system_instruction": c.text(1),
        "tools": c.items(_TOOL),
        "generation_config": _CONFIG,
        "response_format": _forms,
        "response_modalities": c.items(c.text(1)),
        "store": c.flag,
        "stream": c.flag,
        "background": c.flag,
        "service_tier": c.one_of("flex", "standard", "priority"),
        "labels": c.mapping,
        "safety_settings": c.items(c.mapping),
        "continuation_token": c.text(1),
        "previous_interaction_id": c.text(1),
    },
)


def signature(model: str, thought: Mapping[str, Json]) -> str:
    """What proves that this model thought this; in letters that both alphabets of base64 share."""
    told = [words(members(item).get("text")) for item in elements(thought.get("summary"))]
    bound = json.dumps([model, "".join(told)]).encode()
    return b64encode(hashlib.sha256(bound).hexdigest().encode()).decode()


def check(body: Json) -> JsonObject:
    """A request that the API would accept. Raises Refused with the path of the first thing wrong."""
    _REQUEST(body, "")
    request: JsonObject = dict(members(body))
    if request.get("background") is True and request.get("store") is False:
        raise wrong("background", "work in the background needs store to be true")
    _tools_agree(request)
    given = steps(request)
    if given[-1]["type"] not in {"user_input", "function_result"}:
        raise wrong(f"input[{len(given) - 1}]", "a conversation ends with the user")
    _pair(given)
    for index, step in enumerate(given):
        mark = step.get("signature")
        if step["type"] == "thought" and mark != signature(words(request["model"]), step):
            raise wrong(f"input[{index}]", "the thought's signature is missing or not valid")
    return request


def steps(request: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The steps of a request; a text is one of the user's."""
    given = request["input"]
    if isinstance(given, str):
        return [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
    return [members(step) for step in elements(given)]


def _tools_agree(request: Mapping[str, Json]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(map(members, elements(request.get("tools")))):
        name = words(tool.get("name")) if tool["type"] == "function" else ""
        if name and name in names:
            raise wrong(f"tools[{index}].name", f"the function {name!r} is declared twice")
        names.add(name)
    choice = members(members(request.get("generation_config")).get("tool_choice"))
    for name in map(words, elements(members(choice.get("allowed_tools")).get("tools"))):
        if name not in names:
            raise wrong("generation_config.tool_choice", f"the function {name!r} is not among tools")


def _pair(given: Sequence[Mapping[str, Json]]) -> None:
    """Every call has one result before the user goes on, every result a call before it."""
    open_: dict[str, int] = {}
    for index, step in enumerate(given):
        match step["type"]:
            case "function_call":
                open_[words(step["id"])] = index
            case "function_result" if open_.pop(words(step["call_id"]), None) is None:
                raise wrong(f"input[{index}].call_id", "no function call has this id")
            case "user_input" if open_:
                break
            case _:
                pass
    for index in open_.values():
        raise wrong(f"input[{index}]", "the function call has no result")
