"""Gemini's generateContent as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import google
from treadle.agent.mock.billing_contents import parts_of
from treadle.agent.mock.billing_prompt import BYTES_PER_TOKEN, Moment, Prompt, stream
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import PATH, Asked, Offered, Reply, Usage, Vendor
from treadle.agent.mock.delivery import Delivery
from treadle.agent.mock.gemini_hosted import hosted_kinds, ran_parts
from treadle.agent.mock.gemini_rules import check, declared, held, signature
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.pieces import pieces
from treadle.agent.mock.script import Finish

KEY = "x-goog-api-key"
VERBS = ("generateContent", "streamGenerateContent")
STREAMED = ":streamGenerateContent"
HERE = "/{version}/models/{model}:"
VERTEX = "/vertex/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:"
STOPS: Mapping[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}
STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """`POST …/models/MODEL:generateContent`, or the same streamed. Calls are signed, and signatures are checked."""

    max_body = 100_000_000
    request_id = "x-goog-request-id"
    vendor: Vendor = "gemini"

    def __init__(self, verb: str = VERBS[0], place: str = HERE) -> None:
        self.path = place + verb
        self._streams = verb == VERBS[1]

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a key or a token."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not headers.get(KEY) and not (scheme.lower() == "bearer" and token.strip()):
            raise Refused("Method doesn't allow unregistered callers: use an API key", status=403)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        model = headers.get(PATH, "").rpartition("/")[2].partition(":")[0]
        request = check(body, model)
        contents = [members(content) for content in elements(request["contents"])]
        calling = members(members(request.get("toolConfig")).get("functionCallingConfig"))
        allowed = [words(name) for name in elements(calling.get("allowedFunctionNames"))]
        tools = tuple(_offered(request, allowed))
        config = members(request.get("generationConfig"))
        asks_json = config.get("responseMimeType") == "application/json"
        return Asked(
            body=request,
            model=model,
            stream=self._streams,
            key=hashlib.sha256(write(contents[0])).hexdigest(),
            replies=sum(content["role"] == "model" for content in contents),
            last_result=_last_result(contents),
            tools=tools,
            wants_call=bool(tools) and calling.get("mode") != "NONE" and not _has_called(contents),
            forced=allowed[0] if allowed and calling.get("mode") == "ANY" else None,
            hosted=hosted_kinds(request),
            schema=config.get("responseJsonSchema", config.get("responseSchema", {} if asks_json else None)),
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill system, tools and contents part by part against an automatic cache."""
        body = asked.body
        data = stream(parts_of(body))
        if body.get("cachedContent"):
            known = ledger.contents.read(body, asked.model, moment.now)
            return Prompt(known + len(data) // BYTES_PER_TOKEN, known)
        return ledger.steps.bill(("gemini", asked.model), data, google(asked.model), moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `GenerateContentResponse`."""
        ended = _ended(reply)
        parts = (
            [*_said(asked, reply), *_rest(asked, reply)] if ended["finishReason"] in STOPS.values() else []
        )
        content: JsonObject = {"content": {"parts": [*parts], "role": "model"}} if parts else {}
        return write(_response(reply, {**content, **ended}, _usage(reply.usage)))

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """A response for each piece of text and each call; the last one says why it ended."""
        usage: JsonObject = {"promptTokenCount": reply.usage.input, "totalTokenCount": reply.usage.input}
        ended = _ended(reply)
        events = [
            _framed(_response(reply, {"content": {"parts": [piece], "role": "model"}}, usage))
            for part in _said(asked, reply)
            for piece in _pieces(part)
            if ended["finishReason"] in STOPS.values() or "functionCall" not in piece
        ]
        rest: list[Json] = [*_rest(asked, reply)] or [{"text": ""}]
        last: JsonObject = {"content": {"parts": rest, "role": "model"}, **ended}
        return [*events, _framed(_response(reply, last, _usage(reply.usage)))]

    def error(self, refused: Refused) -> bytes:
        """`{"error": {code, message, status}}`, with the reason where the script is at odds with the request."""
        usual = "INTERNAL" if refused.status >= 500 else "INVALID_ARGUMENT"
        status = STATUSES.get(refused.status, usual)
        error: JsonObject = {"code": refused.status, "message": refused.message, "status": status}
        if refused.code in {"script_mismatch", "script_exhausted"}:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refused.code}
            error["details"] = [dict(info)]
        return write({"error": error})

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An `error` in place of a response."""
        usual: JsonObject = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
        error: JsonObject = {"error": {**usual, **given}}
        return _framed(error) if framed else write(error)

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        entry: JsonObject = {
            "name": f"models/{model}",
            "displayName": model,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent"],
            "thinking": True,
        }
        return {"models": [entry]}


def as_array(delivery: Delivery) -> Delivery:
    """A stream as it comes without `alt=sse`: one JSON array, an element at a time."""
    said = [piece.removeprefix(b"data: ").rstrip() for piece in delivery.pieces]
    pieces = [(b",\r\n" if at else b"[") + piece for at, piece in enumerate(said)]
    whole = not delivery.broken and not delivery.stall
    headers = {**delivery.headers, "content-type": "application/json; charset=UTF-8"}
    return replace(delivery, pieces=(*pieces, *([b"]"] if whole else [])), headers=headers)


def gemini_faces() -> tuple[Gemini, ...]:
    """A face for every path."""
    return tuple(Gemini(verb, place) for place in (HERE, VERTEX) for verb in VERBS)


def _offered(request: Mapping[str, Json], allowed: Sequence[str]) -> Iterator[Offered]:
    for function in declared(request):
        name = words(function["name"])
        schema = function.get("parametersJsonSchema", function.get("parameters", {}))
        if not allowed or name in allowed:
            yield Offered(name, schema)


def _last_result(contents: Sequence[Mapping[str, Json]]) -> str | None:
    for content in reversed(contents):
        if results := held(content, "functionResponse"):
            told = members(results[-1]["response"])
            said = told.get("output", told.get("error"))
            return said if isinstance(said, str) else write(dict(told)).decode()
    return None


def _has_called(contents: Sequence[Mapping[str, Json]]) -> bool:
    for content in reversed(contents):
        if held(content, "functionCall"):
            return True
        if content["role"] == "user" and not held(content, "functionResponse"):
            return False
    return False


def _said(asked: Asked, reply: Reply) -> Iterator[JsonObject]:
    """The parts of a reply; thoughts only where they are asked for."""
    config = members(asked.body.get("generationConfig"))
    if reply.reasoning and members(config.get("thinkingConfig")).get("includeThoughts") is True:
        yield {"text": reply.reasoning, "thought": True}
    for position, ran in enumerate(reply.hosted):
        yield from ran_parts(ran, f"ran_{reply.id}_{position}")
    if reply.text:
        yield {"text": reply.text}
    for position, call in enumerate(reply.calls):
        name: JsonObject = (
            {"name": call.name} if asked.model.startswith("gemini-2") else {"id": call.id, "name": call.name}
        )
        part: JsonObject = {"functionCall": {**name, "args": _parsed(call.arguments) or {}}}
        yield part if position else {**part, "thoughtSignature": signature(asked.model, part)}


def _rest(asked: Asked, reply: Reply) -> Iterator[JsonObject]:
    """What ends a reply that was thought about and calls nothing: an empty text that holds a signature."""
    if reply.reasoning and not reply.calls:
        yield {"text": "", "thoughtSignature": signature(asked.model, {"text": ""})}


def _parsed(arguments: str) -> JsonObject | None:
    """Arguments as an object; None for anything else, which a call of this API cannot hold."""
    try:
        value = read(arguments)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _pieces(part: JsonObject) -> Iterator[JsonObject]:
    if "text" not in part:
        yield part
        return
    for piece in pieces(words(part["text"])):
        yield {**part, "text": piece}


def _ended(reply: Reply) -> JsonObject:
    """Why a reply ended. Calls whose arguments are no object end it without any."""
    broken = [call for call in reply.calls if _parsed(call.arguments) is None]
    if broken:
        told = f"Malformed function call: {broken[0].name}({broken[0].arguments[:80]}"
        return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": told, "index": 0}
    return {"finishReason": STOPS[reply.finish], "index": 0}


def _response(reply: Reply, candidate: JsonObject, usage: JsonObject) -> JsonObject:
    return {
        "candidates": [{**candidate, "index": 0}],
        "usageMetadata": usage,
        "modelVersion": reply.model,
        "responseId": reply.id,
    }


def _usage(usage: Usage) -> JsonObject:
    counts = {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    }
    always = ("promptTokenCount", "totalTokenCount")
    return {key: count for key, count in counts.items() if count or key in always}


def _framed(response: JsonObject) -> bytes:
    return b"data: " + write(response) + b"\r\n\r\n"
