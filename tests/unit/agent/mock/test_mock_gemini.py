"""The Gemini face refuses what the real API refuses, and is read by Google's own client."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, cast

import httpx
import pytest
from google import genai
from google.genai import errors, types

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import PATH, Asked
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.gemini_rules import signature
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.server import Mock

Play = Callable[[str], Awaitable[Mock]]
MODEL = "gemini-3.8-flash"
HEADERS = {PATH: f"/v1/models/{MODEL}:generateContent"}
USER: JsonObject = {"role": "user", "parts": [{"text": "hi"}]}
SAID: JsonObject = {"role": "model", "parts": [{"text": "ok"}]}


def said(role: str, *parts: JsonObject) -> JsonObject:
    return {"role": role, "parts": list(parts)}


def signed(part: JsonObject, model: str = MODEL) -> JsonObject:
    return {**part, "thoughtSignature": signature(model, part)}


def call(call_id: str = "c1", name: str = "read", **args: Json) -> JsonObject:
    return {"functionCall": {"id": call_id, "name": name, "args": args}}


def result(call_id: str = "c1", name: str = "read", **over: Json) -> JsonObject:
    return {"functionResponse": {"id": call_id, "name": name, "response": {"output": "x"}, **over}}


def tool(name: str = "read", **over: Json) -> JsonObject:
    return {"name": name, "parametersJsonSchema": {"type": "object"}, **over}


def body(*contents: JsonObject, **over: Json) -> JsonObject:
    return {"contents": list(contents) or [USER], **over}


def config(**fields: Json) -> JsonObject:
    return body(generationConfig=fields)


def offers(*tools: JsonObject, **calling: Json) -> JsonObject:
    return body(
        tools=[{"functionDeclarations": list(tools)}], toolConfig={"functionCallingConfig": dict(calling)}
    )


def read(ask: Json) -> Asked:
    return Gemini().read(ask, HEADERS)


IMAGE: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
BARE: JsonObject = {"functionResponse": {"name": "a", "response": {}}}
CALLED = (USER, said("model", signed(call())))
ANSWERED = (*CALLED, said("user", result()))

ACCEPTED: dict[str, JsonObject] = {
    "the least": body(),
    "parallel calls, the first one signed": body(
        USER,
        said("model", {"text": "hm", "thought": True}, {"text": "I look"}, signed(call("a")), call("b")),
        said("user", result("a", parts=[IMAGE]), result("b")),
        said("user", {"text": "go on"}, IMAGE),
    ),
    "two steps": body(*ANSWERED, said("model", signed(call("c2"))), said("user", result("c2"))),
    "calls without ids": body(
        USER,
        said("model", signed({"functionCall": {"name": "a"}}), {"functionCall": {"name": "a", "args": {}}}),
        said("user", BARE, BARE),
    ),
    "an unsigned call of an earlier turn": body(
        USER, said("model", call()), said("user", result()), SAID, USER
    ),
    "a placeholder for a signature": body(
        USER,
        said("model", {**call(), "thoughtSignature": "skip_thought_signature_validator"}),
        said("user", result()),
    ),
    "an empty signed text": body(USER, said("model", {"text": "a"}, signed({"text": ""})), USER),
    "code that ran": body(
        USER,
        said(
            "model",
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        ),
        USER,
    ),
    "fields in the other spelling": {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [said("user", {"inline_data": {"mime_type": "image/png", "data": "AA=="}})],
        "tools": [{"function_declarations": [{"name": "a", "parameters_json_schema": {"my_key": 1}}]}],
    },
    "every knob": body(
        systemInstruction={"parts": [{"text": "be brief"}]},
        tools=[{"functionDeclarations": [tool(), tool("b", description="d")]}, {"googleSearch": {}}],
        toolConfig={"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["b"]}},
        generationConfig={
            "temperature": 0,
            "topP": 0.5,
            "topK": 3,
            "seed": 7,
            "maxOutputTokens": 9,
            "stopSequences": ["x"],
            "responseLogprobs": True,
            "logprobs": 0,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingLevel": "XHIGH", "includeThoughts": True},
        },
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        serviceTier="flex",
    ),
}
REFUSED: dict[str, tuple[JsonObject, str]] = {
    "no contents": ({}, "contents"),
    "empty contents": ({"contents": []}, "contents"),
    "a model in the body": (body(model="m"), "model"),
    "unknown knob": (config(minP=0.1), "generationConfig.minP"),
    "unknown role": (body({"role": "system", "parts": [{"text": "x"}]}), "contents[0].role"),
    "no parts": (body(said("user")), "contents[0].parts"),
    "a part of nothing": (body(said("user", {})), "contents[0].parts[0]"),
    "a part of two things": (body(said("user", {"text": "a", **IMAGE})), "contents[0].parts[0]"),
    "a file that is no URI": (
        body(said("user", {"fileData": {"fileUri": "files/a"}})),
        "contents[0].parts[0].fileData.fileUri",
    ),
    "model first": (body(SAID, USER), "contents[0].role"),
    "model last": (body(USER, SAID), "contents[1].role"),
    "the user twice": (body(USER, USER), "contents[1].role"),
    "results twice": (body(*ANSWERED, said("user", result())), "contents[3].role"),
    "arguments as text": (
        body(USER, said("model", {"functionCall": {"name": "a", "args": "{}"}}), USER),
        "contents[1].parts[0].functionCall.args",
    ),
    "a call of the user's": (body(said("user", call())), "contents[0]"),
    "an answer of the model's": (body(USER, said("model", result()), USER), "contents[1]"),
    "unanswered call": (body(*CALLED, USER), "contents[2]"),
    "one of two unanswered": (
        body(USER, said("model", signed(call("a")), call("b")), said("user", result("a"))),
        "contents[2]",
    ),
    "answer of nothing": (body(said("user", result())), "contents[0]"),
    "text beside the results": (body(*CALLED, said("user", result(), {"text": "x"})), "contents[2]"),
    "answer under another id": (
        body(*CALLED, said("user", result("c2"))),
        "contents[2].parts[0].functionResponse.id",
    ),
    "answers in another order": (
        body(
            USER,
            said("model", signed(call("c1", "a")), call("c1", "b")),
            said("user", result("c1", "b"), result("c1", "a")),
        ),
        "contents[2].parts[0].functionResponse.name",
    ),
    "unsigned call": (body(USER, said("model", call()), said("user", result())), "contents[1]"),
    "unsigned second step": (
        body(*ANSWERED, said("model", call("c2")), said("user", result("c2"))),
        "contents[3]",
    ),
    "a signature of another model's": (
        body(USER, said("model", signed(call(), "gemini-2.5-pro")), said("user", result())),
        "contents[1].parts[0]",
    ),
    "arguments that were changed": (
        body(USER, said("model", {**signed(call()), **call(path="b")}), said("user", result())),
        "contents[1].parts[0]",
    ),
    "a signature that was moved": (
        body(USER, said("model", {"text": "a", "thoughtSignature": signature(MODEL, {"text": "b"})}), USER),
        "contents[1].parts[0]",
    ),
    "the same function twice": (offers(tool(), tool()), "tools"),
    "parameters in two dialects": (offers(tool(parameters={"type": "OBJECT"})), "tools"),
    "parameters that are no object": (
        offers(tool(parametersJsonSchema={"type": "string"})),
        "tools[0].functionDeclarations[0].parametersJsonSchema",
    ),
    "a name with a space": (offers(tool("a b")), "tools[0].functionDeclarations[0].name"),
    "a choice in automatic mode": (
        offers(tool(), mode="AUTO", allowedFunctionNames=["read"]),
        "toolConfig.functionCallingConfig.allowedFunctionNames",
    ),
    "a choice that is not offered": (
        offers(tool(), mode="ANY", allowedFunctionNames=["b"]),
        "toolConfig.functionCallingConfig.allowedFunctionNames",
    ),
    "a call that must be, of nothing": (offers(mode="ANY"), "toolConfig.functionCallingConfig.mode"),
    "two ways to think": (
        config(thinkingConfig={"thinkingBudget": 1, "thinkingLevel": "LOW"}),
        "generationConfig.thinkingConfig",
    ),
    "logprobs alone": (config(logprobs=3), "generationConfig.logprobs"),
    "a schema without its type": (
        config(responseJsonSchema={"type": "object"}),
        "generationConfig.responseJsonSchema",
    ),
    "two schemas": (
        config(responseMimeType="application/json", responseJsonSchema={}, responseSchema={}),
        "generationConfig.responseSchema",
    ),
    "six stop sequences": (config(stopSequences=list("abcdef")), "generationConfig.stopSequences"),
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


def test_schemas_of_tools_stay_as_they_are() -> None:
    assert read(ACCEPTED["fields in the other spelling"]).tools[0].schema == {"my_key": 1}


def test_a_choice_among_tools_leaves_the_others_out() -> None:
    asked = read(ACCEPTED["every knob"])
    assert [offered.name for offered in asked.tools] == ["b"]
    assert asked.forced is None
    assert asked.schema == {"type": "object"}


def test_the_newest_result_is_seen_whatever_it_is() -> None:
    for told, seen in (({"output": "x"}, "x"), ({"error": "no"}, "no"), ({"a": 1}, '{"a":1}')):
        answer = result(response=dict(told))
        assert read(body(*CALLED, said("user", answer))).last_result == seen
    assert read(body(*ANSWERED, said("model", {"text": "ok"}), USER)).last_result == "x"


# Google's own client ---------------------------------------------------------------------------------------------

TOOLS = [
    types.Tool(function_declarations=[types.FunctionDeclaration(name="read", parameters_json_schema={})])
]
CONFIG = types.GenerateContentConfig(
    tools=[*TOOLS],
    thinking_config=types.ThinkingConfig(include_thoughts=True),
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
SCRIPT = """
steps:
- {reasoning: "Hm — é.", text: Both., calls: [{name: read, arguments: {path: a.py}}, {name: read, arguments: {path: b.py}}]}
- {reasoning: So., text: "Done, see."}
"""


class Models(Protocol):
    """What is used of the client, without the types that it takes from libraries which are not here."""

    async def generate_content(
        self, *, model: str, contents: object, config: types.GenerateContentConfig | None = None
    ) -> types.GenerateContentResponse: ...

    async def generate_content_stream(
        self, *, model: str, contents: object, config: types.GenerateContentConfig | None = None
    ) -> AsyncIterator[types.GenerateContentResponse]: ...


@asynccontextmanager
async def client(mock: Mock) -> AsyncGenerator[Models]:
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as opened:
        yield cast("Models", opened.models)
    whole.close()


def answers(content: types.Content) -> types.Content:
    made = [part.function_call for part in content.parts or [] if part.function_call]
    return types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(id=each.id, name=each.name, response={"output": "x"})
            )
            for each in made
        ],
    )


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-2.5-pro"])
async def test_googles_client_holds_a_tool_loop(play: Play, model: str) -> None:
    asked = types.Content(role="user", parts=[types.Part(text="go")])
    async with client(await play(SCRIPT)) as models:
        first = await models.generate_content(model=model, contents=[asked], config=CONFIG)
        assert first.candidates is not None
        content = first.candidates[0].content
        assert content is not None
        last = await models.generate_content(
            model=model, contents=[asked, content, answers(content)], config=CONFIG
        )
    said = [(part.text, part.thought) for part in (content.parts or [])[:2]]
    assert said == [("Hm — é.", True), ("Both.", None)]
    assert [each.args for each in first.function_calls or []] == [{"path": "a.py"}, {"path": "b.py"}]
    assert [bool(each.id) for each in first.function_calls or []] == [model.startswith("gemini-3")] * 2
    assert last.text == "Done, see."
    assert last.usage_metadata is not None
    assert last.usage_metadata.thoughts_token_count


@pytest.mark.anyio
async def test_googles_client_holds_a_streamed_tool_loop(play: Play) -> None:
    contents: list[types.Content] = [types.Content(role="user", parts=[types.Part(text="go")])]
    texts = list[str]()
    async with client(await play(SCRIPT)) as models:
        for _ in range(2):
            parts = list[types.Part]()
            stream = await models.generate_content_stream(model=MODEL, contents=[*contents], config=CONFIG)
            async for chunk in stream:
                parts += chunk.parts or []
            content = types.Content(role="model", parts=parts)
            contents += [content, answers(content)]
            texts.append("".join(part.text or "" for part in parts))
    assert texts == ["Hm — é.Both.", "So.Done, see."]


@pytest.mark.anyio
async def test_googles_client_is_told_what_is_wrong(play: Play) -> None:
    async with client(await play("steps: [{text: a, when: {last_result: x}}]")) as models:
        with pytest.raises(errors.ClientError, match="there is no tool result") as caught:
            await models.generate_content(model=MODEL, contents="hi")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


@pytest.mark.anyio
async def test_a_call_whose_arguments_are_no_object_is_malformed(play: Play) -> None:
    mock = await play("""steps: [{text: I look., calls: [{name: read, raw: '{"path": '}]}]""")
    async with client(mock) as models:
        reply = await models.generate_content(model=MODEL, contents="hi")
        stream = await models.generate_content_stream(model=MODEL, contents="hi")
        chunks = [chunk async for chunk in stream]
    assert reply.candidates is not None
    assert reply.candidates[0].finish_reason == types.FinishReason.MALFORMED_FUNCTION_CALL
    assert reply.candidates[0].content is None
    assert all(not chunk.function_calls for chunk in chunks)


@pytest.mark.anyio
async def test_a_key_or_a_token_is_required_and_models_are_listed(play: Play) -> None:
    mock = await play("model: gemini-x\nsteps: [{text: a}]")
    url = f"{mock.url}/v1/models/m:generateContent"
    vertex = f"{mock.url}/vertex/v1/projects/p/locations/global/publishers/google/models/m:generateContent"
    async with httpx.AsyncClient() as http:
        refused = await http.post(url, json=body())
        token = await http.post(vertex, json=body(), headers={"authorization": "Bearer x"})
        listed = await http.get(f"{mock.url}/v1/models", headers={"x-goog-api-key": "k"})
    assert (refused.status_code, refused.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert token.json()["modelVersion"] == "gemini-x"
    assert listed.json()["models"][0]["name"] == "models/gemini-x"


@pytest.mark.anyio
async def test_googles_client_reads_what_the_provider_ran(play: Play) -> None:
    script = """
