"""The files that Gemini keeps for two days."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from treadle.agent.mock.check import Refused
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.files import GENERATED, stamp
from treadle.agent.mock.filestore import File, FileStore
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.jsontext import Json, JsonObject, members, read, words, write
from treadle.agent.mock.multipart import parts
from treadle.agent.mock.routes import Request, Route

LARGEST = 2 * 1024 * 1024 * 1024
LIFE = 48 * 3600.0
SNAKE = re.compile(r"_([a-z])")
KNOWN = ("name", "displayName", "mimeType", "sizeBytes")


@dataclass(slots=True)
class _Upload:
    """A file that is on its way."""

    name: str
    kind: str
    size: int | None
    """None if it was not announced."""
    version: str
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class GeminiFiles:
    """`/v1/files` and `/upload/v1/files` as Gemini has them."""

    store: FileStore
    polls: int = 0
    """How often a file is asked for before it is no longer PROCESSING."""
    _uploads: dict[str, _Upload] = field(default_factory=dict[str, _Upload])

    def upload(self, request: Request) -> Delivery:
        """Start, carry on or finish a resumable upload, or keep metadata and media sent together."""
        upload_id = request.query.get("upload_id")
        if upload_id is not None:
            return self._carry_on(request, upload_id)
        Gemini().admit(request.headers)
        if request.headers.get("x-goog-upload-protocol", "").lower() == "multipart":
            return self._together(request)
        return self._start(request)

    def listing(self, request: Request) -> Delivery:
        """A page of files, newest first."""
        request.only("pageSize", "pageToken")
        files = self.store.listed(request.now)[::-1]
        size = request.number_of("pageSize", 10, 1, 100)
        start = next(
            (at + 1 for at, file in enumerate(files) if file.id == request.query.get("pageToken")), 0
        )
        here = files[start : start + size]
        body: JsonObject = {"files": [self._told(request, file) for file in here]} if here else {}
        if len(files) > start + size:
            body["nextPageToken"] = here[-1].id
        return plain(200, write(body))

    def retrieve(self, request: Request) -> Delivery:
        """A file's description, and whether it can be used yet."""
        file = self._found(request)
        told = self._told(request, file)
        self.store.processing(file.id, self.polls, looked=True)
        return plain(200, write(told))

    def delete(self, request: Request) -> Delivery:
        """Delete a file."""
        self.store.remove(self._found(request).id)
        return plain(200, b"{}")

    def download(self, request: Request) -> Delivery:
        """The bytes of a file that the vendor made."""
        file = self._found(request)
        if file.purpose != GENERATED:
            raise Refused("Only generated files can be downloaded.")
        return plain(200, file.data, file.kind)

    def _start(self, request: Request) -> Delivery:
        headers = request.headers
        if headers.get("x-goog-upload-protocol", "").lower() != "resumable":
            raise Refused("expected the header `x-goog-upload-protocol: resumable` or multipart")
        if headers.get("x-goog-upload-command", "").lower() != "start":
            raise Refused("expected the header `x-goog-upload-command: start`")
        given = _described(read(request.body.decode()) if request.body else {})
        kind = headers.get("x-goog-upload-header-content-type") or words(given.get("mimeType"))
        size = headers.get("x-goog-upload-header-content-length", "")
        upload_id = hashlib.sha256(f"{request.now}/{request.number}".encode()).hexdigest()[:32]
        self._uploads[upload_id] = _Upload(
            words(given.get("displayName")),
            kind or "application/octet-stream",
            int(size) if size.isdigit() else None,
            request.names["version"],
        )
        url = f"{request.url}{request.path}?upload_id={upload_id}&upload_protocol=resumable"
        return _status("active", b"", {"x-goog-upload-url": url})

    def _carry_on(self, request: Request, upload_id: str) -> Delivery:
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise Refused("Upload not found.", status=404)
        commands = {
            word.strip().lower() for word in request.headers.get("x-goog-upload-command", "").split(",")
        }
        if commands == {"query"}:
            return _status("active", b"", {"x-goog-upload-size-received": str(len(upload.data))})
        if not commands <= {"upload", "finalize"}:
            raise Refused("x-goog-upload-command: expected upload, finalize or query")
        if "upload" in commands:
            if request.headers.get("x-goog-upload-offset") != str(len(upload.data)):
                raise Refused(f"x-goog-upload-offset: {len(upload.data)} bytes have been received")
            upload.data += request.body
        if upload.size is not None and len(upload.data) > upload.size:
            raise Refused(f"the upload is larger than the {upload.size} bytes that were announced")
        if "finalize" not in commands:
            return _status("active", b"")
        if upload.size not in {None, len(upload.data)}:
            raise Refused(f"{upload.size} bytes were announced, {len(upload.data)} received")
        del self._uploads[upload_id]
        file = self._keep(bytes(upload.data), upload.name, upload.kind, request)
        named = replace(request, names={"version": upload.version})
        return _status("final", write({"file": self._told(named, file)}))

    def _together(self, request: Request) -> Delivery:
        told, media = parts(request.headers.get("content-type", ""), request.body, "multipart/related")
        given = _described(read(told.data.decode()))
        kind = media.kind or words(given.get("mimeType")) or "application/octet-stream"
        file = self._keep(media.data, words(given.get("displayName")), kind, request)
        return plain(200, write({"file": self._told(request, file)}))

    def _keep(self, data: bytes, name: str, kind: str, request: Request) -> File:
        return self.store.add(data, name=name, kind=kind, now=request.now, life=LIFE)

    def _found(self, request: Request) -> File:
        file = self.store.get(request.names["file"], request.now)
        if file is None:
            raise not_yours(request.names["file"])
        return file

    def _told(self, request: Request, file: File) -> JsonObject:
        busy = self.store.processing(file.id, self.polls, looked=False)
        version = request.names["version"]
        made = file.purpose == GENERATED
        body: JsonObject = {
            "name": f"files/{file.id}",
            "mimeType": file.kind,
            "sizeBytes": str(len(file.data)),
            "createTime": stamp(file.created),
            "updateTime": stamp(file.created),
            "expirationTime": stamp(file.created + LIFE if file.expires is None else file.expires),
            "sha256Hash": b64encode(hashlib.sha256(file.data).hexdigest().encode()).decode(),
            "uri": f"{request.url}/{version}/files/{file.id}",
            "state": "PROCESSING" if busy else "ACTIVE",
            "source": "GENERATED" if made else "UPLOADED",
        }
        named: JsonObject = {"displayName": file.name} if file.name else {}
        more: JsonObject = (
            {"downloadUri": f"{request.url}/download/{version}/files/{file.id}:download?alt=media"}
            if made
            else {}
        )
        return {**body, **named, **more}


