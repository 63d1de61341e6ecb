"""What adapters get wrong about what is kept and sent: refusals, pauses, reasoning, media, names, schemas. WIRES §15."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import pytest
from unit.agent.providers.raw import Step, serving, whole
from wires import responses_rows
from wires.cases import CASES, HELLO, LOOSE, SCHEMA, asks, call, calls, reply, result, results
from wires.edges import (
    CHAT,
    CLAUDE,
    EACH,
    GATEWAY,
    GEMINI,
    GLM,
    GPT,
    MISTRAL,
    OPENAI,
    ROUTER,
    SAID,
    back,
    called,
    chat,
    claude,
    client,
    completed,
    failed,
    fragment,
    gemini,
    got,
    heard,
    item,
    sent,
    start,
    streamed,
    thought,
    uses,
    wrote,
)
from wires.rows import WIRES

from fakes import make_session, memory_sandbox
from treadle.agent.context import breakpoints
from treadle.agent.events import ReasoningDelta, StreamDelta
from treadle.agent.limits import Limits
from treadle.agent.messages import AssistantMessage, RefusalPart, TextPart, notice, user
from treadle.agent.mock.anthropic import Anthropic as MessagesFace
from treadle.agent.mock.responses import Responses as ResponsesFace
from treadle.agent.providers.catalogue import Book, Home, Shelf, find
from treadle.agent.providers.contract import (
    Busy,
    ContentBlocked,
    ContextOverflow,
    InvalidRequest,
    ModelRequest,
    Output,
    ProviderError,
    QuotaExhausted,
    Renderings,
    RequestTooLarge,
    StaleState,
    StreamCutShort,
)
from treadle.agent.providers.retry import wait
from treadle.agent.providers.vendors import resolve
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.read import read_tool
from treadle.tools.contract import Function, JsonObject, Text, ToolContext, ToolError

pytestmark = pytest.mark.anyio


def refused(message: AssistantMessage) -> list[str]:
    """What was refused, part by part."""
    return [part.text for part in message.parts if isinstance(part, RefusalPart)]


def test_18_a_refusal_is_one_on_every_wire_and_anthropics_leaves_nothing_in_the_history() -> None:
    streamed_refusal = heard(OPENAI, chat(refusal="I will "), chat("stop", refusal="not."))
    part = {"type": "refusal", "refusal": "I will not."}
    whole_refusal = heard(GPT, completed({"type": "message", "content": [part]}))
    for message in (streamed_refusal, whole_refusal):
        assert (message.stop, refused(message)) == ("refusal", ["I will not."])
    flag = heard(CHAT, chat(content="No.", refusal=True), chat("stop"))
    assert (flag.stop, flag.text) == ("refusal", "No.")
    assert back(CHAT, flag)["messages"][-1] == {"role": "assistant", "content": "No."}
    assert heard(CHAT, chat(content="Yes.", refusal=False), chat("stop")).stop == "end"
    for said in (claude(wrote("I was ab"), stop="refusal"), claude(stop="refusal")):
        message = heard(CLAUDE, *said)
        assert message.stop == "refusal"
        assert [each["role"] for each in back(CLAUDE, message, HELLO)["messages"]] == ["user", "user"]
    error, _ = failed(GEMINI, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert isinstance(error, ContentBlocked)


async def test_19_a_paused_turn_goes_back_as_it_is_with_its_container_and_is_paid_each_time_up_to_a_limit() -> (
    None
):
    searching = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    said = claude([searching], stop="pause_turn")
    said[-2]["delta"]["container"] = {"id": "container_1", "expires_at": "2026-11-24T00:00:00Z"}
    answers: list[tuple[Step, ...]] = [streamed(*said)] * 3
    with anyio.fail_after(5):
        async with serving(*answers) as server, aclosing(client(CLAUDE, server.url)) as asked:
            session = make_session(None, asked, limits=Limits(steps=3))
            ended = await session.prompt(HELLO)
    assert (ended.outcome, ended.limit, ended.usage.output) == ("limit", "steps", 15)
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]
    assert [len(body["messages"]) for body in bodies] == [1, 2, 3]
    for body in bodies[1:]:
        last = body["messages"][-1]
        assert (last["role"], body["container"]) == ("assistant", "container_1")
        assert last["content"][0] | {"cache_control": None} == searching | {"cache_control": None}


def accepted(body: JsonObject) -> None:
    """Have the mock's Responses face check a body. Raises what it refuses."""
    ResponsesFace().read(body, {})


