"""What holds for Chat Completions alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter
from wires import chat_rows
from wires.cases import CASES, HELLO, IMAGE, READ, asks, call, calls, reply, result, results

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    Message,
    Origin,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolMessage,
    UserMessage,
)
from treadle.agent.providers.contract import (
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    ProviderError,
    Renderings,
    StreamCutShort,
    Undecodable,
)
from treadle.agent.providers.sse import SseParser
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.agent.settings import Sampling
from treadle.tools.contract import Blob, FileRef, Hosted, Inline, JsonObject, Media, Text, ToolCall, Url

WIRE: Final = OpenAIChat()
PLAIN: Final = chat_rows.MODELS["chat"]
OPENAI: Final = chat_rows.MODELS["chat.openai"]
HOME: Final = Origin(wire="openai_chat", vendor="local", endpoint="e1", model="some-model", served="x")
WHOLE: Final = [(name, reply) for name, replies in chat_rows.REPLIES.items() for reply in replies]
JUDGE: Final = TypeAdapter[Any](CompletionCreateParamsStreaming)


def body(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> JsonObject:
    return json.loads(WIRE.encode(request, model, Renderings(), stream=stream).body)


def said(*messages: Message, model: ModelInfo = PLAIN) -> list[JsonObject]:
    return body(asks(*messages, tools=(), system=()), model)["messages"]


def other(**dialect: Any) -> ModelInfo:
    return replace(PLAIN, dialect=dialect)


def streamed(whole: JsonObject) -> Iterator[JsonObject]:
    """Cut a whole reply into the chunks in which a server would stream it."""
    choice = whole["choices"][0]
    head = {key: value for key, value in whole.items() if key != "choices"}
    for key, value in choice["message"].items():
        pieces: list[Any] = [value]
        if isinstance(value, str):
            pieces = [value[:3], value[3:]]
        elif key == "tool_calls":
            pieces = [[{"index": index, **item}] for index, item in enumerate(value)]
        elif isinstance(value, list):
            pieces = [[item] for item in cast("list[Any]", value)]
        for piece in pieces:
            yield {**head, "choices": [{"index": 0, "delta": {key: piece}, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}


def exhausted(value: Any) -> Any:
    """Read the lazy iterables of validated types, so that what stands in them is validated too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in cast("JsonObject", value).items()}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return [exhausted(item) for item in value]


# Two text elements in a row come as one text from a stream: they cannot be told apart there.
@pytest.mark.parametrize(("name", "reply"), [pair for pair in WHOLE if pair[1] != "chunks"])
def test_a_streamed_reply_is_the_message_that_the_whole_one_is(name: str, reply: str) -> None:
    model, whole = chat_rows.MODELS[name], chat_rows.REPLIES[name][reply]
    decoder = WIRE.decoder(model)
    for chunk in streamed(whole):
        decoder.feed("", json.dumps(chunk))
    assert decoder.finish() == WIRE.decode(whole, model)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["chat.openai", "chat.openai_older"])
def test_openais_own_types_take_every_body_and_know_its_every_field(name: str, case: str) -> None:
    sent = body(CASES[case], chat_rows.MODELS[name])
    assert exhausted(JUDGE.validate_python(sent)) == sent


@pytest.mark.parametrize("name", ["chat/text", "chat/parallel_calls", "chat.openai/refusal", "chat/logprobs"])
def test_openais_own_client_reads_the_same_from_a_stream(name: str) -> None:
    parser, theirs = SseParser(), ChatCompletionStreamState[Any]()
    ours = WIRE.decoder(chat_rows.MODELS[name.split("/", 1)[0]])
    for event, data in parser.feed((Path(__file__).parent / "transcripts" / f"{name}.sse").read_bytes()):
        ours.feed(event, data)
        if data != "[DONE]":
            theirs.handle_chunk(ChatCompletionChunk.model_validate_json(data))
    message, read = ours.finish(), theirs.get_final_completion()
    said = read.choices[0].message
    assert message.text == (said.content or "")
    assert [part.text for part in message.parts if isinstance(part, RefusalPart)] == [said.refusal] * bool(
        said.refusal
    )
    assert [(call.id, call.name, call.arguments) for call in message.calls] == [
        (call.id, call.function.name, call.function.arguments) for call in said.tool_calls or ()
    ]
    assert message.usage.input_total == (read.usage.prompt_tokens if read.usage else 0)


def test_a_request_without_a_stream_says_nothing_of_one() -> None:
    assert body(asks(HELLO), stream=False).keys() == {"model", "tools", "messages"}


def test_a_few_stop_sequences_are_sent_as_they_are() -> None:
    assert body(replace(asks(HELLO), sampling=Sampling(stop=("END",))))["stop"] == ["END"]


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no message"):
        body(asks(reply(), tools=(), system=()))


