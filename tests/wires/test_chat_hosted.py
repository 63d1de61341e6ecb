"""Tools that vendors of Chat Completions run: asked for in their words, told of in their replies, and not sent back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from wires.cases import HELLO, READ, asks
from wires.chat_rows import wants, whole
from wires.edges import chat, fragment, framed
from wires.rows import WIRES
from wires.test_streams import followed

from treadle.agent.build import language_model
from treadle.agent.config import Config
from treadle.agent.events import HostedDelta, StreamDelta
from treadle.agent.messages import AssistantMessage, HostedCallPart, HostedResultPart, MediaPart, OpaquePart
from treadle.agent.providers.contract import InvalidRequest, ModelInfo, Renderings
from treadle.tools.contract import Hosted, HostedKind, Inline, Json, JsonObject, Text, ToolSpec, Url

WIRE: Final = WIRES["chat"].wire
MODEL: Final = WIRES["chat"].model
KEYS: Final = {"ZAI_API_KEY": "k-12345", "OPENROUTER_API_KEY": "k-12345", "GROQ_API_KEY": "k-12345"}
SERVER: Final = {"name": "docs", "url": "https://example.org/mcp"}


def offered(spec: str, *tools: ToolSpec) -> JsonObject:
    client = language_model(spec, Config(), KEYS)
    return json.loads(client.encode(asks(HELLO, tools=tools)).body)


def hosted(kind: HostedKind, **config: Any) -> Hosted:
    return Hosted(kind=kind, config=config)


@pytest.mark.parametrize(
    ("spec", "tool", "sent"),
    [
        (
            "zai/glm-5.3",
            hosted("web_search"),
            {"type": "web_search", "web_search": {"enable": True, "search_result": True}},
        ),
        (
            "zai/glm-5.3",
            hosted("web_search", count=3, search_result=False),
            {"type": "web_search", "web_search": {"enable": True, "search_result": False, "count": 3}},
        ),
        (
            "zai/glm-5.3",
            hosted("file_search", knowledge_id="7"),
            {"type": "retrieval", "retrieval": {"knowledge_id": "7"}},
        ),
        (
            "zai/glm-5.3",
            hosted("mcp", **SERVER),
            {
                "type": "mcp",
                "mcp": {
                    "transport_type": "streamable-http",
                    "server_label": "docs",
                    "server_url": SERVER["url"],
                },
            },
        ),
        ("openrouter/a/b", hosted("web_search"), {"type": "openrouter:web_search"}),
        (
            "openrouter/a/b",
            hosted("web_search", max_results=3),
            {"type": "openrouter:web_search", "parameters": {"max_results": 3}},
        ),
        ("openrouter/a/b", hosted("code_interpreter"), {"type": "openrouter:bash"}),
        ("openrouter/a/b", hosted("image_generation"), {"type": "openrouter:image_generation"}),
        ("groq/openai/gpt-oss-120b", hosted("web_search"), {"type": "browser_search"}),
        ("groq/openai/gpt-oss-120b", hosted("code_interpreter"), {"type": "code_interpreter"}),
    ],
)
def test_a_vendors_own_tool_is_asked_for_in_its_own_words(spec: str, tool: Hosted, sent: JsonObject) -> None:
    assert offered(spec, tool)["tools"] == [sent]


def test_a_server_has_its_token_in_a_header_and_its_tools_by_name() -> None:
    config = {**SERVER, "token_env": "DOCS", "tools": ["find"], "transport_type": "sse"}
    (tool,) = offered("zai/glm-5.3", hosted("mcp", **config))["tools"]
    assert tool["mcp"] == {
        "transport_type": "sse",
        "server_label": "docs",
        "server_url": SERVER["url"],
        "headers": {"Authorization": "Bearer ${DOCS}"},
        "allowed_tools": ["find"],
    }


def test_openrouter_searches_deferred_tools_by_a_field_of_the_body() -> None:
    body = offered("openrouter/a/b", hosted("tool_search", deferred=["read"]), READ)
    assert [(tool["type"], tool["defer_loading"]) for tool in body["tools"]] == [("function", True)]
    assert body["deferred_tools"]["search"] == {"type": "bm25"}
    assert "deferred_tools" not in offered("openrouter/a/b", READ)


@pytest.mark.parametrize(
    ("spec", "tool", "complaint"),
    [
        ("zai/glm-5.3", hosted("file_search"), "knowledge_id"),
        ("zai/glm-5.3", hosted("image_generation"), "zai does not run image_generation"),
        ("zai/glm-5.3", hosted("mcp", url="u"), "name and a url"),
        ("groq/openai/gpt-oss-120b", hosted("mcp", **SERVER), "groq does not run mcp over Chat"),
    ],
)
def test_what_a_vendor_does_not_run_is_refused_before_any_request(
    spec: str, tool: Hosted, complaint: str
) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        offered(spec, tool)


FOUND: Final = [{"title": "Tides", "link": "https://example.org", "content": "Twice a day."}]
CALLED: Final = {
    "id": "call_m1",
    "type": "mcp",
    "mcp": {
        "type": "mcp_call",
        "server_label": "docs",
        "name": "find",
        "arguments": '{"q":1}',
        "output": "Here.",
    },
}
LISTED: Final = {
    "id": "call_m0",
    "type": "mcp",
    "mcp": {"type": "mcp_list_tools", "tools": [{"name": "find"}]},
}
FAILED: Final = {
    "id": "call_m2",
    "type": "mcp",
    "mcp": {"type": "mcp_call", "arguments": {"q": 2}, "error": "No."},
}
RAN: Final[list[JsonObject]] = [
    {"index": 0, "type": "python", "arguments": '{"code":"1"}', "output": "1"},
    {"index": 1, "type": "search", "output": {"results": []}},
    {"index": 2, "type": "odd"},
]
IMAGES: Final = [
    {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
]


def home(message: AssistantMessage, model: ModelInfo = MODEL) -> tuple[JsonObject, list[str]]:
    http = WIRE.encode(asks(HELLO, message, HELLO), model, Renderings(), stream=True)
    said = [each for each in json.loads(http.body)["messages"] if each["role"] == "assistant"]
    return said[0] if said else {}, [note.code for note in http.warnings]


def test_what_glm_found_and_what_its_servers_said_is_kept_and_what_we_are_to_run_is_told_apart() -> None:
    body = whole(
        {"content": "So.", "tool_calls": [LISTED, CALLED, FAILED, wants("call_abc123")]},
        "tool_calls",
        web_search=FOUND,
    )
    message = WIRE.decode(body, MODEL)
    assert message.parts[:5] == (
        HostedCallPart(id="call_m1", kind="mcp", arguments='{"q":1}'),
        HostedResultPart(call_id="call_m1", kind="mcp", content=(Text(text="Here."),)),
        HostedCallPart(id="call_m2", kind="mcp", arguments='{"q":2}'),
        HostedResultPart(call_id="call_m2", kind="mcp", content=(Json(value="No."),), is_error=True),
        HostedCallPart(id="web_search", kind="web_search"),
    )
    assert message.parts[5] == HostedResultPart(
        call_id="web_search", kind="web_search", content=(Json(value=FOUND),)
    )
    assert [call.id for call in message.calls] == ["call_abc123"]
    said, notes = home(message)
    assert [call["id"] for call in said["tool_calls"]] == ["call_abc123"]
    assert (said["content"], notes) == ("So.", [])


def test_calls_of_the_vendor_alone_are_no_calls_for_us() -> None:
    message = WIRE.decode(whole({"content": "So.", "tool_calls": [CALLED]}, "stop"), MODEL)
    assert (message.stop, message.calls) == ("end", ())


def test_what_groq_ran_is_kept_and_not_sent_back() -> None:
    message = WIRE.decode(whole({"content": "1.", "executed_tools": RAN}), MODEL)
    assert message.parts[:5] == (
        HostedCallPart(id="executed_0", kind="code_interpreter", arguments='{"code":"1"}'),
        HostedResultPart(call_id="executed_0", kind="code_interpreter", content=(Text(text="1"),)),
        HostedCallPart(id="executed_1", kind="web_search"),
        HostedResultPart(call_id="executed_1", kind="web_search", content=(Json(value={"results": []}),)),
        HostedCallPart(id="executed_2", kind="code_interpreter"),
    )
    assert home(message) == ({"role": "assistant", "content": "1."}, [])


def test_pictures_are_kept_go_home_as_they_came_and_elsewhere_leave_a_placeholder() -> None:
    message = WIRE.decode(whole({"content": "Here.", "images": IMAGES}), MODEL)
    pictures = [part.media for part in message.parts if isinstance(part, MediaPart)]
    assert [(each.mime, each.source) for each in pictures] == [
        ("image/webp", Inline(data="AAAA")),
        ("image/png", Url(url="https://example.org/a.png")),
    ]
    said, notes = home(message)
    assert (said["images"], notes) == (IMAGES, [])
    said, notes = home(message, replace(MODEL, id="another"))
    assert "images" not in said
    assert notes == ["media_dropped", "media_dropped"]


def test_pictures_that_name_none_are_kept_as_they_are() -> None:
    (_, odd) = WIRE.decode(whole({"content": "Hm.", "images": [{"n": 1}]}), MODEL).parts
    assert odd == OpaquePart(kind="images", raw='{"images":[{"n":1}]}')
    assert len(WIRE.decode(whole({"content": "Hm.", "images": []}), MODEL).parts) == 1


def test_a_stream_tells_the_same() -> None:
    said = [
        {**chat(content="So."), "web_search": FOUND},
        chat(tool_calls=[{"index": 0, **CALLED}]),
        fragment('{"path":"a"}', "read", index=1, id="call_abc123"),
        chat("tool_calls", images=IMAGES),
    ]
    deltas: list[StreamDelta] = []
    message = followed(WIRE.decoder(MODEL), [framed(*said, "[DONE]")], deltas)
    body = whole(
        {
            "content": "So.",
            "tool_calls": [CALLED, wants("call_abc123", arguments='{"path":"a"}')],
            "images": IMAGES,
        },
        "tool_calls",
        web_search=FOUND,
    )
    assert message.parts == WIRE.decode(body, MODEL).parts
    assert HostedDelta("mcp", "completed") in deltas
