"""What Gemini's generateContent accepts in a request."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words

NAME = r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}"
SKIPPED = "skip_thought_signature_validator"
"""Stands for a signature that a client cannot have."""
DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
OWN = frozenset({
    "args",
    "parameters",
    "parametersJsonSchema",
    "partMetadata",
    "response",
    "responseJsonSchema",
    "responseSchema",
})
"""Fields whose members are no fields of the API."""
_SNAKE = re.compile(r"_([a-z])")
_MIME = r"[a-z]+/[A-Za-z0-9.+-]+"
_BLOB = c.record(
    {"mimeType": c.text(1, pattern=_MIME), "data": c.text(1, pattern=r"[A-Za-z0-9+/_-]+={0,2}")},
    {"displayName": c.text()},
)
_FILE = c.record(
    {"fileUri": c.text(1, pattern=r"(https?|gs)://.+")},
    {"mimeType": c.text(1, pattern=_MIME), "displayName": c.text()},
)
_MEDIA: Mapping[str, Check] = {"inlineData": _BLOB, "fileData": _FILE}
_CALL = c.record({"name": c.text(1, pattern=NAME)}, {"id": c.text(1), "args": c.mapping})
_RESPONSE = c.record(
    {"name": c.text(1, pattern=NAME), "response": c.mapping},
    {"id": c.text(1), "parts": c.items(c.record({}, _MEDIA))},
)
_PART = c.record(
    {},
    {
        **_MEDIA,
        "text": c.text(),
        "functionCall": _CALL,
        "functionResponse": _RESPONSE,
        "executableCode": c.record({"language": c.one_of("PYTHON"), "code": c.text(1)}, {"id": c.text(1)}),
        "codeExecutionResult": c.record(
            {"outcome": c.one_of("OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED")},
            {"output": c.text(), "id": c.text(1)},
        ),
        "toolCall": c.mapping,
        "toolResponse": c.mapping,
        "thought": c.flag,
        "thoughtSignature": c.text(1, pattern=r"[A-Za-z0-9+/_-]+={0,2}"),
        "videoMetadata": c.mapping,
        "mediaResolution": c.mapping,
        "partMetadata": c.mapping,
    },
)


def _part(value: Json, path: str) -> None:
    _PART(value, path)
    held = [key for key in DATA if key in members(value)]
    if len(held) > 1 or (not held and "thoughtSignature" not in members(value)):
        raise wrong(path, "required oneof field 'data' must have one initialized field")


_CONTENT = c.record({"parts": c.items(_part, least=1), "role": c.one_of("user", "model")})
_SYSTEM = c.record(
    {"parts": c.items(c.record({"text": c.text(1)}), least=1)}, {"role": c.one_of("user", "system")}
)


def _schema(value: Json, path: str) -> None:
    c.mapping(value, path)
    if members(value).get("type", "object") not in ("object", "OBJECT"):
        raise wrong(path, "the schema of a function's parameters has type object")


_FUNCTION = c.record(
    {"name": c.text(1, pattern=NAME)},
    {
        "description": c.text(),
        "parameters": _schema,
        "parametersJsonSchema": _schema,
        "response": c.mapping,
        "responseJsonSchema": c.mapping,
        "behavior": c.one_of("BLOCKING", "NON_BLOCKING"),
    },
)
_TOOL = c.record(
    {},
    {
        "functionDeclarations": c.items(_FUNCTION),
        "mcpServers": c.items(c.mapping),
        **dict.fromkeys(
            ("googleSearch", "urlContext", "codeExecution", "fileSearch", "computerUse", "googleMaps"),
            c.mapping,
        ),
    },
)
_CALLING = c.record(
    {},
    {
        "mode": c.one_of("AUTO", "ANY", "NONE", "VALIDATED"),
        "allowedFunctionNames": c.items(c.text(1), least=1),
    },
)
_THINKING = c.record(
    {},
    {
        "includeThoughts": c.flag,
        "thinkingBudget": c.integer(-1, 32_768),
        "thinkingLevel": c.one_of("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"),
    },
)
_CONFIG = c.record(
    {},
    {
        "temperature": c.number(0, 2),
        "topP": c.number(0, 1),
        "topK": c.number(0),
        "candidateCount": c.integer(1, 1),  # a script has one reply to a request
        "maxOutputTokens": c.integer(1),
        "stopSequences": c.items(c.text(1), most=5),
        "presencePenalty": c.number(-2, 2),
        "frequencyPenalty": c.number(-2, 2),
        "seed": c.integer(-(2**31), 2**31 - 1),
        "responseLogprobs": c.flag,
        "logprobs": c.integer(0, 20),
        "responseMimeType": c.one_of("text/plain", "application/json", "text/x.enum"),
        "responseSchema": c.mapping,
        "responseJsonSchema": c.mapping,
        "responseModalities": c.items(c.one_of("TEXT", "IMAGE", "AUDIO")),
        "mediaResolution": c.text(1),
        "thinkingConfig": _THINKING,
        "speechConfig": c.mapping,
        "imageConfig": c.mapping,
    },
)
_SAFETY = c.record({"category": c.text(1, pattern=r"HARM_CATEGORY_\w+"), "threshold": c.text(1)})
_REQUEST = c.record(
    {"contents": c.items(_CONTENT, least=1)},
    {
        "systemInstruction": _SYSTEM,
        "tools": c.items(_TOOL),
        "toolConfig": c.record(
            {},
            {
                "functionCallingConfig": _CALLING,
                "includeServerSideToolInvocations": c.flag,
                "retrievalConfig": c.mapping,
            },
        ),
        "generationConfig": _CONFIG,
        "safetySettings": c.items(_SAFETY),
        "cachedContent": c.text(1),
        "store": c.flag,
        "serviceTier": c.one_of("flex", "standard", "priority"),
        "continuationToken": c.text(1),
    },
)


def signature(model: str, part: Mapping[str, Json]) -> str:
    """What proves that this model made this part; in letters that both alphabets of base64 share."""
    call = members(part.get("functionCall"))
    data = [call.get("name"), call.get("args") or {}] if call else part.get("text", "")
    bound = json.dumps([model, data], sort_keys=True).encode()
    return b64encode(hashlib.sha256(bound).hexdigest().encode()).decode()


def check(body: Json, model: str) -> JsonObject:
    """A request that the API would accept. Raises Refused with the path of the first thing wrong."""
    plain = _camel(body)
    _REQUEST(plain, "")
    request: JsonObject = dict(members(plain))
    _agree(members(request.get("generationConfig")))
    _tools_agree(request)
    contents = [members(content) for content in elements(request["contents"])]
    _take_turns(contents)
    _pair(contents)
    _signed(contents, model)
    return request


def _camel(value: Json) -> Json:
    """The fields under one of the two names that the API knows them by. What a client made up stays as it is."""
    if isinstance(value, list):
        return [_camel(element) for element in value]
    if not isinstance(value, dict):
        return value
    named = {_SNAKE.sub(lambda found: found[1].upper(), key): member for key, member in value.items()}
    return {key: member if key in OWN else _camel(member) for key, member in named.items()}


def parts(content: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The parts of a content."""
    return [members(part) for part in elements(content["parts"])]


