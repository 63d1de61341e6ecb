"""What an error reply means, for every wire: the provider's code first, then its message, then the status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

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
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject

_LONGEST = 1000

# OpenAI: WIRES §1.6, §3, §16. Anthropic: §4.10. Zhipu: §9. Google: §16. Azure: §10. OpenRouter: §8.
_CODES: Final[Mapping[type[ProviderError], str]] = {
    QuotaExhausted: """insufficient_quota billing_hard_limit_reached credit_balance_exhausted billing_error
        organization_spend_limit_exceeded project_spend_limit_exceeded organization_usage_limit_exceeded
        payment_required enforced_spend_limit_reached insufficient_balance exceeded_current_quota_error quota_exceeded
        1113 1304 1308 1309 1310 1311 1313 1314 1315 1316 1317 1318 1319 1320 1321""",
    Busy: """rate_limit_exceeded rate_limit_error rate_limit_reached_error too_many_requests server_is_overloaded
        slow_down service_unavailable server_error api_error overloaded_error overloaded engine_overloaded_error
        timeout_error timeout conflict_error ramp_limit_exceeded internal_error internal_server_error provider_unavailable
        UNAVAILABLE INTERNAL DEADLINE_EXCEEDED ABORTED
        vector_store_timeout 1120 1230 1234 1302 1303 1305 1312""",
    ContextOverflow: "context_length_exceeded context_window_exceeded exceed_context_size_error 1261",
    RequestTooLarge: "request_too_large payload_too_large request_body_too_large_after_decoding",
    ContentBlocked: """content_filter content_policy_violation ResponsibleAIPolicyViolation moderation_blocked
        content_filtered image_content_policy_violation bio_policy misalignment_policy_violation invalid_prompt 1301""",
    AuthFailed: """invalid_api_key authentication_error permission_error permission_denied invalid_authentication_error
        UNAUTHENTICATED PERMISSION_DENIED API_KEY_INVALID 1000 1001 1002 1003 1004 1100 1220""",
    StaleState: """previous_response_not_found thread_not_found container_expired conversation_not_found
        invalid_encrypted_content""",
    NotFound: "model_not_found not_found not_found_error resource_not_found_error NOT_FOUND DeploymentNotFound 1211",
    InvalidRequest: """data_residency_mismatch invalid_image invalid_image_format invalid_base64_image invalid_image_url
        image_too_large image_too_small image_parse_error invalid_image_mode image_file_too_large
        unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found""",
}
_BY_CODE: Final = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_BY_MESSAGE: Final[tuple[tuple[type[ProviderError], re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (
            ContextOverflow,
            r"maximum context length|context[ _]length[ _]exceeded|prompt is too long|exceeds? the (?:model'?s )?"
            r"(?:maximum )?context|context window|input token count.{0,40}exceeds|too many tokens in|input is too long|"
            r"exceeds the available context size|content'?: string too long|exceeded model token limit|`inputs` tokens \+|exceed context limit|longer than the model'?s context|maximum prompt length",
        ),
        (QuotaExhausted, r"PerDay|credit balance is too low|insufficient (?:balance|credits)|exceeded your current quota|key limit exceeded|free-models-per-day"),
        (
            StaleState,
            r"previous response .{0,80}not found|container (?:not found|.{0,80}expired)|signature`? in `?thinking`? block|"
            r"thought.?signature|encrypted content .{0,80}could not be|bound to a different conversation|blocks? .{0,80}cannot be modified",
        ),
        (RequestTooLarge, r"payload size exceeds|content size limit|request (?:body|entity) (?:is )?too large|exceeds the maximum size"),
        (ContentBlocked, r"blocked by content filtering"),
        (AuthFailed, r"API key not valid|incorrect api key|invalid api key"),
        (QuotaExhausted, r"billing (?:is )?(?:not |account )?(?:enabled|active|disabled)"),
    )
)  # fmt: skip
# Where the code says less than the message beside it.
_LESS_TELLING: Final = ((Busy, QuotaExhausted), (Busy, RequestTooLarge), (NotFound, StaleState))
_BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    404: NotFound,
    408: Busy,
    409: Busy,
    413: RequestTooLarge,
    425: Busy,
    429: Busy,
    499: Busy,
}
_WRONG: Final = frozenset({
    "invalid_request_error",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
})
"""Codes that blame the request, and say no more than a status of 400 does."""
# What a code inside a stream would have been as a status.
_STATUS: Final[Mapping[type[ProviderError], int]] = {
    AuthFailed: 401,
    QuotaExhausted: 429,
    NotFound: 404,
    StaleState: 404,
    RequestTooLarge: 413,
}
_OVERLOADED: Final = ("server_is_overloaded", "service_unavailable", "UNAVAILABLE", "1305")
_LIMITED: Final = ("rate_limit", "too_many_requests", "slow_down", "1302", "1303")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# OpenAI's `x-ratelimit-reset-tokens`, Anthropic's `anthropic-ratelimit-tokens-reset`, OpenRouter's `x-ratelimit-reset`.
_RESET: Final = re.compile(r"((?:x-|anthropic-)ratelimit-(?:[a-z-]+-)?)reset(-[a-z]+)?")
_DECADE: Final = 315_360_000.0
_TRY_AGAIN: Final = re.compile(r"(?:try again|retry) in (\d[\d.hms]*)(?![\d.hms])")


@frozen
class _Fault:
    """What an error body says."""

    message: str
    codes: tuple[str, ...] = ()
    """The provider's code, status and type, the most telling first."""
    retry_after: float | None = None
    flagged: bool = False


