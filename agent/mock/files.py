"""The files that OpenAI and Anthropic keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from treadle.agent.mock.anthropic import VERSION, Anthropic
from treadle.agent.mock.anthropic_rules import STRICT_VERSION
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Face
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.filestore import File, FileStore
from treadle.agent.mock.jsontext import Json, JsonObject, write
from treadle.agent.mock.multipart import Part, parts
from treadle.agent.mock.rented import ResponsesOnAzure
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.routes import Request, Route
from treadle.sandbox.frozen import frozen

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
SEALED = frozenset({"assistants", "user_data", "vision"})
"""Purposes whose files cannot be had back."""
OPENAI_FILE, ANTHROPIC_FILE = 512 * 1024 * 1024, 500 * 1024 * 1024
HOUR, MONTH, QUARTER = 3600, 2_592_000, 7_776_000
BETA = "files-api-2025-04-14"
GENERATED = "generated"
"""The purpose of files that the vendor made, and gives out."""


@frozen
class OpenAIFiles:
    """`/v1/files` as OpenAI has it."""

    store: FileStore

    def upload(self, request: Request) -> Delivery:
        """Keep a file of a form with `file`, `purpose`, `expires_after[anchor]` and `expires_after[seconds]`."""
        known = ("file", "purpose", "expires_after[anchor]", "expires_after[seconds]")
        fields = _fields(request, known)
        file = _file(fields)
        purpose = _text(fields, "purpose") or ""
        if purpose not in PURPOSES:
            raise Refused(
                f"{purpose!r} is not one of {list(PURPOSES)} - 'purpose'", "purpose", "invalid_value"
            )
        anchor, given = _text(fields, "expires_after[anchor]"), _text(fields, "expires_after[seconds]")
        if (anchor is None) != (given is None) or anchor not in {None, "created_at"}:
            raise Refused("expires_after needs the anchor 'created_at' and seconds", "expires_after")
        usual = MONTH if purpose == "batch" else None
        life = _seconds(given, "expires_after[seconds]", MONTH) or usual
        name = file.filename or "upload"
        kept = self.store.add(
            file.data, name=name, kind=file.kind, purpose=purpose, now=request.now, life=life
        )
        return plain(200, write(_openai(kept)))

    def listing(self, request: Request) -> Delivery:
        """A page of files, newest first unless `order` says asc."""
        request.only("after", "limit", "order", "purpose")
        files = self.store.listed(request.now)
        if "purpose" in request.query:
            files = [file for file in files if file.purpose == request.query["purpose"]]
        ordered = files if request.query.get("order") == "asc" else files[::-1]
        limit = request.number_of("limit", 10_000, 1, 10_000)
        return plain(200, write(page(request, [_openai(file) for file in ordered], limit)))

    def retrieve(self, request: Request) -> Delivery:
        """A file's description."""
        return plain(200, write(_openai(self._found(request))))

    def content(self, request: Request) -> Delivery:
        """A file's bytes."""
        file = self._found(request)
        if file.purpose in SEALED:
            raise Refused(f"Not allowed to download files of purpose: {file.purpose}")
        return plain(200, file.data, "application/octet-stream")

    def delete(self, request: Request) -> Delivery:
        """Delete a file."""
        file = self._found(request)
        self.store.remove(file.id)
        return plain(200, write({"id": file.id, "object": "file", "deleted": True}))

    def _found(self, request: Request) -> File:
        file = self.store.get(request.names["file"], request.now)
        if file is None:
            raise no_such_file(request.names["file"])
        return file


@frozen
class AnthropicFiles:
    """`/v1/files` as Anthropic has it: part of the API of 2026, a beta before."""

    store: FileStore

    def upload(self, request: Request) -> Delivery:
        """Keep a file of a form with `file` and `expires_in_seconds`."""
        _opened(request)
        fields = _fields(request, ("file", "expires_in_seconds"))
        file = _file(fields)
        life = _seconds(_text(fields, "expires_in_seconds"), "expires_in_seconds", QUARTER)
        name = (file.filename or "").rpartition("/")[2] or "unnamed"
        if len(name) > 255 or any(letter in '<>:"|?*\\' for letter in name):
            raise Refused(
                'file: Invalid filename: it has 1 to 255 characters, and none of < > : " | ? * \\ /'
            )
        kind = file.kind or "application/octet-stream"
        kept = self.store.add(file.data, name=name, kind=kind, now=request.now, life=life)
        return plain(200, write(_anthropic(kept)))

    def listing(self, request: Request) -> Delivery:
        """A page of files, newest first; `ids` restricts it to some of them."""
        _opened(request)
        request.only("after_id", "beta", "ids", "limit", "page")
        files = self.store.listed(request.now)[::-1]
        if "ids" in request.query:
            wanted = request.query["ids"].split(",")
            return plain(
                200,
                write({"data": [_anthropic(file) for file in files if file.id in wanted], "next_page": None}),
            )
        limit = request.number_of("limit", 20, 1, 1000)
        after = request.query.get("page", "").removeprefix("page_") or request.query.get("after_id")
        start = next((at + 1 for at, file in enumerate(files) if file.id == after), 0)
        here = files[start : start + limit]
        more = len(files) > start + limit
        listed: JsonObject = {
            "data": [_anthropic(file) for file in here],
            "next_page": f"page_{here[-1].id}" if more else None,
            "has_more": more,
            "first_id": here[0].id if here else None,
            "last_id": here[-1].id if here else None,
        }
        return plain(200, write(listed))

    def retrieve(self, request: Request) -> Delivery:
        """A file's description."""
        _opened(request)
        return plain(200, write(_anthropic(self._found(request))))

    def content(self, request: Request) -> Delivery:
        """The bytes of a file that the vendor made."""
        _opened(request)
        file = self._found(request)
        if file.purpose != GENERATED:
            raise Refused(f"File is not downloadable: {file.id}")
        return plain(200, file.data, file.kind)

    def delete(self, request: Request) -> Delivery:
        """Delete a file."""
        _opened(request)
        file = self._found(request)
        self.store.remove(file.id)
        return plain(200, write({"id": file.id, "type": "file_deleted"}))

    def _found(self, request: Request) -> File:
        file = self.store.get(request.names["file"], request.now)
        if file is None:
            raise Refused(f"File not found: {request.names['file']}", status=404)
        return file


