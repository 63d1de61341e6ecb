"""The Anthropic face refuses what the real API refuses, and is read by Anthropic's own client."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping

import anthropic
import httpx
import pytest
from anthropic.types import Message, MessageParam, ToolParam

from treadle.agent.mock.anthropic import Anthropic
from treadle.agent.mock.anthropic_rules import signature
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.server import Mock

USER: JsonObject = {"role": "user", "content": "hi"}
NEW, OLD = {"anthropic-version": "2026-10-21"}, {"anthropic-version": "2023-06-01"}
KEPT: JsonObject = {"type": "ephemeral"}
HOUR: JsonObject = {"type": "ephemeral", "ttl": "1h"}
THOUGHT: JsonObject = {"type": "thinking", "thinking": "hm", "signature": signature("m", "hm")}


def text(words: str = "ok", **over: Json) -> JsonObject:
    return {"type": "text", "text": words, **over}


def call(call_id: str = "t1", **over: Json) -> JsonObject:
    return {"type": "tool_use", "id": call_id, "name": "read", "input": {}, **over}


def result(call_id: str = "t1", **over: Json) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "ok", **over}


def said(role: str, *content: JsonObject) -> JsonObject:
    return {"role": role, "content": list(content)}


def tool(name: str = "read", **over: Json) -> JsonObject:
    return {"name": name, "input_schema": {"type": "object"}, **over}


def body(*messages: JsonObject, **over: Json) -> JsonObject:
    return {"model": "m", "max_tokens": 2000, "messages": list(messages) or [USER], **over}


def read(ask: Json, headers: Mapping[str, str] = NEW) -> Asked:
    return Anthropic().read(ask, headers)


IMAGE: JsonObject = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}

ACCEPTED: dict[str, JsonObject] = {
    "the least": body(),
    "thinking, text and calls, answered in any order": body(
        USER,
        said("assistant", THOUGHT, text("I look"), call("a"), call("b")),
        said("user", result("b", is_error=True), result("a", content=[text(), IMAGE]), text("go on")),
    ),
    "results over two user messages": body(
        USER, said("assistant", call("a"), call("b")), said("user", result("a")), said("user", result("b"))
    ),
    "a result without content": body(
        USER, said("assistant", call()), said("user", {"type": "tool_result", "tool_use_id": "t1"})
    ),
    "a system entry after the user": body(USER, said("system", text("mode: plan"))),
    "redacted thinking": body(
        USER, said("assistant", {"type": "redacted_thinking", "data": "x"}, text()), USER
    ),
    "every knob": body(
        said("user", text("a", cache_control=KEPT), IMAGE),
        system=[text("be brief", cache_control=HOUR)],
        tools=[tool(cache_control=HOUR, description="d"), {"type": "bash_20250124", "name": "bash"}],
        tool_choice={"type": "tool", "name": "bash", "disable_parallel_tool_use": True},
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        cache_control=KEPT,
        stop_sequences=["x"],
        metadata={"user_id": "u"},
        service_tier="auto",
        speed="fast",
        stream=True,
    ),
}
CALLED = (USER, said("assistant", call()))
REFUSED: dict[str, tuple[JsonObject, str]] = {
    "no model": ({"max_tokens": 1, "messages": [USER]}, "model"),
    "no limit": ({"model": "m", "messages": [USER]}, "max_tokens"),
    "empty messages": (body(messages=[]), "messages"),
    "unknown field": (body(max_completion_tokens=1), "max_completion_tokens"),
    "unknown role": (body({"role": "tool", "content": "x"}), "messages[0].role"),
    "assistant first": (body(said("assistant", text()), USER), "messages[0].role"),
    "assistant last": (body(USER, said("assistant", text())), "messages[1]"),
    "system first": (body(said("system", text()), USER), "messages[0].role"),
    "system after the assistant": (
        body(USER, said("assistant", text()), said("system", text())),
        "messages[2].role",
    ),
    "empty text": (body({"role": "user", "content": ""}), "messages[0].content"),
    "blank text": (body(said("user", text(" \n"))), "messages[0].content[0].text"),
    "no blocks": (body(said("user")), "messages[0].content"),
    "image in an assistant message": (
        body(USER, said("assistant", IMAGE), USER),
        "messages[1].content[0].type",
    ),
    "call in a user message": (body(said("user", call())), "messages[0].content[0].type"),
    "image of another kind": (
        body(
            said(
                "user",
                {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "A"}},
            )
        ),
        "messages[0].content[0].source.media_type",
    ),
    "input as a string": (
        body(USER, said("assistant", call(input="{}")), said("user", result())),
        "messages[1].content[0].input",
    ),
    "id with a dot": (
        body(USER, said("assistant", call("a.b")), said("user", result("a.b"))),
        "messages[1].content[0].id",
    ),
    "unanswered call": (body(*CALLED, USER), "messages[1].content[0]"),
    "one of two unanswered": (
        body(USER, said("assistant", call("a"), call("b")), said("user", result("a"))),
        "messages[1].content[1]",
    ),
    "answered too late": (
        body(*CALLED, USER, said("assistant", text()), said("user", result())),
        "messages[1].content[0]",
    ),
    "text before the result": (body(*CALLED, said("user", text(), result())), "messages[2].content[1]"),
    "result of nothing": (body(said("user", result())), "messages[0].content[0].tool_use_id"),
    "result twice": (body(*CALLED, said("user", result(), result())), "messages[2].content[1].tool_use_id"),
    "id used again": (
        body(*CALLED, said("user", result()), said("assistant", call()), said("user", result())),
        "messages[3].content[0].id",
    ),
    "changed thinking": (
        body(USER, said("assistant", {**THOUGHT, "thinking": "hm."}), USER),
        "messages[1].content[0]",
    ),
    "thinking of another model": (
        body(USER, said("assistant", THOUGHT), USER, model="n"),
        "messages[1].content[0]",
    ),
    "a breakpoint on thinking": (
        body(USER, said("assistant", {**THOUGHT, "cache_control": KEPT}), USER),
        "messages[1].content[0].cache_control",
    ),
    "five breakpoints": (
        body(said("user", *[text(cache_control=KEPT)] * 4), cache_control=KEPT),
        "cache_control",
    ),
    "an hour after five minutes": (
        body(said("user", text(cache_control=HOUR)), system=[text(cache_control=KEPT)]),
        "messages[0].content[0].cache_control.ttl",
    ),
    "tool in OpenAI's shape": (
        body(tools=[{"type": "function", "function": {"name": "a"}}]),
        "tools[0].type",
    ),
    "tool without a schema": (body(tools=[{"name": "a"}]), "tools[0].input_schema"),
    "tool schema of an array": (
        body(tools=[tool(input_schema={"type": "array"})]),
        "tools[0].input_schema.type",
    ),
    "tool name with a dot": (body(tools=[tool("a.b")]), "tools[0].name"),
    "tools of one name": (body(tools=[tool(), tool()]), "tools[1].name"),
    "only deferred tools": (body(tools=[tool(defer_loading=True)]), "tools"),
    "choice without tools": (body(tool_choice={"type": "auto"}), "tool_choice"),
    "choice as a word": (body(tools=[tool()], tool_choice="auto"), "tool_choice"),
    "choice of an unknown tool": (
        body(tools=[tool()], tool_choice={"type": "tool", "name": "x"}),
        "tool_choice.name",
    ),
    "a small budget": (body(thinking={"type": "enabled", "budget_tokens": 1023}), "thinking.budget_tokens"),
    "a budget beyond the limit": (
        body(thinking={"type": "enabled", "budget_tokens": 2000}),
        "thinking.budget_tokens",
    ),
    "a forced tool while thinking": (
        body(
            thinking={"type": "enabled", "budget_tokens": 1024}, tools=[tool()], tool_choice={"type": "any"}
        ),
        "tool_choice",
    ),
    "temperature in the new version": (body(temperature=1), "temperature"),
    "top_k in the new version": (body(top_k=1), "top_k"),
}


@pytest.mark.parametrize("ask", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_valid_messages_request_is_taken_as_it_is(ask: JsonObject) -> None:
    assert read(copy.deepcopy(ask)).body == ask


@pytest.mark.parametrize(("ask", "param"), REFUSED.values(), ids=REFUSED.keys())
def test_a_messages_request_that_the_api_refuses_is_refused_with_the_path(
    ask: JsonObject, param: str
) -> None:
    with pytest.raises(Refused) as caught:
        read(ask)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_sampling_is_for_the_old_version() -> None:
    assert read(body(temperature=0.5, top_k=3), OLD).model == "m"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer"} | NEW, 401),
        ({"x-api-key": "k"}, 400),
        ({"x-api-key": "k", "anthropic-version": "2020-01-01"}, 400),
    ],
)
def test_a_key_and_a_known_version_are_required(headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as caught:
        Anthropic().admit(headers)
    assert caught.value.status == status


def test_an_error_writes_the_path_as_the_api_does() -> None:
    refused = Refused("messages[3].content[0].id: bad", "messages[3].content[0].id")
    assert Anthropic().error(refused) == (
        b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.3.content.0.id: bad"},'
        b'"request_id":null}'
    )


def test_a_conversation_is_read_for_its_step_and_its_newest_result() -> None:
    asked = read(body(*CALLED, said("user", result(content=[text("a"), text("b")]), text("go on"))))
    assert (asked.replies, asked.last_result, asked.wants_call) == (1, "ab", False)


anyio = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
GO: MessageParam = {"role": "user", "content": "go"}
TOOL: ToolParam = {
    "name": "read",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}
SCRIPT = """
model: demo-1
steps:
  - reasoning: "The test fails."
    text: "Reading, 日本語."
    calls: [{read: {path: a.py}}, {read: {}}]
  - {text: "Done, it seems.", when: {last_result: FAILED}}
