"""What the mock runs itself is read by the official clients, streamed and whole, and taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message
from openai.types.responses import Response

from treadle.agent.mock.odds import odds
from treadle.agent.mock.script import ScriptError, parse
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]

KINDS = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search")
RUN = ", ".join(f"{{{kind}: {{}}}}" for kind in KINDS)
ALL = f"steps: [{{hosted: [{RUN}], text: Done.}}, {{text: Again.}}]"
TOOLS: Any = [
    {"type": "web_search"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "mcp", "server_label": "docs", "server_url": "https://example.org"},
    {"type": "tool_search"},
]
INCLUDE: Any = [
    "web_search_call.action.sources",
    "file_search_call.results",
    "code_interpreter_call.outputs",
    "message.output_text.logprobs",
]
CLAUDES: Any = [
    {"type": "web_search_20260318", "name": "web_search"},
    {"type": "code_execution_20250825", "name": "code_execution"},
    {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
]


def gpt(mock: Mock) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="key", max_retries=0)


def claude(mock: Mock) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=mock.url, api_key="key", max_retries=0)


async def test_responses_tells_of_each_tool_and_takes_it_back(play: Play) -> None:
    mock = await play(ALL)
    async with gpt(mock) as client:
        asked: Any = [{"role": "user", "content": "go"}]
        more: Any = {"model": "m", "tools": TOOLS, "include": INCLUDE, "store": False}
        create: Any = client.responses.create  # its overloads cannot be chosen by a dict
        whole: Response = await create(input=asked, top_logprobs=2, **more)
        async with client.responses.stream(input=asked, **more) as stream:
            kinds = [event.type async for event in stream]
        back = [item.model_dump(exclude_none=True) for item in whole.output]
        again: Response = await create(input=[*asked, *back, *asked], **more)
    made = [item.type for item in whole.output]
    assert made == [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "tool_search_call",
        "tool_search_output",
        "message",
    ]
    assert {"response.web_search_call.searching", "response.code_interpreter_call.interpreting"} <= {*kinds}
    assert again.output_text == "Again."
    said = whole.output[-1].model_dump()["content"][0]
    assert "".join(token["token"] for token in said["logprobs"]) == "Done."
    assert said["logprobs"] == odds("Done.", 2)


async def test_anthropic_tells_of_each_tool_and_takes_it_back(play: Play) -> None:
    mock = await play(
        "steps: [{hosted: [{web_search: {query: x}}, {code_interpreter: {}}, {tool_search: {}}], text: Done.}, {text: Again.}]"
    )
    async with claude(mock) as client:
        asked: Any = [{"role": "user", "content": "go"}]
        more: Any = {"model": "m", "max_tokens": 99, "tools": CLAUDES}
        create: Any = client.messages.create
        whole: Message = await create(messages=asked, **more)
        async with client.messages.stream(messages=asked, **more) as stream:
            streamed = await stream.get_final_message()
        back: Any = [block.model_dump(exclude_none=True) for block in whole.content]
        again: Message = await create(
            messages=[*asked, {"role": "assistant", "content": back}, *asked], **more
        )
    assert [block.type for block in whole.content] == [
        "server_tool_use",
        "web_search_tool_result",
        "server_tool_use",
        "bash_code_execution_tool_result",
        "server_tool_use",
        "tool_search_tool_result",
        "text",
    ]
    assert [block.type for block in streamed.content] == [block.type for block in whole.content]
    assert again.content[0].model_dump()["text"] == "Again."


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tool_that_failed_is_told_as_failed(play: Play, kind: str) -> None:
    mock = await play(f"steps: [{{hosted: [{{kind: {kind}, error: true, output: gone}}]}}]")
    async with gpt(mock) as client:
        reply = await client.responses.create(model="m", input="go", tools=TOOLS)
    assert reply.output[0].model_dump()["status"] == "failed"


async def test_a_tool_that_was_not_offered_does_not_run(play: Play) -> None:
    mock = await play("steps: [{hosted: [{web_search: {}}]}]")
    async with gpt(mock) as client:
        with pytest.raises(openai.BadRequestError, match="runs web_search, but the hosted tools"):
            await client.responses.create(model="m", input="go", tools=[])
        with pytest.raises(openai.BadRequestError, match="are: none"):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}])


@pytest.mark.parametrize(
    ("hosted", "told"),
    [
        ("[1]", "write a hosted call as"),
        ("[{web_search: {}, mcp: {}}]", "one key, the tool's kind"),
        ("[{computer_use: {}}]", "hosted"),
        ("[{kind: mcp, inputs: {}}]", "unknown key"),
    ],
)
async def test_a_script_that_runs_what_there_is_not_is_refused(hosted: str, told: str) -> None:
    with pytest.raises(ScriptError, match=told):
        parse(f"steps: [{{hosted: {hosted}}}]")


async def test_toolsets_and_servers_of_claude_come_in_pairs(play: Play) -> None:
    mock = await play("")
    async with claude(mock) as client:
        with pytest.raises(anthropic.BadRequestError, match="each server needs one mcp_toolset"):
            await client.beta.messages.create(
                model="m",
                max_tokens=9,
                messages=[{"role": "user", "content": "go"}],
                mcp_servers=[{"type": "url", "name": "docs", "url": "https://example.org"}],
            )
