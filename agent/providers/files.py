"""Files that a provider keeps: put there, listed, deleted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias, cast
from urllib.parse import parse_qsl, urlsplit

import anyio

from treadle.agent.providers.contract import (
    AuthFailed,
    FormPart,
    HttpCall,
    NotFound,
    ProviderError,
    Rejected,
    RequestTooLarge,
    Undecodable,
    Unreachable,
)
from treadle.agent.providers.plain import Plain, segment
from treadle.agent.providers.vendor_rows import FileStoreName
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, as_object

_PAGE: Final = 100
_MOST_PAGES: Final = 1000
_VERSION: Final = {"anthropic-version": "2026-10-21"}
"""From this one on no beta header is asked for."""
_GEMINI_LIFE: Final = timedelta(hours=48)
_POLLS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, *([5.0] * 60))
"""Seconds between looks at a file that is being taken in: some five minutes."""


@frozen
class Upload:
    """A file to be put into a store."""

    name: str
    mime: str
    data: bytes


@frozen
class StoredFile:
    """A file in a store."""

    id: str
    """By which requests name it."""
    name: str
    mime: str
    bytes: int
    created: datetime | None = None
    expires: datetime | None = None
    """None when it stays, or when that is not known."""


Progress: TypeAlias = Callable[[str], Awaitable[None]]
"""Told, a line at a time, what an upload waits for."""


class FileStore(Protocol):
    """One provider's store of files. Every method raises `ProviderError`."""

    async def upload(self, file: Upload, progress: Progress) -> StoredFile:
        """Put a file there. Returns when requests may name it."""
        ...

    def list(self) -> AsyncIterator[StoredFile]:
        """Every file, page by page."""
        ...

    async def remove(self, name: str) -> None:
        """Delete a file. Raises `NotFound` for one that is not there."""
        ...


def store_of(kind: FileStoreName, plain: Plain, version: str, most: int | None) -> FileStore:
    """Return a store.

    Args:
        kind: Whose paths it has.
        plain: What reaches it.
        version: The last part of the base URL's path, which Gemini's paths begin with.
        most: Bytes that a file may have; None where nobody says.
    """
    match kind:
        case "openai":
            return OpenAIFiles(plain, most)
        case "anthropic":
            return AnthropicFiles(plain, most)
        case "gemini":
            return GeminiFiles(plain, version, most)


@frozen
class OpenAIFiles:
    """`/files` of OpenAI and of Azure. WIRES §3."""

    plain: Plain
    most: int | None = None
    """Bytes that a file may have; None where nobody says."""

    async def upload(self, file: Upload, progress: Progress) -> StoredFile:
        """Put a file there, to be read by models."""
        _check(file, self.most)
        purpose = b"vision" if file.mime.startswith("image/") else b"user_data"
        form = (FormPart("purpose", purpose), FormPart("file", file.data, file.name, file.mime))
        return self._file((await self.plain.fetch(HttpCall("POST", "/files", multipart=form)))[1], file.mime)

    async def list(self) -> AsyncIterator[StoredFile]:
        """Every file, page by page."""
        after = ""
        for _ in range(_MOST_PAGES):
            query = {"limit": str(_PAGE), **({"after": after} if after else {})}
            _, page = await self.plain.fetch(HttpCall("GET", "/files", query=query))
            found = [self._file(each) for each in _objects(page.get("data"))]
            for each in found:
                yield each
            after = found[-1].id if found and page.get("has_more") else ""
            if not after:
                return

    async def remove(self, name: str) -> None:
        """Delete a file."""
        await self.plain.fetch(HttpCall("DELETE", f"/files/{segment(name)}"))

    def _file(self, told: JsonObject, mime: str = "") -> StoredFile:
        return StoredFile(
            _id(told, "id"),
            _text(told, "filename"),
            mime or _text(told, "mime_type"),
            _number(told, "bytes"),
            _moment(told.get("created_at")),
            _moment(told.get("expires_at")),
        )


@frozen
class AnthropicFiles:
    """`/files` of Anthropic. WIRES §4.10."""

    plain: Plain
    most: int | None = None
    """Bytes that a file may have; None where nobody says."""

    async def upload(self, file: Upload, progress: Progress) -> StoredFile:
        """Put a file there, to be read by models."""
        _check(file, self.most)
        form = (FormPart("file", file.data, file.name, file.mime),)
        call = HttpCall("POST", "/files", headers=_VERSION, multipart=form)
        return self._file((await self.plain.fetch(call))[1])

    async def list(self) -> AsyncIterator[StoredFile]:
        """Every file, page by page."""
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            query = {"limit": str(_PAGE), **after}
            _, page = await self.plain.fetch(HttpCall("GET", "/files", query=query, headers=_VERSION))
            found = [self._file(each) for each in _objects(page.get("data"))]
            for each in found:
                yield each
            if token := _text(page, "next_page"):
                after = {"page": token}
            elif found and page.get("has_more"):
                after = {"after_id": found[-1].id}
            else:
                return

    async def remove(self, name: str) -> None:
        """Delete a file."""
        await self.plain.fetch(HttpCall("DELETE", f"/files/{segment(name)}", headers=_VERSION))

    def _file(self, told: JsonObject) -> StoredFile:
        return StoredFile(
            _id(told, "id"),
            _text(told, "filename"),
            _text(told, "mime_type"),
            _number(told, "size_bytes"),
            _moment(told.get("created_at")),
            _moment(told.get("expires_at")),
        )