"""


def client(mock: Mock) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=mock.url, api_key="x", max_retries=0)


@anyio
async def test_anthropics_client_gathers_a_stream_to_the_whole_reply(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        whole = await sdk.messages.create(model="m", max_tokens=99, messages=[GO], tools=[TOOL])
        async with sdk.messages.stream(model="m", max_tokens=99, messages=[GO], tools=[TOOL]) as stream:
            kinds = [event.type async for event in stream]
            gathered: Message = await stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (whole.model, whole.stop_reason) == ("demo-1", "tool_use")
    seen = gathered.model_dump(exclude={"id", "parsed_output"})
    for block in seen["content"]:
        block.pop("parsed_output", None)
    assert seen == whole.model_dump(exclude={"id"})
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


@anyio
async def test_anthropics_client_sends_a_reply_back_and_gets_the_next_step(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        first = await sdk.messages.create(model="m", max_tokens=99, messages=[GO], tools=[TOOL])
        ids = [block.id for block in first.content if block.type == "tool_use"]
        answers: MessageParam = {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": name, "content": f"{name} FAILED"} for name in ids
            ],
        }
        back: MessageParam = {"role": "assistant", "content": first.content}
        second = await sdk.messages.create(
            model="m",
            max_tokens=99,
            messages=[GO, back, answers],
            tools=[TOOL],
            thinking={"type": "adaptive"},
        )
    assert [block.text for block in second.content if block.type == "text"] == ["Done, it seems."]
    assert second.stop_reason == "end_turn"


@anyio
async def test_anthropics_client_is_billed_for_what_it_marks(play: Play) -> None:
    async with client(await play("steps: [{text: four}]\nthen: repeat")) as sdk:
        marked: MessageParam = {
            "role": "user",
            "content": [{"type": "text", "text": "x" * 8000, "cache_control": {"type": "ephemeral"}}],
        }
        first = await sdk.messages.create(model="m", max_tokens=9, messages=[marked])
        bare: MessageParam = {"role": "user", "content": "x" * 8000}
        more: MessageParam = {
            "role": "user",
            "content": [{"type": "text", "text": "y", "cache_control": {"type": "ephemeral"}}],
        }
        second = await sdk.messages.create(model="m", max_tokens=9, messages=[bare, more])
    written = first.usage.cache_creation_input_tokens
    assert written is not None
    assert written > 2000
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (0, 0)
    assert second.usage.cache_read_input_tokens == written
    assert second.usage.cache_creation_input_tokens is not None
    assert 0 < second.usage.cache_creation_input_tokens < 20


@anyio
async def test_anthropics_client_raises_the_error_that_fits(play: Play) -> None:
    mock = await play(
        "steps: [{text: a, faults: [{status: 529}, {stream_error: {message: busy}, after: 0}]}]"
    )
    async with client(mock) as sdk:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await sdk.messages.create(model="m", max_tokens=9, messages=[GO])
        assert (caught.value.status_code, caught.value.type) == (529, "overloaded_error")
        stream = await sdk.messages.create(model="m", max_tokens=9, messages=[GO], stream=True)
        with pytest.raises(anthropic.APIStatusError, match="busy"):
            await anext(aiter(stream))
        with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content: text must"):
            await sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": " "}])


@anyio
async def test_anthropics_client_lists_the_model_and_unknown_paths_answer_in_its_shape(play: Play) -> None:
    mock = await play(SCRIPT)
    async with client(mock) as sdk:
        assert [model.id async for model in sdk.models.list()] == ["demo-1"]
    async with httpx.AsyncClient(headers={"x-api-key": "k"} | NEW) as http:
        reply = await http.post(mock.url + "/v1/nothing", json={})
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")
    assert reply.headers["request-id"]


@anyio
async def test_without_a_script_anthropics_client_gets_one_call_and_then_an_end(play: Play) -> None:
    async with client(await play("")) as sdk:
        first = await sdk.messages.create(model="m", max_tokens=9, messages=[GO], tools=[TOOL])
        (block,) = first.content
        assert block.type == "tool_use"
        assert (block.name, block.input) == ("read", {"path": "mock"})
        back: MessageParam = {"role": "assistant", "content": first.content}
        answer: MessageParam = {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "x"}],
        }
        then = await sdk.messages.create(model="m", max_tokens=9, messages=[GO, back, answer], tools=[TOOL])
    assert [block.text for block in then.content if block.type == "text"] == ["Done."]


@anyio
@pytest.mark.parametrize(("given", "thought"), [("omitted", ""), ("summarized", "The test fails.")])
async def test_thinking_is_shown_as_it_was_asked_for(play: Play, given: str, thought: str) -> None:
    mock = await play(SCRIPT)
    async with httpx.AsyncClient(headers={"x-api-key": "k"} | NEW) as http:
        ask = body(thinking={"type": "adaptive", "display": given})
        shown = (await http.post(mock.url + "/v1/messages", json=ask)).json()["content"][0]
        off = (await http.post(mock.url + "/v1/messages", json=body(thinking={"type": "disabled"}))).json()
    assert shown == {"type": "thinking", "thinking": thought, "signature": signature("m", thought)}
    assert off["content"][0]["type"] == "text"
