"""What the Interactions wire does beyond what every wire does, with google-genai's types as the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from google.genai import interactions
from pydantic import BaseModel, TypeAdapter
from wires import interactions_rows
from wires.cases import CASES, HELLO, IMAGE, PDF, READ, asks, call, calls, result, results
from wires.rows import WIRES
from wires.test_requests import answered

from treadle.agent.messages import (
    AssistantMessage,
    CitationPart,
    Message,
    ReasoningPart,
    TextPart,
    ToolMessage,
    UserMessage,
)
from treadle.agent.providers.contract import (
    ContextOverflow,
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
from treadle.agent.providers.wires.gemini_interactions import GeminiInteractions
from treadle.tools.contract import Blob, FileRef, Function, Hosted, JsonObject, Text

WIRE: Final = GeminiInteractions()
PLAIN: Final = interactions_rows.MODELS["interactions"]
FLASH: Final = interactions_rows.MODELS["interactions.flash"]
HOST: Final = interactions_rows.MODELS["interactions.host"]
ROWS: Final = list(interactions_rows.MODELS)
WHOLE: Final = [(name, key) for name, replies in interactions_rows.REPLIES.items() for key in replies]
TRANSCRIPTS: Final = Path(__file__).parent / "transcripts"
EVENTS: Final = TypeAdapter[Any](interactions.InteractionSSEEvent)


def http(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> HttpCall:
    return WIRE.encode(request, model, Renderings(), stream=stream)


def body(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> JsonObject:
    return json.loads(http(request, model, stream=stream).body)


def said(*messages: Message, model: ModelInfo = PLAIN) -> list[JsonObject]:
    return body(asks(*messages, tools=(), system=()), model)["input"]


def other(**dialect: Any) -> ModelInfo:
    return replace(PLAIN, dialect=dialect)


def noted(request: ModelRequest, model: ModelInfo = PLAIN) -> list[str]:
    return [note.code for note in http(request, model).warnings]


def whole(name: str, key: str) -> AssistantMessage:
    return WIRE.decode(interactions_rows.REPLIES[name][key], interactions_rows.MODELS[name])


# Judged by the SDK's types ---------------------------------------------------------------------------------------


def strange(value: object, path: str = "") -> Iterator[str]:
    """What the SDK's types let through without knowing it."""
    if isinstance(value, BaseModel):
        if getattr(value, "is_unknown", False):
            yield path
        yield from (f"{path}.{key}" for key in value.model_extra or {})
        for key, member in vars(value).items():  # some fields warn when they are asked for
            yield from strange(member, f"{path}.{key}")
    if isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from strange(item, f"{path}[{index}]")


def known(sent: JsonObject) -> bool:
    read = interactions.CreateModelInteraction.model_validate(sent)
    assert list(strange(read)) == []
    return read.model_dump(mode="json", by_alias=True, exclude_unset=True) == sent


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ROWS)
def test_googles_own_types_take_every_body_and_know_its_every_field(name: str, case: str) -> None:
    assert known(body(CASES[case], interactions_rows.MODELS[name]))


@pytest.mark.parametrize(
    ("name", "key"), [pair for pair in WHOLE if pair[1] not in {"unknown_steps", "picture"}]
)
def test_googles_own_types_take_every_reply_that_goes_back(name: str, key: str) -> None:
    message = whole(name, key)
    assert known(body(asks(HELLO, message, *answered(message), HELLO), interactions_rows.MODELS[name]))


def test_googles_own_types_take_all_that_hosted_tools_are_sent_as() -> None:
    tools = (
        READ,
        Hosted(kind="web_search", config={"url_context": True, "search_types": ["web_search"]}),
        Hosted(kind="code_interpreter"),
        Hosted(kind="file_search", config={"file_search_store_names": ["fileSearchStores/a"]}),
        Hosted(kind="computer_use", config={"environment": "browser"}),
        Hosted(kind="mcp", config={"name": "peer", "url": "https://example.org"}),
        Hosted(kind="tool_search", config={"deferred": ["read"]}),
    )
    model = replace(FLASH, dialect={**FLASH.dialect, "hosted": tuple(tool.name for tool in tools[1:])})
    sent = body(asks(HELLO, tools=tools), model)
    assert [tool["type"] for tool in sent["tools"]] == [
        "function",
        "google_search",
        "url_context",
        "code_execution",
        "file_search",
        "computer_use",
        "mcp_server",
        "tool_search",
    ]
    assert sent["tools"][0]["defer_loading"] is True
    assert known(sent)