def held(content: Mapping[str, Json], key: str) -> list[Mapping[str, Json]]:
    """What the parts of a content hold of one kind."""
    return [members(part[key]) for part in parts(content) if key in part]


def declared(request: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """The functions of a request."""
    for tool in map(members, elements(request.get("tools"))):
        yield from map(members, elements(tool.get("functionDeclarations")))


def _agree(config: Mapping[str, Json]) -> None:
    path = "generationConfig"
    thinking = members(config.get("thinkingConfig"))
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        raise wrong(f"{path}.thinkingConfig", "only one of thinkingBudget and thinkingLevel may be set")
    if "logprobs" in config and config.get("responseLogprobs") is not True:
        raise wrong(f"{path}.logprobs", "needs responseLogprobs")
    schemas = [key for key in ("responseSchema", "responseJsonSchema") if key in config]
    if len(schemas) > 1:
        raise wrong(f"{path}.responseSchema", "only one of responseSchema and responseJsonSchema may be set")
    if schemas and config.get("responseMimeType") not in {"application/json", "text/x.enum"}:
        raise wrong(f"{path}.{schemas[0]}", "needs the responseMimeType application/json")


def _tools_agree(request: Mapping[str, Json]) -> None:
    names: set[str] = set()
    for function in declared(request):
        name = words(function["name"])
        if name in names:
            raise wrong("tools", f"Duplicate function declaration found: {name}")
        if "parameters" in function and "parametersJsonSchema" in function:
            raise wrong("tools", f"{name} has both parameters and parametersJsonSchema")
        names.add(name)
    path = "toolConfig.functionCallingConfig"
    calling = members(members(request.get("toolConfig")).get("functionCallingConfig"))
    allowed = [words(name) for name in elements(calling.get("allowedFunctionNames"))]
    if allowed and calling.get("mode") not in {"ANY", "VALIDATED"}:
        raise wrong(f"{path}.allowedFunctionNames", "should only be set when the mode is ANY or VALIDATED")
    for name in allowed:
        if name not in names:
            raise wrong(f"{path}.allowedFunctionNames", f"{name!r} is not among the function declarations")
    if calling.get("mode") in {"ANY", "VALIDATED"} and not names:
        raise wrong(f"{path}.mode", "needs function declarations")


def _take_turns(contents: Sequence[Mapping[str, Json]]) -> None:
    """Roles alternate; but what the user says may follow the results of calls."""
    if contents[0]["role"] != "user":
        raise wrong("contents[0].role", "a conversation begins with the user")
    if contents[-1]["role"] != "user":
        raise wrong(f"contents[{len(contents) - 1}].role", "a conversation ends with the user")
    for index, (before, content) in enumerate(pairwise(contents), 1):
        answers = bool(held(before, "functionResponse")) and not held(content, "functionResponse")
        if before["role"] == content["role"] and not (content["role"] == "user" and answers):
            raise wrong(f"contents[{index}].role", "multiturn requests alternate between user and model")


def _pair(contents: Sequence[Mapping[str, Json]]) -> None:
    """Each content with calls is followed by one with as many results, in their order, and nothing else."""
    for index, content in enumerate(contents):
        path = f"contents[{index}]"
        calls = held(contents[index - 1], "functionCall") if index else []
        results = held(content, "functionResponse")
        if content["role"] == "user" and held(content, "functionCall"):
            raise wrong(path, "only the model calls functions")
        if content["role"] == "model" and results:
            raise wrong(path, "only the user answers calls")
        if len(results) != len(calls):
            what = "the number of function response parts is not that of the function call parts of the turn before"
            raise wrong(path, what)
        if results and len(results) < len(parts(content)):
            raise wrong(path, "results stand in a content of their own")
        for at, (call, result) in enumerate(zip(calls, results, strict=True)):
            _fit(call, result, f"{path}.parts[{at}].functionResponse")


def _fit(call: Mapping[str, Json], result: Mapping[str, Json], path: str) -> None:
    for key in ("name", "id"):
        if call.get(key) != result.get(key):
            raise wrong(f"{path}.{key}", f"{result.get(key)!r} does not fit the call's {call.get(key)!r}")


def _signed(contents: Sequence[Mapping[str, Json]], model: str) -> None:
    """Each step of the current turn begins with a signed call; no signature was moved or changed."""
    spoke = [at for at, content in enumerate(contents) if content["role"] == "user"]
    turn = max(at for at in spoke if not held(contents[at], "functionResponse"))
    for at, content in enumerate(contents):
        calls = [part for part in parts(content) if "functionCall" in part]
        if at > turn and calls and "thoughtSignature" not in calls[0]:
            name = words(members(calls[0]["functionCall"])["name"])
            told = f"Function call is missing a thought_signature in functionCall parts: {name}"
            raise wrong(f"contents[{at}]", told)
        for index, part in enumerate(parts(content)):
            mark = part.get("thoughtSignature", SKIPPED)
            if mark not in {SKIPPED, signature(model, part)}:
                raise wrong(f"contents[{at}].parts[{index}]", "Thought signature is not valid")
