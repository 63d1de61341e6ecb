"""Batches as OpenAI, Anthropic and Gemini take them: answered after some polls, in no order, some not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from treadle.agent.mock import check as c
from treadle.agent.mock.anthropic import Anthropic
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Face, Vendor
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.files import GENERATED, stamp
from treadle.agent.mock.files_gemini import GeminiFiles
from treadle.agent.mock.filestore import FileStore
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.rented import ResponsesOnAzure
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.routes import Request, Route
from treadle.agent.mock.script import Batching
from treadle.sandbox.frozen import frozen

Ask = Callable[[str, Json, Request, int], tuple[int, Json]]
"""Answers one request: its path, its body, the batch's own request, its number. Returns the status and the body."""
DAY = 86_400
LARGEST = 256_000_000
ENDPOINTS = ("/v1/responses", "/v1/chat/completions", "/v1/completions")
_OPENAI_LINE = c.record({
    "custom_id": c.text(1),
    "method": c.one_of("POST"),
    "url": c.text(1),
    "body": c.mapping,
})
_OPENAI = c.record(
    {"input_file_id": c.text(1), "endpoint": c.one_of(*ENDPOINTS), "completion_window": c.one_of("24h")},
    {"metadata": c.anything, "output_expires_after": c.mapping},
)
_ID = r"[a-zA-Z0-9_-]{1,64}"
_ANTHROPIC = c.record({
    "requests": c.items(c.record({"custom_id": c.text(1, pattern=_ID), "params": c.mapping}))
})
_INLINE = c.record({"request": c.mapping}, {"metadata": c.mapping, "key": c.text()})
_GEMINI = c.record({
    "batch": c.record(
        {
            "inputConfig": c.record(
                {}, {"requests": c.record({"requests": c.items(_INLINE)}), "fileName": c.text(1)}
            )
        },
        {"displayName": c.text()},
    )
})


@frozen
class Answered:
    """One request of a batch, and what came of it."""

    id: str
    state: Literal["answered", "refused", "expired"]
    status: int
    body: Json


@dataclass(slots=True)
class Job:
    """A batch that was submitted."""

    id: str
    created: float
    endpoint: str
    source: str
    """The file it was made from; "" when there is none."""
    answered: list[Answered]
    polls: int
    """How often it is still looked at before it has ended."""
    cancelled: bool = False
    files: tuple[str | None, str | None] = (None, None)
    """Ids of the files of what was answered and of errors, once it has ended."""

    def look(self) -> bool:
        """Look at it once more. Says whether it has ended."""
        self.polls -= 1
        return self.ended

    @property
    def ended(self) -> bool:
        return self.polls < 0 or self.cancelled

    @property
    def status(self) -> str:
        """In OpenAI's words."""
        expired = any(each.state == "expired" for each in self.answered)
        done = "cancelled" if self.cancelled else "expired" if expired else "completed"
        return done if self.ended else "in_progress"

    def count(self, *states: str) -> int:
        """How many requests came to this."""
        return sum(each.state in states for each in self.answered)


