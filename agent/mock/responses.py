"""OpenAI Responses as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Miss, Moment, Prompt
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Offered, Reply, Usage, Vendor
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write
from treadle.agent.mock.odds import odds
from treadle.agent.mock.openai_billing import bill, responses_units
from treadle.agent.mock.openai_frame import error_of, models_of, require_bearer
from treadle.agent.mock.pieces import pieces
from treadle.agent.mock.responses_hosted import HOSTED_KINDS, PROGRESS, ran_items
from treadle.agent.mock.responses_items import CALLS, kind, seal, spoken
from treadle.agent.mock.responses_rules import check

ECHOED: Mapping[str, Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what it says of what was left out."""
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses:
    """`POST /v1/responses`. What is stored is put into the input before a request is read."""

    path = "/v1/responses"
    max_body = 26_214_400
    request_id = "x-request-id"
    vendor: Vendor = "openai"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a bearer token."""
        require_bearer(headers)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        request = check(body)
        items = _items(request)
        tools = tuple(_offered(request))
        choice = request.get("tool_choice")
        first = next((item for item in items if item.get("role") == "user"), None)
        return Asked(
            body=request,
            model=words(request["model"]),
            stream=request.get("stream") is True,
            key=words(request.get("prompt_cache_key")) or hashlib.sha256(write(first)).hexdigest(),
            replies=_replies(items),
            last_result=_last_result(items),
            tools=tools,
            wants_call=bool(tools) and choice != "none" and not _has_called(items),
            forced=_forced(choice),
            schema=_schema(members(request.get("text")).get("format")),
            warms="stop" if members(request.get("prompt_cache_options")).get("prewarm") is True else None,
            hosted=frozenset(
                HOSTED_KINDS[words(members(tool)["type"])]
                for tool in elements(request.get("tools"))
                if words(members(tool)["type"]) in HOSTED_KINDS
            ),
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill tools, instructions and items as OpenAI does."""
        return bill(asked.body, responses_units(asked.body), ledger, moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `response`."""
        return write(_finished(asked, reply, list(_output(asked, reply))))

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """The lifecycle, each item with its deltas, and the response that ends it all."""
        started = _response(asked, reply)
        events = _Events()
        if asked.body.get("background") is True:
            queued: JsonObject = {**started, "status": "queued"}
            events.add("response.created", response=queued)
            events.add("response.queued", response=queued)
        else:
            events.add("response.created", response=started)
        events.add("response.in_progress", response=started)
        output = list(_output(asked, reply))
        for index, item in enumerate(output):
            _say(events, index, item)
        finished = _finished(asked, reply, output)
        events.add(f"response.{finished['status']}", response=finished)
        return events.framed

    def error(self, refused: Refused) -> bytes:
        """`{"error": {message, type, param, code}}`."""
        return error_of(refused)

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """A flat `error` event, or an `error` object as a body."""
        error: JsonObject = {
            "message": "The server had an error",
            "param": None,
            "code": "server_error",
            **given,
        }
        if not framed:
            return write({"error": {"type": "server_error", **error}})
        return b"event: error\ndata: " + write({**error, "type": "error", "sequence_number": 0}) + b"\n\n"

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        return models_of(model)


class _Events:
    """Frames events and numbers them."""

    def __init__(self) -> None:
        self.framed: list[bytes] = []

    def add(self, type_: str, **data: Json) -> None:
        body = write({"type": type_, "sequence_number": len(self.framed), **data})
        self.framed.append(b"event: " + type_.encode() + b"\ndata: " + body + b"\n\n")

    def deltas(self, type_: str, text: str, **data: Json) -> None:
        """One event a piece, with a number in front of what they all say."""
        start = b"event: %b\ndata: " % type_.encode() + write({"type": type_})[:-1] + b',"sequence_number":'
        middle = b"," + write(data)[1:-1] + b',"delta":'
        for piece in pieces(text):
            number = str(len(self.framed)).encode()
            self.framed.append(b"".join((start, number, middle, write(piece), b"}\n\n")))


def _items(request: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    given = request["input"]
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [members(item) for item in elements(given)]


def _offered(request: Mapping[str, Json]) -> Iterator[Offered]:
    for tool in map(members, elements(request.get("tools"))):
        if tool.get("defer_loading") is True:
            continue
        if tool["type"] == "function":
            yield Offered(words(tool["name"]), tool["parameters"] or {})
        if tool["type"] == "custom":
            yield Offered(words(tool["name"]), {"type": "string"}, freeform=True)


def _replies(items: Sequence[Mapping[str, Json]]) -> int:
    """Runs of items that a model made."""
    made = [spoken(item) for item in items]
    return sum(now and not before for before, now in zip([False, *made], made, strict=False))


def _last_result(items: Sequence[Mapping[str, Json]]) -> str | None:
    for item in reversed(items):
        if kind(item) in CALLS.values():
            output = item["output"]
            return words(output) or "".join(words(members(part).get("text")) for part in elements(output))
    return None


def _has_called(items: Sequence[Mapping[str, Json]]) -> bool:
    for item in reversed(items):
        if item.get("role") == "user":
            return False
        if kind(item) in CALLS:
            return True
    return False


def _forced(choice: Json) -> str | None:
    held = members(choice)
    if held.get("type") == "allowed_tools":
        held = members(elements(held["tools"])[0])
    return words(held.get("name")) or None


def _schema(form: Json) -> Json:
    held = members(form)
    return {"json_schema": held.get("schema"), "json_object": {}}.get(words(held.get("type")))


def _response(asked: Asked, reply: Reply) -> JsonObject:
    named = asked.body.get("conversation")
    conversation = words(named) or words(members(named).get("id"))
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": reply.created,
        "status": "in_progress",
        "background": asked.body.get("background") is True,
        "conversation": {"id": conversation} if conversation else None,
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        "output": [],
        "previous_response_id": asked.body.get("previous_response_id"),
        "service_tier": "default",
        "usage": None,
        **{key: asked.body.get(key, left_out) for key, left_out in ECHOED.items()},
    }


def _finished(asked: Asked, reply: Reply, output: Sequence[JsonObject]) -> JsonObject:
    reason = REASONS.get(reply.finish)
    ended: JsonObject = {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": list(output),
        "usage": _usage(reply.usage),
    }
    if reply.miss is not None:
        ended["prompt_cache_diagnostics"] = _compared(reply.miss)
    return {**_response(asked, reply), **ended}


def _compared(miss: Miss) -> JsonObject:
    if miss.lost is None:
        return {"type": miss.reason}
    return {"type": "cache_miss", "reason": miss.reason, "cache_missed_tokens": miss.lost}


def _output(asked: Asked, reply: Reply) -> Iterator[JsonObject]:
    """The items of a reply, finished."""
    if reply.reasoning:
        yield _thought(asked, reply)
    for position, ran in enumerate(reply.hosted):
        yield from ran_items(ran, f"{reply.id}_{position}", elements(asked.body.get("include")))
    if reply.text:
        text: JsonObject = {
            "type": "output_text",
            "annotations": [],
            "logprobs": _odds(asked, reply),
            "text": reply.text,
        }
        yield {
            "id": f"msg_{reply.id}",
            "type": "message",
            "status": "incomplete" if reply.finish in REASONS else "completed",
            "role": "assistant",
            "phase": "commentary" if reply.calls else "final_answer",
            "content": [text],
        }
    for position, call in enumerate(reply.calls):
        prefix, type_, key = (
            ("ctc", "custom_tool_call", "input") if call.freeform else ("fc", "function_call", "arguments")
        )
        item: JsonObject = {"id": f"{prefix}_{reply.id}_{position}", "type": type_, "status": "completed"}
        yield {**item, "call_id": call.id, "name": call.name, key: call.arguments}


def _odds(asked: Asked, reply: Reply) -> list[Json]:
    """How likely each piece of the text was, where that was asked for."""
    most = asked.body.get("top_logprobs")
    wanted = "message.output_text.logprobs" in elements(asked.body.get("include"))
    return odds(reply.text, most if isinstance(most, int) else 0) if wanted else []


def _thought(asked: Asked, reply: Reply) -> JsonObject:
    wanted = members(asked.body.get("reasoning")).get("summary") is not None
    summary: list[Json] = [{"type": "summary_text", "text": reply.reasoning}] if wanted else []
    item: JsonObject = {"id": f"rs_{reply.id}", "type": "reasoning", "summary": summary}
    if "reasoning.encrypted_content" in elements(asked.body.get("include")):
        item["encrypted_content"] = seal(reply.reasoning)
    return item


def _say(events: _Events, index: int, item: JsonObject) -> None:
    place: JsonObject = {"item_id": item["id"], "output_index": index}
    say: Callable[[_Events, JsonObject, JsonObject], None]
    match item["type"]:
        case "reasoning":
            opened, say = {**item, "summary": []}, _say_thought
            if "encrypted_content" in item:
                opened["encrypted_content"] = words(item["encrypted_content"])[
                    :12
                ]  # whole only when it is done
        case "message":
            opened, say = {**item, "status": "in_progress", "content": []}, _say_text
        case "function_call" | "custom_tool_call":
            key = "input" if "input" in item else "arguments"
            opened, say = {**item, "status": "in_progress", key: ""}, _say_call
        case _:
            opened, say = {**item, "status": "in_progress"}, _say_hosted
    events.add("response.output_item.added", output_index=index, item=opened)
    say(events, place, item)
    events.add("response.output_item.done", output_index=index, item=item)


def _say_thought(events: _Events, place: JsonObject, item: JsonObject) -> None:
    for index, part in enumerate(elements(item["summary"])):
        at: JsonObject = {**place, "summary_index": index}
        text = words(members(part)["text"])
        events.add("response.reasoning_summary_part.added", **at, part={"type": "summary_text", "text": ""})
        events.deltas("response.reasoning_summary_text.delta", text, **at)
        events.add("response.reasoning_summary_text.done", **at, text=text)
        events.add("response.reasoning_summary_part.done", **at, part=part)


def _say_text(events: _Events, place: JsonObject, item: JsonObject) -> None:
    (part,) = elements(item["content"])
    at: JsonObject = {**place, "content_index": 0}
    text = words(members(part)["text"])
    events.add("response.content_part.added", **at, part={**members(part), "text": "", "logprobs": []})
    likely = elements(members(part)["logprobs"])
    if likely:
        for piece, said in zip(pieces(text), likely, strict=True):
            events.add("response.output_text.delta", **at, delta=piece, logprobs=[said])
    else:
        events.deltas("response.output_text.delta", text, **at, logprobs=[])
    events.add("response.output_text.done", **at, text=text, logprobs=likely)
    events.add("response.content_part.done", **at, part=part)


def _say_call(events: _Events, place: JsonObject, item: JsonObject) -> None:
    freeform = "input" in item
    type_ = "response.custom_tool_call_input" if freeform else "response.function_call_arguments"
    key = "input" if freeform else "arguments"
    events.deltas(f"{type_}.delta", words(item[key]), **place)
    events.add(f"{type_}.done", **place, **{key: item[key]})


def _say_hosted(events: _Events, place: JsonObject, item: JsonObject) -> None:
    for state in PROGRESS.get(words(item["type"]), ()):
        events.add(f"response.{item['type']}.{state}", **place)


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.written,
            "cache_write_tokens_details": {
                "ttl_30m_tokens": usage.written - usage.written_long,
                "ttl_12h_tokens": usage.written_long,
            },
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
