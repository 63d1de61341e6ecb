"""What the Responses wire does beyond what every wire does, with OpenAI's own SDK as the judge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import anyio
import pytest
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import ConfigDict, TypeAdapter
from wires import responses_rows
from wires.cases import CASES, HELLO, IMAGE, PATCH, READ, asks, call, calls, reply, result, results
from wires.responses_rows import says, text, thinks, wants, whole

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    Message,
    RefusalPart,
    TextPart,
    UserMessage,
    notice,
    user,
)
from treadle.agent.mock.responses import Responses as Face
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Breakpoint,
    Busy,
    Caching,
    ContentBlocked,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Output,
    ProviderError,
    Renderings,
    StreamCutShort,
    Undecodable,
)
from treadle.agent.providers.sse import SseParser
from treadle.agent.providers.transport import Address, Transport
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.tools.contract import FileRef, Hosted, Inline, JsonObject, Media, Text, ToolCall, ToolResult, Url

WIRE: Final = OpenAIResponses()
PLAIN: Final = responses_rows.MODELS["responses"]
GPT: Final = responses_rows.MODELS["responses.gpt_6"]
HOST: Final = responses_rows.MODELS["responses.host"]
# A list, because only its config reaches the types within.
JUDGE: Final = TypeAdapter[Any](list[ResponseCreateParamsStreaming], config=ConfigDict(extra="forbid"))
EVENTS: Final = TypeAdapter[Any](ResponseStreamEvent)
RECORDED: Final = Path(__file__).parent / "transcripts" / "responses.gpt_6"
STRANGE: Final = {"unknown_events", "context_overflow", "error_nested_then_failed"}
# What no type of OpenAI's knows.
UNKNOWN: Final = {"cited", "unknown_item", "plain_reasoning"}
WHOLE: Final = [
    (name, key) for name, replies in responses_rows.REPLIES.items() for key in replies if key not in UNKNOWN
]


def http(request: ModelRequest, model: ModelInfo = GPT, *, stream: bool = True) -> HttpCall:
    return WIRE.encode(request, model, Renderings(), stream=stream)


def body(request: ModelRequest, model: ModelInfo = GPT) -> JsonObject:
    return json.loads(http(request, model).body)


def items(*messages: Message, model: ModelInfo = GPT) -> list[JsonObject]:
    return body(asks(*messages, tools=(), system=()), model)["input"]


def back(name: str, key: str) -> tuple[Message, ...]:
    """A reply as it goes back, with what must stand around it."""
    message = WIRE.decode(responses_rows.REPLIES[name][key], responses_rows.MODELS[name])
    answers = tuple(ToolResult(call_id=each.id, content=(Text(text="ok"),)) for each in message.calls)
    return (HELLO, message, *([results(*answers)] if answers else []), HELLO)


def judged(sent: JsonObject) -> JsonObject:
    """The request as OpenAI's own types read it. Raises when they do not know a field."""
    return exhausted(JUDGE.validate_python([sent]))[0]


