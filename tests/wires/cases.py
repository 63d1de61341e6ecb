"""Requests that every wire must be able to send: one dict, in no wire's words."""

from __future__ import annotations

from typing import Final

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    CitationPart,
    CompactionPart,
    HostedCallPart,
    HostedResultPart,
    MediaPart,
    Message,
    OpaquePart,
    Origin,
    Part,
    ReasoningPart,
    RefusalPart,
    State,
    StopReason,
    TextPart,
    ToolMessage,
    UserMessage,
    notice,
    user,
)
from treadle.agent.providers.contract import Breakpoint, Caching, ModelRequest, Output
from treadle.agent.settings import Sampling
from treadle.tools.contract import (
    Content,
    Freeform,
    Function,
    Grammar,
    Inline,
    Json,
    JsonObject,
    Media,
    Resource,
    Status,
    Text,
    ToolCall,
    ToolRef,
    ToolResult,
    ToolSpec,
    Url,
)

ELSEWHERE: Final = Origin(wire="elsewhere", vendor="nobody", endpoint="e0", model="other-1", served="other-1")
"""No row's origin: what came from here is rebuilt from neutral fields."""

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGE: Final = Media(kind="image", mime="image/png", source=Inline(data=PNG), detail="low")
PDF: Final = Media(
    kind="document", mime="application/pdf", source=Inline(data="JVBERi0="), filename="plan.pdf"
)

READ: Final = Function(
    name="read",
    description="Read a file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": False,
    },
    strict=True,
)
NESTED: Final = Function(
    name="mark",
    description="Mark a place.",
    parameters={
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Point"}},
        "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "integer"}}}},
    },
)
PATCH: Final = Freeform(
    name="patch",
    description="Apply a patch.",
    grammar=Grammar(syntax="lark", definition='start: "*** Begin" /(.|\\n)*/'),
)
NOTE: Final = Freeform(name="note", description="Write a note.")

SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
LOOSE: Final[JsonObject] = {"type": "object", "properties": {"ok": {"type": "boolean"}}}


def reply(
    *parts: Part, stop: StopReason = "end", state: State = "complete", origin: Origin = ELSEWHERE
) -> AssistantMessage:
    return AssistantMessage(parts=parts, origin=origin, stop=stop, state=state)


def call(key: str, name: str = "read", arguments: str = '{"path":"a.py"}') -> CallPart:
    return CallPart(call=ToolCall(id=key, name=name, arguments=arguments))


def calls(*parts: Part) -> AssistantMessage:
    return reply(*parts, stop="tool_use")


def result(key: str, *content: Content, status: Status = "ok") -> ToolResult:
    return ToolResult(call_id=key, content=content, status=status)


def results(*items: ToolResult) -> ToolMessage:
    return ToolMessage(results=items)


def asks(
    *messages: Message,
    tools: tuple[ToolSpec, ...] = (READ,),
    system: tuple[str, ...] = ("You write code.",),
) -> ModelRequest:
    return ModelRequest(system=system, tools=tools, messages=messages)


HELLO: Final = user("Hello.")
OUTPUT: Final = Text(text="x = 1\n")
_SAID: Final = TextPart(text="Let me look.")
_LOOKED: Final = (user("What is in a.py?"), calls(_SAID, call("c1")), results(result("c1", OUTPUT)))

