"""What error replies mean, as seen from every wire."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from wires.rows import WIRES

from treadle.agent.providers.classify import duration, failure, failure_in_stream
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    ContentBlocked,
    ContextOverflow,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    Rejected,
    RequestTooLarge,
    StaleState,
)


def openai(message: str, kind: str | None = "invalid_request_error", code: Any = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def glm(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "sorry"}}).encode()


def anthropic(kind: str, message: str) -> bytes:
    return json.dumps({
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_1",
    }).encode()


def google(status: str, message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"code": 400, "message": message, "status": status, **more}}).encode()


def openrouter(code: int, message: str, **metadata: Any) -> bytes:
    return json.dumps({
        "error": {"code": code, "message": message, "metadata": metadata},
        "user_id": "u",
    }).encode()


REPLIES: Final[list[tuple[int, bytes, type[ProviderError], str]]] = [
    (401, openai("Incorrect API key provided: sk-x", code="invalid_api_key"), AuthFailed, "invalid_api_key"),
    (429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), Busy, "rate_limit_exceeded"),
    (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), QuotaExhausted, "insufficient_quota"),
    (429, openai("Spent", "x", "project_spend_limit_exceeded"), QuotaExhausted, "project_spend_limit_exceeded"),
    (400, openai("This model's maximum context length is 8192", code="context_length_exceeded"), ContextOverflow, "context_length_exceeded"),
    (400, openai("This model's maximum context length is 4096 tokens.", "BadRequestError", 400), ContextOverflow, "400"),
    (400, openai("Invalid 'messages[1].content': string too long.", code="string_above_max_length"), ContextOverflow, "string_above_max_length"),
    (400, openai("Invalid 'messages[1].tool_calls[0].id': string too long.", code="string_above_max_length"), InvalidRequest, "string_above_max_length"),
    (400, openai("the request exceeds the available context size", "exceed_context_size_error"), ContextOverflow, "exceed_context_size_error"),
    (400, openai("Invalid request: Your request exceeded model token limit: 262144"), ContextOverflow, "invalid_request_error"),
    (422, b'{"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192"}', ContextOverflow, ""),
    (403, openrouter(403, "Key limit exceeded (total limit)"), QuotaExhausted, "403"),
    (404, openai("The model `x` does not exist", code="model_not_found"), NotFound, "model_not_found"),
    (404, openai("Previous response with id 'r' not found.", code="previous_response_not_found"), StaleState, "previous_response_not_found"),
    (400, openai("Unknown parameter: 'mood'."), InvalidRequest, "invalid_request_error"),
    (422, b'{"detail": "field required"}', InvalidRequest, ""),
    (422, b'{"detail": [{"loc": ["body"]}]}', InvalidRequest, ""),
    (500, openai("The server had an error", "server_error"), Busy, "server_error"),
    (503, openai("Overloaded", "x", "server_is_overloaded"), Busy, "server_is_overloaded"),
    (400, json.dumps({"error": {"code": "content_filter", "message": "filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}).encode(), ContentBlocked, "ResponsibleAIPolicyViolation"),
    (400, openai("Your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt"), ContentBlocked, "invalid_prompt"),
    (400, openai("The image is too large.", code="image_too_large"), InvalidRequest, "image_too_large"),
    (429, json.dumps({"error": {"code": "too_many_requests", "message": "slow"}}).encode(), Busy, "too_many_requests"),
    (429, glm("1302"), Busy, "1302"),
    (429, glm("1305"), Busy, "1305"),
    (429, glm("1113"), QuotaExhausted, "1113"),
    (429, glm("1308"), QuotaExhausted, "1308"),
    (429, glm("1321"), QuotaExhausted, "1321"),
    (400, glm("1261"), ContextOverflow, "1261"),
    (400, glm("1301"), ContentBlocked, "1301"),
    (400, glm("1211"), NotFound, "1211"),
    (400, glm("1214"), InvalidRequest, "1214"),
    (401, glm("1002"), AuthFailed, "1002"),
    (402, openrouter(402, "Insufficient credits"), QuotaExhausted, "402"),
    (403, openrouter(403, "flagged", flagged_input="bad", reasons=["x"], provider_name="P"), ContentBlocked, "403"),
    (403, openrouter(403, "key disabled"), AuthFailed, "403"),
    (502, openrouter(502, "Provider returned error", raw="gone", provider_name="P"), Busy, "502"),
    (524, b"", Busy, ""),
    (413, b"<html><head><title>413 Request Entity Too Large</title></head></html>", RequestTooLarge, ""),
    (502, b"<!DOCTYPE html><html><body>bad gateway</body></html>", Busy, ""),
    (400, b"upstream said no", InvalidRequest, ""),
    (408, b"", Busy, ""),
    (409, b"", Busy, ""),
    (301, b"", InvalidRequest, ""),
    (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow, "invalid_request_error"),
    (529, anthropic("overloaded_error", "Overloaded"), Busy, "overloaded_error"),
    (400, anthropic("invalid_request_error", "Your credit balance is too low"), QuotaExhausted, "invalid_request_error"),
    (404, anthropic("not_found_error", "model: claude-x"), NotFound, "not_found_error"),
    (413, anthropic("request_too_large", "too large"), RequestTooLarge, "request_too_large"),
    (413, openai("413: Maximum content size limit (9) exceeded (10 bytes read)", "server_error"), RequestTooLarge, "server_error"),
    (400, google("INVALID_ARGUMENT", "Request payload size exceeds the limit: 9 bytes."), RequestTooLarge, "400"),
    (429, google("RESOURCE_EXHAUSTED", "Quota exceeded for requests PerDay"), QuotaExhausted, "400"),
    (429, google("RESOURCE_EXHAUSTED", "Resource has been exhausted"), Busy, "400"),
    (400, google("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), AuthFailed, "400"),
    (400, google("INVALID_ARGUMENT", "No.", details=[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]), AuthFailed, "API_KEY_INVALID"),
    (429, google("RESOURCE_EXHAUSTED", "Quota.", details=[{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}, "odd"]}, {"retryDelay": "14s"}]), QuotaExhausted, "400"),
    (429, google("RESOURCE_EXHAUSTED", "Quota.", details=[{"violations": [{"quotaId": "GenerateRequestsPerMinute"}, {}]}]), Busy, "400"),
    (400, google("FAILED_PRECONDITION", "Billing is not enabled for this project."), QuotaExhausted, "400"),
    (400, google("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."), ContextOverflow, "400"),
    (400, google("INVALID_ARGUMENT", "Function call is missing a thought_signature in functionCall parts."), StaleState, "400"),
    (403, google("PERMISSION_DENIED", "Method doesn't allow unregistered callers."), AuthFailed, "400"),
    (400, b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]', Busy, "503"),
    (400, b'"just text"', InvalidRequest, ""),
    (400, b"[]", InvalidRequest, ""),
]  # fmt: skip

STREAMED: Final[list[tuple[dict[str, Any], type[ProviderError], int]]] = [
    ({"error": {"code": 429, "message": "m"}}, Busy, 429),
    ({"error": {"code": 400, "message": "m"}}, InvalidRequest, 400),
    ({"error": {"code": "rate_limit_exceeded", "message": "m"}}, Busy, 429),
    ({"error": {"code": "insufficient_quota", "message": "m"}}, QuotaExhausted, 429),
    ({"error": {"code": "server_is_overloaded", "message": "m"}}, Busy, 503),
    ({"error": {"code": "service_unavailable", "message": "m"}}, Busy, 503),
    ({"error": {"type": "server_error", "message": "m"}}, Busy, 500),
    ({"error": {"type": "overloaded_error", "message": "m"}}, Busy, 529),
    ({"error": {"code": "invalid_api_key", "message": "m"}}, AuthFailed, 401),
    ({"error": {"code": "context_length_exceeded", "message": "m"}}, ContextOverflow, 400),
    ({"error": {"message": "prompt is too long"}}, ContextOverflow, 400),
    ({"error": {"message": ""}}, Busy, 500),
    ({"error": {"code": "bio_policy", "message": "m"}}, ContentBlocked, 400),
    ({"error": {"code": "misalignment_policy_violation", "message": "m"}}, ContentBlocked, 400),
    ({"error": {"code": "failed_to_download_image", "message": "m"}}, InvalidRequest, 400),
    ({"error": {"code": "vector_store_timeout", "message": "m"}}, Busy, 500),
    ({"error": {"type": "invalid_request_error", "code": None, "message": "m"}}, InvalidRequest, 400),
    ({"type": "error", "code": "server_is_overloaded", "message": "m", "param": None}, Busy, 503),
    ({"error": "rate_limit_exceeded"}, Busy, 429),
    ({"error": "no_idea", "message": "said elsewhere"}, Busy, 500),
    ({"error": {"code": None, "status": "RESOURCE_EXHAUSTED", "message": "m"}}, Busy, 429),
]

NOON: Final = "Tue, 24 Nov 2026 12:00:00 GMT"
WAITS: Final[list[tuple[dict[str, str], float | None]]] = [
    ({}, None),
    ({"Retry-After": "7"}, 7),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "6m0s"}, 360),
    ({"retry-after": "soon"}, None),
    ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
    (
        {"retry-after": "Tue, 24 Nov 2026 12:01:30 GMT", "date": "Tue, 24 Nov 2026 12:00:00 GMT"},
        90,
    ),
    ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT", "date": "Tue, 24 Nov 2026 12:00:00 GMT"}, 0),
    ({"retry-after": "Tue, 24 Nov 2026 12:01:30 GMT"}, None),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms"}, 0.012),
    ({"x-ratelimit-remaining-requests": "0"}, None),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon", "date": NOON}, None),
    (
        {
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-24T12:00:20Z",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-24T12:00:05Z",
            "anthropic-ratelimit-output-tokens-remaining": "9",
            "anthropic-ratelimit-output-tokens-reset": "2026-11-24T13:00:00Z",
            "date": NOON,
        },
        20,
    ),
    (
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2026-11-24T12:00:20Z",
        },
        None,
    ),
    (
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2026-11-24",
            "date": NOON,
        },
        None,
    ),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795521690000", "date": NOON}, 90),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795521690", "date": NOON}, 90),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795500000", "date": NOON}, 0),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 30, "date": NOON}, None),
    ({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "0"}, None),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), REPLIES)
@pytest.mark.parametrize("name", WIRES)
def test_an_error_reply_becomes_what_a_caller_can_act_on(
    name: str, status: int, body: bytes, kind: type[ProviderError], code: str
) -> None:
    error = WIRES[name].wire.error(status, {"x-request-id": "req_7"}, body)
    assert (type(error), error.status, error.code, error.request_id) == (kind, status, code, "req_7")
    assert str(error).startswith(f"HTTP {status}: ")


@pytest.mark.parametrize(("data", "kind", "status"), STREAMED)
def test_an_error_inside_a_stream_gets_the_status_it_would_have_had(
    data: dict[str, Any], kind: type[ProviderError], status: int
) -> None:
    error = failure_in_stream(data)
    assert (type(error), error.status) == (kind, status)


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_the_wait_that_a_provider_asks_for_is_read_in_every_shape(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert failure(429, headers, b"").retry_after == seconds


def test_a_wait_in_the_body_counts_too_and_the_longest_wins() -> None:
    assert failure(429, {}, openai("Please try again in 1.5s.")).retry_after == 1.5
    assert failure(429, {"retry-after": "9"}, openai("Please try again in 20ms. Visit x")).retry_after == 9
    details: list[Any] = ["odd", {"@type": "x"}, {"@type": "RetryInfo", "retryDelay": "14s"}]
    assert failure(429, {}, google("RESOURCE_EXHAUSTED", "wait", details=details)).retry_after == 14


def test_a_provider_may_say_whether_to_ask_again() -> None:
    assert type(failure(429, {"x-should-retry": "false"}, b"")) is Rejected
    assert type(failure(400, {"x-should-retry": "true"}, b"")) is Busy
    assert type(failure(401, {"x-should-retry": "true"}, b"")) is AuthFailed
    assert type(failure(400, {"x-should-retry": "false"}, b"")) is InvalidRequest


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h2m3s", 3723), ("0", 0), ("", None), ("5x", None), ("s", None)]
)
def test_a_duration_is_read_or_refused(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


def test_a_long_message_is_cut_and_names_the_upstream() -> None:
    long = failure(400, {}, openai("x" * 5000))
    assert len(str(long)) < 1100
    routed = failure(502, {}, openrouter(502, "Provider returned error", raw="gone", provider_name="P"))
    assert str(routed) == "HTTP 502: Provider returned error: gone (P)"
    page = failure(413, {}, b"<html><title> Too\nLarge </title></html>")
    assert str(page) == "HTTP 413: Too\nLarge"