def exhausted(value: Any) -> Any:
    """Read the lazy iterables of validated types, so that what stands in them is validated too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in cast("JsonObject", value).items()}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return [exhausted(item) for item in value]


# What is sent: judged by the SDK's types and by the mock ---------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", responses_rows.MODELS)
def test_openais_own_types_take_every_body_and_know_its_every_field(name: str, case: str) -> None:
    sent = body(CASES[case], responses_rows.MODELS[name])
    assert judged(sent) == sent


@pytest.mark.parametrize(("name", "key"), WHOLE)
def test_openais_own_types_take_every_reply_that_goes_back(name: str, key: str) -> None:
    sent = body(asks(*back(name, key)), responses_rows.MODELS[name])
    assert judged(sent) == sent


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", responses_rows.MODELS)
def test_the_mock_provider_takes_every_request(name: str, case: str) -> None:
    sent = http(CASES[case], responses_rows.MODELS[name])
    assert Face().read(json.loads(sent.body), {}).stream


@pytest.mark.parametrize(("name", "key"), WHOLE)
def test_the_mock_provider_takes_every_reply_that_goes_back(name: str, key: str) -> None:
    Face().read(body(asks(*back(name, key)), responses_rows.MODELS[name]), {})


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_asked_to_be_kept(case: str) -> None:
    sent = body(CASES[case])
    assert (sent["store"], sent["include"][0]) == (False, "reasoning.encrypted_content")
    assert not {"previous_response_id", "conversation", "instructions"} & sent.keys()


def test_a_reply_goes_home_with_the_bytes_of_its_items_in_their_order() -> None:
    _, message, *_ = back("responses.gpt_6", "hosted")
    assert isinstance(message, AssistantMessage)
    given = responses_rows.REPLIES["responses.gpt_6"]["hosted"]["output"]
    sent = http(asks(HELLO, message, HELLO, system=(), tools=())).segments[1:-1]
    assert [segment.decode() for segment in sent] == [part.raw for part in message.parts if part.raw]
    for item in given[-1]["content"]:
        del item["logprobs"]
    assert [json.loads(segment) for segment in sent] == given


@pytest.mark.parametrize("away", [{"vendor": "azure"}, {"endpoint": "e2"}, {"id": "gpt-6-luna"}])
def test_reasoning_does_not_go_to_another_vendor_endpoint_or_model(away: dict[str, str]) -> None:
    sent = http(asks(*back("responses.gpt_6", "reasoning")), replace(GPT, **away))
    kinds = [(item["type"], item.get("phase")) for item in json.loads(sent.body)["input"][2:6]]
    assert kinds == [
        ("message", "commentary"),
        ("function_call", None),
        ("custom_tool_call", None),
        ("function_call_output", None),
    ]
    assert [note.code for note in sent.warnings] == ["reasoning_dropped"]


def test_a_phase_is_not_told_to_a_model_that_does_not_know_it() -> None:
    older = responses_rows.MODELS["responses.gpt_5_1"]
    (message,) = items(reply(TextPart(text="Hm.", phase="commentary")), model=older)
    assert message == {"type": "message", "role": "assistant", "content": "Hm."}


def test_texts_of_one_phase_are_one_message_and_others_are_others() -> None:
    parts = (
        TextPart(text="Let me", phase="commentary"),
        TextPart(text=" look.", phase="commentary"),
        TextPart(text="", phase="final_answer"),
        TextPart(text="Done.", phase="final_answer"),
        RefusalPart(text="No."),
    )
    assert [(item["content"], item.get("phase")) for item in items(reply(*parts))] == [
        ("Let me look.", "commentary"),
        ("Done.", "final_answer"),
        ("No.", None),
    ]


def test_a_notice_speaks_as_the_system_does_unless_it_shows_something() -> None:
    shown = UserMessage(content=(Text(text="See:"), IMAGE), author="runtime")
    roles = [item["role"] for item in items(HELLO, notice("Mode is now plan."), shown)]
    assert roles == ["user", "developer", "user"]
    assert [item["role"] for item in items(notice("Hm."), model=HOST)] == ["system"]


def test_names_that_the_api_refuses_are_mended_even_in_the_models_own_words() -> None:
    parts = (call("c1", "functions.read"), call("c2", "x" * 200), call("c3", ""))
    assert [item["name"] for item in items(calls(*parts))] == ["functions_read", "x" * 64, "unknown"]
    message = WIRE.decode(responses_rows.REPLIES["responses"]["undeclared"], PLAIN)
    assert message.calls[0].name == "multi_tool_use.parallel"
    assert items(message, model=PLAIN)[0]["name"] == "multi_tool_use_parallel"


def test_the_result_of_a_freeform_call_is_of_its_kind_where_the_model_knows_the_kind() -> None:
    made = CallPart(call=ToolCall(id="c1", name="patch", arguments="*** x", input="text"))
    turn = (calls(made), results(result("c1", Text(text="ok"))))
    assert [item["type"] for item in items(*turn)] == ["custom_tool_call", "custom_tool_call_output"]
    assert [item["type"] for item in items(*turn, model=PLAIN)] == ["function_call", "function_call_output"]
    assert body(asks(HELLO, tools=(PATCH,)), PLAIN)["tools"][0]["parameters"]["required"] == ["input"]


def test_media_are_sent_as_the_api_takes_them_or_leave_a_placeholder() -> None:
    shown = {
        "file": Media(kind="image", mime="image/png", source=FileRef(vendor="openai", id="file_1")),
        "paper": Media(kind="document", mime="application/pdf", source=Url(url="https://example.org/a.pdf")),
        "kept": Media(kind="document", mime="application/pdf", source=FileRef(vendor="openai", id="file_2")),
        "unnamed": Media(kind="document", mime="text/csv", source=Inline(data="YSxi")),
        "theirs": Media(kind="image", mime="image/png", source=FileRef(vendor="anthropic", id="file_3")),
        "lost": Media(kind="document", mime="text/csv", source=FileRef(vendor="anthropic", id="file_4")),
        "sound": Media(kind="audio", mime="audio/wav", source=Inline(data="UklGRg==")),
    }
    request = asks(UserMessage(content=tuple(shown.values())))
    sent = dict(zip(shown, body(request)["input"][1]["content"], strict=True))
    assert sent["file"] == {"type": "input_image", "file_id": "file_1", "detail": "auto"}
    assert sent["paper"] == {"type": "input_file", "file_url": "https://example.org/a.pdf"}
    assert sent["kept"] == {"type": "input_file", "file_id": "file_2"}
    assert sent["unnamed"] == {
        "type": "input_file",
        "filename": "document",
        "file_data": "data:text/csv;base64,YSxi",
    }
    assert [sent[key]["type"] for key in ("theirs", "lost", "sound")] == ["input_text"] * 3
    assert [note.field for note in http(request).warnings] == ["image", "document", "audio"]


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no message"):
        http(asks(reply(), tools=(), system=()))


# Tools and knobs -------------------------------------------------------------------------------------------------


def test_hosted_tools_are_sent_with_what_makes_their_calls_whole() -> None:
    tools = (
        Hosted(kind="web_search", config={"search_context_size": "low"}),
        Hosted(kind="code_interpreter"),
        Hosted(kind="file_search", config={"vector_store_ids": ["vs_1"]}),
        Hosted(kind="image_generation"),
        Hosted(kind="mcp", config={"server_label": "docs", "server_url": "https://example.org"}),
        Hosted(kind="tool_search", config={"deferred": ["read"]}),
        READ,
    )
    sent = body(replace(asks(HELLO, tools=tools), tool_choice=("web_search", "mcp", "read")))
    assert judged(sent) == sent
    assert sent["tools"][1] == {"type": "code_interpreter", "container": {"type": "auto"}}
    assert sent["tools"][5] == {"type": "tool_search"}
    assert sent["tools"][6]["defer_loading"] is True
    assert sent["tool_choice"]["tools"] == [
        {"type": "web_search"},
        {"type": "mcp", "server_label": "docs"},
        {"type": "function", "name": "read"},
    ]
    assert sent["include"] == [
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        "file_search_call.results",
    ]


@pytest.mark.parametrize(
    ("tool", "model"),
    [
        (Hosted(kind="computer_use"), PLAIN),
        (Hosted(kind="tool_search", config={"execution": "client"}), GPT),
        (Hosted(kind="tool_search"), responses_rows.MODELS["responses.azure"]),
        (Hosted(kind="code_interpreter"), PLAIN),
    ],
)
def test_a_tool_that_the_provider_does_not_run_is_refused_before_any_request(
    tool: Hosted, model: ModelInfo
) -> None:
    with pytest.raises(InvalidRequest, match=tool.kind):
        http(asks(HELLO, tools=(tool,)), model)


def test_a_function_is_strict_only_where_its_schema_can_be() -> None:
    loose = READ.model_copy(update={"parameters": {"type": "object", "properties": {"a": {}}}})
    sent = [body(asks(HELLO, tools=(tool,)))["tools"][0]["strict"] for tool in (READ, loose)]
    assert sent == [True, False]
    assert body(asks(HELLO), PLAIN)["tools"][0]["strict"] is False


def test_a_choice_of_tools_that_are_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="write"):
        http(replace(asks(HELLO), tool_choice=("read", "write")))


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    request = replace(asks(HELLO, tools=()), tool_choice="required", parallel=True)
    assert not {"tool_choice", "parallel_tool_calls"} & body(request).keys()


def test_a_summary_of_reasoning_is_asked_for_where_a_model_reasons() -> None:
    request = replace(asks(HELLO), output=Output(reasoning_summary=True))
    assert body(request)["reasoning"] == {"summary": "auto"}
    assert "reasoning" not in body(request, PLAIN)


def marked(request: ModelRequest, *points: Breakpoint) -> tuple[list[int], list[str]]:
    """The items that hold a marker, and what is said of those that could not be set."""
    sent = http(replace(request, caching=Caching(breakpoints=points)))
    holding = [
        index
        for index, item in enumerate(json.loads(sent.body)["input"])
        if "prompt_cache_breakpoint" in json.dumps(item)
    ]
    return holding, [note.detail for note in sent.warnings]


def test_a_marker_that_has_no_place_is_left_out_with_a_word() -> None:
    request = asks(UserMessage(content=()), HELLO, reply(TextPart(text="Hi.")), user("So?"))
    points = [Breakpoint(after="message", message=index) for index in (0, 1, 2, 9, -1)]
    assert marked(request, *points, Breakpoint(after="system")) == (
        [0, 2],
        [
            "gpt-6-sol does not take breakpoint after message 0",
            "gpt-6-sol does not take breakpoint after message 2",
            "gpt-6-sol does not take breakpoint after message 9",
        ],
    )
    assert marked(asks(HELLO, system=()), Breakpoint(after="system"))[0] == []


# What comes back -------------------------------------------------------------------------------------------------


# Responses repeat their request, which no transcript does; the others are there to be unknown.
UNJUDGED: Final = {
    f"response.{kind}" for kind in ("created", "in_progress", "completed", "incomplete", "failed")
}


@pytest.mark.parametrize("name", sorted({path.stem for path in RECORDED.glob("*.sse")} - STRANGE))
def test_openais_own_types_know_the_events_that_our_streams_hold(name: str) -> None:
    for kind, data in SseParser().feed((RECORDED / f"{name}.sse").read_bytes()):
        if kind not in UNJUDGED:
            EVENTS.validate_json(data)


def test_a_reply_that_failed_or_is_not_there_yet_is_an_error() -> None:
    wrong: list[tuple[JsonObject, type[ProviderError]]] = [
        (whole(status="failed", error={"code": "bio_policy", "message": "m"}), ContentBlocked),
        (whole(status="failed"), Busy),
        ({"error": {"message": "m", "code": "server_error"}}, Busy),
        (whole(status="queued"), StreamCutShort),
        ({"object": "response"}, Undecodable),
    ]
    for given, kind in wrong:
        with pytest.raises(kind):
            WIRE.decode(given, GPT)


def test_a_call_that_was_cut_is_not_there_to_be_run() -> None:
    cut = responses_rows.REPLIES["responses.gpt_6"]["cut_in_a_call"]
    message = WIRE.decode(cut, GPT)
    assert ([each.id for each in message.calls], message.stop) == (["call_abc123"], "length")
    assert [(note.code, note.field) for note in message.warnings] == [("call_dropped", "read")]


def test_reasoning_that_leads_to_nothing_any_more_is_not_sent() -> None:
    half = wants("call_abc123", arguments='{"pa', status="incomplete")
    cut = whole(thinks("rs_1"), half, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    sent = http(asks(HELLO, WIRE.decode(cut, GPT), HELLO, system=(), tools=()))
    assert [item["type"] for item in json.loads(sent.body)["input"]] == ["message", "message"]
    assert [note.code for note in sent.warnings] == ["reasoning_dropped"]


def test_halves_of_characters_and_nul_do_not_come_in() -> None:
    message = WIRE.decode(whole(says(text("a\ud800b\x00"))), GPT)
    assert message.text == "a\ufffdb\ufffd"
    assert AssistantMessage.model_validate_json(message.model_dump_json()) == message


# Against the mock provider, over HTTP ----------------------------------------------------------------------------

SCRIPT: Final = """
steps:
  - {reasoning: Think., text: Working., calls: [{read: {path: a.py}}, {patch: {input: "*** x"}}]}
  - {text: Half, finish: length}
  - {reasoning: So., text: Done.}
