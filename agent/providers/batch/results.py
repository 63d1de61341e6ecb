"""What a vendor tells of a batch, and what each of its requests came to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never, cast

from treadle.agent.providers.batch.kinds import (
    Batch,
    BatchApi,
    Outcome,
    Phase,
    Queued,
    object_of,
    objects_of,
    place,
    text_of,
)
from treadle.agent.providers.classify import failure_in_stream
from treadle.agent.providers.contract import (
    Busy,
    ModelInfo,
    ProviderError,
    Rejected,
    Undecodable,
    Wire,
)
from treadle.tools.contract import JsonObject


def read_batch(api: BatchApi, body: JsonObject) -> Batch:
    """Read what a vendor says of a batch. Raises `Undecodable` for something else."""
    match api.kind:
        case "openai" | "openrouter" | "mistral":
            return _openai_batch(body)
        case "anthropic":
            key, ended = text_of(body.get("id")), body.get("processing_status") == "ended"
            if not key:
                raise Undecodable("the answer tells of no batch")
            return Batch(
                key, "done" if ended else "working", (place(api, key) + "/results",) if ended else ()
            )
        case "gemini":
            return _gemini_batch(body)
    assert_never(api.kind)


def outcomes(
    wave: Iterable[Queued], batch: Batch, files: Iterable[bytes], wire: Wire, model: ModelInfo
) -> Mapping[str, Outcome]:
    """Return what every request of a finished batch came to, in the order of the requests.

    Results come in any order and from several files; what has none was not answered, and the end of the batch says
    why. A line that cannot be read, or is of another batch, does not count.
    """
    lines = (item for data in files for item in _lines(data))
    found: dict[str, Outcome] = {}
    for result in (*_inside(batch), *lines):
        key, outcome = _result(result, wire, model)
        if key not in found or isinstance(found[key], ProviderError):
            found[key] = outcome
    return {item.id: found[item.id] if item.id in found else _unanswered(batch) for item in wave}


_PHASES: Final[Mapping[str, Phase]] = {
    "completed": "done",
    "success": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
    "timeout_exceeded": "expired",
    "succeeded": "done",
}
"""Words of all vendors, in lower case, but for those that say that it is at work."""


def _openai_batch(body: JsonObject) -> Batch:
    key, status = text_of(body.get("id")), text_of(body.get("status"))
    if not key or not status:
        raise Undecodable("the answer tells of no batch")
    names = ("output_file_id", "error_file_id", "output_file", "error_file")
    files = tuple(name for field in names if (name := text_of(body.get(field))))
    told = [*objects_of(object_of(body.get("errors")).get("data")), *objects_of(body.get("errors"))]
    error = object_of(body.get("error")) or next(iter(told), None)
    phase: Phase = _PHASES.get(status.lower(), "working")
    failed = failure_in_stream({"error": error}) if error and phase == "failed" else None
    return Batch(
        key, phase, files if phase != "working" else (), failed, body if body.get("results") else None
    )


def _gemini_batch(body: JsonObject) -> Batch:
    told = object_of(body.get("metadata")) or body
    key, state = text_of(body.get("name")) or text_of(told.get("name")), text_of(told.get("state"))
    if not key:
        raise Undecodable("the answer tells of no batch")
    phase: Phase = _PHASES.get(state.rpartition("_")[2].lower(), "working")
    output = object_of(body.get("response")) or object_of(told.get("output"))
    file, error = text_of(output.get("responsesFile")), object_of(body.get("error"))
    failed = failure_in_stream({"error": error}) if error else None
    if failed is not None:
        phase = "failed"
    return Batch(key, phase, (file,) if file else (), failed, output or None)


def _inside(batch: Batch) -> Iterator[JsonObject]:
    """Yield the results that came with the batch itself."""
    told = batch.told or {}
    yield from objects_of(told.get("results"))
    yield from objects_of(object_of(told.get("inlinedResponses")).get("inlinedResponses"))


def _lines(data: bytes) -> Iterator[JsonObject]:
    """Yield the lines of a file, however long: a line feed alone ends one."""
    for line in data.split(b"\n"):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield cast("JsonObject", value)


def _result(line: JsonObject, wire: Wire, model: ModelInfo) -> tuple[str, Outcome]:
    key = (
        text_of(line.get("custom_id"))
        or text_of(line.get("key"))
        or text_of(object_of(line.get("metadata")).get("key"))
    )
    try:
        return key, wire.decode(_answer(line, wire), model)
    except ProviderError as error:
        return key, error


def _answer(line: JsonObject, wire: Wire) -> JsonObject:
    """Return the reply in a result. Raises the `ProviderError` that it is, when it is none."""
    if "result" in line:
        return _anthropic_answer(object_of(line["result"]))
    response, error = object_of(line.get("response")), object_of(line.get("error"))
    if line.get("error") and not response:
        match error.get("code"):
            case "batch_expired":
                raise _expired()
            case "batch_cancelled":
                raise _cancelled()
            case _:
                raise failure_in_stream({"error": error or line["error"]})
    if "status_code" not in response:
        return response
    status, body = response["status_code"], response.get("body")
    if not isinstance(status, int) or status >= 400:
        raise wire.error(status if isinstance(status, int) else 500, {}, json.dumps(body).encode())
    return object_of(body)


def _anthropic_answer(result: JsonObject) -> JsonObject:
    match result.get("type"):
        case "succeeded":
            return object_of(result.get("message"))
        case "expired":
            raise _expired()
        case "canceled":
            raise _cancelled()
        case _:
            error = object_of(result.get("error"))
            raise failure_in_stream({"error": object_of(error.get("error")) or error})


def _expired() -> Busy:
    return Busy("the batch expired before this request was answered", code="batch_expired")


def _cancelled() -> Rejected:
    return Rejected("the batch was cancelled before this request was answered", code="batch_cancelled")


def _unanswered(batch: Batch) -> ProviderError:
    match batch.phase:
        case "expired":
            return _expired()
        case "cancelled":
            return Rejected(
                "the batch was cancelled before this request was answered", code="batch_cancelled"
            )
        case "failed" if batch.error is not None:
            return batch.error
        case _:
            return Undecodable("the batch is over and has no result for this request", code="batch_no_result")