def test_20_openai_gets_every_call_with_its_output_and_reasoning_with_what_followed_it() -> None:
    thinks, made = responses_rows.thinks("rs_1", "Hm."), responses_rows.wants("call_a1")
    message = heard(GPT, item("done", 0, thinks), item("done", 1, made), completed(thinks, made))
    body = back(GPT, message, HELLO)
    kinds = [each["type"] for each in body["input"]]
    at = kinds.index("reasoning")
    assert kinds[at : at + 3] == ["reasoning", "function_call", "function_call_output"]
    assert "previous_response_id" not in body
    assert "item_reference" not in kinds
    assert body["store"] is False
    accepted(body)
    error, partial = failed(GPT, item("done", 0, thinks), item("added", 1, made | {"arguments": ""}))
    assert isinstance(error, StreamCutShort)
    accepted(sent(GPT, asks(HELLO, partial, HELLO)))
    lone = heard(GPT, item("done", 0, thinks), completed(thinks))
    accepted(sent(GPT, asks(HELLO, lone, HELLO)))


def test_21_encrypted_reasoning_is_taken_from_the_item_that_is_done() -> None:
    begun: JsonObject = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    done = begun | {"encrypted_content": responses_rows.SEALED}
    made = called()
    said = (item("added", 0, begun), item("done", 0, done), item("done", 1, made))
    message = heard(GPT, *said, completed(done, made))
    assert json.dumps(responses_rows.SEALED) in json.dumps(back(GPT, message))
    _, partial = failed(GPT, item("added", 0, begun))
    assert "gAAA" not in partial.model_dump_json()


def test_22_items_are_known_by_their_index_though_their_ids_change_or_are_missing() -> None:
    delta = {"type": "response.function_call_arguments.delta"}
    message = heard(
        GPT,
        item("added", 0, called(arguments="", id="fc_x1")),
        item("added", 1, called("call_b2", arguments="", id="fc_x2")),
        {**delta, "item_id": "fc_y2", "output_index": 1, "delta": '{"path":"b"}'},
        {"type": "response.shell_call_command.delta", "output_index": 2, "command_index": 0, "delta": "ls"},
        {**delta, "output_index": 0, "delta": '{"path":"a"}'},
        item("done", 0, called(id="fc_z1")),
        item("done", 1, called("call_b2", '{"path":"b"}', id="fc_z2")),
        completed(),
    )
    assert [(each.id, each.arguments) for each in message.calls] == [
        ("call_a1", '{"path":"a"}'),
        ("call_b2", '{"path":"b"}'),
    ]


@pytest.mark.parametrize("name", ["multi_tool_use.parallel", "functions.read"])
async def test_23_a_tool_that_was_never_declared_is_answered_with_those_that_were(name: str) -> None:
    calling = streamed(fragment("{}", name, index=0, id="call_a1"), chat("tool_calls"))
    answers: list[tuple[Step, ...]] = [calling, streamed(*SAID[OPENAI])]
    with anyio.fail_after(5):
        async with serving(*answers) as server, aclosing(client(CHAT, server.url)) as asked:
            ended = await make_session(None, asked).prompt(HELLO)
    assert ended.outcome == "done"
    told = json.loads(server.requests[1].partition(b"\r\n\r\n")[2])["messages"]
    assert told[-1]["content"] == f"Error: There is no tool named {name!r}. There are: read."
    assert re.fullmatch(r"[A-Za-z0-9_-]+", told[-2]["tool_calls"][0]["function"]["name"])