class Batches:
    """The batches of one server."""

    def __init__(
        self, files: Mapping[Vendor, FileStore], gemini: GeminiFiles, script: Batching, ask: Ask
    ) -> None:
        self._files, self._gemini, self._script, self._ask = files, gemini, script, ask
        self._jobs: dict[str, Job] = {}

    def routes(self) -> Iterator[Route]:
        """The paths of the three, also below Azure's."""
        for base, face in (("/v1", Responses()), ("/azure/openai/v1", ResponsesOnAzure())):
            yield Route("POST", f"{base}/batches", face, self.openai_create)
            yield from self._looks(f"{base}/batches", face, self._openai_told)
        here = "/v1/messages/batches"
        yield Route("POST", here, Anthropic(), self.anthropic_create, max_body=LARGEST)
        yield from self._looks(here, Anthropic(), _anthropic_told)
        yield Route("GET", here + "/{batch}/results", Anthropic(), self.anthropic_results)
        create = "/{version}/models/{model}:batchGenerateContent"
        yield Route("POST", create, Gemini(), self.gemini_create, max_body=LARGEST)
        yield from self._looks("/{version}/batches", Gemini(), self._gemini_told)
        yield Route("GET", "/{version}/files/{file}:download", Gemini(), self._gemini.download)

    def _looks(self, base: str, face: Face, told: Callable[[Job, Request], JsonObject]) -> Iterator[Route]:
        def retrieve(request: Request) -> Delivery:
            job = self._found(request)
            job.look()
            return plain(200, write(told(job, request)))

        def cancel(request: Request) -> Delivery:
            job = self._found(request)
            if job.ended:
                raise Refused(f"Cannot cancel a batch with status '{job.status}'.", status=409)
            job.cancelled = True
            job.answered = [
                each if at == 0 else Answered(each.id, "expired", 0, None)
                for at, each in enumerate(job.answered)
            ]
            return plain(200, write(told(job, request)))

        yield Route("GET", base + "/{batch}", face, retrieve)
        yield Route(
            "POST", base + ("/{batch}:cancel" if "version" in base else "/{batch}/cancel"), face, cancel
        )

    def openai_create(self, request: Request) -> Delivery:
        """Begin a batch of a file's lines. Raises Refused."""
        body = members(request.json())
        _OPENAI(dict(body), "")
        file = self._files["openai"].get(words(body["input_file_id"]), request.now)
        if file is None or file.purpose != "batch":
            raise Refused(f"No such File object: {body['input_file_id']}", "input_file_id", status=400)
        lines = [read(line.decode()) for line in file.data.split(b"\n") if line.strip()]
        asked: list[tuple[str, Json]] = []
        for at, line in enumerate(lines):
            _OPENAI_LINE(line, f"line {at + 1}")
            if members(line)["url"] != body["endpoint"]:
                raise Refused(f"line {at + 1}: the url is not the batch's endpoint", code="invalid_url")
            asked.append((words(members(line)["custom_id"]), members(line)["body"]))
        below = request.path.removesuffix("/v1/batches")
        endpoint = words(body["endpoint"])
        job = self._begin("batch_", below + endpoint, asked, request, file.id)
        job.endpoint = endpoint
        return plain(200, write(self._openai_told(job, request)))

    def anthropic_create(self, request: Request) -> Delivery:
        """Begin a batch of the body's requests. Raises Refused."""
        body = members(request.json())
        _ANTHROPIC(dict(body), "")
        given = [members(each) for each in elements(body["requests"])]
        asked = [(words(each["custom_id"]), each["params"]) for each in given]
        job = self._begin("msgbatch_", Anthropic.path, asked, request)
        return plain(200, write(_anthropic_told(job, request)))

    def gemini_create(self, request: Request) -> Delivery:
        """Begin a batch of the body's requests or of a file's lines. Raises Refused."""
        body = members(request.json())
        _GEMINI(dict(body), "")
        given = members(members(body["batch"])["inputConfig"])
        source = words(given.get("fileName"))
        held = elements(members(given.get("requests")).get("requests"))
        if source:
            file = self._files["gemini"].get(source.removeprefix("files/"), request.now)
            if file is None:
                raise Refused(f"File not found: {source}", status=404)
            held = [read(line.decode()) for line in file.data.split(b"\n") if line.strip()]
        asked = [(_key(members(each)), members(each).get("request")) for each in held]
        path = f"/{request.names['version']}/models/{request.names['model']}:generateContent"
        job = self._begin("", path, asked, request, source)
        return plain(200, write(self._gemini_told(job, request)))

    def anthropic_results(self, request: Request) -> Delivery:
        """The lines of what came of a batch that has ended. Raises Refused."""
        job = self._found(request)
        if not job.ended:
            raise Refused("Batch has no available results: it is still in progress.")
        results: list[Json] = [
            {"custom_id": each.id, "result": _anthropic_result(each, job)} for each in job.answered
        ]
        return plain(200, _jsonl(results), "application/x-jsonl")

    def _begin(
        self, prefix: str, path: str, asked: list[tuple[str, Json]], request: Request, source: str = ""
    ) -> Job:
        """Ask everything now, and tell of it later. Raises Refused for no requests and for an id that comes twice."""
        if not asked or len({key for key, _ in asked}) < len(asked):
            raise Refused("a batch needs requests, each with an id of its own", code="invalid_batch")
        made = hashlib.sha256(f"{request.now}/{request.number}".encode()).hexdigest()[:24]
        answered = [self._one(at, key, path, body, request) for at, (key, body) in enumerate(asked)]
        answered.sort(key=lambda each: hashlib.sha256(f"{made}{each.id}".encode()).digest())
        job = self._jobs[f"{prefix}{made}"] = Job(
            f"{prefix}{made}", request.now, path, source, answered, self._script.polls
        )
        return job

    def _one(self, at: int, key: str, path: str, body: Json, request: Request) -> Answered:
        if at in self._script.expired:
            return Answered(key, "expired", 0, None)
        if at in self._script.errors:
            body = {**members(body), "treadle_mock_error": True}
        status, told = self._ask(path, body, request, at)
        return Answered(key, "answered" if status < 400 else "refused", status, told)

    def _found(self, request: Request) -> Job:
        job = self._jobs.get(request.names["batch"])
        if job is None:
            raise Refused(f"No batch found with id '{request.names['batch']}'.", status=404)
        return job

    def _openai_told(self, job: Job, request: Request) -> JsonObject:
        if job.ended and job.files == (None, None):
            good = [each for each in job.answered if each.state == "answered"]
            bad = [each for each in job.answered if each.state != "answered"]
            job.files = (self._lines(good, job, request.now), self._lines(bad, job, request.now))
        return {
            "id": job.id,
            "object": "batch",
            "endpoint": job.endpoint,
            "input_file_id": job.source,
            "completion_window": "24h",
            "status": job.status,
            "output_file_id": job.files[0],
            "error_file_id": job.files[1],
            "errors": None,
            "created_at": int(job.created),
            "expires_at": int(job.created) + DAY,
            "metadata": None,
            "request_counts": {
                "total": len(job.answered),
                "completed": job.count("answered") if job.ended else 0,
                "failed": job.count("refused") if job.ended else 0,
            },
        }

    def _gemini_told(self, job: Job, request: Request) -> JsonObject:
        state = "RUNNING" if not job.ended else "CANCELLED" if job.cancelled else "SUCCEEDED"
        metadata: JsonObject = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": f"batches/{job.id}",
            "model": "models/" + job.endpoint.rpartition("/")[2].partition(":")[0],
            "state": f"BATCH_STATE_{state}",
            "createTime": stamp(job.created),
        }
        told: JsonObject = {"name": f"batches/{job.id}", "metadata": metadata, "done": job.ended}
        results: list[Json] = [_gemini_result(each) for each in job.answered if each.state != "expired"]
        if job.ended and job.source:
            if job.files[0] is None:
                job.files = (self._file("gemini", results, request.now), None)
            metadata["output"] = told["response"] = {"responsesFile": f"files/{job.files[0]}"}
        elif job.ended:
            metadata["output"] = told["response"] = {"inlinedResponses": {"inlinedResponses": results}}
        return told

    def _lines(self, answered: list[Answered], job: Job, now: float) -> str | None:
        return self._file("openai", [_openai_line(each, job) for each in answered], now) if answered else None

    def _file(self, vendor: Vendor, lines: Iterable[Json], now: float) -> str:
        purpose = GENERATED if vendor == "gemini" else "batch_output"
        file = self._files[vendor].add(
            _jsonl(lines), name="results.jsonl", kind="application/jsonl", now=now, purpose=purpose
        )
        return file.id