"""


async def talked(client: Client) -> list[AssistantMessage]:
    """The replies of a conversation in which every call is answered."""
    messages: list[Message] = [HELLO]
    replies: list[AssistantMessage] = []
    for _ in range(3):
        asked = replace(asks(*messages, tools=(READ, PATCH)), output=Output(reasoning_summary=True))
        async with client.stream(asked) as stream:
            async for _deltas in stream:
                pass
        replies.append(stream.message)
        answers = [result(each.id, Text(text="ok")) for each in stream.message.calls]
        messages += [stream.message, *([results(*answers)] if answers else []), HELLO]
    return replies


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_conversation_with_the_mock_provider(streamed: bool) -> None:
    model = replace(GPT, dialect={**GPT.dialect, "stream": streamed})
    with anyio.fail_after(5):
        async with serve(parse(SCRIPT)) as mock:
            client = Client(WIRE, model, Transport(Address(f"{mock.url}/v1", {"authorization": "Bearer k"})))
            first, second, third = await talked(client)
            await client.aclose()
    assert [each.name for each in first.calls] == ["read", "patch"]
    assert (first.stop, first.text, first.calls[1].input) == ("tool_use", "Working.", "text")
    assert (second.stop, second.text) == ("length", "Half")
    assert (third.stop, third.text, third.usage.output > 0) == ("end", "Done.", True)
    sent = [item["type"] for item in cast("Any", mock.requests[2].json)["input"]]
    assert sent[2:7] == ["reasoning", "message", "function_call", "custom_tool_call", "function_call_output"]
