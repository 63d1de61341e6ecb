"""What Gemini's wire does beyond what every wire does, with google-genai's types as the judge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from google.genai import types
from wires import gemini_rows
from wires.cases import CASES, HELLO, IMAGE, PATCH, PDF, READ, asks, call, calls, reply, result, results
from wires.rows import WIRES
from wires.test_requests import answered

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
    HostedCallPart,
    MediaPart,
    Message,
    Origin,
    TextPart,
    ToolMessage,
    UserMessage,
)
from treadle.agent.providers.contract import (
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Output,
    Renderings,
    StreamCutShort,
    Undecodable,
)
from treadle.agent.providers.sse import SseParser
from treadle.agent.providers.wires.gemini import Gemini
from treadle.agent.settings import Sampling
from treadle.tools.contract import Blob, FileRef, Function, Hosted, Inline, JsonObject, Media, Text, ToolCall

WIRE: Final = Gemini()
PLAIN: Final = gemini_rows.MODELS["gemini"]
FLASH: Final = gemini_rows.MODELS["gemini.flash"]
OLDER: Final = gemini_rows.MODELS["gemini.pro_2_5"]
HOST: Final = gemini_rows.MODELS["gemini.host"]
ROWS: Final = [name for name in WIRES if name.split(".")[0] == "gemini"]
WHOLE: Final = [(name, key) for name, replies in gemini_rows.REPLIES.items() for key in replies]
TRANSCRIPTS: Final = Path(__file__).parent / "transcripts"


def http(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> HttpCall:
    return WIRE.encode(request, model, Renderings(), stream=stream)


def body(request: ModelRequest, model: ModelInfo = PLAIN) -> JsonObject:
    return json.loads(http(request, model).body)


def said(*messages: Message, model: ModelInfo = PLAIN) -> list[JsonObject]:
    return body(asks(*messages, tools=(), system=()), model)["contents"]


def other(**dialect: Any) -> ModelInfo:
    return replace(PLAIN, dialect=dialect)


def noted(request: ModelRequest, model: ModelInfo = PLAIN) -> list[str]:
    return [note.code for note in http(request, model).warnings]


def whole(name: str, key: str) -> AssistantMessage:
    return WIRE.decode(gemini_rows.REPLIES[name][key], gemini_rows.MODELS[name])


# What is sent: judged by the SDK's types -------------------------------------------------------------------------


def judged(sent: JsonObject) -> JsonObject:
    """The body as the SDK's types read it, and write it again."""
    flat = {key: value for key, value in sent.items() if key not in {"contents", "generationConfig"}}
    config = types.GenerateContentConfig.model_validate_json(
        json.dumps({**flat, **sent.get("generationConfig", {})})
    )
    contents = [types.Content.model_validate_json(json.dumps(content)) for content in sent["contents"]]
    said = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    top = {key: said.pop(key) for key in flat}
    return {
        **top,
        "contents": [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in contents],
        **({"generationConfig": said} if said else {}),
    }


def alike(value: JsonObject) -> JsonObject:
    """A body in which both alphabets of base64 and both cases of enumerations are one."""
    return json.loads(json.dumps(value).replace("+", "-").replace("/", "_").lower())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ROWS)
def test_googles_own_types_take_every_body_and_know_its_every_field(name: str, case: str) -> None:
    sent = body(CASES[case], gemini_rows.MODELS[name])
    assert alike(judged(sent)) == alike(sent)


@pytest.mark.parametrize(("name", "key"), [pair for pair in WHOLE if pair[1] != "unknown_fields"])
def test_googles_own_types_take_every_reply_that_goes_back(name: str, key: str) -> None:
    message = whole(name, key)
    sent = body(asks(HELLO, message, *answered(message), HELLO), gemini_rows.MODELS[name])
    assert alike(judged(sent)) == alike(sent)


def test_googles_own_types_take_all_that_hosted_tools_are_sent_as() -> None:
    tools = (
        READ,
        Hosted(kind="web_search", config={"url_context": True}),
        Hosted(kind="code_interpreter"),
        Hosted(kind="file_search", config={"fileSearchStoreNames": ["fileSearchStores/a"]}),
        Hosted(kind="computer_use", config={"environment": "ENVIRONMENT_BROWSER"}),
        Hosted(
            kind="mcp", config={"name": "peer", "streamableHttpTransport": {"url": "https://example.org"}}
        ),
    )
    sent = body(asks(HELLO, tools=tools), FLASH)
    assert [next(iter(tool)) for tool in sent["tools"]] == [
        "functionDeclarations",
        "googleSearch",
        "urlContext",
        "codeExecution",
        "fileSearch",
        "computerUse",
        "mcpServers",
    ]
    assert sent["toolConfig"] == {
        "includeServerSideToolInvocations": True,
        "functionCallingConfig": {"mode": "VALIDATED"},
    }
    assert alike(judged(sent)) == alike(sent)


