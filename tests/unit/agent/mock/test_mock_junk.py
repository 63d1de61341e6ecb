"""Whatever is sent, a face takes it or refuses it: nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from treadle.agent.mock.anthropic import Anthropic
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment
from treadle.agent.mock.chat import Chat
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Face
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.interactions import Interactions
from treadle.agent.mock.jsontext import Json, JsonObject, read
from treadle.agent.mock.play import Player
from treadle.agent.mock.responses import Responses

MOMENT = Moment(0.0, 0.0, "r")
HEADERS = {"anthropic-version": "2026-10-21"}
JUNK: tuple[Json, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    [{}],
    {},
    {"type": []},
    {"type": {}},
)
SCHEMA: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CHAT: JsonObject = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "a", "parameters": SCHEMA, "strict": False}}],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "a"}}]},
    },
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
}
RESPONSES: JsonObject = {
    "model": "m",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "u"}]},
        {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "r"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t"}]},
    ],
    "tools": [{"type": "function", "name": "a", "parameters": SCHEMA, "strict": False}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "reasoning": {"summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}
ANTHROPIC: JsonObject = {
    "model": "m",
    "max_tokens": 2000,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "a", "input": {}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "r"}]}
            ],
        },
    ],
    "tools": [{"name": "a", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "a"},
    "thinking": {"type": "adaptive", "display": "summarized"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
}
GEMINI: JsonObject = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "u"}]},
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "c", "name": "a", "args": {}},
                    "thoughtSignature": "skip_thought_signature_validator",
                }
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c", "name": "a", "response": {"output": "r"}}}],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "a", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}},
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"},
    },
}
INTERACTIONS: JsonObject = {
    "model": "m",
    "input": [
        {"type": "user_input", "content": [{"type": "text", "text": "u"}]},
        {"type": "function_call", "id": "c", "name": "a", "arguments": {}},
        {"type": "function_result", "call_id": "c", "name": "a", "result": [{"type": "text", "text": "r"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "t"}]},
        {"type": "user_input", "content": [{"type": "image", "data": "AA==", "mime_type": "image/png"}]},
    ],
    "tools": [{"type": "function", "name": "a", "parameters": SCHEMA}],
    "generation_config": {
        "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["a"]}},
        "thinking_summaries": "auto",
    },
    "response_format": [{"type": "text", "mime_type": "application/json", "schema": SCHEMA}],
}


def variations(value: Json) -> Iterator[Json]:
    """The value with junk at one place of it, or with one member or element left out."""
    yield from JUNK
    if isinstance(value, dict):
        for key, member in value.items():
            yield {name: inner for name, inner in value.items() if name != key}
            yield from ({**value, key: other} for other in variations(member))
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield [*value[:index], *value[index + 1 :]]
            yield from ([*value[:index], other, *value[index + 1 :]] for other in variations(element))


@pytest.mark.parametrize(
    ("face", "whole"),
    [
        (Chat(), CHAT),
        (Responses(), RESPONSES),
        (Anthropic(), ANTHROPIC),
        (Gemini(), GEMINI),
        (Interactions(), INTERACTIONS),
    ],
    ids=["chat", "responses", "anthropic", "gemini", "interactions"],
)
def test_junk_anywhere_in_a_request_is_refused_or_answered(face: Face, whole: JsonObject) -> None:
    player, ledger = Player(None), Ledger()
    taken = refused = 0
    for body in (whole, *variations(whole)):
        try:
            asked = face.read(body, HEADERS)
        except Refused as error:
            read(face.error(error).decode())
            refused += 1
            continue
        taken += 1
        step = player.turn(asked).step
        reply = player.reply(asked, step, face.bill(asked, ledger, MOMENT), taken, 0.0)
        read(face.whole(asked, reply).decode())
        assert len(face.events(asked, reply)) > 1
    assert taken > 50
    assert refused > 500
