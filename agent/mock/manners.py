"""Where the vendors of Chat Completions are unlike OpenAI, as data and small functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

from treadle.agent.mock.check import Refused, wrong
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write
from treadle.agent.mock.openai_frame import error_of
from treadle.sandbox.frozen import frozen

Rule: TypeAlias = Callable[[Mapping[str, Json]], None]
"""Accepts a request's body, or raises Refused."""


@frozen
class Manner:
    """One vendor's face, in what is peculiar to it."""

    path: str
    key: Literal["bearer", "api-key", "none"] = "bearer"
    """How a request says who sends it; `api-key` takes a bearer token too."""
    extra: tuple[str, ...] = ()
    """Fields of a request that only this API has."""
    rules: tuple[Rule, ...] = ()
    reasoning: Literal["reasoning_content", "reasoning", "details", "tags", "chunks"] = "reasoning_content"
    """Where a reply holds it: a field, OpenRouter's details, tags in the text, or Mistral's content chunks."""
    usage: Literal["asked", "always", "never", "every", "x_groq"] = "always"
    """When a stream tells it: if asked to, in the last chunk, never, in every chunk, or in a field of its own."""
    cache: Literal["steps", "units"] = "steps"
    """How it keeps what it was sent: as OpenAI did, or in DeepSeek's units."""
    opening: tuple[bytes, ...] = ()
    """What comes before the first chunk."""
    more: Mapping[str, Json] | None = None
    """What else its usage says."""
    ids: Literal["kept", "none", "nine"] = "kept"
    """What becomes of the ids of calls: nine letters and digits, or nothing."""
    error: Callable[[Refused], bytes] = error_of


