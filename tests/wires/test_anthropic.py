"""What Anthropic's wire does beyond what every wire does, with Anthropic's own SDK as the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, cast

import anthropic
import httpx2
import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter
from wires import anthropic_rows
from wires.cases import CASES, HELLO, IMAGE, PATCH, PDF, READ, asks, call, calls, reply, result, results
from wires.test_streams import TRANSCRIPTS, events

from treadle.agent.events import CallDelta, HostedDelta, Sampling
from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
    CompactionPart,
    HostedCallPart,
    Message,
    OpaquePart,
    Origin,
    ReasoningPart,
    TextPart,
    Usage,
    UserMessage,
    notice,
    user,
)
from treadle.agent.mock.anthropic import Anthropic as Face
from treadle.agent.providers.contract import (
    AuthFailed,
    Breakpoint,
    Busy,
    Caching,
    ContentBlocked,
    ContextOverflow,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    NotFound,
    Output,
    ProviderError,
    QuotaExhausted,
    Renderings,
    RequestTooLarge,
    StaleState,
    Undecodable,
)
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.tools.contract import (
    FileRef,
    Function,
    Hosted,
    Inline,
    JsonObject,
    Media,
    Text,
    ToolCall,
    ToolRef,
    Url,
)

WIRE: Final = Anthropic()
PLAIN: Final = anthropic_rows.MODELS["anthropic"]
OPUS: Final = anthropic_rows.MODELS["anthropic.opus"]
OLDER: Final = anthropic_rows.MODELS["anthropic.older"]
HOME: Final = Origin(wire="anthropic", vendor="anthropic", endpoint="e1", model="claude-next", served="x")
WHOLE: Final = [(name, key) for name, replies in anthropic_rows.REPLIES.items() for key in replies]
JUDGE: Final = TypeAdapter[Any](MessageCreateParamsStreaming)
BETA_JUDGE: Final = TypeAdapter[Any](BetaParams)


def http(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> HttpCall:
    return WIRE.encode(request, model, Renderings(), stream=stream)


def body(request: ModelRequest, model: ModelInfo = PLAIN, *, stream: bool = True) -> JsonObject:
    return json.loads(http(request, model, stream=stream).body)


def said(*messages: Message, model: ModelInfo = PLAIN) -> list[JsonObject]:
    return body(asks(*messages, tools=(), system=()), model)["messages"]


def other(**dialect: Any) -> ModelInfo:
    return replace(PLAIN, dialect=dialect)


def noted(request: ModelRequest, model: ModelInfo = PLAIN) -> list[str]:
    return [note.code for note in http(request, model).warnings]


def whole(name: str, key: str) -> AssistantMessage:
    return WIRE.decode(anthropic_rows.REPLIES[name][key], anthropic_rows.MODELS[name])


def exhausted(value: Any) -> Any:
    """Read the lazy iterables of validated types, so that what stands in them is validated too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in cast("JsonObject", value).items()}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return [exhausted(item) for item in value]


# What is sent: judged by the SDK's types -------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["anthropic", "anthropic.opus", "anthropic.older", "anthropic.host"])
def test_anthropics_own_types_take_every_body_and_know_its_every_field(name: str, case: str) -> None:
    sent = body(CASES[case], anthropic_rows.MODELS[name])
    # The newest types no longer know what only the older version takes.
    known = {key: value for key, value in sent.items() if key not in {"temperature", "top_p", "top_k"}}
    assert exhausted(JUDGE.validate_python(sent)) == known


@pytest.mark.parametrize("case", CASES)
def test_anthropics_beta_types_take_every_body_of_a_model_that_binds_its_thinking(case: str) -> None:
    sent = body(CASES[case], anthropic_rows.MODELS["anthropic.sonnet"])
    taken = exhausted(BETA_JUDGE.validate_python(sent))
    for tool in (*taken.get("tools", ()), *sent.get("tools", ())):
        assert tool.pop("input_schema")["type"] == "object"  # of which these types know only a part
    assert taken == sent


# Only the beta knows how to drop unbound thinking, and a case that ends with the model's own words is no question.
@pytest.mark.parametrize("case", [case for case in CASES if case != "failed"])
@pytest.mark.parametrize("name", ["anthropic", "anthropic.opus", "anthropic.older", "anthropic.host"])
def test_the_mock_provider_takes_every_request(name: str, case: str) -> None:
    call = http(CASES[case], anthropic_rows.MODELS[name])
    assert Face().read(json.loads(call.body), dict(call.headers)).stream


