"""The Responses face refuses what the real API refuses, and is read by OpenAI's own client."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable

import httpx
import openai
import pytest
from openai.types.responses import FunctionToolParam

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.responses_items import seal, unseal
from treadle.agent.mock.server import Mock

USER: JsonObject = {"role": "user", "content": "hi"}
THOUGHT: JsonObject = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal("hm")}
CLOSED: JsonObject = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def call(call_id: str = "c1", **over: Json) -> JsonObject:
    return {"type": "function_call", "call_id": call_id, "name": "read", "arguments": "{}", **over}


def result(call_id: str = "c1", **over: Json) -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok", **over}


def answer(text: str = "ok", **over: Json) -> JsonObject:
    part: JsonObject = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part], **over}


def tool(name: str = "read", **over: Json) -> JsonObject:
    return {"type": "function", "name": name, "parameters": {"type": "object"}, "strict": False, **over}


def body(*items: JsonObject, **over: Json) -> JsonObject:
    return {"model": "m", "input": list(items) or "hi", "store": False, **over}


def read(ask: Json) -> Asked:
    return Responses().read(ask, {})


IMAGE: JsonObject = {"type": "input_image", "image_url": "https://x/y.png", "detail": "high"}

ACCEPTED: dict[str, JsonObject] = {
    "the least": {"model": "m", "input": "hi"},
    "every item": body(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, IMAGE]},
        THOUGHT,
        answer(id="msg_1", status="completed", phase="commentary"),
        call("a", id="fc_1", status="completed"),
        call("b"),
        result("b", output=[{"type": "input_text", "text": "x"}, IMAGE]),
        result("a"),
        THOUGHT,
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*", "id": "ctc_1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": ""},
        {"role": "assistant", "content": "done"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        USER,
    ),
    "what codex sends beside": body(
        USER, {**THOUGHT, "content": None}, answer(), USER, client_metadata={"session_id": "s"}, store=False
    ),
    "every knob": body(
        tools=[
            tool(description=None),
            tool("b", strict=True, parameters=CLOSED),
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
            },
            {"type": "web_search"},
        ],
        tool_choice={
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "b"}],
        },
        parallel_tool_calls=True,
        instructions="be kind",
        include=["reasoning.encrypted_content"],
        reasoning={"effort": "max", "summary": "auto", "context": "all_turns"},
        text={
            "format": {"type": "json_schema", "name": "n", "schema": CLOSED, "strict": True},
            "verbosity": "low",
        },
        max_output_tokens=16,
        temperature=0,
        top_p=0.5,
        truncation="disabled",
        prompt_cache_key="k",
        prompt_cache_options={"mode": "implicit", "ttl": "12h"},
        metadata={"a": "b"},
        service_tier="ultrafast",
        stream=True,
        stream_options={"include_obfuscation": False},
    ),
}
REFUSED: dict[str, tuple[JsonObject, str]] = {
    "no model": ({"input": "hi"}, "model"),
    "no input": ({"model": "m"}, "input"),
    "empty input": ({"model": "m", "input": []}, "input"),
    "empty text": ({"model": "m", "input": ""}, "input"),
    "messages of Chat": (body(messages=[]), "messages"),
    "stop": (body(stop=["x"]), "stop"),
    "seed": (body(seed=1), "seed"),
    "unknown item": (body({"type": "tool_result"}), "input[0].type"),
    "unknown role": (body({"role": "tool", "content": "x"}), "input[0].role"),
    "part of Chat": (
        body({"role": "user", "content": [{"type": "text", "text": "a"}]}),
        "input[0].content[0].type",
    ),
    "output part from the user": (
        body({"role": "user", "content": [{"type": "output_text", "text": "a"}]}),
        "input[0].content[0].type",
    ),
    "input part from the assistant": (
        body({"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}),
        "input[0].content[0].type",
    ),
    "image without a place": (
        body({"role": "user", "content": [{"type": "input_image", "detail": "low"}]}),
        "input[0].content[0]",
    ),
    "id of a call on a message": (body(answer(id="fc_1")), "input[0].id"),
    "id of its call on a call": (body(call(id="call_1"), result()), "input[0].id"),
    "call without arguments": (
        body({"type": "function_call", "call_id": "a", "name": "b"}),
        "input[0].arguments",
    ),
    "arguments as an object": (body(call(arguments={}), result()), "input[0].arguments"),
    "call name with a dot": (body(call(name="a.b"), result()), "input[0].name"),
    "no output": (body(call(), USER), "input[0]"),
    "output of nothing": (body(result()), "input[0].call_id"),
    "output before its call": (body(result(), call()), "input[0].call_id"),
    "output twice": (body(call(), result(), result()), "input[2].call_id"),
    "output of the other kind": (body(call(), result(type="custom_tool_call_output")), "input[1].call_id"),
    "call id twice": (body(call(), result(), call(), result()), "input[2].call_id"),
    "reasoning without a summary": (
        body({"type": "reasoning", "encrypted_content": seal("")}),
        "input[0].summary",
    ),
    "reasoning that is changed": (
        body({**THOUGHT, "encrypted_content": seal("hm")[:-4] + "AAAA"}, call(), result()),
        "input[0].encrypted_content",
    ),
    "reasoning of another provider": (
        body({**THOUGHT, "encrypted_content": "gAAAA"}, call(), result()),
        "input[0].encrypted_content",
    ),
    "reasoning before the user": (body(THOUGHT, USER), "input[0]"),
    "reasoning at the end": (body(USER, THOUGHT), "input[1]"),
    "tool in the shape of Chat": (
        body(tools=[{"type": "function", "function": {"name": "a"}}]),
        "tools[0].name",
    ),
    "tool without strict": (
        body(tools=[{"type": "function", "name": "a", "parameters": None}]),
        "tools[0].strict",
    ),
    "strict and open": (body(tools=[tool(strict=True)]), "tools[0].parameters"),
    "unknown tool type": (body(tools=[{"type": "bash"}]), "tools[0].type"),
    "tools of one name": (body(tools=[tool(), tool()]), "tools[1].name"),
    "choice of an unknown tool": (
        body(tools=[tool()], tool_choice={"type": "function", "name": "x"}),
        "tool_choice",
    ),
    "choice in the shape of Chat": (
        body(tools=[tool()], tool_choice={"type": "function", "function": {"name": "read"}}),
        "tool_choice.name",
    ),
    "required without tools": (body(tool_choice="required"), "tool_choice"),
    "format without a name": (
        body(text={"format": {"type": "json_schema", "schema": {}}}),
        "text.format.name",
    ),
    "format that is open": (
        body(
            text={
                "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
            }
        ),
        "text.format.schema",
    ),
    "a limit of 15": (body(max_output_tokens=15), "max_output_tokens"),
    "unknown include": (body(include=["everything"]), "include[0]"),
    "unknown effort": (body(reasoning={"effort": "ultra"}), "reasoning.effort"),
    "stream options without a stream": (body(stream_options={}), "stream_options"),
    "background": (body(background=True, store=False), "background"),
    "a previous response and a conversation": (
        body(previous_response_id="resp_1", conversation="c"),
        "previous_response_id",
    ),
}


@pytest.mark.parametrize("ask", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_valid_responses_request_is_taken_as_it_is(ask: JsonObject) -> None:
    assert read(copy.deepcopy(ask)).body == ask


@pytest.mark.parametrize(("ask", "param"), REFUSED.values(), ids=REFUSED.keys())
def test_a_responses_request_that_the_api_refuses_is_refused_with_the_path(
    ask: JsonObject, param: str
) -> None:
    with pytest.raises(Refused) as caught:
        read(ask)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "ask",
    [
        body({"type": "item_reference", "id": "msg_1"}),
        body({"type": "reasoning", "id": "rs_1", "summary": []}, call(), result()),
    ],
    ids=["a reference", "reasoning without its content"],
)
def test_what_a_stateless_request_refers_to_is_not_found(ask: JsonObject) -> None:
    with pytest.raises(Refused) as caught:
        read(ask)
    assert caught.value.status == 404


def test_steps_are_runs_of_what_the_model_made() -> None:
    asked = read(
        body(USER, THOUGHT, call("a"), call("b"), result("a"), result("b", output="2"), answer(), USER)
    )
    assert (asked.replies, asked.last_result, asked.wants_call) == (2, "2", False)


@pytest.mark.parametrize("thought", ["", "hm", "日本 \ud800"])
def test_sealed_reasoning_opens_to_what_it_was(thought: str) -> None:
    assert unseal(seal(thought)) == thought


anyio = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
SCRIPT = """
model: demo-1
steps:
  - reasoning: "The test fails."
    text: "Reading, 日本語."
    calls: [{read: {path: a.py}}, {name: patch, raw: "*** Begin"}]
  - {text: "Done, it seems.", when: {last_result: FAILED}}
  - {text: "cut", finish: length}