def openai_file_routes(store: FileStore, most: int | None) -> Iterator[Route]:
    """The routes, also below Azure's path. `most` overrides the bytes of a file."""
    files = OpenAIFiles(store)
    for base, face in (("/v1", Responses()), ("/azure/openai/v1", ResponsesOnAzure())):
        yield from _routes(f"{base}/files", face, files, OPENAI_FILE if most is None else most)


def anthropic_file_routes(store: FileStore, most: int | None) -> Iterator[Route]:
    """The routes. `most` overrides the bytes of a file."""
    yield from _routes(
        "/v1/files", Anthropic(), AnthropicFiles(store), ANTHROPIC_FILE if most is None else most
    )


def _routes(base: str, face: Face, files: OpenAIFiles | AnthropicFiles, most: int) -> Iterator[Route]:
    yield Route("POST", base, face, files.upload, max_body=most)
    yield Route("GET", base, face, files.listing)
    yield Route("GET", base + "/{file}", face, files.retrieve)
    yield Route("GET", base + "/{file}/content", face, files.content)
    yield Route("DELETE", base + "/{file}", face, files.delete)


def no_such_file(file_id: str, param: str = "id", status: int = 404) -> Refused:
    """What OpenAI says of a file that is not there."""
    return Refused(f"No such File object: {file_id}", param, "", status=status)


def page(request: Request, found: Sequence[JsonObject], limit: int) -> JsonObject:
    """A page of OpenAI's, after the id that `after` names."""
    after = request.query.get("after")
    ids = [entry["id"] for entry in found]
    start = ids.index(after) + 1 if after in ids else 0
    here: list[Json] = [*found[start : start + limit]]
    shown = ids[start : start + limit]
    return {
        "object": "list",
        "data": here,
        "has_more": len(found) > start + limit,
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }


def stamp(seconds: float) -> str:
    """A time as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _opened(request: Request) -> None:
    """Before the version of 2026, files are a beta that has to be asked for. Raises Refused."""
    betas = [beta.strip() for beta in request.headers.get("anthropic-beta", "").split(",")]
    if request.headers.get(VERSION) != STRICT_VERSION and BETA not in betas:
        raise Refused(f"the Files API is in beta here: send the header `anthropic-beta: {BETA}`", status=404)


def _openai(file: File) -> JsonObject:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.data),
        "created_at": int(file.created),
        "expires_at": None if file.expires is None else int(file.expires),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _anthropic(file: File) -> JsonObject:
    return {
        "id": file.id,
        "type": "file",
        "created_at": stamp(file.created),
        "expires_at": None if file.expires is None else stamp(file.expires),
        "filename": file.name,
        "mime_type": file.kind,
        "size_bytes": len(file.data),
        "downloadable": file.purpose == GENERATED,
    }


def _fields(request: Request, known: Sequence[str]) -> Mapping[str, Part]:
    fields: dict[str, Part] = {}
    for part in parts(request.headers.get("content-type", ""), request.body):
        if part.name not in known:
            raise Refused(f"{part.name}: unknown parameter", part.name, "unknown_parameter")
        fields[part.name] = replace(part, kind=part.kind.partition(";")[0].strip())
    return fields


def _file(fields: Mapping[str, Part]) -> Part:
    file = fields.get("file")
    if file is None:
        raise Refused("file: missing required parameter", "file", "missing_required_parameter")
    if not file.data:
        raise Refused("file: the file is empty", "file", "empty_file")
    return file


def _text(fields: Mapping[str, Part], name: str) -> str | None:
    return fields[name].data.decode("utf-8", "replace") if name in fields else None


def _seconds(given: str | None, name: str, most: int) -> int | None:
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or not HOUR <= int(given) <= most:
        raise Refused(f"{name}: expected {HOUR} to {most} seconds, got {given!r}", name)
    return int(given)
