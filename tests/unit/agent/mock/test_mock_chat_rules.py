"""The Chat face refuses what the real API refuses, and names the path."""

from __future__ import annotations

import copy

import pytest

from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.jsontext import Json, JsonObject

USER: JsonObject = {"role": "user", "content": "hi"}


def call(call_id: str = "c1", **over: Json) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": "read", "arguments": "{}"}, **over}


def calling(*calls: JsonObject) -> JsonObject:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(call_id: str = "c1", content: Json = "ok") -> JsonObject:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def read(ask: JsonObject) -> Asked:
    return Chat().read(ask, {})


def tool(name: str = "read", **over: Json) -> JsonObject:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, **over}}


def body(*messages: JsonObject, **over: Json) -> JsonObject:
    return {"model": "m", "messages": list(messages) or [USER], **over}


IMAGE: JsonObject = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}

CLOSED: JsonObject = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["a"],
    "additionalProperties": False,
}
LOOSE: JsonObject = {"type": "array", "items": {**CLOSED, "additionalProperties": True}}

ACCEPTED: dict[str, JsonObject] = {
    "the least": body(),
    "every role": body(
        {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "system", "content": "be kind", "name": "house"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]},
        {"role": "assistant", "content": "", "refusal": None, "reasoning_content": "hm"},
        calling(call("a"), call("b")),
        result("b", [{"type": "text", "text": "ok"}]),
        result("a", ""),
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ),
    "ids used again in a later message": body(calling(call()), result(), calling(call()), result()),
    "a custom tool": body(
        calling({"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*"}}),
        result(),
        tools=[{"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}],
        tool_choice={"type": "custom", "custom": {"name": "patch"}},
    ),
    "every knob": body(
        tools=[tool(strict=None, description="d"), tool("b", strict=True, parameters=CLOSED)],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "b"}}]},
        },
        parallel_tool_calls=False,
        temperature=0,
        top_p=1,
        stop=["a", "b", "c", "d"],
        seed=7,
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=10,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": CLOSED, "strict": True},
        },
        reasoning_effort="high",
        verbosity="low",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        logprobs=True,
        top_logprobs=20,
        metadata={"a": "b"},
        service_tier="flex",
        store=False,
        user="u",
        presence_penalty=-2,
        frequency_penalty=2.0,
        logit_bias={"50256": -100},
    ),
    "lone surrogates and NUL": body({"role": "user", "content": "\ud800 \x00"}),
}