"""
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "read",
    "strict": False,
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def client(mock: Mock) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="x", max_retries=0)


@anyio
async def test_openais_client_gathers_a_stream_to_the_whole_response(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        whole = await sdk.responses.create(
            model="m",
            input="go",
            tools=[TOOL, {"type": "custom", "name": "patch"}],
            reasoning={"summary": "auto"},
            include=["reasoning.encrypted_content"],
        )
        async with sdk.responses.stream(
            model="m",
            input="go",
            tools=[TOOL, {"type": "custom", "name": "patch"}],
            reasoning={"summary": "auto"},
            include=["reasoning.encrypted_content"],
        ) as stream:
            events = [event async for event in stream]
            gathered = await stream.get_final_response()
    assert [item.type for item in whole.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
    ]
    assert (whole.model, whole.status, whole.output_text) == ("demo-1", "completed", "Reading, 日本語.")
    assert [event.sequence_number for event in events] == list(range(len(events)))

    def plain(item: openai.BaseModel) -> dict[str, object]:
        ours = {
            "type",
            "call_id",
            "status",
            "name",
            "arguments",
            "input",
            "summary",
            "encrypted_content",
            "phase",
        }
        return item.model_dump(include=ours, warnings=False)

    assert gathered.output_text == whole.output_text
    assert [plain(item) for item in gathered.output] == [plain(item) for item in whole.output]


@anyio
async def test_deltas_add_up_to_what_is_then_said_to_be_done(play: Play) -> None:
    async with client(await play(SCRIPT)) as sdk:
        stream = await sdk.responses.create(
            model="m",
            input="go",
            stream=True,
            tools=[{"type": "custom", "name": "patch"}],
            reasoning={"summary": "auto"},
        )
        said: dict[str, str] = {}
        done: dict[str, str] = {}
        async for event in stream:
            match event.type:
                case (
                    "response.output_text.delta"
                    | "response.reasoning_summary_text.delta"
                    | "response.function_call_arguments.delta"
                    | "response.custom_tool_call_input.delta"
                ):
                    said[event.item_id] = said.get(event.item_id, "") + event.delta
                case "response.output_text.done" | "response.reasoning_summary_text.done":
                    done[event.item_id] = event.text
                case "response.function_call_arguments.done":
                    done[event.item_id] = event.arguments
                case "response.custom_tool_call_input.done":
                    done[event.item_id] = event.input
                case _:
                    pass
    assert len(done) == 4
    assert said == done


@anyio
async def test_a_response_sent_back_whole_gets_the_next_step(play: Play) -> None:
    mock = await play(SCRIPT)
    async with httpx.AsyncClient(headers={"authorization": "Bearer x"}) as http:

        async def ask(*items: JsonObject) -> JsonObject:
            sent = body(USER, *items, include=["reasoning.encrypted_content"])
            return (await http.post(f"{mock.url}/v1/responses", json=sent)).json()

        first = [dict(members(item)) for item in elements((await ask())["output"])]
        outputs = [result(words(item["call_id"]), output="1 FAILED") for item in first if "call_id" in item]
        second = [dict(members(item)) for item in elements((await ask(*first, *outputs))["output"])]
        third = await ask(*first, *outputs, *second, USER)
    assert [item["type"] for item in first] == ["reasoning", "message", "function_call", "function_call"]
    assert [item["type"] for item in second] == ["message"]
    assert (third["status"], third["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@anyio
async def test_openais_client_raises_the_errors_of_responses(play: Play) -> None:
    mock = await play(
        "steps: [{text: a, faults: [{status: 429}, {stream_error: {message: busy, code: rate_limit_exceeded}}]}]"
    )
    async with client(mock) as sdk:
        with pytest.raises(openai.RateLimitError):
            await sdk.responses.create(model="m", input="go")
        stream = await sdk.responses.create(model="m", input="go", stream=True)
        (event,) = [event async for event in stream]
        assert event.type == "error"
        assert (event.message, event.code) == ("busy", "rate_limit_exceeded")
        with pytest.raises(openai.BadRequestError) as caught:
            await sdk.responses.create(model="m", input="go", previous_response_id="resp_1")
    assert caught.value.code == "previous_response_not_found"


@anyio
async def test_without_a_script_openais_client_gets_one_call_and_then_an_end(play: Play) -> None:
    async with client(await play("")) as sdk:
        first = await sdk.responses.create(model="m", input="go", tools=[TOOL])
        (item,) = first.output
        assert item.type == "function_call"
        assert (item.name, item.arguments) == ("read", '{"path": "mock"}')
        then = await sdk.responses.create(
            model="m",
            input=[
                {"role": "user", "content": "go"},
                {
                    "type": "function_call",
                    "call_id": item.call_id,
                    "name": item.name,
                    "arguments": item.arguments,
                },
                {"type": "function_call_output", "call_id": item.call_id, "output": "x"},
            ],
            tools=[TOOL],
        )
    assert then.output_text == "Done."