DETAIL: Final = {"type": "reasoning.text", "text": "Hm.", "index": 0}
THINKING: Final = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (CHAT, [chat(reasoning_content="Hm."), chat("stop", content="So.")]),
        (CHAT, [chat(reasoning="Hm."), chat("stop", content="So.")]),
        (CHAT, [chat(reasoning="Hm.", reasoning_content="Hm."), chat("stop", content="So.")]),
        (ROUTER, [chat(reasoning="Hm.", reasoning_details=[DETAIL]), chat("stop", content="So.")]),
        (CHAT, [chat(content="<thi"), chat(content="nk>Hm.</think>"), chat("stop", content="\n\nSo.")]),
        (MISTRAL, [chat(content=[THINKING]), chat("stop", content=[{"type": "text", "text": "So."}])]),
    ],
)
def test_24_reasoning_is_shown_once_in_whatever_fields_or_tags_it_comes(name: str, said: list[Any]) -> None:
    message = heard(name, *said)
    assert (thought(message), message.text) == (["Hm."], "So.")
    decoder, deltas = WIRES[name].wire.decoder(WIRES[name].model), list[StreamDelta]()
    for chunk in said:
        deltas += decoder.feed("", json.dumps(chunk))
    assert "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta)) == "Hm."


def test_24_tags_without_an_end_or_around_nothing_are_no_text() -> None:
    unended = heard(CHAT, chat(content="<think>Hm."), chat("stop"))
    assert (thought(unended), unended.text) == (["Hm."], "")
    blank = heard(CHAT, chat(content="<think>\n\n</think>\n\nSo."), chat("stop"))
    assert (thought(blank), blank.text) == ([], "So.")


def test_25_reasoning_details_go_back_whole_unchanged_and_in_their_order() -> None:
    pieces = [
        [{"type": "reasoning.summary", "summary": "In short.", "index": 0, "format": "f"}],
        [{"type": "reasoning.text", "text": "H", "index": 1, "id": "r"}],
        [{"type": "reasoning.text", "text": "m.", "index": 1}],
        [{"type": "reasoning.text", "signature": "c2ln", "index": 1}],
        [{"type": "reasoning.encrypted", "data": "AAAA", "index": 2}],
    ]
    made = fragment('{"path":"a"}', "read", index=0, id="call_a1")
    said = [chat(reasoning_details=piece) for piece in pieces]
    message = heard(ROUTER, *said, made, chat("tool_calls"))
    assert back(ROUTER, message)["messages"][-2]["reasoning_details"] == [
        pieces[0][0],
        {"type": "reasoning.text", "text": "Hm.", "index": 1, "id": "r", "signature": "c2ln"},
        pieces[4][0],
    ]


def test_26_calls_hold_a_reasoning_field_where_a_vendor_wants_one_and_none_where_it_does_not() -> None:
    made = asks(HELLO, calls(call("c1")), results(result("c1")))
    assert sent(GLM, made)["messages"][-2]["reasoning_content"] == ""
    for vendor in ("deepseek", "moonshot"):
        assert resolve(vendor, {f"{vendor.upper()}_API_KEY": "k"}).dialects["openai_chat"][
            "reasoning_required"
        ]
    assert "reasoning_content" not in sent(CHAT, made)["messages"][-2]
    message = heard(
        MISTRAL, chat(reasoning_content="Hm."), fragment("{}", "read", index=0), chat("tool_calls")
    )
    assert "reasoning_content" not in json.dumps(back(MISTRAL, message))