@frozen
class GeminiFiles:
    """Files of the Gemini API, which go after 48 hours. A request names one by its URI. WIRES §5.6."""

    plain: Plain
    """Below the host itself: uploads have a path of their own beside the version's."""
    version: str
    most: int | None = None
    """Bytes that a file may have; None where nobody says."""

    async def upload(self, file: Upload, progress: Progress) -> StoredFile:
        """Put a file there and wait until it may be named."""
        _check(file, self.most)
        told = as_object((await self.plain.fetch(await self._place(file)))[1].get("file")) or {}
        for seconds in _POLLS:
            match _text(told, "state"):
                case "PROCESSING":
                    await progress(f"{file.name} is being taken in")
                    await anyio.sleep(seconds)
                    told = (await self.plain.fetch(HttpCall("GET", self._path(_id(told, "name")))))[1]
                case "FAILED":
                    why = _text(as_object(told.get("error")) or {}, "message") or "it does not say why"
                    await self.remove(_id(told, "name"))
                    raise Rejected(f"the provider could not take in {file.name}: {why}")
                case _:
                    return self._file(told)
        raise Unreachable(f"the provider is still taking in {file.name}")

    async def _place(self, file: Upload) -> HttpCall:
        """Begin an upload. Returns the call that carries the bytes, to the path that the provider named."""
        begin = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(len(file.data)),
            "x-goog-upload-header-content-type": file.mime,
        }
        told = json.dumps({"file": {"displayName": file.name}}).encode()
        call = HttpCall("POST", f"/upload/{self.version}/files", told, headers=begin)
        where = urlsplit((await self.plain.fetch(call))[0].get("x-goog-upload-url", ""))
        if not where.path.startswith("/"):
            raise Undecodable("The endpoint named no place to upload to.")
        finish = {
            "x-goog-upload-offset": "0",
            "x-goog-upload-command": "upload, finalize",
            "content-type": file.mime,
        }
        return HttpCall("POST", where.path, file.data, query=dict(parse_qsl(where.query)), headers=finish)

    async def list(self) -> AsyncIterator[StoredFile]:
        """Every file, page by page."""
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"pageSize": str(_PAGE), **({"pageToken": token} if token else {})}
            _, page = await self.plain.fetch(HttpCall("GET", f"/{self.version}/files", query=query))
            for each in _objects(page.get("files")):
                yield self._file(each)
            token = _text(page, "nextPageToken")
            if not token:
                return

    async def remove(self, name: str) -> None:
        """Delete a file, by its URI or its name. Of one that is not there the API says that it may not be seen."""
        try:
            await self.plain.fetch(HttpCall("DELETE", self._path(name)))
        except AuthFailed as error:
            if error.status != 403 or "may not exist" not in str(error):
                raise
            raise NotFound(str(error), status=403, code=error.code) from error

    def _path(self, name: str) -> str:
        return f"/{self.version}/files/{segment(name.rstrip('/').rpartition('/')[2])}"

    def _file(self, told: JsonObject) -> StoredFile:
        created = _moment(told.get("createTime"))
        expires = _moment(told.get("expirationTime")) or (created and created + _GEMINI_LIFE)
        return StoredFile(
            _id(told, "uri"),
            _text(told, "displayName"),
            _text(told, "mimeType"),
            _number(told, "sizeBytes"),
            created,
            expires,
        )


def _check(file: Upload, most: int | None) -> None:
    if most is not None and len(file.data) > most:
        raise RequestTooLarge(
            f"{file.name} has {len(file.data):,} bytes; the provider takes {most:,} a file: nothing was sent"
        )
    if not file.data:
        raise Rejected(f"{file.name} is empty; no provider takes an empty file")


def names_file(error: ProviderError, name: str) -> bool:
    """Say whether a refusal is about this file: by its id, or by the last part of its URI."""
    return name.rpartition("/")[2] in str(error)


def _objects(value: Any) -> list[JsonObject]:
    return [as_object(item) or {} for item in cast("list[object]", value)] if isinstance(value, list) else []


def _id(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value:
        raise Undecodable(f"The endpoint told of a file without {key}.")
    return value


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _number(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key)
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else 0


def _moment(value: object) -> datetime | None:
    """Read a moment: seconds since 1970, or RFC 3339."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None
