"""Acting on a screen over every wire that knows it: asked for, called, run here, answered, and sent back as it came."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter
from wires.cases import HELLO, IMAGE, PNG, asks, result, results
from wires.edges import (
    CLAUDE,
    GEMINI,
    GPT,
    STEPS,
    called,
    claude,
    completed,
    gemini,
    heard,
    item,
    sent,
    steps,
    uses,
)
from wires.rows import WIRES

from fakes import Says, memory_sandbox, reading
from treadle.agent.events import MessageAdded
from treadle.agent.messages import AssistantMessage, ToolMessage
from treadle.agent.providers.contract import Renderings
from treadle.agent.step import Calls
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Hosted, JsonObject, Outcome, Text, ToolContext
from treadle.tools.screen import ACTIONS
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio
SPEC: Final = Hosted(kind="computer_use")
CLICK: Final = {"type": "click", "x": 1, "y": 2, "button": "left"}
CHECK: Final = {"id": "sc_1", "code": "malicious", "message": "Sure?"}
OLDER: Final = "anthropic.older"


class Screen:
    """A tool with a screen: it remembers what was done, and shows the same picture every time."""

    spec = SPEC

    def __init__(self) -> None:
        self.done: list[JsonObject] = []

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return Access("computer_use", opaque=True)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        self.done.append(arguments)
        return Outcome((Text(text="Seen."), IMAGE))


async def silent(*told: Any) -> None:
    """Keep and show nothing."""


async def acted(message: AssistantMessage) -> tuple[list[JsonObject], ToolMessage]:
    """Run what a reply calls where there is a screen. Returns what was done, and the results."""
    screen, toolbox = Screen(), Toolbox()
    toolbox.plug("screen", [screen])
    run = Calls(toolbox, memory_sandbox(), Says(), silent, silent)
    found = await run.run(message.calls, MessageAdded(message=message))
    return screen.done, ToolMessage(results=tuple(found))


def computer(key: str = "call_s1", **more: Any) -> JsonObject:
    item = {"type": "computer_call", "id": "cu_1", "call_id": key, "status": "completed", "actions": [CLICK]}
    return {"type": "response.output_item.done", "output_index": 0, "item": {**item, **more}}


def member(name: str, toolset: str | None, given: str) -> list[JsonObject]:
    begun, *rest = uses(given)
    return [{**begun, "name": name, **({"toolset_name": toolset} if toolset else {})}, *rest]


def step_call(name: str, arguments: JsonObject) -> list[JsonObject]:
    call: JsonObject = {"type": "function_call", "id": "c1", "name": name, "arguments": {}, "signature": ""}
    return [call, {"type": "arguments_delta", "arguments": json.dumps(arguments)}]


HEARD: Final[list[tuple[str, list[JsonObject], JsonObject]]] = [
    (
        GPT,
        [computer(pending_safety_checks=[CHECK]), completed()],
        {"actions": [CLICK], "pending_safety_checks": [CHECK]},
    ),
    (
        CLAUDE,
        claude(member("left_click", "computer", '{"coordinate":[1,2]}'), stop="tool_use"),
        {"coordinate": [1, 2], "action": "left_click"},
    ),
    (
        OLDER,
        claude(member("computer", None, '{"action":"screenshot"}'), stop="tool_use"),
        {"action": "screenshot"},
    ),
    (
        GEMINI,
        [gemini({"functionCall": {"name": "click_at", "args": {"x": 1}}}, stop="STOP")],
        {"x": 1, "action": "click_at"},
    ),
    (
        STEPS,
        steps(step_call("navigate", {"url": "u"}), status="requires_action"),
        {"url": "u", "action": "navigate"},
    ),
]


@pytest.mark.parametrize(("name", "said", "done"), HEARD, ids=[name for name, *_ in HEARD])
async def test_a_call_of_the_screen_is_run_by_the_tool_that_has_one_and_its_picture_goes_back(
    name: str, said: list[JsonObject], done: JsonObject
) -> None:
    message = heard(name, *said)
    assert message.stop == "tool_use"
    acts, seen = await acted(message)
    assert acts == [done]
    body = sent(name, asks(HELLO, message, seen, tools=(SPEC,)))
    text = json.dumps(body)
    assert PNG in text
    assert "Seen." in text
    assert sum(json.dumps(tool).count("omputer") > 0 for tool in body["tools"]) == 1


@pytest.mark.parametrize(("name", "said", "done"), HEARD, ids=[name for name, *_ in HEARD])
async def test_elsewhere_such_a_call_is_a_call_like_any_other(
    name: str, said: list[JsonObject], done: JsonObject
) -> None:
    message = heard(name, *said)
    _, seen = await acted(message)
    for other, row in WIRES.items():
        if row.tools and other != name:
            body = sent(other, asks(HELLO, message, seen))
            assert message.calls[0].name in json.dumps(body)
            assert "computer_call" not in json.dumps(body)


async def test_openai_is_answered_with_a_picture_and_what_it_asks_about_is_acknowledged() -> None:
    message = heard(GPT, computer(pending_safety_checks=[CHECK]), completed())
    _, seen = await acted(message)
    body = sent(GPT, asks(HELLO, message, seen, tools=(SPEC,), system=()))
    TypeAdapter[Any](ResponseCreateParamsStreaming).validate_python(body)
    assert body["tools"] == [{"type": "computer"}]
    call, answer, more = body["input"][1:]
    assert call == computer(pending_safety_checks=[CHECK])["item"]
    assert answer["type"] == "computer_call_output"
    assert answer["acknowledged_safety_checks"] == [CHECK]
    assert answer["output"]["image_url"].startswith("data:image/png;base64,")
    assert more["content"] == [{"type": "input_text", "text": "Seen."}]


def test_openai_is_shown_nothing_where_there_is_no_picture() -> None:
    message = heard(GPT, computer(), completed())
    denied = results(result("call_s1", Text(text="No."), status="denied"))
    _, answer, more = sent(GPT, asks(HELLO, message, denied, tools=(SPEC,), system=()))["input"][1:]
    assert answer["output"]["type"] == "computer_screenshot"
    assert answer["output"]["image_url"].startswith("data:image/png;base64,")
    assert "acknowledged_safety_checks" not in answer
    assert "No." in more["content"][0]["text"]


def test_openai_is_told_nothing_beside_a_picture_where_there_is_nothing_to_tell() -> None:
    message = heard(GPT, computer(), completed())
    body = sent(GPT, asks(HELLO, message, results(result("call_s1", IMAGE)), tools=(SPEC,), system=()))
    assert [each["type"] for each in body["input"]] == ["message", "computer_call", "computer_call_output"]


def test_a_function_that_is_named_like_an_item_of_the_screen_is_a_function() -> None:
    said = called("call_f1", name="computer_call")
    message = heard(GPT, item("done", 0, said), completed())
    (*_, answer) = sent(GPT, asks(HELLO, message, results(result("call_f1", Text(text="ok")))))["input"]
    assert answer["type"] == "function_call_output"


def test_a_call_of_the_screen_that_was_cut_off_never_runs() -> None:
    half = computer(status="in_progress")
    message = heard(GPT, half, {**completed(status="incomplete"), "type": "response.incomplete"})
    assert message.calls == ()
    assert [note.code for note in message.warnings] == ["call_dropped"]


def test_anthropic_is_told_of_a_toolset_without_a_name_and_older_models_of_a_tool_with_a_size() -> None:
    body = sent(CLAUDE, asks(HELLO, tools=(SPEC,)))
    assert body["tools"] == [{"type": "computer_toolset_20260801"}]
    TypeAdapter[Any](MessageCreateParamsStreaming).validate_python(body)
    for kind, day in (("computer_20250124", "2025-01-24"), ("computer_20251124", "2025-11-24")):
        row = WIRES[OLDER]
        info = replace(row.model, dialect={"hosted": {"computer_use": kind}})
        http = row.wire.encode(asks(HELLO, tools=(SPEC,)), info, Renderings(), stream=True)
        (tool,) = json.loads(http.body)["tools"]
        assert tool == {"name": "computer", "type": kind, "display_width_px": 1280, "display_height_px": 800}
        assert http.headers["anthropic-beta"] == f"computer-use-{day}"


def test_azure_is_told_of_the_preview_with_a_size() -> None:
    (tool,) = sent("responses.azure", asks(HELLO, tools=(SPEC,)))["tools"]
    assert (tool["type"], tool["display_width"], tool["environment"]) == (
        "computer_use_preview",
        1280,
        "linux",
    )


async def test_a_name_of_an_action_is_an_unknown_tool_where_there_is_no_screen() -> None:
    message = heard(GEMINI, gemini({"functionCall": {"name": "click_at", "args": {}}}, stop="STOP"))
    toolbox = Toolbox()
    toolbox.plug("builtin", [reading()])
    run = Calls(toolbox, memory_sandbox(), Says(), silent, silent)
    (found,) = await run.run(message.calls, MessageAdded(message=message))
    assert found.status == "error"
    assert toolbox.snapshot().find("click_at") is None


def test_a_tool_of_that_name_goes_before_an_action() -> None:
    toolbox = Toolbox()
    toolbox.plug("builtin", [reading()])
    toolbox.plug("screen", [Screen()])
    offered = toolbox.snapshot()
    assert offered.find("read") is offered.tools["read"]
    found = offered.find("scroll")
    assert found is not None
    assert found.spec == SPEC
    assert "read" not in ACTIONS