# `file_id` and the like of a citation are in what comes, not in what the types say may be sent.
@pytest.mark.parametrize(
    "key", [key for name, key in WHOLE if name == "anthropic" and key != "unknown_blocks"]
)
def test_anthropics_types_take_a_reply_that_goes_back(key: str) -> None:
    message = whole("anthropic", key)
    answers = [result(each.id, Text(text="ok")) for each in message.calls]
    sent = body(asks(HELLO, message, *([results(*answers)] if answers else [])))
    BETA_JUDGE.validate_python(sent)


def test_a_reply_goes_home_with_the_bytes_of_its_blocks_in_their_order() -> None:
    message = whole("anthropic", "thinking")
    segment = http(asks(HELLO, message, HELLO, system=(), tools=())).segments[1]
    raws = ",".join(part.raw for part in message.parts)
    assert segment.decode() == f'{{"role":"assistant","content":[{raws}]}}'
    assert [json.loads(part.raw) for part in message.parts] == anthropic_rows.REPLIES["anthropic"][
        "thinking"
    ]["content"]


@pytest.mark.parametrize("away", [{"vendor": "zai"}, {"endpoint": "e2"}, {"id": "claude-other"}])
def test_thinking_does_not_go_to_another_vendor_endpoint_or_model(away: dict[str, str]) -> None:
    request = asks(HELLO, whole("anthropic", "thinking"), HELLO)
    sent = http(request, replace(PLAIN, **away))
    assert [block["type"] for block in json.loads(sent.body)["messages"][1]["content"]] == [
        "text",
        "tool_use",
    ]
    assert [note.code for note in sent.warnings] == ["reasoning_dropped"]


def test_hosted_parts_citations_and_unknown_blocks_of_elsewhere_leave_a_warning() -> None:
    parts = [part for key in ("searched", "unknown_blocks") for part in whole("anthropic", key).parts]
    request = asks(HELLO, reply(*parts, CompactionPart(text="Before.")), HELLO)
    assert noted(request, OLDER) == ["hosted_call_dropped", "hosted_result_dropped", "opaque_dropped"]
    assert [block["text"] for block in body(request, OLDER)["messages"][1]["content"]] == [
        "Twice a day.",
        "Odd.",
        "Before.",
    ]


def test_parts_made_by_hand_go_home_too() -> None:
    parts = (
        ReasoningPart(text="Hm.", signature="sig"),
        ReasoningPart(redacted=True, encrypted="AAAA"),
        ReasoningPart(text="cut"),
        TextPart(text="So."),
        CitationPart(url="https://example.org"),
    )
    assert said(reply(*parts, origin=HOME))[0]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "text", "text": "So."},
    ]


def test_a_cut_reply_keeps_its_text_and_signed_thinking_and_loses_its_calls_with_their_results() -> None:
    message = whole("anthropic", "thinking").model_copy(
        update={"state": "interrupted", "stop": "interrupted"}
    )
    sent = said(HELLO, message, results(result("toolu_1", Text(text="Cut off."))), user("Go on."))
    assert [block["type"] for block in sent[1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "thinking",
    ]
    assert sent[2]["content"] == [{"type": "text", "text": "Go on."}]


def test_a_refused_turn_is_left_out() -> None:
    assert said(HELLO, whole("anthropic", "refused"), HELLO) == said(HELLO, HELLO)


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no message"):
        body(asks(reply(), tools=(), system=()))


def test_names_that_the_api_refuses_are_mended() -> None:
    parts = (call("c1", "functions.read"), call("c2", "x" * 200), call("c3", ""))
    names = [block["name"] for block in said(HELLO, calls(*parts))[1]["content"]]
    assert names == ["functions_read", "x" * 128, "unknown"]


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("null", {}),
        (' {"a": 1}\n', {"a": 1}),
        ("[1]", {"invalid_json": "[1]"}),
        ('{"a": NaN}', {"invalid_json": '{"a": NaN}'}),
        ("[" * 100_000, {"invalid_json": "[" * 100_000}),
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),
        ('{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}),
    ],
)
def test_arguments_go_out_as_the_object_they_are_or_wrapped_in_one(written: str, given: JsonObject) -> None:
    assert said(HELLO, calls(call("c1", arguments=written)))[1]["content"][0]["input"] == given


