"""Requests as a batch, and the calls that make, look at, fetch and stop one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, assert_never

from treadle.agent.providers.batch.kinds import (
    Batch,
    BatchApi,
    Capacity,
    Queued,
    object_of,
    place,
    text_of,
    versions,
)
from treadle.agent.providers.contract import (
    FormPart,
    HttpCall,
    InvalidRequest,
    ModelInfo,
    RequestTooLarge,
)
from treadle.agent.providers.limits import limit_of
from treadle.agent.providers.plain import segment


def capacity_of(info: ModelInfo) -> Capacity:
    """Return how much one batch of a model takes. What is not known is taken to be little."""
    usual = Capacity()
    return Capacity(
        limit_of(info, "batch_requests") or usual.requests,
        limit_of(info, "batch_bytes") or usual.bytes,
        limit_of(info, "batch_inline_bytes") or usual.inline_bytes,
    )


def waves(api: BatchApi, queued: Iterable[Queued], most: Capacity) -> tuple[tuple[Queued, ...], ...]:
    """Return the batches that requests make: each of one model and path, none larger than the vendor takes.

    Raises `InvalidRequest` for an id that comes twice and for a streamed request, `RequestTooLarge` for one that fits
    no batch.
    """
    items = list(queued)
    seen: set[str] = set()
    for item in items:
        if item.id in seen or not item.id:
            raise InvalidRequest(f"{item.id!r} does not tell a request of a batch from the others")
        if item.call.stream:
            raise InvalidRequest(f"{item.id} is streamed, which no batch is")
        seen.add(item.id)
    ordered = sorted(
        ((_together(item), at, item) for at, item in enumerate(items)), key=lambda each: each[:2]
    )
    groups = (list(group) for _, group in groupby(ordered, key=lambda each: each[0]))
    return tuple(wave for group in groups for wave in _cut(api, [item for *_, item in group], most))


def file_of(api: BatchApi, wave: Sequence[Queued], most: Capacity) -> bytes | None:
    """Return the file that a batch is made from; None where its requests stand in the body."""
    match api.kind:
        case "openai" | "mistral":
            return b"".join(_line(api, item) + b"\n" for item in wave)
        case "gemini":
            lines = [_line(api, item) for item in wave]
            return b"\n".join(lines) + b"\n" if sum(map(len, lines)) > most.inline_bytes else None
        case "openrouter" | "anthropic":
            return None


def upload_call(data: bytes) -> HttpCall:
    """Return the upload of such a file to `/files`. Gemini's store has a way of its own."""
    form = (FormPart("purpose", b"batch"), FormPart("file", data, "batch.jsonl", "application/jsonl"))
    return HttpCall("POST", "/files", multipart=form)


def create_call(api: BatchApi, wave: Sequence[Queued], file: str = "") -> HttpCall:
    """Return what submits a batch: its requests themselves, or the id of their file."""
    first = wave[0].call
    lines = b",".join(() if file else (_line(api, item) for item in wave))
    headers = {name: value for name, value in first.headers.items() if name.startswith("anthropic-")}
    match api.kind:
        case "openai":
            told = {"input_file_id": file, "endpoint": api.prefix + first.path, "completion_window": "24h"}
            return HttpCall("POST", "/batches", _json(told))
        case "mistral":
            told = {"input_files": [file], "endpoint": api.prefix + first.path, "model": _model(first)}
            return HttpCall("POST", "/batch/jobs", _json(told))
        case "openrouter":
            head = _json({"endpoint": api.prefix + first.path, "model": _model(first)})
            return HttpCall("POST", "/batches", head[:-1] + b',"requests":[' + lines + b"]}")
        case "anthropic":
            return HttpCall("POST", "/messages/batches", b'{"requests":[' + lines + b"]}", headers=headers)
        case "gemini":
            path = first.path.partition(":")[0] + ":batchGenerateContent"
            given = (
                b'{"requests":{"requests":[' + lines + b"]}}"
                if not file
                else _json({"fileName": f"files/{file.rpartition('/')[2]}"})
            )
            return HttpCall("POST", path, b'{"batch":{"displayName":"treadle","inputConfig":' + given + b"}}")
    assert_never(api.kind)


def poll_call(api: BatchApi, batch: str) -> HttpCall:
    """Return the question how a batch stands."""
    return HttpCall("GET", place(api, batch), headers=versions(api))


def cancel_call(api: BatchApi, batch: str) -> HttpCall:
    """Return what stops a batch. What is answered by then stays."""
    path = place(api, batch) + (":cancel" if api.kind == "gemini" else "/cancel")
    return HttpCall("POST", path, headers=versions(api))


def result_calls(api: BatchApi, batch: Batch) -> tuple[HttpCall, ...]:
    """Return what fetches the results: none where they came with the batch. Errors may have a file of their own."""
    if api.kind == "anthropic":
        return tuple(HttpCall("GET", path, headers=versions(api)) for path in batch.files)
    if api.kind == "gemini":
        names = ("/".join(map(segment, name.split("/"))) for name in batch.files)
        return tuple(HttpCall("GET", f"/{name}:download", query={"alt": "media"}) for name in names)
    return tuple(HttpCall("GET", f"/files/{segment(name)}/content") for name in batch.files)


def _together(item: Queued) -> tuple[str, ...]:
    told = sorted(
        f"{name}: {value}" for name, value in item.call.headers.items() if name.startswith("anthropic-")
    )
    return (item.call.path, _model(item.call), *told)


def _cut(api: BatchApi, items: Sequence[Queued], most: Capacity) -> Iterator[tuple[Queued, ...]]:
    wave: list[Queued] = []
    size = 0
    for item in items:
        own = len(_line(api, item)) + 1
        if own > most.bytes:
            raise RequestTooLarge(f"{item.id} has {own} bytes; a batch takes {most.bytes}")
        if wave and (len(wave) == most.requests or size + own > most.bytes):
            yield tuple(wave)
            wave, size = [], 0
        wave.append(item)
        size += own
    if wave:
        yield tuple(wave)


def _line(api: BatchApi, item: Queued) -> bytes:
    """Return one request as its batch holds it. The body stays as the wire made it."""
    key, body = _json(item.id), item.call.body
    match api.kind:
        case "openai":
            url = _json(api.prefix + item.call.path)
            return b'{"custom_id":%b,"method":"POST","url":%b,"body":%b}' % (key, url, body)
        case "mistral" | "openrouter":
            return b'{"custom_id":%b,"body":%b}' % (key, body)
        case "anthropic":
            return b'{"custom_id":%b,"params":%b}' % (key, body)
        case "gemini":
            return b'{"key":%b,"request":%b,"metadata":{"key":%b}}' % (key, body, key)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _model(call: HttpCall) -> str:
    return text_of(object_of(json.loads(call.body)).get("model"))