async def test_27_glms_codes_count_more_than_its_statuses_and_so_do_its_ways_to_end() -> None:
    for code, kind in (("1113", QuotaExhausted), ("1308", QuotaExhausted), ("1302", Busy), ("1305", Busy)):
        body = json.dumps({"error": {"code": code, "message": "m"}}).encode()
        with pytest.raises(kind):
            await got(GLM, whole(429, body))
    broken, _ = failed(GLM, chat(content="I"), chat("network_error"))
    assert isinstance(broken, StreamCutShort)
    assert broken.retryable
    assert heard(GLM, chat("sensitive", content="I")).stop == "content_filter"
    always = replace(asks(HELLO), output=Output(effort="none"))
    assert sent(GLM, always)["reasoning_effort"] == "low"
    assert sent(GLM, always)["tool_stream"] is True


@pytest.mark.parametrize("name", [name for name, row in WIRES.items() if row.tools])
def test_28_a_schema_is_never_asked_for_by_forcing_a_tool(name: str) -> None:
    body = sent(name, replace(asks(HELLO), output=Output(schema=SCHEMA)))
    assert body.get("tool_choice", "auto") == "auto"
    assert "ANY" not in json.dumps(body.get("toolConfig"))
    assert len(json.dumps(body).split('"read"')) == 2
    required = ModelRequest((), asks().tools, (HELLO,), tool_choice="required")
    if name in {CLAUDE, "anthropic.sonnet"}:
        assert "tool_choice" not in sent(name, required)


ZEROS: Final = CASES["sampling_zero"].sampling.model_dump(exclude_none=True, exclude_defaults=True)


@pytest.mark.parametrize("name", WIRES)
def test_29_zero_is_a_value_that_is_sent_or_dropped_with_a_warning(name: str) -> None:
    row = WIRES[name]
    http = row.wire.encode(row.asked(CASES["sampling_zero"]), row.model, Renderings(), stream=True)
    body = json.loads(http.body)
    knobs = {**body, **body.get("generationConfig", {}), **body.get("generation_config", {})}
    given = [key for key, value in knobs.items() if str(value) in {"0", "0.0"} or key == "do_sample"]
    dropped = [note.field for note in http.warnings if note.field.startswith("sampling.")]
    assert len(given) + len(dropped) == len(ZEROS) == 8
    assert all(row.model.id in note.detail for note in http.warnings)


def no_book() -> Book:
    """Have no package looked into."""
    raise AssertionError


SHELF: Final = Shelf(("anthropic",), no_book, datetime(2026, 11, 24, tzinfo=UTC))


def test_30_thinking_that_no_longer_fits_its_prefix_is_dropped_by_the_provider_and_told() -> None:
    told = {"type": "invalid_request_error", "message": "The block is bound to a different conversation."}
    body = json.dumps({"type": "error", "error": told}).encode()
    assert isinstance(WIRES[CLAUDE].wire.error(400, {}, body), StaleState)
    for key in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2"):
        info = find(key, Home("anthropic", "e1", "anthropic"), SHELF)
        http = WIRES[CLAUDE].wire.encode(asks(HELLO), info, Renderings(), stream=True)
        thinking = json.loads(http.body)["thinking"]
        assert thinking["block_binding"] == {"prefix_mismatch_behavior": "drop_block"}
        assert "thinking-binding-controls" in http.headers["anthropic-beta"]
    said = claude(wrote("So."))
    said[-2]["input_transformations"] = [{"type": "thinking_dropped", "reason": "prefix_binding_mismatch"}]
    assert [note.code for note in heard(CLAUDE, *said).warnings] == ["thinking_dropped"]


DIGEST: Final = """
import hashlib
from wires.cases import CASES
from wires.rows import WIRES
from treadle.agent.providers.contract import Renderings
total = hashlib.sha256()
for name, row in WIRES.items():
    for case in CASES.values():
        total.update(row.wire.encode(row.asked(case), row.model, Renderings(), stream=True).body)
print(total.hexdigest())
"""