def test_a_hosted_tool_is_sent_as_the_row_says_or_refused() -> None:
    search = Hosted(kind="web_search", config={"max_results": 3})
    sent = body(asks(HELLO, tools=(search,)), chat_rows.MODELS["chat.openrouter"])
    assert sent["tools"] == [{"type": "openrouter:web_search", "max_results": 3}]
    with pytest.raises(InvalidRequest, match="web_search"):
        body(asks(HELLO, tools=(search,)))


def test_a_choice_among_tools_that_are_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="grep"):
        body(replace(asks(HELLO), tool_choice=("read", "grep")))


def test_a_choice_of_no_tool_means_none() -> None:
    assert body(replace(asks(HELLO), tool_choice=()))["tool_choice"] == "none"


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(replace(asks(HELLO, tools=()), tool_choice="required", parallel=True))


def test_media_that_cannot_be_shown_leave_a_placeholder() -> None:
    blob = IMAGE.model_copy(update={"source": Blob(sha256="0" * 64), "filename": "a.png"})
    theirs = IMAGE.model_copy(update={"source": FileRef(vendor="openai", id="file-1")})
    link = Media(kind="document", mime="text/html", source=Url(url="https://example.org"))
    content = UserMessage(content=(blob, theirs, link))
    texts = [
        "[image a.png (image/png) not shown]",
        "[image (image/png) not shown]",
        "[document (text/html) not shown]",
    ]
    assert said(content, model=other(media=("image", "document"))) == [
        {"role": "user", "content": "\n\n".join(texts)}
    ]
    assert said(content, model=OPENAI)[0]["content"][1] == {"type": "file", "file": {"file_id": "file-1"}}


def test_audio_is_sent_in_the_format_that_its_type_names() -> None:
    song = Media(kind="audio", mime="audio/mpeg", source=Inline(data="SUQz"))
    assert said(UserMessage(content=(song,)), model=OPENAI)[0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}
    ]


def test_a_picture_that_is_not_shown_stands_in_the_result_as_text() -> None:
    sent = said(calls(call("c1")), results(result("c1", IMAGE)), model=other(media=()))
    assert sent[1:] == [{"role": "tool", "tool_call_id": "c1", "content": "[image (image/png) not shown]"}]


def test_a_result_of_one_picture_needs_no_text_where_results_hold_pictures() -> None:
    sent = said(calls(call("c1")), results(result("c1", IMAGE)), model=other(tool_media=True))
    assert [part["type"] for part in sent[1]["content"]] == ["image_url"]


def test_results_without_their_call_are_left_out_alone() -> None:
    answers = ToolMessage(results=(result("c1", Text(text="x")), result("c9", Text(text="y"))))
    sent = said(HELLO, calls(call("c1")), answers)
    assert [message.get("tool_call_id") for message in sent] == [None, None, "c1"]


def test_parts_made_by_hand_go_home_beside_those_that_came() -> None:
    message = AssistantMessage(
        parts=(
            TextPart(text="One", raw='{"content":"One"}'),
            TextPart(text=" two."),
            ReasoningPart(text="unsaid"),
            CallPart(call=ToolCall(id="c1", name="no.such tool", arguments="{}")),
        ),
        origin=HOME,
        stop="tool_use",
    )
    function = {"name": "no_such_tool", "arguments": "{}"}
    tool_calls = [{"id": "c1", "type": "function", "function": function}]
    assert said(message) == [{"role": "assistant", "content": "One two.", "tool_calls": tool_calls}]


