"""Anthropic Messages as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from treadle.agent.mock.anthropic_billing import bill
from treadle.agent.mock.anthropic_hosted import hosted_kinds, ran_blocks
from treadle.agent.mock.anthropic_rules import VERSIONS, blocks, check, signature
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Miss, Moment, Prompt
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Offered, Reply, Said, Usage, Vendor
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.pieces import pieces
from treadle.agent.mock.script import Finish

VERSION = "anthropic-version"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STOPS: Mapping[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """`POST /v1/messages`. Thinking is signed, and a signature that does not fit is refused."""

    path = "/v1/messages"
    max_body = 32_000_000
    request_id = "request-id"
    vendor: Vendor = "anthropic"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a key and a version."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not headers.get("x-api-key") and not (scheme.lower() == "bearer" and token.strip()):
            raise Refused("a key is required: `Authorization: Bearer KEY` or `x-api-key: KEY`", status=401)
        if headers.get(VERSION) not in VERSIONS:
            known = " or ".join(VERSIONS)
            raise Refused(f"{VERSION}: expected {known}, got {headers.get(VERSION)!r}", VERSION)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        request = check(body, headers[VERSION])
        messages = [members(message) for message in elements(request["messages"])]
        tools = tuple(_offered(request))
        choice = members(request.get("tool_choice"))
        return Asked(
            body=request,
            model=words(request["model"]),
            stream=request.get("stream") is True,
            key=hashlib.sha256(write(messages[0]["content"])).hexdigest(),
            replies=sum(message["role"] == "assistant" for message in messages),
            last_result=_last_result(messages),
            tools=tools,
            wants_call=bool(tools) and choice.get("type") != "none" and not _has_called(messages),
            forced=words(choice.get("name")) or None,
            schema=members(members(request.get("output_config")).get("format")).get("schema"),
            hosted=hosted_kinds(request),
            warms="length" if request["max_tokens"] == 0 else None,
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill against a cache of what ends at breakpoints."""
        return bill(asked.body, ledger, moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `message`."""
        content: list[Json] = [*_content(asked, reply)]
        usage = {**_input(reply.usage), **_output(reply.usage)}
        told = {**_head(asked, reply), "content": content, **_stop(reply.finish)}
        return write({**told, "usage": usage})

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """`message_start`, the blocks with their deltas, `message_delta`, `message_stop`."""
        opening: JsonObject = {**_input(reply.usage), "output_tokens": min(1, reply.usage.output)}
        message: JsonObject = {**_head(asked, reply), "content": [], **_stop(None), "usage": opening}
        events = [_event("message_start", message=message)]
        arguments = iter(reply.calls)
        for index, block in enumerate(_content(asked, reply)):
            start = b'data: {"type":"content_block_delta","index":%d,"delta":' % index
            opened, deltas = _parts(block, arguments)
            events.append(_event("content_block_start", index=index, content_block=opened))
            if index == 0:
                events.append(PING)
            events += [b"event: content_block_delta\n" + start + delta + b"}\n\n" for delta in deltas]
            events.append(_event("content_block_stop", index=index))
        usage: JsonObject = {**_input(reply.usage), **_output(reply.usage)}
        events.append(_event("message_delta", delta=_stop(reply.finish), usage=usage))
        events.append(_event("message_stop"))
        return events

    def error(self, refused: Refused) -> bytes:
        """`{"type": "error", "error": {type, message}}`, with the path as the API writes it."""
        status, param, message = refused.status, refused.param, refused.message
        if param is not None and message.startswith(param):
            message = param.replace("[", ".").replace("]", "") + message[len(param) :]
        kind = ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error: JsonObject = {"type": kind, "message": message}
        if refused.code in {"script_mismatch", "script_exhausted"}:
            error["details"] = {"error_code": refused.code}
        return write({"type": "error", "error": error, "request_id": None})

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An `error` event, or its data as a body."""
        error: JsonObject = {"type": "overloaded_error", "message": "Overloaded", **given}
        return _event("error", error=error) if framed else write({"type": "error", "error": error})

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        entry: JsonObject = {
            "type": "model",
            "id": model,
            "display_name": model,
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
        }
        return {"data": [entry], "has_more": False, "first_id": model, "last_id": model}


def _offered(request: Mapping[str, Json]) -> Iterator[Offered]:
    for tool in map(members, elements(request.get("tools"))):
        if "input_schema" in tool and tool.get("defer_loading") is not True:
            yield Offered(words(tool["name"]), tool["input_schema"])


def _last_result(messages: Sequence[Mapping[str, Json]]) -> str | None:
    for message in reversed(messages):
        for block in reversed(blocks(message)):
            if block["type"] == "tool_result":
                content = block.get("content")
                texts = [words(members(part).get("text")) for part in elements(content)]
                return words(content) or "".join(texts)
    return None


def _has_called(messages: Sequence[Mapping[str, Json]]) -> bool:
    for message in reversed(messages):
        kinds = {words(block["type"]) for block in blocks(message)}
        if message["role"] == "user" and "tool_result" not in kinds:
            return False
        if "tool_use" in kinds:
            return True
    return False


def _head(asked: Asked, reply: Reply) -> JsonObject:
    head: JsonObject = {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": reply.model}
    if asked.body.get("diagnostics") is not None:
        head["diagnostics"] = _missed(reply.miss) if reply.miss is not None else None
    return head


def _missed(miss: Miss) -> JsonObject:
    lost: JsonObject = {} if miss.lost is None else {"cache_missed_input_tokens": miss.lost}
    return {"cache_miss_reason": {"type": miss.reason, **lost}}


def _stop(finish: Finish | None) -> JsonObject:
    refused: JsonObject = {"type": "refusal", "category": None, "explanation": None}
    return {
        "stop_reason": STOPS[finish] if finish is not None else None,
        "stop_sequence": None,
        "stop_details": refused if finish == "content_filter" else None,
    }


def _content(asked: Asked, reply: Reply) -> Iterator[JsonObject]:
    thinking = members(asked.body.get("thinking"))
    if reply.reasoning and thinking.get("type") != "disabled":
        thought = "" if thinking.get("display") == "omitted" else reply.reasoning
        yield {"type": "thinking", "thinking": thought, "signature": signature(asked.model, thought)}
    for position, ran in enumerate(reply.hosted):
        yield from ran_blocks(ran, f"{reply.id}_{position}")
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for call in reply.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _parsed(call.arguments)}


def _parsed(arguments: str) -> Json:
    """Arguments as an object: nothing else fits into a whole reply."""
    try:
        return dict(members(read(arguments)))
    except ValueError:
        return {}


def _parts(block: JsonObject, calls: Iterator[Said]) -> tuple[JsonObject, list[bytes]]:
    """A block as it opens, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            deltas = [
                b'{"type":"thinking_delta","thinking":' + write(piece) + b"}"
                for piece in pieces(words(block["thinking"]))
            ]
            deltas.append(write({"type": "signature_delta", "signature": block["signature"]}))
            return {**block, "thinking": "", "signature": ""}, deltas
        case "text":
            return {**block, "text": ""}, [
                b'{"type":"text_delta","text":' + write(piece) + b"}"
                for piece in pieces(words(block["text"]))
            ]
        case "server_tool_use" | "mcp_tool_use":
            cut = pieces(write(block["input"]).decode())
            return {**block, "input": {}}, [
                b'{"type":"input_json_delta","partial_json":' + write(piece) + b"}" for piece in cut
            ]
        case kind if words(kind).endswith("_tool_result"):
            return block, []
        case _:
            arguments = next(calls).arguments
            cut = [] if arguments == "{}" else pieces(arguments)
            return {**block, "input": {}}, [
                b'{"type":"input_json_delta","partial_json":' + write(piece) + b"}" for piece in ["", *cut]
            ]


def _event(kind: str, **data: Json) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + write({"type": kind, **data}) + b"\n\n"


def _input(usage: Usage) -> JsonObject:
    long = usage.written_long
    return {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written - long,
            "ephemeral_1h_input_tokens": long,
        },
        "service_tier": "standard",
    }


def _output(usage: Usage) -> JsonObject:
    return {"output_tokens": usage.output, "output_tokens_details": {"thinking_tokens": usage.reasoning}}