def gemini_file_routes(files: GeminiFiles, most: int | None) -> Iterator[Route]:
    """The routes. `most` overrides the bytes of a file."""
    face, here = Gemini(), "/{version}/files"
    largest = LARGEST if most is None else most
    yield Route("POST", "/upload" + here, face, files.upload, max_body=largest, admits=False)
    yield Route("GET", here, face, files.listing)
    yield Route("GET", here + "/{file}", face, files.retrieve)
    yield Route("DELETE", here + "/{file}", face, files.delete)
    yield Route("GET", "/download" + here + "/{file}:download", face, files.download)


def not_yours(file_id: str) -> Refused:
    """What Gemini says of a file that is not there."""
    told = f"You do not have permission to access the File {file_id} or it may not exist."
    return Refused(told, status=403)


def _described(given: Json) -> Mapping[str, Json]:
    """The `file` of an upload's metadata. Raises Refused."""
    held = members(members(given).get("file"))
    file = {SNAKE.sub(lambda found: found[1].upper(), key): member for key, member in held.items()}
    unknown = [key for key in members(given) if key != "file"] + [key for key in file if key not in KNOWN]
    if unknown:
        raise Refused(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    return file


def _status(status: str, body: bytes, more: Mapping[str, str] | None = None) -> Delivery:
    made = plain(200, body)
    return replace(made, headers={**made.headers, "x-goog-upload-status": status, **(more or {})})


def file_in(uri: str) -> str | None:
    """The id of the file that a URI is of; None if it is of something else."""
    _, found, rest = uri.partition("/files/")
    return rest.partition("?")[0] if found and "/" not in rest else None
