"""`treadle files`: what lies in a provider's store of files."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from treadle.agent.build.remote import file_store
from treadle.agent.config import Config, ConfigError, environment, load
from treadle.agent.frontends.eventloop import run
from treadle.agent.frontends.outcome import EXIT
from treadle.agent.frontends.outputs import OutputClosed, as_line, complain, emit, harmless
from treadle.agent.providers.contract import AuthFailed, InvalidRequest, NotFound, ProviderError
from treadle.agent.providers.files import FileStore, StoredFile, Upload
from treadle.tools.contract import JsonObject


def upload_files(vendor: str, paths: tuple[Path, ...], mime: str | None, *, as_json: bool) -> int:
    """Put files into a store and tell their ids. What cannot be read stops everything before the first is sent."""
    try:
        files = [Upload(path.name, mime or _mime(path), path.read_bytes()) for path in paths]
    except OSError as error:
        complain(f"treadle: {error.filename}: {error.strerror}")
        return EXIT["usage"]

    async def work(store: FileStore) -> int:
        failed = 0
        for file in files:
            complain(f"treadle: uploading {file.name}, {len(file.data):,} bytes")
            try:
                _tell(await store.upload(file, _progress), as_json=as_json)
            except AuthFailed:
                raise
            except ProviderError as error:
                failed += 1
                complain(f"treadle: {file.name}: {error}")
        return EXIT["failed"] if failed else EXIT["done"]

    return _with_store(vendor, work)


def list_files(vendor: str, *, as_json: bool) -> int:
    """Tell every file in a store: a JSON object a line, or lines with tabs."""

    async def work(store: FileStore) -> int:
        async for file in store.list():
            _tell(file, as_json=as_json)
        return EXIT["done"]

    return _with_store(vendor, work)


def remove_files(vendor: str, names: tuple[str, ...], *, as_json: bool) -> int:
    """Delete files. One that is not there, or cannot be deleted, is told, and the others are deleted all the same."""

    async def work(store: FileStore) -> int:
        failed = 0
        for name in names:
            try:
                await store.remove(name)
            except AuthFailed:
                raise
            except ProviderError as error:
                failed += 1
                complain(f"treadle: {name}: {error}")
            else:
                emit(as_line({"id": name, "deleted": True}) if as_json else f"removed {harmless(name)}")
        return EXIT["failed"] if failed else EXIT["done"]

    return _with_store(vendor, work)


def _with_store(vendor: str, work: Callable[[FileStore], Awaitable[int]]) -> int:
    try:
        return run(_work, load(environment(), {}), vendor, work)
    except (ConfigError, AuthFailed, NotFound, InvalidRequest) as error:
        complain(f"treadle: {error}")
        return EXIT["usage"]
    except ProviderError as error:
        complain(f"treadle: {error}")
        return EXIT["failed"]
    except OutputClosed:
        return EXIT["failed"]
    except KeyboardInterrupt:
        return EXIT["cancelled"]


async def _work(config: Config, vendor: str, work: Callable[[FileStore], Awaitable[int]]) -> int:
    async with file_store(vendor, config, environment()) as store:
        return await work(store)


async def _progress(line: str) -> None:
    complain(f"treadle: {line}")


def _mime(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _tell(file: StoredFile, *, as_json: bool) -> None:
    if as_json:
        emit(as_line(_object(file)))
    else:
        until = f"until {file.expires:%Y-%m-%d %H:%M}" if file.expires else "-"
        emit(harmless("\t".join((file.id, file.name, file.mime or "-", str(file.bytes), until))))


def _object(file: StoredFile) -> JsonObject:
    return {
        "id": file.id,
        "name": file.name,
        "mime": file.mime or None,
        "bytes": file.bytes,
        "created": _when(file.created),
        "expires": _when(file.expires),
    }


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