def failure(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error that an HTTP reply is."""
    named = {key.lower(): value for key, value in headers.items()}
    text = body.decode("utf-8", "replace").strip()
    try:
        fault = _fault(json.loads(text))
    except ValueError:
        fault = _Fault(_page_text(text))
    message = f"HTTP {status}: {fault.message or 'no message'}"
    return _settle(_kind(fault, status), fault, named, status, message)


def failure_in_stream(data: JsonObject) -> ProviderError:
    """Return the error that an event or a body under status 200 carries. Numeric codes are statuses."""
    fault = _fault(data)
    status = next((int(code) for code in fault.codes if code.isdigit() and 400 <= int(code) < 600), None)
    kind = _kind(fault, status or 0)
    return _settle(
        kind, fault, {}, status or _derived(kind, fault), fault.message or "the provider gave no reason"
    )


def _settle(
    kind: type[ProviderError], fault: _Fault, headers: Mapping[str, str], status: int, message: str
) -> ProviderError:
    match headers.get("x-should-retry"):
        case "false" if kind.retryable:
            kind = Rejected
        case "true" if kind is InvalidRequest:
            kind = Busy
        case _:
            pass
    waits = (fault.retry_after, _wait(headers))
    return kind(
        message,
        status=status,
        code=next(iter(fault.codes), ""),
        request_id=next((headers[key] for key in _REQUEST_IDS if key in headers), ""),
        retry_after=max((wait for wait in waits if wait is not None), default=None),
    )


_REQUEST_IDS: Final = (
    "x-request-id",
    "request-id",
    "x-goog-request-id",
    "x-generation-id",
    "apim-request-id",
    "x-ds-trace-id",
)


def _kind(fault: _Fault, status: int) -> type[ProviderError]:
    """Judge a fault. A status of 0 stands for none: what breaks in mid-stream without a word may be asked again."""
    if fault.flagged:
        return ContentBlocked
    by_message = next((kind for kind, pattern in _BY_MESSAGE if pattern.search(fault.message)), None)
    if status == 413:
        by_message = RequestTooLarge
    for code in fault.codes:
        kind = _BY_CODE.get(code)
        if kind is not None and (kind, by_message) not in _LESS_TELLING:
            return kind
    if by_message is not None and status not in {401, 408} and status < 500:
        return by_message
    if not status and not _WRONG.isdisjoint(fault.codes):
        return InvalidRequest
    if "RESOURCE_EXHAUSTED" in fault.codes or status >= 500 or not status:
        return Busy
    return _BY_STATUS.get(status, InvalidRequest)


def _derived(kind: type[ProviderError], fault: _Fault) -> int:
    if kind is not Busy:
        return _STATUS.get(kind, 400)
    code = next(iter(fault.codes), "")
    if "overloaded" in code:
        return 529 if code == "overloaded_error" else 503
    if code in _OVERLOADED:
        return 503
    return 429 if code.startswith(_LIMITED) or code == "RESOURCE_EXHAUSTED" else 500


def _fault(data: Any) -> _Fault:
    """Read the shapes of error bodies: `{error: {…}}`, flat, a list of one, a bare string, OpenRouter's nested one."""
    if isinstance(data, list) and data:
        data = cast("list[Any]", data)[0]
    if not isinstance(data, dict):
        return _Fault(str(cast("object", data)))
    outer = cast("JsonObject", data)
    nested = outer.get("error")
    if isinstance(nested, str):
        word = () if " " in nested else (nested,)
        return _Fault(str(outer.get("message") or nested), _codes(outer) or word)
    inner = cast("JsonObject", nested) if isinstance(nested, dict) else outer
    extra = _object(inner.get("metadata"))
    message = str(inner.get("message") or inner.get("detail") or inner.get("msg") or "")
    if extra.get("raw"):
        message = f"{message}: {extra['raw']} ({extra.get('provider_name') or 'upstream'})"
    details = _objects(inner.get("details"))
    quotas = [
        str(each["quotaId"])
        for detail in details
        for each in _objects(detail.get("violations"))
        if "quotaId" in each
    ]
    if quotas:
        message = f"{message} ({', '.join(quotas)})"
    return _Fault(
        message[:_LONGEST],
        tuple(code for detail in details for code in _codes(detail))
        + _codes(_object(inner.get("innererror")))
        + _codes(_object(inner.get("details")))
        + _codes(extra)
        + _codes(inner),
        _message_wait(message, inner),
        flagged=bool(extra.get("flagged_input")),
    )


def _codes(data: JsonObject) -> tuple[str, ...]:
    found = (data.get(key) for key in ("code", "error_code", "error_type", "status", "type", "reason"))
    return tuple(str(code) for code in found if isinstance(code, str | int) and code not in {"", "error"})


def _object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JsonObject]:
    return [_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def _page_text(text: str) -> str:
    """Return what a body that is no JSON says: the title of a page, or the text itself."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if title is None and re.match(r"<!doctype html|<html", text, re.IGNORECASE):
        return "an HTML page in place of JSON"
    return (title[1] if title else text).strip()[:_LONGEST]


def _message_wait(message: str, error: JsonObject) -> float | None:
    """Find what Google puts into `details` and OpenAI into the message."""
    for detail in _objects(error.get("details")):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return duration(delay)
    found = _TRY_AGAIN.search(message)
    return duration(found[1].rstrip(".")) if found else None


def duration(text: str) -> float | None:
    """Return seconds for `7`, `1.5s`, `6m0s` or `12ms`; None for anything else."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNIT[unit] for number, unit in parts)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Return how long the headers ask to wait; a date counts from the reply's own `Date`."""
    exact = duration(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1000
    asked = headers.get("retry-after")
    if asked is not None:
        seconds = duration(asked)
        return _until(asked, headers.get("date", "")) if seconds is None else seconds
    resets = [
        _reset(value, headers.get("date", ""))
        for name, value in headers.items()
        if (found := _RESET.fullmatch(name)) and headers.get(f"{found[1]}remaining{found[2] or ''}") == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _reset(when: str, now: str) -> float | None:
    """Return the seconds until a limit is lifted: a duration, a moment of RFC 3339, or one since 1970.

    A number beyond ten years is a moment: in milliseconds, as OpenRouter sends it, or in seconds.
    """
    seconds = duration(when)
    if seconds is not None and seconds < _DECADE:
        return seconds
    try:
        if seconds is None:
            moment = datetime.fromisoformat(when)
        else:
            moment = datetime.fromtimestamp(seconds / 1000 if seconds > _DECADE * 100 else seconds, UTC)
        return max(0.0, (moment - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _until(when: str, now: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(when) - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError):
        return None