def test_text_beside_the_elements_of_an_array_becomes_an_element() -> None:
    element = '{"type":"text","text":"One"}'
    parts = (TextPart(text="One", raw=f'{{"content":[{element}]}}'), TextPart(text='"two"'))
    sent = said(AssistantMessage(parts=parts, origin=HOME, stop="end"))
    assert sent == [
        {"role": "assistant", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": '"two"'}]}
    ]


def test_required_reasoning_is_not_added_where_it_came() -> None:
    model = other(reasoning_required="reasoning_content")
    whole = chat_rows.REPLIES["chat"]["reasoning"]
    message = WIRE.decode(whole, model)
    assert said(message, model=model)[0]["reasoning_content"] == "Hm."


def test_what_came_is_kept_to_the_byte() -> None:
    message = WIRE.decode(chat_rows.REPLIES["chat"]["reasoning"], PLAIN)
    sent = WIRE.encode(asks(HELLO, message), PLAIN, Renderings(), stream=True)
    for part in message.parts:
        assert part.raw.strip("{}").encode() in sent.body


def test_prompts_are_only_asked_for_where_no_field_says_it() -> None:
    sent = body(replace(asks(HELLO), tool_choice="required"), other(tool_choices=()))
    assert sent["messages"][-1] == {"role": "user", "content": "This reply must call at least one tool."}


NOTHING: Final[list[JsonObject]] = [
    {},
    {"choices": []},
    {"choices": "x"},
    {"choices": [{"index": 1, "message": {}}]},
    {"choices": [{"index": 0, "message": "hello"}]},
]


@pytest.mark.parametrize("whole", NOTHING)
def test_a_whole_reply_without_a_message_is_no_reply(whole: JsonObject) -> None:
    with pytest.raises(Undecodable):
        WIRE.decode(whole, PLAIN)


def test_an_error_under_status_200_is_raised() -> None:
    for whole in (
        {"error": {"message": "no such thing", "code": 404}},
        {"code": 404, "msg": "no such thing"},
    ):
        with pytest.raises(ProviderError, match="no such thing") as raised:
            WIRE.decode(whole, PLAIN)
        assert raised.value.status == 404


def test_a_field_that_only_replies_may_hold_is_not_sent_back() -> None:
    whole = chat_rows.whole({"content": "Hi.", "notes": [1]})
    for reply_only, keys in (
        ((), {"role", "content", "notes"}),
        (("notes",), {"role", "content"}),
    ):
        model = other(reply_only=reply_only)
        assert said(WIRE.decode(whole, model), model=model)[0].keys() == keys


def test_a_whole_reply_that_the_provider_broke_off_is_cut_short() -> None:
    with pytest.raises(StreamCutShort):
        WIRE.decode(chat_rows.whole({"content": "Half"}, "network_error"), PLAIN)


def test_a_refusal_that_is_only_a_flag_is_one() -> None:
    message = WIRE.decode(chat_rows.whole({"content": None, "refusal": True}), PLAIN)
    assert (message.stop, message.parts[0].type) == ("refusal", "refusal")


def test_tags_are_text_where_the_row_says_so() -> None:
    whole = chat_rows.REPLIES["chat"]["think_tags"]
    assert WIRE.decode(whole, other(think_tags=False)).text.startswith("<think>")
    decoder = WIRE.decoder(other(think_tags=False))
    deltas = [delta for chunk in streamed(whole) for delta in decoder.feed("", json.dumps(chunk))]
    assert len(deltas) == 2
    assert decoder.finish().text.startswith("<think>")


ODD: Final = st.sampled_from([
    None,
    True,
    0,
    1.5,
    "",
    "x",
    [],
    ["x"],
    [[1]],
    {},
    {"type": "text", "text": "y"},
    [{"type": "text", "text": "y"}, {"type": ["z"], "thinking": [1]}],
    [{"type": "z", "id": ["z"], "url_citation": {"url": 1}}],
])


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any of these fields, or something else altogether."""
    return ODD | st.fixed_dictionaries(dict[str, st.SearchStrategy[Any]](), optional=fields)


def several(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return ODD | st.lists(items, max_size=3)


CALL: Final = record(
    id=ODD, index=ODD, function=record(name=ODD, arguments=ODD), custom=record(name=ODD, input=ODD)
)
FIELDS: Final = record(
    content=ODD,
    refusal=ODD,
    reasoning=ODD,
    reasoning_content=ODD,
    reasoning_details=several(record(type=ODD, text=ODD, id=ODD, signature=ODD)),
    tool_calls=several(CALL),
    function_call=record(name=ODD, arguments=ODD),
    annotations=ODD,
    x=ODD,
)
CHOICE: Final = record(
    index=ODD,
    delta=FIELDS,
    message=FIELDS,
    finish_reason=ODD | st.just("stop"),
    usage=record(prompt_tokens=ODD, completion_tokens_details=ODD, cost=ODD),
    logprobs=record(content=several(record(token=ODD, logprob=ODD, top_logprobs=ODD))),
)
CHUNK: Final[st.SearchStrategy[JsonObject]] = st.fixed_dictionaries(
    {"choices": several(CHOICE)},
    optional={"id": ODD, "model": ODD, "created": ODD, "usage": ODD, "error": ODD, "x_groq": ODD},
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CHUNK, max_size=4))
@example([{"choices": [{"logprobs": {"content": [{"logprob": None}]}}]}])
@example([{"choices": [{"delta": {"reasoning_details": [{"type": "x"}, {"type": "x", "text": True}]}}]}])
def test_no_shape_of_chunks_is_worse_than_a_provider_error(chunks: list[JsonObject]) -> None:
    decoder = WIRE.decoder(PLAIN)
    try:
        for chunk in chunks:
            decoder.feed("", json.dumps(chunk))
        message = decoder.finish()
    except ProviderError:
        message = decoder.partial()
    assert AssistantMessage.model_validate_json(message.model_dump_json()) == message
    assert body(asks(HELLO, message))["messages"]


@settings(max_examples=200, deadline=None)
@given(CHUNK)
def test_no_shape_of_a_whole_reply_is_worse_than_a_provider_error(whole: JsonObject) -> None:
    try:
        message = WIRE.decode(whole, PLAIN)
    except ProviderError:
        return
    assert AssistantMessage.model_validate_json(message.model_dump_json()) == message
    assert body(asks(HELLO, message, tools=(READ,)))["messages"]