def test_an_mcp_server_is_named_in_our_words_too() -> None:
    told = {"name": "peer", "url": "https://example.org", "token_env": "PEER"}
    sent = body(asks(HELLO, tools=(Hosted(kind="mcp", config=told),)), FLASH)
    headers = {"Authorization": "Bearer ${PEER}"}
    transport = {"url": "https://example.org", "headers": headers}
    assert sent["tools"] == [{"mcpServers": [{"name": "peer", "streamableHttpTransport": transport}]}]
    assert alike(judged(sent)) == alike(sent)
    with pytest.raises(InvalidRequest, match="some of a server's tools"):
        body(asks(HELLO, tools=(Hosted(kind="mcp", config={**told, "tools": ["echo"]}),)), FLASH)


# What comes: judged by the SDK's types ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "gemini/text",
        "gemini/calls_without_ids",
        "gemini/logprobs",
        "gemini.flash/thoughts_and_a_signed_call",
        "gemini.flash/signed_text_among_unsigned",
        "gemini.flash/ran_code",
    ],
)
def test_googles_own_types_read_the_same_from_a_stream(name: str) -> None:
    ours = WIRE.decoder(WIRES[name.split("/", 1)[0]].model)
    text, called, last = "", list[tuple[str | None, object]](), types.GenerateContentResponse()
    for event, data in SseParser().feed((TRANSCRIPTS / f"{name}.sse").read_bytes()):
        ours.feed(event, data)
        last = types.GenerateContentResponse.model_validate_json(data)
        for part in last.parts or []:
            text += part.text if part.text and not part.thought else ""
            if part.function_call:
                called.append((part.function_call.name, part.function_call.args or {}))
    message, usage = ours.finish(), last.usage_metadata
    assert message.text == text
    assert [(call.name, json.loads(call.arguments)) for call in message.calls] == called
    assert usage is not None
    assert message.usage.input_total == usage.prompt_token_count
    assert message.usage.output == (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


# Two unsigned texts in a row come as one text from a stream: they cannot be told apart there.
@pytest.mark.parametrize(("name", "key"), [pair for pair in WHOLE if pair[1] != "text"])
def test_a_streamed_reply_is_the_message_that_the_whole_one_is(name: str, key: str) -> None:
    reply, decoder = gemini_rows.REPLIES[name][key], WIRE.decoder(gemini_rows.MODELS[name])
    (candidate,) = reply["candidates"]
    for part in candidate.get("content", {}).get("parts", []):
        decoder.feed("", json.dumps({**reply, "candidates": [{"content": {"parts": [part]}}]}))
    decoder.feed("", json.dumps({**reply, "candidates": [{**candidate, "content": {}}]}))
    assert decoder.finish() == whole(name, key)


def test_a_reply_without_candidates_is_none() -> None:
    with pytest.raises(Undecodable, match="no candidate"):
        WIRE.decode({"usageMetadata": {}}, PLAIN)


def test_a_whole_reply_without_an_end_is_not_whole() -> None:
    with pytest.raises(StreamCutShort):
        WIRE.decode(gemini_rows.whole(gemini_rows.text("Hi."), stop=None), PLAIN)


def test_what_a_reply_rests_on_is_told() -> None:
    cited = [part for part in whole("gemini.flash", "searched").parts if isinstance(part, CitationPart)]
    assert cited == [
        CitationPart(url="https://example.org/tides", title="Tides", quote="noon"),
        CitationPart(url="gs://b/a"),
        CitationPart(),
        CitationPart(url="https://example.org/c", title="C"),
        CitationPart(url="https://example.org/tides"),
    ]
    (search,) = [
        part
        for part in whole("gemini.pro_2_5", "searched_without_being_told").parts
        if isinstance(part, HostedCallPart)
    ]
    assert (search.kind, search.arguments, search.raw) == ("web_search", '{"queries":["tides"]}', "")


def test_a_picture_and_a_film_are_media() -> None:
    found = [part.media for part in whole("gemini.flash", "picture").parts if isinstance(part, MediaPart)]
    assert [(media.kind, media.mime) for media in found] == [("image", "image/png"), ("video", "video/mp4")]


# How a conversation is sent --------------------------------------------------------------------------------------


def test_the_method_and_the_model_stand_in_the_path() -> None:
    odd = replace(PLAIN, id="tuned/../x:y")
    streamed, once = http(asks(HELLO), odd), http(asks(HELLO), odd, stream=False)
    assert (streamed.path, streamed.query) == (
        "/models/tuned%2F..%2Fx%3Ay:streamGenerateContent",
        {"alt": "sse"},
    )
    assert (once.path, once.query) == ("/models/tuned%2F..%2Fx%3Ay:generateContent", {})


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no message"):
        body(asks(tools=(), system=()))


def test_only_the_first_rebuilt_call_of_a_step_skips_the_check_of_signatures() -> None:
    sent = said(HELLO, calls(call("c1"), call("c2")), results(result("c1"), result("c2")))
    marks = [part.get("thoughtSignature") for part in sent[1]["parts"]]
    assert marks == ["skip_thought_signature_validator", None]


def test_results_stand_in_the_order_of_the_calls_and_repeat_the_id_that_came() -> None:
    message = whole("gemini", "calls_without_ids")
    first, second, third = (call.id for call in message.calls)
    sent = said(HELLO, message, results(result(third), result(first), result(second)))
    assert [part["functionResponse"] for part in sent[2]["parts"]] == [
        {"name": "read", "response": {"output": "(no output)"}},
        {"name": "read", "response": {"output": "(no output)"}},
        {"name": "mark", "response": {"output": "(no output)"}},
    ]
    told = whole("gemini.flash", "parallel_calls")
    back = said(HELLO, told, *answered(told), model=FLASH)[2]["parts"]
    assert [part["functionResponse"]["id"] for part in back] == ["c1", "c2"]


def test_results_without_their_call_are_left_out_alone() -> None:
    answers = ToolMessage(results=(result("c1", Text(text="x")), result("c9", Text(text="y"))))
    request = asks(HELLO, calls(call("c1")), answers)
    assert len(body(request)["contents"][2]["parts"]) == 1
    assert "results_dropped" in noted(request)


def test_a_reply_that_is_not_from_here_loses_its_signatures() -> None:
    told = whole("gemini.flash", "parallel_calls")
    sent = said(HELLO, told, *answered(told), model=PLAIN)
    assert "c2lnbmF0dXJl" not in json.dumps(sent)
    assert noted(asks(HELLO, told, *answered(told)), PLAIN) == ["reasoning_dropped"]


def test_what_was_too_long_for_one_reply_goes_on_with_the_same_request() -> None:
    paused = whole("gemini.flash", "continued")
    again = paused.model_copy(update={"response_id": "r2"})
    first, more = body(asks(HELLO), FLASH), body(asks(HELLO, paused, again), FLASH)
    assert more == {**first, "continuationToken": "dG9rZW4="}
    done = said(HELLO, paused, whole("gemini.flash", "counted"), HELLO, model=FLASH)
    assert done[1] == {"role": "model", "parts": [{"text": "On and"}, {"text": "Hi."}]}
    assert "continuationToken" not in body(asks(HELLO, paused), PLAIN)
    bare = paused.model_copy(update={"parts": (TextPart(text="On"),)})
    assert "continuationToken" not in body(asks(HELLO, bare), FLASH)


def test_arguments_that_are_no_object_are_wrapped() -> None:
    texts = ("7", "NaN", '{"a":NaN}', "null", "[" * 9999)
    made = [call(f"c{index}", arguments=text) for index, text in enumerate(texts)]
    free = CallPart(call=ToolCall(id="f", name="patch", arguments="*** Begin", input="text"))
    sent = said(HELLO, calls(*made, free))[1]["parts"]
    assert [part["functionCall"]["args"] for part in sent] == [
        {"invalid_json": "7"},
        {"invalid_json": "NaN"},
        {"invalid_json": '{"a":NaN}'},
        {},
        {"invalid_json": "[" * 9999},
        {"input": "*** Begin"},
    ]


def test_a_name_that_no_tool_can_have_is_made_one() -> None:
    sent = said(HELLO, calls(call("c1", name="7 é"), call("c2", name=""), call("c3", name="a.b:c-d")))
    names = [part["functionCall"]["name"] for part in sent[1]["parts"]]
    assert names == ["_7__", "unknown", "a.b:c-d"]


def test_media_that_cannot_be_shown_leave_a_placeholder() -> None:
    blob = IMAGE.model_copy(update={"source": Blob(sha256="0" * 64), "filename": "a.png"})
    theirs = PDF.model_copy(update={"source": FileRef(vendor="openai", id="file-1")})
    ours = PDF.model_copy(update={"source": FileRef(vendor="gemini", id="https://example.org/files/a")})
    assert said(UserMessage(content=(blob, theirs, ours))) == [
        {
            "role": "user",
            "parts": [
                {"text": "[image a.png (image/png) not shown]"},
                {"text": "[document plan.pdf (application/pdf) not shown]"},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.org/files/a"}},
            ],
        }
    ]
    answer = said(HELLO, calls(call("c1")), results(result("c1", blob)))[2]["parts"][0]["functionResponse"]
    assert answer["response"] == {"output": "[image a.png (image/png) not shown]"}


def test_media_of_a_type_that_results_do_not_hold_follow_them() -> None:
    song = Media(kind="audio", mime="audio/wav", source=Inline(data="UklG"))
    sent = said(HELLO, calls(call("c1"), call("c2")), results(result("c1"), result("c2", song, IMAGE)), HELLO)
    assert [part["text"] if "text" in part else next(iter(part)) for part in sent[3]["parts"]] == [
        "From the result of call 2:",
        "inlineData",
        "Hello.",
    ]
    assert "parts" in sent[2]["parts"][1]["functionResponse"]


def test_an_empty_text_is_not_sent() -> None:
    assert said(UserMessage(content=(Text(text=""), Text(text="Hi.")))) == [
        {"role": "user", "parts": [{"text": "Hi."}]}
    ]


# What is asked beside it -----------------------------------------------------------------------------------------


def test_a_hosted_tool_that_the_vendor_does_not_run_is_refused() -> None:
    for tool in (Hosted(kind="image_generation"), Hosted(kind="web_search")):
        with pytest.raises(InvalidRequest, match=tool.kind):
            body(asks(HELLO, tools=(tool,)))
    with pytest.raises(InvalidRequest, match="beside functions"):
        body(asks(HELLO, tools=(READ, Hosted(kind="web_search"))), OLDER)
    assert body(asks(HELLO, tools=(Hosted(kind="web_search"),)), OLDER)["tools"] == [{"googleSearch": {}}]


def test_a_choice_among_tools_that_are_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="grep"):
        body(replace(asks(HELLO), tool_choice=("read", "grep")))