def test_the_input_of_a_freeform_call_is_an_object_too() -> None:
    part = CallPart(call=ToolCall(id="c1", name="patch", arguments="*** x", input="text"))
    assert said(HELLO, calls(part))[1]["content"][0]["input"] == {"input": "*** x"}
    assert noted(asks(HELLO, tools=(PATCH,))) == ["grammar_dropped"]


# What a user and a tool show -------------------------------------------------------------------------------------


def test_media_are_sent_as_the_api_takes_them_or_leave_a_placeholder() -> None:
    shown = {
        "file": Media(kind="image", mime="image/png", source=FileRef(vendor="anthropic", id="file_1")),
        "paper": Media(kind="document", mime="application/pdf", source=Url(url="https://example.org/a.pdf")),
        "plain": Media(kind="document", mime="text/csv", source=Inline(data="YSxi/w=="), filename="a.csv"),
        "theirs": Media(kind="image", mime="image/png", source=FileRef(vendor="openai", id="file_2")),
        "bitmap": Media(kind="image", mime="image/bmp", source=Inline(data="AA==")),
        "page": Media(kind="document", mime="text/html", source=Url(url="https://example.org")),
    }
    request = asks(UserMessage(content=tuple(shown.values())))
    sent = dict(zip(shown, body(request)["messages"][0]["content"], strict=True))
    assert sent["file"]["source"] == {"type": "file", "file_id": "file_1"}
    assert sent["paper"]["source"] == {"type": "url", "url": "https://example.org/a.pdf"}
    assert sent["plain"] == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "a,b\ufffd"},
        "title": "a.csv",
    }
    assert [sent[key]["type"] for key in ("theirs", "bitmap", "page")] == ["text"] * 3
    assert [note.field for note in http(request).warnings] == ["image", "image", "document"]


def test_pictures_of_an_error_follow_all_results() -> None:
    answers = results(
        result("c1", Text(text="It broke:"), IMAGE, ToolRef(name="later"), status="error"),
        result("c2", PDF, status="denied"),
        result("c3", IMAGE),
    )
    blocks = said(HELLO, calls(call("c1"), call("c2"), call("c3")), answers)[2]["content"]
    assert [block["type"] for block in blocks] == ["tool_result"] * 3 + ["image", "document"]
    assert [[item["type"] for item in block["content"]] for block in blocks[:3]] == [
        ["text"] * 2,
        ["text"],
        ["image"],
    ]


def test_an_empty_result_says_so() -> None:
    sent = said(HELLO, calls(call("c1")), results(result("c1", status="error")))
    assert sent[2]["content"][0]["content"] == [{"type": "text", "text": "(no output)"}]


NOTICE: Final = notice("Mode is now plan.")
LOOKED: Final = (HELLO, calls(call("c1")), results(result("c1", Text(text="ok"))))


@pytest.mark.parametrize(
    ("messages", "role"),
    [
        ((HELLO, NOTICE), "system"),
        ((*LOOKED, NOTICE), "system"),
        ((HELLO, whole("anthropic", "searched"), NOTICE), "user"),
        ((HELLO, reply(TextPart(text="Hi.")), NOTICE), "user"),
        ((HELLO, NOTICE, NOTICE), "user"),
        ((NOTICE,), "user"),
        ((HELLO, UserMessage(content=(Text(text="See:"), IMAGE), author="runtime")), "user"),
    ],
)
def test_a_notice_is_a_system_entry_where_the_api_takes_one(messages: tuple[Message, ...], role: str) -> None:
    assert said(*messages, model=replace(PLAIN, dialect={"mid_system": True}))[-1]["role"] == role
    assert said(*messages)[-1]["role"] == "user"


def test_a_notice_may_follow_a_tool_of_the_server() -> None:
    paused = WIRE.decode(anthropic_rows.whole(anthropic_rows.SEARCHED[0], stop="pause_turn"), OPUS)
    assert said(HELLO, paused, NOTICE, model=OPUS)[-1]["role"] == "system"


# Tools and knobs -------------------------------------------------------------------------------------------------


