"""OpenAI Chat Completions as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment, Prompt
from treadle.agent.mock.chat_rules import check, tool_name
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Offered, Reply, Said, Usage, Vendor
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write
from treadle.agent.mock.odds import odds
from treadle.agent.mock.openai_billing import bill, chat_units
from treadle.agent.mock.openai_frame import error_of, models_of, require_bearer
from treadle.agent.mock.pieces import interleaved, pieces

DONE = b"data: [DONE]\n\n"


class Chat:
    """`POST /v1/chat/completions`. Reasoning goes out as `reasoning_content`, as compatible vendors send it."""

    path = "/v1/chat/completions"
    max_body = 26_214_400
    request_id = "x-request-id"
    vendor: Vendor = "openai"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a bearer token."""
        require_bearer(headers)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        request = check(body)
        messages = elements(request["messages"])
        tools = tuple(map(_offered, elements(request.get("tools"))))
        choice = request.get("tool_choice")
        return Asked(
            body=request,
            model=words(request["model"]),
            stream=request.get("stream") is True,
            key=words(request.get("prompt_cache_key")) or _digest(messages),
            replies=sum(members(message)["role"] == "assistant" for message in messages),
            last_result=_last_result(messages),
            tools=tools,
            wants_call=bool(tools) and choice != "none" and not _has_called(messages),
            forced=_forced(choice),
            schema=_schema(request.get("response_format")),
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill tools and messages as OpenAI does."""
        return bill(asked.body, chat_units(asked.body), ledger, moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `chat.completion`."""
        message: JsonObject = {"role": "assistant", "content": reply.text or None, "refusal": None}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.calls:
            message["tool_calls"] = [_called(call) for call in reply.calls]
        message["annotations"] = []
        choice: JsonObject = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        if asked.body.get("logprobs") is True:
            choice["logprobs"] = {"content": _odds(asked, reply), "refusal": None}
        return write({**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply.usage)})

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """`chat.completion.chunk` events: the role, deltas, the finish reason, usage if asked for, [DONE]."""
        usage = members(asked.body.get("stream_options")).get("include_usage") is True
        head = b"data: " + write(_head(reply, "chat.completion.chunk"))[:-1] + b',"choices":['
        start = head + b'{"index":0,"delta":'
        end = b'}],"usage":null}\n\n' if usage else b"}]}\n\n"
        running = b',"logprobs":%s,"finish_reason":null' + end
        finish = b'{},"logprobs":null,"finish_reason":' + write(reply.finish) + end
        likely = iter(_odds(asked, reply) if asked.body.get("logprobs") is True else ())
        events: list[bytes] = []
        for delta in _deltas(reply):
            said = next(likely, None) if delta.startswith(b'{"content":') else None
            told = b"null" if said is None else write({"content": [said], "refusal": None})
            events.append(start + delta + running % told)
        events.append(start + finish)
        if usage:
            events.append(head + b'],"usage":' + write(_usage(reply.usage)) + b"}\n\n")
        events.append(DONE)
        return events

    def error(self, refused: Refused) -> bytes:
        """`{"error": {message, type, param, code}}`."""
        return error_of(refused)

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An `error` object where a chunk or a completion is expected."""
        error: JsonObject = {"message": "The server had an error", "type": "server_error", "param": None}
        body = write({"error": {**error, "code": None, **given}})
        return b"data: " + body + b"\n\n" if framed else body

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        return models_of(model)


def _offered(tool: Json) -> Offered:
    held = members(tool)
    if held["type"] == "custom":
        return Offered(tool_name(tool), {"type": "string"}, freeform=True)
    return Offered(tool_name(tool), members(held["function"]).get("parameters", {}))


def _forced(choice: Json) -> str | None:
    held = members(choice)
    match held.get("type"):
        case "function" | "custom":
            return tool_name(choice)
        case "allowed_tools":
            return tool_name(elements(members(held["allowed_tools"])["tools"])[0])
        case _:
            return None


def _schema(form: Json) -> Json:
    held = members(form)
    match held.get("type"):
        case "json_schema":
            return members(held["json_schema"]).get("schema", {})
        case "json_object":
            return {}
        case _:
            return None


def _digest(messages: Sequence[Json]) -> str:
    first = next((message for message in messages if members(message)["role"] == "user"), None)
    return hashlib.sha256(write(first)).hexdigest()


def _last_result(messages: Sequence[Json]) -> str | None:
    for message in reversed(messages):
        held = members(message)
        if held["role"] == "tool":
            content = held["content"]
            texts = [words(members(part).get("text")) for part in elements(content)]
            return words(content) or "".join(texts)
    return None


def _has_called(messages: Sequence[Json]) -> bool:
    for message in reversed(messages):
        held = members(message)
        if held["role"] == "user":
            return False
        if held.get("tool_calls"):
            return True
    return False


def _head(reply: Reply, kind: str) -> JsonObject:
    return {
        "id": f"chatcmpl-{reply.id}",
        "object": kind,
        "created": reply.created,
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }


def _called(call: Said) -> JsonObject:
    if call.freeform:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _deltas(reply: Reply) -> list[bytes]:
    content = None if reply.calls and not reply.text else ""
    deltas = [write({"role": "assistant", "content": content, "refusal": None})]
    deltas += [b'{"reasoning_content":' + write(piece) + b"}" for piece in pieces(reply.reasoning)]
    deltas += [b'{"content":' + write(piece) + b"}" for piece in pieces(reply.text)]
    for index, call in enumerate(reply.calls):
        opened = _called(Said(call.id, call.name, "", call.freeform))
        deltas.append(write({"tool_calls": [{"index": index, **opened}]}))
    kinds = [("custom", "input") if call.freeform else ("function", "arguments") for call in reply.calls]
    for index, piece in interleaved([call.arguments for call in reply.calls]):
        kind, key = kinds[index]
        deltas.append(write({"tool_calls": [{"index": index, kind: {key: piece}}]}))
    return deltas


def _odds(asked: Asked, reply: Reply) -> list[Json]:
    most = asked.body.get("top_logprobs")
    return odds(reply.text, most if isinstance(most, int) else 0)


def _usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