def test_an_mcp_server_is_named_in_our_words_or_in_the_apis() -> None:
    told = {
        "name": "peer",
        "url": "https://example.org",
        "token_env": "PEER",
        "tools": ["echo"],
        "defer_loading": True,
    }
    sent = body(asks(HELLO, tools=(Hosted(kind="mcp", config=told),)), FLASH)
    assert sent["tools"] == [
        {
            "type": "mcp_server",
            "name": "peer",
            "url": "https://example.org",
            "headers": {"Authorization": "Bearer ${PEER}"},
            "allowed_tools": [{"mode": "auto", "tools": ["echo"]}],
            "defer_loading": True,
        }
    ]
    assert known(sent)
    theirs = Hosted(kind="mcp", config={"name": "peer"})
    assert body(asks(HELLO, tools=(theirs,)), FLASH)["tools"] == [{"type": "mcp_server", "name": "peer"}]


@pytest.mark.parametrize(
    "name",
    ["interactions/text", "interactions.flash/thoughts_and_calls", "interactions.flash/hosted"],
)
def test_googles_own_types_read_the_same_from_a_stream(name: str) -> None:
    ours, args = WIRE.decoder(WIRES[name.split("/", 1)[0]].model), list[str]()
    texts: dict[int, str] = {}
    kinds: dict[int, str] = {}
    last: Any = None
    for event, data in SseParser().feed((TRANSCRIPTS / f"{name}.sse").read_bytes()):
        ours.feed(event, data)
        if data == "[DONE]":
            continue
        told = EVENTS.validate_json(data)
        assert not getattr(told, "is_unknown", False)
        match told:
            case interactions.StepStart(index=index, step=step):
                kinds[index] = step.type
            case interactions.InteractionCompletedEvent(interaction=interaction):
                last = interaction
            case interactions.StepDelta(index=index, delta=interactions.TextDelta() as delta):
                texts[index] = texts.get(index, "") + delta.text
            case interactions.StepDelta(delta=interactions.ArgumentsDelta() as delta):
                args.append(delta.arguments or "")
            case _:
                pass
    text = "".join(said for index, said in texts.items() if kinds[index] == "model_output")
    message = ours.finish()
    assert message.text == text
    assert not args or message.calls[0].arguments == "".join(args)
    assert message.usage.input_total == last.usage.total_input_tokens
    assert message.stop_raw == last.status


# What comes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "key"), WHOLE)
def test_a_streamed_reply_is_the_message_that_the_whole_one_is(name: str, key: str) -> None:
    reply, decoder = interactions_rows.REPLIES[name][key], WIRE.decoder(interactions_rows.MODELS[name])
    head = {key: value for key, value in reply.items() if key != "steps"}
    decoder.feed("", json.dumps({"event_type": "interaction.created", "interaction": {"id": "i1"}}))
    for index, step in enumerate(reply["steps"]):
        decoder.feed("", json.dumps({"event_type": "step.start", "index": index, "step": step}))
        decoder.feed("", json.dumps({"event_type": "step.stop", "index": index}))
    decoder.feed("", json.dumps({"event_type": "interaction.completed", "interaction": head}))
    assert decoder.finish() == whole(name, key)


def test_what_is_no_reply_or_not_a_whole_one_is_refused() -> None:
    with pytest.raises(Undecodable, match="no steps"):
        WIRE.decode({"id": "i1"}, PLAIN)
    with pytest.raises(StreamCutShort):
        WIRE.decode(interactions_rows.whole(status="in_progress"), PLAIN)
    with pytest.raises(ContextOverflow):
        WIRE.decode({"error": {"code": 400, "message": "input token count (9) exceeds the limit"}}, PLAIN)


def test_what_a_text_rests_on_is_told() -> None:
    cited = [part for part in whole("interactions.flash", "cited").parts if isinstance(part, CitationPart)]
    assert cited == [
        CitationPart(url="https://example.org/tides", title="Tides"),
        CitationPart(url="fileSearchStores/a", title="a.md"),
    ]


# How a conversation is sent --------------------------------------------------------------------------------------


def test_nothing_is_kept_at_the_provider_and_the_schema_is_named() -> None:
    streamed, once = http(asks(HELLO)), http(asks(HELLO), HOST, stream=False)
    assert (streamed.path, streamed.headers) == ("/interactions", {"api-revision": "2026-05-20"})
    assert once.headers == {"api-revision": "2026-09-01"}
    assert json.loads(streamed.body).items() >= {"store": False, "stream": True}.items()
    assert "stream" not in json.loads(once.body)


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no message"):
        body(asks(UserMessage(content=(Text(text=""),)), tools=(), system=()))


def test_thoughts_go_back_to_where_they_came_from_and_nowhere_else() -> None:
    told = whole("interactions.flash", "parallel_calls")
    (first, second) = [part for part in told.parts if isinstance(part, ReasoningPart)]
    sent = http(asks(HELLO, told, *answered(told)), FLASH).body
    assert all(part.raw.encode() in sent for part in (first, second))
    assert "thought" not in [step["type"] for step in said(HELLO, told, *answered(told))]
    assert noted(asks(HELLO, told, *answered(told))) == ["reasoning_dropped"]