def test_hosted_tools_are_sent_by_their_type_and_others_refused() -> None:
    tools = (
        Hosted(kind="web_search", config={"max_uses": 3}),
        Hosted(kind="code_interpreter"),
        Hosted(kind="tool_search", config={"deferred": ["read"]}),
        READ,
    )
    sent = body(asks(HELLO, tools=tools), other(hosted={"web_search": "web_search_20260318"}))
    assert [tool.get("type") for tool in sent["tools"]] == [
        "web_search_20260318",
        "code_execution_20250825",
        "tool_search_tool_bm25_20251119",
        None,
    ]
    assert sent["tools"][0] == {"name": "web_search", "type": "web_search_20260318", "max_uses": 3}
    assert [tool.get("defer_loading") for tool in sent["tools"]] == [None, None, None, True]
    assert exhausted(JUDGE.validate_python(sent)) == sent
    with pytest.raises(InvalidRequest, match="file_search"):
        body(asks(HELLO, tools=(Hosted(kind="file_search"),)))


def test_a_strict_schema_is_closed_and_freed_of_what_strict_modes_refuse() -> None:
    loose: JsonObject = {
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "maximum": 9, "default": {"minimum": 1}},
            "tags": {
                "type": "array",
                "items": {"type": "string", "maxLength": 9},
                "minItems": 2,
                "maxItems": 3,
            },
            "one": {"type": "array", "minItems": 1},
            "at": {"oneOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
        },
        "$defs": {"Point": {"type": "object", "properties": {"x": {"enum": [{"minimum": 1}]}}}},
        "additionalProperties": True,
    }
    strict = Function(name="f", description="", parameters=loose, strict=True)
    (tool,) = body(asks(HELLO, tools=(strict,)))["tools"]
    assert tool["input_schema"] == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "default": {"minimum": 1}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "one": {"type": "array", "minItems": 1},
            "at": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
        },
        "$defs": {
            "Point": {
                "type": "object",
                "properties": {"x": {"enum": [{"minimum": 1}]}},
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    }


EFFORTS: Final[list[tuple[ModelInfo, Output, JsonObject | None, str | None, list[str]]]] = [
    (PLAIN, Output(), None, None, []),
    (PLAIN, Output(reasoning_summary=True), {"type": "adaptive", "display": "summarized"}, None, []),
    (PLAIN, Output(effort="minimal"), {"type": "adaptive"}, "low", ["effort_snapped"]),
    (OPUS, Output(effort="none"), {"type": "adaptive"}, "low", ["effort_snapped"]),
    (other(thinking_off="between_tools"), Output(effort="none"), {"type": "between_tools"}, None, []),
    (
        other(drop_unbound_thinking=True),
        Output(),
        {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}},
        None,
        [],
    ),
    (OLDER, Output(), None, None, []),
    (OLDER, Output(effort="none"), {"type": "disabled"}, None, []),
    (OLDER, Output(effort="max"), {"type": "enabled", "budget_tokens": 63_999}, "high", ["effort_snapped"]),
    (OLDER, Output(effort="low", max_tokens=1000), None, "low", ["thinking_dropped"]),
    (other(thinking="none"), Output(effort="high"), None, None, ["effort_dropped"]),
    (other(thinking="none"), Output(effort="none"), None, None, []),
    (other(thinking="none", efforts=("high",)), Output(effort="low"), None, "high", ["effort_snapped"]),
]


@pytest.mark.parametrize(("model", "output", "thinking", "effort", "notes"), EFFORTS)
def test_effort_is_said_as_the_model_takes_it(
    model: ModelInfo, output: Output, thinking: JsonObject | None, effort: str | None, notes: list[str]
) -> None:
    request = replace(asks(HELLO), output=output)
    sent = body(request, model)
    assert (sent.get("thinking"), sent.get("output_config", {}).get("effort")) == (thinking, effort)
    assert noted(request, model) == notes


def test_max_tokens_is_what_is_asked_for_up_to_what_the_model_can() -> None:
    asked = replace(asks(HELLO), output=Output(max_tokens=900))
    assert body(asked)["max_tokens"] == 900
    assert body(asked, anthropic_rows.MODELS["anthropic.host"])["max_tokens"] == 600
    assert noted(asked, anthropic_rows.MODELS["anthropic.host"]) == ["max_tokens_dropped"]
    assert (body(asks(HELLO))["max_tokens"], body(asks(HELLO), OPUS)["max_tokens"]) == (8192, 128_000)