def nine(key: str) -> str:
    """An id as Mistral makes them."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:9]


def seal(text: str) -> str:
    """The signature of a text of reasoning."""
    return hashlib.sha256(b"sealed" + text.encode("utf-8", "surrogatepass")).hexdigest()


def _said(body: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for index, message in enumerate(elements(body.get("messages"))):
        yield f"messages[{index}]", members(message)


def _only(key: str, *allowed: Json) -> Rule:
    def rule(body: Mapping[str, Json]) -> None:
        if key in body and body[key] not in allowed:
            raise wrong(key, f"{write(body[key]).decode()[:80]} is not supported")

    return rule


def _no_schema(body: Mapping[str, Json]) -> None:
    if members(body.get("response_format")).get("type") == "json_schema":
        raise wrong("response_format.type", "only text and json_object are supported")


def _thinks_back(body: Mapping[str, Json]) -> None:
    """DeepSeek and Kimi want the reasoning back with the calls, if need be empty."""
    for path, message in _said(body):
        if message.get("tool_calls") and not isinstance(message.get("reasoning_content"), str):
            what = "thinking is enabled but reasoning_content is missing in assistant tool call message"
            raise wrong(path, what)


def _sealed(body: Mapping[str, Json]) -> None:
    """Claude behind OpenRouter refuses reasoning that was changed."""
    for path, message in _said(body):
        for detail in map(members, elements(message.get("reasoning_details"))):
            if detail.get("signature") != seal(words(detail.get("text"))):
                raise wrong(f"{path}.reasoning_details", "the signature does not fit the text")


def _nine(body: Mapping[str, Json]) -> None:
    for path, message in _said(body):
        ids = [words(members(call).get("id")) for call in elements(message.get("tool_calls"))]
        ids += [words(message["tool_call_id"])] if "tool_call_id" in message else []
        for key in ids:
            if not re.fullmatch(r"[A-Za-z0-9]{9}", key):
                raise wrong(path, f"Tool call id was {key} but must be a-z, A-Z, 0-9, with a length of 9.")


def _leading_system(body: Mapping[str, Json]) -> None:
    """Templates of open models raise an exception for anything but one system message, at the beginning."""
    for number, (path, message) in enumerate(_said(body)):
        if message.get("role") == "system" and number:
            raise wrong(path, "System message must be at the beginning.")


def _no_control(body: Mapping[str, Json]) -> None:
    for path, message in _said(body):
        if b"<|" in write(message.get("content")):
            raise wrong(path, "the text holds a control token")


def _no_references(body: Mapping[str, Json]) -> None:
    if b'"$ref"' in write(body.get("tools")):
        raise wrong("tools", "arguments of a $ref would come as strings")


def _no_files(body: Mapping[str, Json]) -> None:
    for path, message in _said(body):
        if any(members(part).get("type") == "file" for part in elements(message.get("content"))):
            raise wrong(path, "Invalid content type: file")


def _one_stop(body: Mapping[str, Json]) -> None:
    if len(elements(body.get("stop"))) > 1:
        raise wrong("stop", "only one is supported")


def _open_temperature(body: Mapping[str, Json]) -> None:
    if body.get("temperature") == 0:
        raise wrong("temperature", "must lie in (0, 1); use do_sample")


_GLM_CODES = {400: "1210", 401: "1000", 403: "1220", 404: "1211", 429: "1302", 503: "1305"}


def _glm_error(refused: Refused) -> bytes:
    code = refused.code if (refused.code or "").isdigit() else _GLM_CODES.get(refused.status, "1234")
    return write({"error": {"code": code, "message": refused.message}})


def _openrouter_error(refused: Refused) -> bytes:
    error = {"code": refused.status, "message": refused.message, "metadata": {"provider_name": "Mock"}}
    return write({"error": error, "user_id": "user_mock"})


def _mistral_error(refused: Refused) -> bytes:
    flat: JsonObject = {"object": "error", "message": refused.message, "type": "invalid_request_message"}
    return write({**flat, "param": refused.param, "code": "3051", "raw_status_code": refused.status})


def _azure_error(refused: Refused) -> bytes:
    return write({"error": {"code": str(refused.status), "message": refused.message}})


def _moonshot_error(refused: Refused) -> bytes:
    kinds = {
        401: "invalid_authentication_error",
        404: "resource_not_found_error",
        429: "rate_limit_reached_error",
    }
    kind = kinds.get(refused.status, "invalid_request_error" if refused.status < 500 else "server_error")
    return write({"error": {"message": refused.message, "type": kind}})


def _xai_error(refused: Refused) -> bytes:
    return write({"code": "The caller sent something that does not do", "error": refused.message})


_AZURE_FIRST: JsonObject = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
}
_WEIGHTS = ("top_k", "min_p", "repetition_penalty")
_COST: JsonObject = {"cost": 0.0125, "cost_details": {"upstream_inference_cost": 0.0125}, "is_byok": False}


def _azure(below: str) -> Manner:
    first = b"data: " + write(_AZURE_FIRST) + b"\n\n"
    return Manner(
        f"/azure/openai/{below}/chat/completions",
        key="api-key",
        rules=(_no_files,),
        usage="asked",
        opening=(first,),
        error=_azure_error,
    )


def _glm(name: str) -> Manner:
    return Manner(
        f"/{name}/api/paas/v4/chat/completions",
        extra=("thinking", "do_sample", "tool_stream", "request_id", "user_id"),
        rules=(
            _only("tool_choice", "auto"),
            _only("parallel_tool_calls"),
            _no_schema,
            _no_references,
            _one_stop,
            _open_temperature,
        ),
        error=_glm_error,
    )


MANNERS = (
    Manner(
        "/openrouter/api/v1/chat/completions",
        extra=(*_WEIGHTS, "provider", "reasoning", "session_id", "models", "plugins", "usage"),
        rules=(_sealed,),
        reasoning="details",
        opening=(b": OPENROUTER PROCESSING\n\n", b": OPENROUTER PROCESSING\n\n"),
        more=_COST,
        error=_openrouter_error,
    ),
    _azure("v1"),
    _azure("deployments/{model}"),
    _glm("zai"),
    _glm("bigmodel"),
    Manner(
        "/deepseek/v1/chat/completions",
        extra=("thinking",),
        rules=(_thinks_back, _no_schema),
        usage="every",
        cache="units",
    ),
    Manner(
        "/moonshot/v1/chat/completions",
        extra=("thinking",),
        rules=(_thinks_back, _only("tool_choice", "auto", "none")),
        error=_moonshot_error,
    ),
    Manner(
        "/mistral/v1/chat/completions",
        extra=("random_seed", "safe_prompt", "prompt_mode"),
        rules=(_nine, _only("seed"), _only("stream_options")),
        reasoning="chunks",
        ids="nine",
        error=_mistral_error,
    ),
    Manner("/xai/v1/chat/completions", usage="every", error=_xai_error),
    Manner("/groq/openai/v1/chat/completions", reasoning="reasoning", usage="x_groq"),
    Manner(
        "/vllm/v1/chat/completions",
        key="none",
        extra=_WEIGHTS,
        rules=(_leading_system, _no_control),
        reasoning="tags",
        usage="asked",
    ),
    Manner(
        "/ollama/v1/chat/completions",
        key="none",
        extra=_WEIGHTS,
        rules=(_only("tool_choice"), _only("parallel_tool_calls"), _no_control),
        reasoning="reasoning",
        usage="never",
        ids="none",
    ),
    Manner("/lmstudio/v1/chat/completions", key="none", extra=_WEIGHTS, rules=(_no_control,), usage="asked"),
)
