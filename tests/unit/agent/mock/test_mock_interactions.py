"""The Interactions face refuses what the real API refuses, and is read by Google's own client."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google import genai
from google.genai import interactions, types

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.interactions_rules import signature
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.server import Mock

Play = Callable[[str], Awaitable[Mock]]
TEXT: JsonObject = {"type": "text", "text": "hi"}
USER: JsonObject = {"type": "user_input", "content": [TEXT]}
SAID: JsonObject = {"type": "model_output", "content": [TEXT]}
IMAGE: JsonObject = {"type": "image", "data": "AA==", "mime_type": "image/png"}
SUMMED: JsonObject = {"type": "thought", "summary": [TEXT]}


def call(call_id: str = "c1", **over: Json) -> JsonObject:
    return {"type": "function_call", "id": call_id, "name": "read", "arguments": {}, **over}


def result(call_id: str = "c1", **over: Json) -> JsonObject:
    return {"type": "function_result", "call_id": call_id, "name": "read", "result": "x", **over}


def signed(thought: JsonObject, model: str = "m") -> JsonObject:
    return {**thought, "signature": signature(model, thought)}


def tool(name: str = "read", **over: Json) -> JsonObject:
    return {"type": "function", "name": name, "parameters": {"type": "object"}, **over}


def body(*steps: JsonObject, **over: Json) -> JsonObject:
    return {"model": "m", "input": list(steps) or "hi", **over}


def read(ask: Json) -> Asked:
    return Interactions().read(ask, {})


ACCEPTED: dict[str, JsonObject] = {
    "a text": body(),
    "thoughts and calls, answered in any order": body(
        USER,
        signed(SUMMED),
        signed({"type": "thought"}),
        SAID,
        call("a"),
        call("b"),
        result("b", is_error=True),
        result("a", result=[TEXT, IMAGE]),
        USER,
    ),
    "hosted pairs": body(
        USER,
        {"type": "google_search_call", "id": "s", "arguments": {}},
        {"type": "google_search_result", "call_id": "s", "result": []},
        SAID,
        USER,
    ),
    "every knob": body(
        USER,
        system_instruction="be brief",
        tools=[tool(), tool("b", defer_loading=True), {"type": "google_search"}],
        generation_config={
            "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["read"]}},
            "thinking_level": "xhigh",
            "thinking_summaries": "auto",
            "max_output_tokens": 9,
            "stop_sequences": ["x"],
            "seed": 7,
        },
        response_format=[{"type": "text", "mime_type": "application/json", "schema": {"type": "object"}}],
        store=False,
        stream=True,
        service_tier="flex",
    ),
    "one format": body(response_format={"type": "text"}, generation_config={"tool_choice": "none"}),
}
REFUSED: dict[str, tuple[JsonObject, str]] = {
    "no model": ({"input": "x"}, "model"),
    "no steps": (body(input=[]), "input"),
    "unknown knob": (body(contents=[]), "contents"),
    "unknown step": (body({"type": "tool_use"}), "input[0].type"),
    "a model's word at the end": (body(USER, SAID), "input[1]"),
    "background": (body(background=True, store=False), "background"),
    "arguments as text": (body(USER, call(arguments="{}"), result()), "input[1].arguments"),
    "unanswered call": (body(USER, call(), USER), "input[1]"),
    "one of two unanswered": (body(USER, call("a"), call("b"), result("b")), "input[1]"),
    "answer of nothing": (body(USER, result()), "input[1].call_id"),
    "unsigned thought": (body(USER, SUMMED, SAID, USER), "input[1]"),
    "another model's thought": (body(USER, signed(SUMMED, "n"), SAID, USER), "input[1]"),
    "the same function twice": (body(tools=[tool(), tool()]), "tools[1].name"),
    "parameters that are no object": (
        body(tools=[tool(parameters={"type": "string"})]),
        "tools[0].parameters",
    ),
    "a choice that is not offered": (
        body(generation_config={"tool_choice": {"allowed_tools": {"tools": ["b"]}}}),
        "generation_config.tool_choice",
    ),
}


@pytest.mark.parametrize("ask", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_api_takes_is_accepted_and_not_changed(ask: JsonObject) -> None:
    before = copy.deepcopy(ask)
    read(ask)
    assert ask == before


@pytest.mark.parametrize(("ask", "param"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_api_refuses_is_refused_at_its_place(ask: JsonObject, param: str) -> None:
    with pytest.raises(Refused) as caught:
        read(ask)
    assert (caught.value.param, caught.value.status) == (param, 400)


def test_what_is_asked_is_read() -> None:
    asked = read(ACCEPTED["every knob"])
    assert ([offered.name for offered in asked.tools], asked.forced) == (["read"], "read")
    assert asked.schema == {"type": "object"}
    told = read(ACCEPTED["thoughts and calls, answered in any order"])
    assert (told.replies, told.last_result) == (1, "hi")
    assert read(body(USER, call(), result(result={"a": 1}))).last_result == '{"a":1}'


# Google's own client ---------------------------------------------------------------------------------------------

SCRIPT = """
steps:
- {reasoning: "Hm — é.", text: Both., calls: [{name: read, arguments: {path: a.py}}, {name: read, arguments: {path: b.py}}]}
- {reasoning: So., text: "Done, see.", when: {last_result: x}}
"""
ASK: dict[str, Any] = {
    "model": "gemini-3.8-flash",
    "store": False,
    "tools": [{"type": "function", "name": "read", "parameters": {"type": "object"}}],
    "generation_config": {"thinking_summaries": "auto"},
}


@asynccontextmanager
async def client(mock: Mock) -> AsyncGenerator[Any]:
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as opened:
        yield opened.interactions
    whole.close()


@pytest.mark.anyio
async def test_googles_client_holds_a_tool_loop(play: Play) -> None:
    async with client(await play(SCRIPT)) as api:
        first = await api.create(input=[USER], **ASK)
        steps = [step.model_dump(mode="json", exclude_unset=True) for step in first.steps]
        made = [step for step in first.steps if isinstance(step, interactions.FunctionCallStep)]
        answers = [result(step.id) for step in made]
        last = await api.create(input=[USER, *steps, *answers], **ASK)
    assert first.status == "requires_action"
    assert [step.arguments for step in made] == [{"path": "a.py"}, {"path": "b.py"}]
    assert (last.status, last.steps[-1].content[0].text) == ("completed", "Done, see.")
    assert last.usage.total_thought_tokens


@pytest.mark.anyio
async def test_googles_client_reads_a_streamed_reply(play: Play) -> None:
    async with client(await play(SCRIPT)) as api:
        stream = await api.create(input=[USER], stream=True, **ASK)
        events = [event async for event in stream]
    deltas = [event.delta for event in events if isinstance(event, interactions.StepDelta)]
    assert "".join(delta.text for delta in deltas if isinstance(delta, interactions.TextDelta)) == "Both."
    written = [delta.arguments for delta in deltas if isinstance(delta, interactions.ArgumentsDelta)]
    assert "".join(filter(None, written)) == '{"path":"a.py"}{"path":"b.py"}'
    assert any(isinstance(delta, interactions.ThoughtSignatureDelta) for delta in deltas)
    assert events[-1].interaction.status == "requires_action"


@pytest.mark.anyio
async def test_googles_client_reads_what_the_provider_ran(play: Play) -> None:
    script = """
steps:
- text: Done.
  hosted:
  - {kind: web_search, input: {queries: [tides]}, output: noon}
  - {kind: code_interpreter, input: {code: 1/0}, error: true}
  - {kind: mcp, input: {x: 1}}
  - {kind: file_search, input: {}}
"""
    kinds = ("google_search", "code_execution", "mcp_server", "file_search")
    tools: list[Any] = [{"type": kind} for kind in kinds]
    async with client(await play(script)) as api:
        whole = await api.create(model="m", input=[USER], tools=tools)
        stream = await api.create(model="m", input=[USER], tools=tools, stream=True)
        events = [event async for event in stream]
    told = [step.type for step in whole.steps]
    assert told == [event.step.type for event in events if isinstance(event, interactions.StepStart)]
    assert told[:4] == [
        "google_search_call",
        "google_search_result",
        "code_execution_call",
        "code_execution_result",
    ]
    assert whole.steps[3].is_error is True