def test_sampling_goes_out_under_the_version_that_takes_it() -> None:
    request = replace(asks(HELLO), sampling=Sampling(temperature=0, top_p=0.5, seed=1))
    sent = http(request, OLDER)
    assert (json.loads(sent.body)["temperature"], sent.headers["anthropic-version"]) == (0, "2023-06-01")
    assert [note.field for note in sent.warnings] == ["sampling.seed"]
    assert http(request).headers["anthropic-version"] == "2026-10-21"
    assert "temperature" not in body(replace(request, output=Output(effort="low")), OLDER)
    named = http(request, other(sampling="allowed", anthropic_version="2027-01-01"))
    assert named.headers == {"anthropic-version": "2027-01-01"}


def test_betas_are_named_once() -> None:
    model = other(betas=("a", "thinking-binding-controls-2026-08-01", "b", "a"), drop_unbound_thinking=True)
    assert http(asks(HELLO), model).headers["anthropic-beta"] == "a,thinking-binding-controls-2026-08-01,b"


@pytest.mark.parametrize(
    ("model", "asked", "choice"),
    [
        (PLAIN, {"tool_choice": "none"}, {"type": "none"}),
        (PLAIN, {"tool_choice": ()}, {"type": "none"}),
        (PLAIN, {"parallel": True}, None),
        (PLAIN, {"parallel": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (PLAIN, {"tool_choice": "required"}, {"type": "any"}),
        (OPUS, {"tool_choice": "required"}, None),
        (OLDER, {"tool_choice": "required"}, {"type": "any"}),
        (OLDER, {"tool_choice": "required", "output": Output(effort="low")}, None),
        (PLAIN, {"tool_choice": "required", "tools": ()}, None),
    ],
)
def test_which_tools_may_be_called_is_said_as_the_model_takes_it(
    model: ModelInfo, asked: dict[str, Any], choice: JsonObject | None
) -> None:
    sent = body(replace(asks(HELLO), **asked), model)
    assert sent.get("tool_choice") == choice
    in_words = asked.get("tool_choice") == "required" and choice is None and sent.get("tools")
    assert len(sent["messages"]) == (2 if in_words else 1)


def test_a_choice_among_tools_that_are_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="grep"):
        body(replace(asks(HELLO), tool_choice=("read", "grep")))


@pytest.mark.parametrize(
    ("tier", "sent"),
    [
        ("auto", {"service_tier": "auto"}),
        ("standard_only", {"service_tier": "standard_only"}),
        ("fast", {"speed": "fast"}),
        ("flex", {}),
    ],
)
def test_a_service_tier_is_one_of_anthropics(tier: str, sent: JsonObject) -> None:
    request = replace(asks(HELLO), service_tier=tier)
    assert {key: value for key, value in body(request).items() if key in {"service_tier", "speed"}} == sent
    assert noted(request) == ([] if sent else ["service_tier_dropped"])


def test_a_request_without_a_stream_says_nothing_of_one() -> None:
    assert "stream" not in body(asks(HELLO), stream=False)


def test_a_paused_reply_goes_on_in_its_container_with_nothing_after_it() -> None:
    container = {"id": "container_1", "expires_at": "2026-11-24T00:00:00Z"}
    whole_reply = anthropic_rows.whole(anthropic_rows.RAN[0], stop="pause_turn", container=container)
    paused = WIRE.decode(whole_reply, PLAIN)
    assert (paused.state, paused.stop) == ("paused", "pause")
    request = replace(asks(HELLO, paused), output=Output(json_mode=True))
    sent = body(request)
    assert sent["container"] == "container_1"
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant"]
    assert sent["messages"][1]["content"] == [anthropic_rows.RAN[0]]
    assert "container" not in body(asks(HELLO, paused, HELLO))
    without = WIRE.decode(anthropic_rows.whole(anthropic_rows.RAN[0], stop="pause_turn"), PLAIN)
    assert "container" not in body(asks(HELLO, without))


# Caching ---------------------------------------------------------------------------------------------------------

SIGNED: Final = (
    HELLO,
    reply(TextPart(text="Hm."), ReasoningPart(text="Hm.", signature="sig"), origin=HOME),
    HELLO,
)


def marks(*points: Breakpoint, model: ModelInfo = PLAIN, messages: tuple[Message, ...] = SIGNED) -> list[str]:
    """Where the cache markers of a request stand, each with its time, in the order of the prefix."""
    request = replace(asks(*messages, system=("A", "B")), caching=Caching(breakpoints=points))
    sent = body(request, model)
    JUDGE.validate_python(sent)
    sections = {"tools": sent["tools"], "system": sent["system"]}
    sections |= {str(index): message["content"] for index, message in enumerate(sent["messages"])}
    return [
        f"{name}.{index} {block['cache_control'].get('ttl', '')}".strip()
        for name, blocks in sections.items()
        for index, block in enumerate(blocks)
        if "cache_control" in block
    ]


def after(message: int, **more: Any) -> Breakpoint:
    return Breakpoint(after="message", message=message, **more)


TOOLS: Final = Breakpoint(after="tools")
SYSTEM: Final = Breakpoint(after="system")


def test_markers_stand_where_they_are_asked_for() -> None:
    assert marks(TOOLS, SYSTEM, after(0), after(2)) == ["tools.0", "system.1", "0.0", "2.0"]


def test_a_marker_never_stands_on_thinking_but_on_what_is_before_it() -> None:
    assert marks(after(1)) == ["1.0"]
    only = (HELLO, reply(ReasoningPart(text="Hm.", signature="sig"), origin=HOME), HELLO)
    assert marks(after(1), messages=only) == ["0.0"]


def test_two_markers_at_one_place_are_one_that_lasts_the_longer_time() -> None:
    assert marks(after(1, ttl="1h"), after(1, ttl="5m")) == ["1.0 1h"]


def test_what_lasts_longer_stands_before_what_does_not() -> None:
    assert marks(SYSTEM, after(0, ttl="12h"), after(2, ttl="30m")) == ["system.1 1h", "0.0 1h", "2.0"]


def test_no_more_markers_are_set_than_the_api_takes_and_the_last_ones_count() -> None:
    points = (TOOLS, SYSTEM, after(0), after(1), after(2))
    assert marks(*points) == ["system.1", "0.0", "1.0", "2.0"]
    assert marks(*points, model=other(cache_points=1)) == ["2.0"]
    assert marks(*points, model=other(cache_points=0)) == []


def test_a_marker_that_has_no_place_is_left_out() -> None:
    assert marks(after(7), after(-1)) == []
    nothing = replace(asks(HELLO, system=(), tools=()), caching=Caching(breakpoints=(TOOLS, SYSTEM)))
    assert "cache_control" not in json.dumps(body(nothing))


def test_a_deferred_tool_takes_no_marker() -> None:
    search = Hosted(kind="tool_search", config={"deferred": ["read"]})
    sent = body(replace(asks(HELLO, tools=(search, READ)), caching=Caching(breakpoints=(TOOLS,))))
    assert ["cache_control" in tool for tool in sent["tools"]] == [True, False]


# What comes: judged by the SDK's own reading ---------------------------------------------------------------------


def sdk(answer: bytes, kind: str = "text/event-stream") -> anthropic.Anthropic:
    """Anthropic's own client, whose every request is answered by these bytes."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    client = httpx2.Client(transport=httpx2.MockTransport(handler))
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=client)


OFFICIAL: Final = [
    "cached",
    "carriage_returns_and_comments",
    "empty_input",
    "input_in_the_start",
    "nothing_said",
    "parallel_calls",
    "paused_in_a_container",
    "refused",
    "search_failed",
    "searched_and_cited",
    "stop_sequence",
    "text",
    "thinking",
    "thinking_not_shown",
    "window_exceeded",
]


def ours(name: str) -> AssistantMessage:
    decoder = WIRE.decoder(PLAIN)
    for event, data in events([(TRANSCRIPTS / "anthropic" / f"{name}.sse").read_bytes()]):
        decoder.feed(event, data)
    return decoder.finish()


def blocks_of(message: AssistantMessage) -> list[JsonObject]:
    return [json.loads(part.raw) for part in message.parts if part.raw and part != container_of(message)]


def container_of(message: AssistantMessage) -> OpaquePart | None:
    return next(
        (part for part in message.parts if isinstance(part, OpaquePart) and part.kind == "container"), None
    )


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_stream_is_the_message_that_anthropics_client_reads(name: str) -> None:
    client = sdk((TRANSCRIPTS / "anthropic" / f"{name}.sse").read_bytes())
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    with client, client.messages.stream(**asked) as stream:
        theirs = stream.get_final_message()
    message = ours(name)
    assert blocks_of(message) == [
        {key: value for key, value in block.to_dict().items() if key != "parsed_output"}
        for block in theirs.content
    ]
    assert (message.stop_raw, message.response_id, message.origin.served) == (
        theirs.stop_reason,
        theirs.id,
        theirs.model,
    )
    read = theirs.usage
    assert message.usage.input_total == sum(
        count or 0
        for count in (read.input_tokens, read.cache_read_input_tokens, read.cache_creation_input_tokens)
    )
    assert theirs.usage.output_tokens in {message.usage.output, 0}


def streamed(reply: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Cut a whole reply into the events in which the API would stream it."""
    ends = {"stop_reason", "stop_sequence", "stop_details", "container"}
    start = {
        key: value for key, value in reply.items() if key not in {*ends, "content", "input_transformations"}
    }
    yield "message_start", {"message": {**start, "content": []}}
    for index, block in enumerate(reply["content"]):
        empty, deltas = opened(block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    delta = {key: value for key, value in reply.items() if key in ends}
    changes = {"input_transformations": reply.get("input_transformations")}
    yield "message_delta", {"delta": delta, "usage": reply["usage"], **changes}
    yield "message_stop", {}


def opened(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    match block:
        case {"type": "text", "text": text}:
            cited = [{"type": "citations_delta", "citation": item} for item in block.get("citations", [])]
            kept: JsonObject = {"citations": []} if cited else {}
            pieces = [{"type": "text_delta", "text": piece} for piece in (text[:2], text[2:])]
            return {"type": "text", "text": "", **kept}, [*pieces, *cited]
        case {"type": "thinking", "thinking": text, "signature": signature}:
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in (text[:2], text[2:])]
            signed = {"type": "signature_delta", "signature": signature}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*pieces, signed]
        case {"input": {"path": _} | {"query": _} | {"x": _} as given}:
            text = json.dumps(given, separators=(",", ":"))
            pieces = [
                {"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])
            ]
            return {**block, "input": {}}, pieces
        case _:
            return block, []


@pytest.mark.parametrize(("name", "key"), WHOLE)
def test_a_streamed_reply_is_the_message_that_the_whole_one_is(name: str, key: str) -> None:
    decoder = WIRE.decoder(anthropic_rows.MODELS[name])
    for kind, data in streamed(anthropic_rows.REPLIES[name][key]):
        decoder.feed(kind, json.dumps({"type": kind, **data}))
    message = decoder.finish()
    if "ids" in key:  # made where there is none, from all that is known at the time
        assert len({each.id for each in message.calls}) == len(message.calls)
    else:
        assert message == whole(name, key)


def test_a_whole_reply_is_counted_with_what_ran_beside_it() -> None:
    usage = whole("anthropic", "counted").usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (1011, 100, 207, 3)
    assert (usage.cache_write.m5, usage.cache_write.h1, usage.cache_write.unknown) == (50, 30, 10)
    assert WIRE.decode(anthropic_rows.whole(usage=None), PLAIN).usage == Usage()


def test_a_call_of_a_refused_reply_never_runs() -> None:
    refused = whole("anthropic", "refused")
    assert (refused.calls, refused.stop) == ((), "refusal")
    assert [part.type for part in refused.parts] == ["text", "refusal"]


def test_a_server_tool_is_told_as_it_goes() -> None:
    decoder = WIRE.decoder(PLAIN)
    seen = [
        delta
        for kind, data in streamed(anthropic_rows.whole(*anthropic_rows.SEARCHED, *anthropic_rows.FAILED))
        for delta in decoder.feed(kind, json.dumps({"type": kind, **data}))
    ]
    assert seen == [
        HostedDelta("web_search", "started"),
        HostedDelta("web_search", "done"),
        HostedDelta("web_fetch", "started"),
        HostedDelta("web_fetch", "failed"),
    ]


def test_a_call_is_known_by_id_and_name_before_its_input_comes() -> None:
    decoder = WIRE.decoder(PLAIN)
    start: JsonObject = {
        "index": 4,
        "content_block": {"type": "tool_use", "id": "t1", "name": "read", "input": {}},
    }
    assert [*decoder.feed("content_block_start", json.dumps(start))] == [CallDelta(0, "t1", "read", "")]


def test_a_block_that_never_began_ends_without_harm() -> None:
    decoder = WIRE.decoder(PLAIN)
    assert [*decoder.feed("content_block_stop", "{}"), *decoder.feed("content_block_delta", "{}")] == []


def test_a_cut_search_is_no_part_of_what_came_but_a_finished_one_is() -> None:
    decoder = WIRE.decoder(PLAIN)
    cut = streamed(anthropic_rows.whole(*anthropic_rows.SEARCHED, anthropic_rows.FAILED[0]))
    for kind, data in cut:
        if kind != "message_stop":
            decoder.feed(kind, json.dumps({"type": kind, **data}))
    kinds = [part.kind for part in decoder.partial().parts if isinstance(part, HostedCallPart)]
    assert kinds == ["web_search"]


@pytest.mark.parametrize("reply", [{}, {"content": "hello"}, {"type": "message"}])
def test_what_has_no_content_is_no_reply(reply: JsonObject) -> None:
    with pytest.raises(Undecodable):
        WIRE.decode(reply, PLAIN)


# Errors ----------------------------------------------------------------------------------------------------------


def fault(kind: str, message: str, **details: str) -> JsonObject:
    error = {"type": kind, "message": message, **({"details": details} if details else {})}
    return {"type": "error", "error": error, "request_id": "req_1"}


BOUND: Final = "messages.1.content.0: The block is bound to a different conversation"
FAULTS: Final[list[tuple[int, JsonObject, type[ProviderError]]]] = [
    (400, fault("invalid_request_error", "max_tokens: Field required"), InvalidRequest),
    (400, fault("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), ContextOverflow),
    (400, fault("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 1 > 8"), ContextOverflow),
    (400, fault("invalid_request_error", "Your credit balance is too low to access the API."), QuotaExhausted),
    (400, fault("invalid_request_error", BOUND), StaleState),
    (400, fault("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"), StaleState),
    (400, fault("invalid_request_error", "`thinking` blocks in the latest assistant message cannot be modified."), StaleState),
    (400, fault("invalid_request_error", "Output blocked by content filtering policy"), ContentBlocked),
    (400, fault("invalid_request_error", "Too wide", error_code="image_dimensions_too_large"), InvalidRequest),
    (401, fault("authentication_error", "invalid x-api-key"), AuthFailed),
    (402, fault("billing_error", "Pay first."), QuotaExhausted),
    (403, fault("permission_error", "Not yours."), AuthFailed),
    (404, fault("not_found_error", "model: claude-0"), NotFound),
    (404, fault("not_found_error", "Container not found"), StaleState),
    (404, fault("not_found_error", "No such thread", error_code="thread_not_found"), StaleState),
    (409, fault("conflict_error", "Wait."), Busy),
    (413, fault("request_too_large", "Request exceeds the maximum size"), RequestTooLarge),
    (400, fault("invalid_request_error", "Big.", error_code="request_body_too_large_after_decoding"), RequestTooLarge),
    (429, fault("rate_limit_error", "Slow down."), Busy),
    (429, fault("rate_limit_error", "Ramp.", error_code="ramp_limit_exceeded"), Busy),
    (429, fault("rate_limit_error", "Spent.", error_code="enforced_spend_limit_reached"), QuotaExhausted),
    (500, fault("api_error", "Internal server error"), Busy),
    (504, fault("timeout_error", "Too slow."), Busy),
    (529, fault("overloaded_error", "Overloaded"), Busy),
]  # fmt: skip


@pytest.mark.parametrize(("status", "fault", "kind"), FAULTS)
def test_an_error_means_the_same_as_a_reply_in_a_stream_and_under_status_200(
    status: int, fault: JsonObject, kind: type[ProviderError]
) -> None:
    error = WIRE.error(status, {"request-id": "req_1"}, json.dumps(fault).encode())
    assert (type(error), error.status, error.request_id) == (kind, status, "req_1")
    for feed in (
        lambda: WIRE.decoder(PLAIN).feed("error", json.dumps(fault)),
        lambda: WIRE.decode(fault, PLAIN),
    ):
        with pytest.raises(kind) as raised:
            feed()
        assert (str(raised.value), raised.value.status, raised.value.request_id) == (
            str(error),
            status,
            "req_1",
        )


def test_a_page_from_the_edge_is_an_error_too() -> None:
    error = WIRE.error(413, {}, b"<html><head><title>413 Request Entity Too Large</title></head></html>")
    assert (type(error), str(error)) == (RequestTooLarge, "HTTP 413: 413 Request Entity Too Large")