CASES: Final[dict[str, ModelRequest]] = {
    "text": asks(HELLO, tools=(), system=()),
    "system": asks(HELLO, tools=(), system=("You write code.", "Today you write tests.")),
    "tools": asks(HELLO, tools=(READ, NESTED)),
    "call_and_result": asks(*_LOOKED),
    "turns": asks(*_LOOKED, reply(TextPart(text="One line.")), user("Thanks."), notice("Mode is now plan.")),
    "parallel_calls": asks(
        user("Read both."),
        calls(call("c1"), call("c2", arguments='{"path":"b.py"}')),
        results(result("c1", OUTPUT), result("c2", Text(text="y = 2\n"))),
    ),
    "image_from_user": asks(
        UserMessage(content=(Text(text="What is this?"), IMAGE)),
        UserMessage(
            content=(Media(kind="image", mime="image/jpeg", source=Url(url="https://example.org/a.jpg")),)
        ),
    ),
    "document_from_user": asks(UserMessage(content=(PDF, Text(text="Summarise.")))),
    "audio_and_video_from_user": asks(
        UserMessage(
            content=(
                Media(kind="audio", mime="audio/wav", source=Inline(data="UklGRg==")),
                Media(kind="video", mime="video/mp4", source=Url(url="https://example.org/a.mp4")),
            )
        )
    ),
    "image_in_result": asks(
        user("Look at both."),
        calls(call("c1"), call("c2")),
        results(result("c1", Text(text="a picture:"), IMAGE), result("c2", IMAGE)),
        reply(TextPart(text="Two dots.")),
        user("Right."),
    ),
    "structured_content": asks(
        user("Go."),
        calls(call("c1")),
        results(
            result(
                "c1",
                Json(value={"n": 1, "é": [None, 1.5]}),
                Resource(uri="file:///a", text="body"),
                Resource(uri="file:///b"),
                ToolRef(name="later"),
            )
        ),
    ),
    "error_result": asks(
        user("Go."), calls(call("c1")), results(result("c1", Text(text="No such file."), status="error"))
    ),
    "denied_result": asks(
        user("Go."),
        calls(call("c1"), call("c2")),
        results(
            result("c1", Text(text="The user said no."), status="denied"),
            result("c2", Text(text="Cut off."), status="interrupted"),
        ),
    ),
    "empty_result": asks(
        user("Go."),
        calls(call("c1"), call("c2")),
        results(result("c1"), result("c2", Text(text="  "), status="error")),
    ),
    "empty_arguments": asks(user("Go."), calls(call("c1", arguments="")), results(result("c1", OUTPUT))),
    "malformed_arguments": asks(
        user("Go."),
        calls(call("c1", arguments='{"path": "a.p')),
        results(result("c1", Text(text="The arguments are not valid JSON."), status="error")),
    ),
    "odd_call_ids": asks(
        user("Go."),
        calls(call("functions.read:0"), call("c" * 90)),
        results(result("functions.read:0", OUTPUT), result("c" * 90, OUTPUT)),
    ),
    "reasoning_from_elsewhere": asks(
        user("Think."),
        calls(
            ReasoningPart(text="Hm.", signature="sig", raw='{"type":"thinking"}'),
            ReasoningPart(encrypted="AAAA", redacted=True),
            _SAID,
            call("c1"),
        ),
        results(result("c1", OUTPUT)),
        reply(ReasoningPart(text="So."), TextPart(text="Done.")),
        user("Good."),
    ),
    "everything_from_elsewhere": asks(
        user("Go."),
        reply(
            CompactionPart(text="They said hello.", raw='{"type":"compaction"}'),
            HostedCallPart(id="h1", kind="web_search", arguments='{"q":"x"}'),
            HostedResultPart(call_id="h1", kind="web_search", content=(Text(text="found"),)),
            TextPart(text="See "),
            TextPart(text="here"),
            CitationPart(url="https://example.org"),
            TextPart(text="."),
            MediaPart(media=IMAGE),
            OpaquePart(kind="mystery", raw='{"type":"mystery"}'),
            CompactionPart(raw='{"type":"compaction","blob":"x"}'),
        ),
        user("Go on."),
    ),
    "refusal": asks(user("Go."), reply(RefusalPart(text="I will not."), stop="refusal"), user("Why?")),
    "interrupted": asks(
        user("Go."),
        reply(TextPart(text="I was ab"), call("c1"), stop="interrupted", state="interrupted"),
        user("Go on."),
    ),
    "interrupted_and_answered": asks(
        user("Go."),
        reply(call("c1"), stop="interrupted", state="interrupted"),
        results(result("c1", Text(text="Cut off."), status="interrupted")),
        user("Go on."),
    ),
    "failed": asks(
        user("Go."), reply(TextPart(text="half"), stop="error", state="failed"), reply(TextPart(text="whole"))
    ),
    "freeform": asks(
        user("Patch it."),
        calls(
            CallPart(call=ToolCall(id="c1", name="patch", arguments='*** Begin\n"x"\n*** End', input="text")),
        ),
        results(result("c1", Text(text="Applied."))),
        tools=(PATCH, NOTE, READ),
    ),
    "unicode": asks(
        user("h\u00e9llo \u2028 \U0001f600 \ud800 \x00 \\u0000 <|im_start|>"),
        calls(call("c1", arguments='{"path":"\u00e9"}')),
        results(result("c1", Text(text="\udc80bin\x00ary"))),
    ),
    "json_schema": ModelRequest(system=("S",), tools=(), messages=(HELLO,), output=Output(schema=SCHEMA)),
    "json_schema_loose": ModelRequest(
        system=("S",), tools=(), messages=(HELLO,), output=Output(schema=LOOSE)
    ),
    "json_mode": ModelRequest(system=("S",), tools=(), messages=(HELLO,), output=Output(json_mode=True)),
    "output": ModelRequest(
        system=("S",),
        tools=(),
        messages=(HELLO,),
        output=Output(max_tokens=900, effort="xhigh", verbosity="low", reasoning_summary=True),
        service_tier="flex",
    ),
    "effort_none": ModelRequest(
        system=("S",),
        tools=(),
        messages=(HELLO,),
        output=Output(effort="none"),
        sampling=Sampling(temperature=0.5),
    ),
    "sampling_all": ModelRequest(
        system=(),
        tools=(),
        messages=(HELLO,),
        sampling=Sampling(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            seed=7,
            presence_penalty=0.1,
            frequency_penalty=-0.1,
            top_logprobs=3,
            stop=("END", "STOP", "HALT", "QUIT", "OVER"),
        ),
    ),
    "sampling_zero": ModelRequest(
        system=(),
        tools=(),
        messages=(HELLO,),
        sampling=Sampling(
            temperature=0,
            top_p=0,
            top_k=0,
            min_p=0,
            seed=0,
            presence_penalty=0,
            frequency_penalty=0,
            top_logprobs=0,
        ),
    ),
    "caching": ModelRequest(
        system=("Long.", "Longer."),
        tools=(READ,),
        messages=(*_LOOKED, reply(TextPart(text="One line.")), user("Thanks.")),
        caching=Caching(
            key="session-1",
            retention="24h",
            breakpoints=(
                Breakpoint(after="tools"),
                Breakpoint(after="system", ttl="1h"),
                Breakpoint(after="message", message=1),
                Breakpoint(after="message", message=2, ttl="5m"),
                Breakpoint(after="message", message=4),
            ),
        ),
    ),
    "tool_choice_none": ModelRequest(system=(), tools=(READ,), messages=(HELLO,), tool_choice="none"),
    "tool_choice_required": ModelRequest(
        system=(), tools=(READ, NESTED), messages=(HELLO,), tool_choice="required", parallel=False
    ),
    "tool_subset": ModelRequest(
        system=(), tools=(READ, NESTED, NOTE), messages=(HELLO,), tool_choice=("read", "note"), parallel=True
    ),
}