CALLED = (USER, calling(call()))
REFUSED: dict[str, tuple[Json, str]] = {
    "not an object": ([], "body"),
    "no model": ({"messages": [USER]}, "model"),
    "empty model": (body(model=""), "model"),
    "no messages": ({"model": "m"}, "messages"),
    "empty messages": ({"model": "m", "messages": []}, "messages"),
    "unknown field": (body(max_output_tokens=5), "max_output_tokens"),
    "unknown role": (body({"role": "robot", "content": "x"}), "messages[0].role"),
    "no role": (body({"content": "x"}), "messages[0].role"),
    "a message that is a string": ({"model": "m", "messages": ["hi"]}, "messages[0]"),
    "user without content": (body({"role": "user"}), "messages[0].content"),
    "user content null": (body({"role": "user", "content": None}), "messages[0].content"),
    "no content parts": (body({"role": "user", "content": []}), "messages[0].content"),
    "unknown message field": (body({**USER, "id": "x"}), "messages[0].id"),
    "image in a system message": (
        body({"role": "system", "content": [IMAGE]}),
        "messages[0].content[0].type",
    ),
    "image in a tool message": (body(*CALLED, result(content=[IMAGE])), "messages[2].content[0].type"),
    "image in an assistant message": (
        body({"role": "assistant", "content": [IMAGE]}),
        "messages[0].content[0].type",
    ),
    "image url of another scheme": (
        body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}),
        "messages[0].content[0].image_url.url",
    ),
    "file part without a file": (
        body({"role": "user", "content": [{"type": "file", "file": {"filename": "a"}}]}),
        "messages[0].content[0].file",
    ),
    "text part without text": (
        body({"role": "user", "content": [{"type": "text"}]}),
        "messages[0].content[0].text",
    ),
    "assistant with nothing": (body({"role": "assistant", "content": None}), "messages[0].content"),
    "assistant with no calls": (body({**calling(), "content": "x"}), "messages[0].tool_calls"),
    "call without id": (
        body(calling({"type": "function", "function": {"name": "a", "arguments": ""}})),
        "messages[0].tool_calls[0].id",
    ),
    "call with empty id": (body(calling(call(""))), "messages[0].tool_calls[0].id"),
    "call without type": (
        body(calling({"id": "a", "function": {"name": "a", "arguments": ""}})),
        "messages[0].tool_calls[0].type",
    ),
    "arguments as an object": (
        body(calling(call(function={"name": "read", "arguments": {}}))),
        "messages[0].tool_calls[0].function.arguments",
    ),
    "call of a name with a dot": (
        body(calling(call(function={"name": "a.b", "arguments": ""}))),
        "messages[0].tool_calls[0].function.name",
    ),
    "call with an index": (body(calling(call(index=0))), "messages[0].tool_calls[0].index"),
    "ids twice in a message": (
        body(calling(call(), call()), result(), result()),
        "messages[0].tool_calls[1].id",
    ),
    "unanswered at the end": (body(*CALLED), "messages[1].tool_calls[0].id"),
    "unanswered before the user": (body(*CALLED, USER), "messages[1].tool_calls[0].id"),
    "one of two unanswered": (
        body(calling(call("a"), call("b")), result("a"), USER),
        "messages[0].tool_calls[1].id",
    ),
    "result of nothing": (body(USER, result()), "messages[1].tool_call_id"),
    "result of another call": (body(*CALLED, result("c2")), "messages[2].tool_call_id"),
    "result twice": (body(*CALLED, result(), result()), "messages[3].tool_call_id"),
    "result after the user": (body(*CALLED, result(), USER, result()), "messages[4].tool_call_id"),
    "result with empty id": (body(*CALLED, result("")), "messages[2].tool_call_id"),
    "result without content": (
        body(*CALLED, {"role": "tool", "tool_call_id": "c1"}),
        "messages[2].content",
    ),
    "no tools": (body(tools=[]), "tools"),
    "tool without a function": (body(tools=[{"type": "function"}]), "tools[0].function"),
    "tool in the flat form": (body(tools=[{"type": "function", "name": "a"}]), "tools[0].function"),
    "tool of another type": (body(tools=[{"type": "web_search"}]), "tools[0].type"),
    "tool name with a space": (body(tools=[tool("a b")]), "tools[0].function.name"),
    "tool name of 65 characters": (body(tools=[tool("a" * 65)]), "tools[0].function.name"),
    "tool parameters as a string": (body(tools=[tool(parameters="{}")]), "tools[0].function.parameters"),
    "tool parameters of an array": (
        body(tools=[tool(parameters={"type": "array"})]),
        "tools[0].function.parameters",
    ),
    "strict without parameters": (
        body(tools=[{"type": "function", "function": {"name": "a", "strict": True}}]),
        "tools[0].function.parameters",
    ),
    "strict with an optional property": (
        body(tools=[tool(strict=True, parameters={**CLOSED, "required": []})]),
        "tools[0].function.parameters",
    ),
    "strict with an open object inside": (
        body(tools=[tool(strict=True, parameters={**CLOSED, "properties": {"a": LOOSE}})]),
        "tools[0].function.parameters.a.items",
    ),
    "tool with a cache_control": (body(tools=[tool(cache_control={})]), "tools[0].function.cache_control"),
    "tools of one name": (body(tools=[tool(), tool()]), "tools[1]"),
    "choice without tools": (body(tool_choice="auto"), "tool_choice"),
    "parallel without tools": (body(parallel_tool_calls=True), "parallel_tool_calls"),
    "choice of an unknown tool": (
        body(tools=[tool()], tool_choice={"type": "function", "function": {"name": "x"}}),
        "tool_choice",
    ),
    "choice of an unknown word": (body(tools=[tool()], tool_choice="any"), "tool_choice"),
    "five stops": (body(stop=list("abcde")), "stop"),
    "temperature above 2": (body(temperature=2.1), "temperature"),
    "temperature below 0": (body(temperature=-0.1), "temperature"),
    "temperature as a string": (body(temperature="1"), "temperature"),
    "temperature as a boolean": (body(temperature=True), "temperature"),
    "both limits": (body(max_tokens=1, max_completion_tokens=1), "max_tokens"),
    "a limit of 0": (body(max_completion_tokens=0), "max_completion_tokens"),
    "a limit with a fraction": (body(max_completion_tokens=1.5), "max_completion_tokens"),
    "two choices": (body(n=2), "n"),
    "stream as a word": (body(stream="yes"), "stream"),
    "stream options without a stream": (body(stream_options={"include_usage": True}), "stream_options"),
    "logprobs left out": (body(top_logprobs=2), "top_logprobs"),
    "format of an unknown type": (body(response_format={"type": "xml"}), "response_format.type"),
    "format without its schema": (
        body(response_format={"type": "json_schema"}),
        "response_format.json_schema",
    ),
    "format without a name": (
        body(response_format={"type": "json_schema", "json_schema": {"schema": {}}}),
        "response_format.json_schema.name",
    ),
    "effort max": (body(reasoning_effort="max"), "reasoning_effort"),
    "empty cache key": (body(prompt_cache_key=""), "prompt_cache_key"),
    "metadata that is long": (body(metadata={"a": "b" * 513}), "metadata.a"),
    "metadata of 17 pairs": (body(metadata={str(n): "" for n in range(17)}), "metadata"),
    "bias out of range": (body(logit_bias={"1": 101}), "logit_bias.1"),
}


@pytest.mark.parametrize("request_", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_valid_request_is_taken_as_it_is(request_: JsonObject) -> None:
    asked = Chat().read(copy.deepcopy(request_), {})
    assert asked.body == request_


@pytest.mark.parametrize(("request_", "param"), REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_the_api_refuses_is_refused_with_the_path(request_: Json, param: str) -> None:
    with pytest.raises(Refused) as caught:
        Chat().read(request_, {})
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message.startswith(param)


@pytest.mark.parametrize("value", ["", "Basic eDp5", "Bearer", "Bearer  "])
def test_a_request_without_a_key_is_unauthorised(value: str) -> None:
    with pytest.raises(Refused) as caught:
        Chat().admit({"authorization": value} if value else {})
    assert caught.value.status == 401


def test_a_step_is_found_by_counting_replies_and_the_newest_result_is_seen() -> None:
    asked = read(
        body(
            USER,
            calling(call()),
            result(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        )
    )
    assert (asked.replies, asked.last_result, asked.wants_call) == (1, "ab", False)


def test_conversations_are_told_apart_by_cache_key_or_first_user_message() -> None:
    grown = body({"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "x"})
    assert read(body()).key == read(grown).key
    assert read(body()).key != read(body({"role": "user", "content": "other"})).key
    assert read(body(prompt_cache_key="k")).key == "k"