steps:
- text: Done.
  hosted:
  - {kind: code_interpreter, input: {code: 1/0}, output: ZeroDivisionError, error: true}
  - {kind: web_search, input: {queries: [tides]}}
  - {kind: mcp, input: {}, error: true}
"""
    config = types.GenerateContentConfig(
        tools=[
            types.Tool(code_execution=types.ToolCodeExecution(), google_search=types.GoogleSearch()),
            types.Tool(mcp_servers=[types.McpServer(name="peer")]),
        ]
    )
    async with client(await play(script)) as models:
        reply = await models.generate_content(model=MODEL, contents="hi", config=config)
    code, outcome, search, found, called, failed, text = reply.parts or []
    assert code.executable_code is not None
    assert code.executable_code.code == "1/0"
    assert outcome.code_execution_result is not None
    assert outcome.code_execution_result.outcome == types.Outcome.OUTCOME_FAILED
    assert search.tool_call is not None
    assert search.tool_call.args == {"queries": ["tides"]}
    assert found.tool_response is not None
    assert found.tool_response.response == {"output": "mock"}
    assert called.tool_call is not None
    assert failed.tool_response is not None
    assert failed.tool_response.response == {"error": "mock"}
    assert text.text == "Done."


@pytest.mark.anyio
async def test_without_alt_sse_a_stream_is_a_json_array_and_is_decoded_as_one(play: Play) -> None:
    mock = await play("steps: [{text: one two three}]\n")
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
    path = "/v1/models/gemini-x:streamGenerateContent"
    async with httpx.AsyncClient(base_url=mock.url, headers={"x-goog-api-key": "k"}) as client:
        array = await client.post(path, json=body)
        events = await client.post(path, params={"alt": "sse"}, json=body)
    assert array.headers["content-type"].startswith("application/json")
    framed = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
    texts = [
        ["".join(part["text"] for part in each["candidates"][0]["content"]["parts"]) for each in told]
        for told in (array.json(), framed)
    ]
    assert texts[0] == texts[1]
    assert "".join(texts[0]) == "one two three"


@pytest.mark.anyio
async def test_an_array_that_is_cut_off_is_not_closed(play: Play) -> None:
    mock = await play("steps: [{text: one two three, faults: [{cut: 300}]}]\n")
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
    async with (
        httpx.AsyncClient(base_url=mock.url, headers={"x-goog-api-key": "k"}) as client,
        client.stream("POST", "/v1/models/gemini-x:streamGenerateContent", json=body) as reply,
    ):
        chunks = reply.aiter_bytes()
        received = await anext(chunks)
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)
    assert received.startswith(b"[{")
    assert not received.rstrip().endswith(b"]")