def test_a_choice_with_a_hosted_tool_among_it_is_asked_for_in_words() -> None:
    request = replace(
        asks(HELLO, tools=(READ, Hosted(kind="web_search"))), tool_choice=("read", "web_search")
    )
    sent = body(request, FLASH)
    assert sent["contents"][-1]["parts"][-1]["text"].endswith("read, web_search.")
    assert "functionCallingConfig" not in sent["toolConfig"]


def test_a_choice_of_no_tool_means_none() -> None:
    assert body(replace(asks(HELLO), tool_choice=()))["toolConfig"] == {
        "functionCallingConfig": {"mode": "NONE"}
    }


def test_a_loose_schema_is_not_held_to() -> None:
    loose = Function(
        name="a", description="A.", parameters={"type": "object", "properties": {"b": {}}}, strict=True
    )
    assert "toolConfig" not in body(asks(HELLO, tools=(loose, PATCH)), FLASH)


def test_json_beside_functions_is_asked_for_in_words_where_the_api_refuses_both() -> None:
    request = replace(asks(HELLO), output=Output(schema={"type": "object"}))
    assert "generationConfig" not in body(request, OLDER)
    assert "schema_in_words" in noted(request, OLDER)
    assert body(request, FLASH)["generationConfig"]["responseJsonSchema"] == {"type": "object"}
    typed = body(request, other(structured="json_object"))
    assert typed["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("model", "effort", "sent", "notes"),
    [
        (FLASH, "none", {"thinkingLevel": "MINIMAL"}, ["effort_snapped"]),
        (FLASH, "medium", {"thinkingLevel": "MEDIUM"}, []),
        (PLAIN, "max", {"thinkingLevel": "HIGH"}, ["effort_snapped"]),
        (OLDER, "none", {"thinkingBudget": 128}, ["effort_snapped"]),
        (OLDER, "max", {"thinkingBudget": 32_768}, []),
        (gemini_rows.MODELS["gemini.vertex"], "none", {"thinkingBudget": 0}, []),
        (gemini_rows.MODELS["gemini.vertex"], "max", {"thinkingBudget": 24_576}, []),
        (HOST, "low", None, ["effort_dropped"]),
    ],
)
def test_effort_is_a_level_or_a_budget(
    model: ModelInfo, effort: Any, sent: JsonObject | None, notes: list[str]
) -> None:
    request = replace(asks(HELLO, tools=()), output=Output(effort=effort))
    assert body(request, model).get("generationConfig", {}).get("thinkingConfig") == sent
    assert noted(request, model) == notes


def test_too_many_stop_sequences_are_cut_with_a_warning() -> None:
    request = replace(asks(HELLO), sampling=Sampling(stop=("a", "b", "c"), temperature=0))
    assert body(request, HOST)["generationConfig"] == {"temperature": 0, "stopSequences": ["a", "b"]}
    assert noted(request, HOST) == ["sampling_dropped"]


def test_a_refusal_of_ours_and_a_reply_of_nothing_are_not_sent() -> None:
    home = Origin(wire="gemini", vendor="gemini", endpoint="e1", model="gemini-next")
    assert said(HELLO, reply(TextPart(text="made here"), origin=home), HELLO) == [
        {"role": "user", "parts": [{"text": "Hello."}, {"text": "Hello."}]}
    ]