def _key(given: Mapping[str, Json]) -> str:
    return words(members(given.get("metadata")).get("key")) or words(given.get("key"))


def _jsonl(lines: Iterable[Json]) -> bytes:
    return b"".join(write(line) + b"\n" for line in lines)


def _openai_line(each: Answered, job: Job) -> JsonObject:
    line: JsonObject = {"id": f"batch_req_{each.id}", "custom_id": each.id}
    if each.state == "expired":
        why = "cancelled" if job.cancelled else "expired"
        told = "This request could not be executed before the batch ended."
        return {**line, "response": None, "error": {"code": f"batch_{why}", "message": told}}
    response: JsonObject = {"status_code": each.status, "request_id": f"req_{each.id}", "body": each.body}
    return {**line, "response": response, "error": None}


def _anthropic_told(job: Job, request: Request) -> JsonObject:
    counts: JsonObject = {
        "processing": 0 if job.ended else len(job.answered),
        "succeeded": job.count("answered") if job.ended else 0,
        "errored": job.count("refused") if job.ended else 0,
        "canceled": job.count("expired") if job.cancelled else 0,
        "expired": job.count("expired") if job.ended and not job.cancelled else 0,
    }
    results = f"{request.url}/v1/messages/batches/{job.id}/results" if job.ended else None
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": "ended" if job.ended else "in_progress",
        "request_counts": counts,
        "created_at": stamp(job.created),
        "expires_at": stamp(job.created + DAY),
        "ended_at": stamp(request.now) if job.ended else None,
        "cancel_initiated_at": stamp(request.now) if job.cancelled else None,
        "archived_at": None,
        "results_url": results,
    }


def _anthropic_result(each: Answered, job: Job) -> JsonObject:
    match each.state:
        case "answered":
            return {"type": "succeeded", "message": each.body}
        case "refused":
            return {"type": "errored", "error": each.body}
        case "expired":
            return {"type": "canceled" if job.cancelled else "expired"}


def _gemini_result(each: Answered) -> JsonObject:
    line: JsonObject = {"key": each.id, "metadata": {"key": each.id}}
    if each.state == "answered":
        return {**line, "response": each.body}
    return {**line, "error": members(each.body).get("error")}
