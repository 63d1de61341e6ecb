"""What OpenAI's Responses API accepts in a request, after what the server keeps was put into its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check, Refused, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words
from treadle.agent.mock.openai_frame import check_metadata, check_parameters, check_strict_root
from treadle.agent.mock.responses_items import CALLS, NAME, check_input, kind, spoken

INCLUDED = (
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
)
HOSTED_TOOLS = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
)

_TYPE: Mapping[str, Check] = {"type": c.anything}
_GRAMMAR: Mapping[str, Check] = {"syntax": c.one_of("lark", "regex"), "definition": c.text(1)}
_DEFERRED: Mapping[str, Check] = {
    "defer_loading": c.flag,
    "allowed_callers": c.nullable(c.items(c.one_of("direct", "programmatic"))),
    "async": c.flag,
}
_TOOL = c.tagged(
    "type",
    {
        "function": c.record(
            {
                **_TYPE,
                "name": c.text(1, pattern=NAME),
                "parameters": c.nullable(check_parameters),
                "strict": c.nullable(c.flag),
            },
            {**_DEFERRED, "description": c.nullable(c.text()), "output_schema": c.nullable(c.mapping)},
        ),
        "custom": c.record(
            {**_TYPE, "name": c.text(1, pattern=NAME)},
            {
                **_DEFERRED,
                "description": c.text(),
                "format": c.tagged(
                    "type", {"text": c.record(_TYPE), "grammar": c.record({**_TYPE, **_GRAMMAR})}
                ),
            },
        ),
        **dict.fromkeys(HOSTED_TOOLS, c.mapping),
    },
)
_NAMED = c.record({**_TYPE, "name": c.text(1)})
_CHOICE = c.tagged(
    "type",
    {
        "function": _NAMED,
        "custom": _NAMED,
        "allowed_tools": c.record({
            **_TYPE,
            "mode": c.one_of("auto", "required"),
            "tools": c.items(c.mapping, least=1),
        }),
        **dict.fromkeys(HOSTED_TOOLS, c.mapping),
    },
)


def _choice(value: Json, path: str) -> None:
    (c.one_of("none", "auto", "required") if isinstance(value, str) else _CHOICE)(value, path)


_FORMAT = c.tagged(
    "type",
    {
        "text": c.record(_TYPE),
        "json_object": c.record(_TYPE),
        "json_schema": c.record(
            {**_TYPE, "name": c.text(1, pattern=NAME), "schema": c.mapping},
            {"description": c.text(), "strict": c.nullable(c.flag)},
        ),
    },
)
_REASONING = c.record(
    {},
    {
        "effort": c.nullable(c.one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        "summary": c.nullable(c.one_of("auto", "concise", "detailed")),
        "context": c.nullable(c.one_of("auto", "current_turn", "all_turns")),
        "mode": c.nullable(c.one_of("standard", "pro")),
    },
)
_TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
_REQUEST = c.record(
    {"model": c.text(1), "input": check_input},
    {
        "access_programs": c.mapping,
        "background": c.nullable(c.flag),
        "background_options": c.mapping,
        "client_metadata": c.nullable(c.mapping),
        "context_management": c.nullable(c.items(c.mapping)),
        "conversation": c.nullable(c.text_or(c.record({"id": c.text(1)}))),
        "image": c.mapping,
        "include": c.nullable(c.items(c.one_of(*INCLUDED))),
        "instructions": c.nullable(c.text()),
        "max_output_tokens": c.nullable(c.integer(16)),
        "max_tool_calls": c.nullable(c.integer(1)),
        "metadata": c.nullable(check_metadata),
        "moderation": c.nullable(c.mapping),
        "parallel_tool_calls": c.nullable(c.flag),
        "previous_response_id": c.nullable(c.text(1)),
        "prompt": c.nullable(c.mapping),
        "prompt_cache_key": c.nullable(c.text(1)),
        "prompt_cache_options": c.record(
            {},
            {
                "mode": c.one_of("implicit", "explicit"),
                "ttl": c.one_of("30m", "12h"),
                "prewarm": c.flag,
                "comparison_response_id": c.nullable(c.text(1)),
            },
        ),
        "prompt_cache_retention": c.nullable(c.one_of("in_memory", "24h")),
        "reasoning": c.nullable(_REASONING),
        "safety_identifier": c.nullable(c.text(0, 128)),
        "service_tier": c.nullable(c.one_of(*_TIERS)),
        "store": c.nullable(c.flag),
        "stream": c.nullable(c.flag),
        "stream_options": c.nullable(c.record({}, {"include_obfuscation": c.flag})),
        "temperature": c.nullable(c.number(0, 2)),
        "text": c.record({}, {"format": _FORMAT, "verbosity": c.nullable(c.one_of("low", "medium", "high"))}),
        "tool_choice": _choice,
        "tools": c.items(_TOOL),
        "top_logprobs": c.nullable(c.integer(0, 20)),
        "top_p": c.nullable(c.number(0, 1)),
        "truncation": c.nullable(c.one_of("auto", "disabled")),
        "user": c.text(),
    },
)


def check(body: Json) -> JsonObject:
    """A request that the API would accept. Raises Refused with the first path."""
    _REQUEST(body, "")
    request: JsonObject = dict(members(body))
    _agree(request)
    _tools_agree(request)
    items = [members(item) for item in elements(request["input"])]
    _found(items, stored=request.get("store") is not False)
    _pair(items)
    return request


def _agree(request: Mapping[str, Json]) -> None:
    form = members(members(request.get("text")).get("format"))
    if form.get("strict") is True:
        check_strict_root(form["schema"], "text.format.schema")
    if request.get("stream_options") is not None and not request.get("stream"):
        raise wrong("stream_options", "only allowed when stream is true")
    if request.get("background") is True and request.get("store") is False:
        raise wrong("background", "work in the background needs store to be true", "unsupported_parameter")
    if request.get("previous_response_id") is not None and request.get("conversation") is not None:
        told = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise Refused(told, "previous_response_id", "mutually_exclusive_parameters")


def _tools_agree(request: Mapping[str, Json]) -> None:
    names: set[str] = set()
    tools = [members(tool) for tool in elements(request.get("tools"))]
    for index, tool in enumerate(tools):
        name = words(tool.get("name")) if tool["type"] in {"function", "custom"} else ""
        if name and name in names:
            raise wrong(f"tools[{index}].name", f"the tool name {name!r} is used twice")
        names.add(name)
        if tool.get("strict") is True:
            check_strict_root(tool["parameters"], f"tools[{index}].parameters")
    choice = members(request.get("tool_choice"))
    chosen = elements(choice["tools"]) if choice.get("type") == "allowed_tools" else [dict(choice)]
    for named in map(members, chosen):
        name = words(named.get("name"))
        if words(named.get("type")) in {"function", "custom"} and name not in names:
            raise wrong("tool_choice", f"the tool {name!r} is not among tools")
    if not tools and request.get("tool_choice") not in (None, "none", "auto"):
        raise wrong("tool_choice", "only 'none' and 'auto' are allowed without tools")


def _found(items: Sequence[Mapping[str, Json]], *, stored: bool) -> None:
    for index, item in enumerate(items):
        lost = kind(item) == "reasoning" and not stored and item.get("encrypted_content") is None
        if lost or kind(item) == "item_reference":
            what = f"item {item.get('id')!r} not found: nothing is kept, send it whole with its encrypted content"
            raise Refused(f"input[{index}]: {what}", "input", status=404)


def _pair(items: Sequence[Mapping[str, Json]]) -> None:
    """Every call has one output after it, every output a call before it, all reasoning what it led to."""
    open_: dict[tuple[str, str], int] = {}
    called: set[str] = set()
    for index, item in enumerate(items):
        type_, call_id = kind(item), words(item.get("call_id"))
        if type_ == "reasoning" and not (index + 1 < len(items) and spoken(items[index + 1])):
            raise wrong(f"input[{index}]", f"reasoning {item.get('id')!r} lacks the item that followed it")
        if type_ in CALLS:
            if call_id in called:
                raise wrong(f"input[{index}].call_id", f"the call_id {call_id!r} is used twice")
            called.add(call_id)
            open_[CALLS[type_], call_id] = index
        elif type_ in CALLS.values() and open_.pop((type_, call_id), None) is None:
            raise wrong(f"input[{index}].call_id", f"no tool call found for the output of {call_id!r}")
    for (_, call_id), index in open_.items():
        raise wrong(f"input[{index}]", f"no tool output found for the call {call_id!r}")