def test_results_without_their_call_are_left_out_alone() -> None:
    answers = ToolMessage(results=(result("c1", Text(text="x")), result("c9", Text(text="y"))))
    request = asks(HELLO, calls(call("c1")), answers)
    assert [step.get("call_id") for step in body(request)["input"]] == [None, None, "c1"]
    assert "results_dropped" in noted(request)


def test_what_was_too_long_for_one_reply_goes_on_with_the_same_request() -> None:
    paused = whole("interactions.flash", "continued")
    first, more = body(asks(HELLO), FLASH), body(asks(HELLO, paused, paused), FLASH)
    assert more == {**first, "continuation_token": "dG9rZW4="}
    assert "continuation_token" not in body(asks(HELLO, paused), PLAIN)
    done = said(HELLO, paused, whole("interactions.flash", "counted"), HELLO, model=FLASH)
    assert [step["type"] for step in done] == ["user_input", "model_output", "model_output", "user_input"]


def test_arguments_that_are_no_object_are_wrapped() -> None:
    texts = ("7", '{"a":NaN}', "null", "[" * 9999)
    sent = said(HELLO, calls(*(call(f"c{index}", arguments=text) for index, text in enumerate(texts))))
    assert [step["arguments"] for step in sent[1:]] == [
        {"invalid_json": "7"},
        {"invalid_json": '{"a":NaN}'},
        {},
        {"invalid_json": "[" * 9999},
    ]


def test_media_that_cannot_be_shown_leave_a_placeholder() -> None:
    blob = IMAGE.model_copy(update={"source": Blob(sha256="0" * 64), "filename": "a.png"})
    ours = PDF.model_copy(update={"source": FileRef(vendor="gemini", id="https://example.org/files/a")})
    assert said(UserMessage(content=(blob, ours))) == [
        {
            "type": "user_input",
            "content": [
                {"type": "text", "text": "[image a.png (image/png) not shown]"},
                {"type": "document", "uri": "https://example.org/files/a", "mime_type": "application/pdf"},
            ],
        }
    ]
    (*_, answer) = said(HELLO, calls(call("c1")), results(result("c1", PDF)), model=HOST)
    assert answer["result"] == "[document plan.pdf (application/pdf) not shown]"


# What is asked beside it -----------------------------------------------------------------------------------------


def test_a_hosted_tool_that_the_vendor_does_not_run_is_refused() -> None:
    for tool in (Hosted(kind="image_generation"), Hosted(kind="web_search")):
        with pytest.raises(InvalidRequest, match=tool.kind):
            body(asks(HELLO, tools=(tool,)))


def test_a_choice_is_a_name_a_list_or_asked_for_in_words() -> None:
    assert body(replace(asks(HELLO), tool_choice=()))["generation_config"] == {"tool_choice": "none"}
    with pytest.raises(InvalidRequest, match="grep"):
        body(replace(asks(HELLO), tool_choice=("read", "grep")))
    mixed = replace(asks(HELLO, tools=(READ, Hosted(kind="web_search"))), tool_choice=("read", "web_search"))
    assert noted(mixed, FLASH) == ["tool_choice_in_words"]


def test_a_loose_schema_is_not_held_to() -> None:
    loose = Function(
        name="a", description="A.", parameters={"type": "object", "properties": {"b": {}}}, strict=True
    )
    assert "generation_config" not in body(asks(HELLO, tools=(loose,)), FLASH)


def test_json_is_asked_for_as_strictly_as_the_model_can() -> None:
    request = replace(asks(HELLO), output=Output(schema={"type": "object"}))
    form = {"type": "text", "mime_type": "application/json"}
    assert body(request)["response_format"] == [{**form, "schema": {"type": "object"}}]
    assert body(request, other(structured="json_object"))["response_format"] == [form]
    assert noted(request, HOST) == ["schema_in_words"]


@pytest.mark.parametrize(
    ("model", "effort", "sent", "notes"),
    [
        (FLASH, "none", "minimal", ["effort_snapped"]),
        (FLASH, "medium", "medium", []),
        (PLAIN, "max", "high", ["effort_snapped"]),
        (HOST, "low", None, ["effort_dropped"]),
    ],
)
def test_effort_is_a_level(model: ModelInfo, effort: Any, sent: str | None, notes: list[str]) -> None:
    request = replace(asks(HELLO, tools=()), output=Output(effort=effort))
    assert body(request, model).get("generation_config", {}).get("thinking_level") == sent
    assert noted(request, model) == notes


def test_a_part_that_is_no_step_of_its_own_is_not_sent() -> None:
    made = whole("interactions", "text").model_copy(update={"parts": (TextPart(text="made here"),)})
    assert [step["type"] for step in said(HELLO, made, HELLO)] == ["user_input", "user_input"]