def test_31_requests_are_the_same_bytes_in_every_process() -> None:
    found = {
        subprocess.run(
            (sys.executable, "-c", DIGEST),
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_31_breakpoints_are_few_long_ones_first_and_never_far_from_the_last_request() -> None:
    body = sent(CLAUDE, CASES["caching"])
    MessagesFace().read(body, {"anthropic-version": "2026-10-21", "authorization": "Bearer k"})
    assert json.dumps(body).count("cache_control") <= 4
    many = [call(f"c{n}") for n in range(30)]
    messages = (HELLO, calls(*many), results(*(result(f"c{n}") for n in range(30))))
    marked = [point.message for point in breakpoints(messages) if point.after == "message"]
    assert marked == [0, 2]


def test_32_images_in_results_stay_there_where_they_may_and_else_follow_all_results() -> None:
    request = CASES["image_in_result"]
    (answer, second) = sent(CLAUDE, request)["messages"][2]["content"]
    assert [part["type"] for part in answer["content"]] == ["text", "image"]
    assert second["type"] == "tool_result"
    outputs = [each for each in sent(GPT, request)["input"] if each.get("type") == "function_call_output"]
    assert "input_image" in json.dumps(outputs[0]["output"])
    tools = [each for each in sent(ROUTER, request)["messages"] if each["role"] == "tool"]
    assert "image_url" in json.dumps(tools[0]["content"])
    parts = sent(GEMINI, request)["contents"][2]["parts"]
    assert parts[0]["functionResponse"]["parts"][0]["inlineData"]["mimeType"] == "image/png"
    roles = [each["role"] for each in sent(OPENAI, request)["messages"]]
    assert roles[-6:] == ["assistant", "tool", "tool", "user", "assistant", "user"]
    assert "image_url" not in json.dumps([
        each for each in sent(OPENAI, request)["messages"] if each["role"] == "tool"
    ])


@pytest.mark.parametrize("name", EACH)
def test_33_a_tools_error_is_told_and_an_empty_result_is_never_empty(name: str) -> None:
    failed_result = json.dumps(sent(name, CASES["error_result"]), ensure_ascii=False)
    assert {CLAUDE: '"is_error": true', GEMINI: '"error": "'}.get(
        name, "Error: No such file."
    ) in failed_result
    assert "No such file." in failed_result
    assert "(no output)" in json.dumps(sent(name, CASES["empty_result"]))


async def test_34_what_is_too_large_is_known_from_every_vendors_words() -> None:
    page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
    for name in EACH:
        with pytest.raises(RequestTooLarge):
            await got(name, whole(413, page, "content-type: text/html"))
    for name, status, error in (
        (OPENAI, 400, {"code": "context_length_exceeded", "message": "m"}),
        (CHAT, 400, {"message": "This model's maximum context length is 4096 tokens.", "code": 400}),
        (
            CLAUDE,
            400,
            {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"},
        ),
        (
            GEMINI,
            400,
            {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9) exceeds 8"},
        ),
        (GLM, 400, {"code": "1261", "message": "m"}),
    ):
        with pytest.raises(ContextOverflow):
            await got(name, whole(status, json.dumps({"error": error}).encode()))
    assert heard(CLAUDE, *claude(wrote("I"), stop="model_context_window_exceeded")).stop == "context_window"


async def test_34_an_image_that_providers_refuse_is_refused_before_it_is_in_the_history() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(3_800_000)
    sandbox = memory_sandbox(**{"a.png": picture})
    with pytest.raises(ToolError, match="an image of"):
        await read_tool(Seen()).run({"path": "a.png"}, ToolContext("c1", sandbox, silent))


async def silent(text: str) -> None:
    """Show nothing."""


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        (("retry-after: 7",), {}, 7),
        (("retry-after: Tue, 24 Nov 2026 12:01:30 GMT", "date: Tue, 24 Nov 2026 12:00:00 GMT"), {}, 90),
        (("retry-after-ms: 250",), {}, 0.25),
        (("x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 6m0s"), {}, 360),
        ((), {"details": [{"@type": "RetryInfo", "retryDelay": "14s"}]}, 14),
    ],
)
async def test_35_every_shape_of_a_wait_is_read_and_a_long_one_is_told_and_not_slept(
    headers: tuple[str, ...], body: JsonObject, seconds: float
) -> None:
    with pytest.raises(Busy) as caught:
        await got(CHAT, whole(429, json.dumps({"error": {"message": "m", **body}}).encode(), *headers))
    assert caught.value.retry_after == seconds
    planned = wait(caught.value, 1, random=0.0)
    assert planned == (None if seconds > 60 else max(seconds, 0.25))
    with pytest.raises(ProviderError) as told:
        await got(CHAT, whole(429, b"{}", "x-should-retry: false"))
    assert not told.value.retryable


def test_37_what_others_name_is_quoted_in_paths_and_never_part_of_a_hosts_name() -> None:
    info = replace(WIRES[GEMINI].model, id="../../secrets?x=1#")
    path = WIRES[GEMINI].wire.encode(asks(HELLO), info, Renderings(), stream=True).path
    assert path == "/models/..%2F..%2Fsecrets%3Fx%3D1%23:streamGenerateContent"
    for resource in ("evil.example/", "a.b", "x@evil", "-a", ""):
        with pytest.raises(InvalidRequest):
            resolve("azure", {"AZURE_OPENAI_RESOURCE": resource, "AZURE_OPENAI_API_KEY": "k"})
    good = resolve("azure", {"AZURE_OPENAI_RESOURCE": "ours-1", "AZURE_OPENAI_API_KEY": "k"})
    assert good.base_url == "https://ours-1.openai.azure.com/openai/v1"


def test_39_a_notice_amid_the_conversation_is_the_systems_only_where_it_may_be() -> None:
    said = asks(HELLO, reply(TextPart(text="Hi.")), user("Go on."), notice("Mode is now plan."))
    assert sent(GPT, said)["input"][-1]["role"] == "developer"
    assert sent(CLAUDE, said)["messages"][-1]["role"] == "system"
    for name in (CHAT, GLM, MISTRAL, GATEWAY):
        roles = [each["role"] for each in sent(name, said)["messages"]]
        assert "system" not in roles[1:]
    after = asks(HELLO, calls(call("c1")), results(result("c1")), notice("Mode is now plan."))
    assert {each["role"] for each in sent("anthropic", after)["messages"]} == {"user", "assistant"}


def test_40_a_call_of_a_toolset_is_its_members_and_its_result_names_the_toolset() -> None:
    begun, *deltas = uses('{"path":"a"}')
    named = begun | {"name": "screenshot", "toolset_name": "computer"}
    message = heard(CLAUDE, *claude([named, *deltas], uses("{}", key="toolu_2"), stop="tool_use"))
    assert [each.name for each in message.calls] == ["screenshot", "read"]
    body = back(CLAUDE, message)
    assert body["messages"][1]["content"][0]["toolset_name"] == "computer"
    answers = body["messages"][2]["content"]
    assert [answer.get("toolset_name") for answer in answers] == ["computer", None]
    assert "toolset_name" not in json.dumps(back("anthropic.sonnet", message))


def test_41_gateways_start_twice_skip_indexes_and_send_input_with_the_start() -> None:
    twice = [start(), *claude(wrote("Hi."))]
    twice[1]["message"]["model"] = "m-2"
    message = heard(GATEWAY, *twice)
    assert (message.text, message.origin.served) == ("Hi.", "m-2")
    gaps = claude(wrote("Hi."), uses('{"path":"a"}'), stop="tool_use")
    for event in gaps:
        if "index" in event:
            event["index"] = event["index"] * 5 + 1
    assert heard(GATEWAY, *gaps).calls[0].arguments == '{"path":"a"}'
    prefilled = heard(GATEWAY, *claude(uses(given={"path": "a"}), stop="tool_use"))
    assert json.loads(prefilled.calls[0].arguments) == {"path": "a"}
    both = heard(GATEWAY, *claude(uses('{"path":"b"}', given={"path": "a"}), stop="tool_use"))
    assert json.loads(both.calls[0].arguments) == {"path": "b"}


def test_42_of_several_choices_only_the_first_is_heard() -> None:
    several = [
        chat(content="I"),
        chat(index=1, content="You"),
        chat("stop", index=1),
        chat("stop", content=" am"),
    ]
    assert heard(CHAT, *several).text == "I am"
    other = gemini({"text": "You"}, stop="STOP")
    other["candidates"][0]["index"] = 1
    assert heard(GEMINI, gemini({"text": "I"}), other, gemini({"text": " am"}, stop="STOP")).text == "I am"


@pytest.mark.parametrize("name", WIRES)
def test_43_half_surrogates_and_nul_never_leave_and_never_stay(name: str) -> None:
    row = WIRES[name]
    body = row.wire.encode(row.asked(CASES["unicode"]), row.model, Renderings(), stream=True).body
    text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
    text.encode()
    assert "\x00" not in text
    assert "\\u0000" not in text.replace("\\\\u0000", "")
    said = SAID.get(name)
    if said is not None:
        odd = json.loads(json.dumps(said).replace("able.", "a\\ud800\\u0000b"))
        heard(name, *odd).model_dump_json().encode()


ODD: Final = ("functions.read", "mcp server/läsa", "x" * 200, "", "a:b")


@pytest.mark.parametrize("name", [name for name, row in WIRES.items() if row.tools])
def test_44_names_and_ids_are_sent_in_each_apis_letters_and_lengths(name: str) -> None:
    parts = [call(f"call {n}:é/" + "y" * 90, odd) for n, odd in enumerate(ODD)]
    answers = [result(part.call.id, Text(text="ok")) for part in parts]
    body = sent(name, asks(HELLO, calls(*parts), results(*answers)))
    text = json.dumps({key: value for key, value in body.items() if key != "tools"})
    longest = 128 if WIRES[name].model.wire in {"anthropic", "gemini", "gemini_interactions"} else 64
    names = re.findall(r'"name": "([^"]*)"', text)
    assert len(names) >= len(ODD)
    letters = r"[A-Za-z0-9_.:-]" if WIRES[name].model.wire == "gemini" else r"[A-Za-z0-9_-]"
    assert all(re.fullmatch(f"{letters}{{1,{longest}}}", found) for found in names), names
    if WIRES[name].model.wire not in {"gemini", "gemini_interactions"}:
        ids = re.findall(r'"(?:id|call_id|tool_call_id|tool_use_id)": "([^"]*)"', text)
        assert len(set(ids)) == len(ODD)
        assert all(len(found) <= 64 for found in ids)


def test_45_schemas_are_sent_in_the_strictest_dialect_that_a_model_takes() -> None:
    def asked(schema: JsonObject) -> ModelRequest:
        return ModelRequest((), (), (HELLO,), output=Output(schema=schema))

    assert sent(OPENAI, asked(SCHEMA))["response_format"]["json_schema"]["strict"] is True
    assert not sent(OPENAI, asked(LOOSE))["response_format"]["json_schema"].get("strict")
    assert sent(GPT, asked(LOOSE))["text"]["format"]["strict"] is False
    bounded = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    closed = sent(CLAUDE, asked(bounded))["output_config"]["format"]["schema"]
    assert closed == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert sent(GEMINI, asked(bounded))["generationConfig"]["responseJsonSchema"] == bounded
    as_object = sent(GLM, asked(SCHEMA))
    assert as_object["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA, separators=(",", ":")) in as_object["messages"][-1]["content"]
    assert "response_format" not in sent(MISTRAL, asked(SCHEMA))
    assert json.dumps(SCHEMA, separators=(",", ":")) in json.dumps(sent(MISTRAL, asked(SCHEMA))).replace(
        '\\"', '"'
    )
    looped = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"$ref": "#/$defs/N"}},
    }
    tool = Function(name="walk", description="Walk.", parameters=looped)
    assert sent(GLM, asks(HELLO, tools=(tool,)))["tools"][0]["function"]["parameters"] == looped
