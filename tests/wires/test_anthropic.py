"""What Anthropic's wire does beyond what every wire does, with Anthropic's own SDK as the judge."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter
from wires import anthropic_rows
from wires.cases import CASES, HELLO, IMAGE, PATCH, PDF, READ, asks, call, calls, reply, result, results

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
    CompactionPart,
    Message,
    Origin,
    ReasoningPart,
    TextPart,
    UserMessage,
    notice,
    user,
)
from treadle.agent.mock.anthropic import Anthropic as Face
from treadle.agent.providers.contract import (
    Breakpoint,
    Caching,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    ModelRequest,
    Output,
    Renderings,
)
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.settings import Sampling
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
