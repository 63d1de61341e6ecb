"""The files that a request names: each has to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Vendor
from treadle.agent.mock.files import no_such_file
from treadle.agent.mock.files_gemini import GeminiFiles, file_in, not_yours
from treadle.agent.mock.filestore import FileStore
from treadle.agent.mock.jsontext import Json, elements, members, words


def named_files(vendor: Vendor, body: Json, home: str) -> Iterator[str]:
    """The ids of the files that a request names, as its vendor writes them; `home` is where this server is."""
    places: list[Json] = [body]
    while places:
        place = places.pop()
        if isinstance(place, list):
            places += place
        elif isinstance(place, dict):
            places += [member for member in place.values() if isinstance(member, dict | list)]
            if vendor == "gemini":
                uri = words(place.get("fileUri")) or words(place.get("uri"))
                own = uri.startswith((f"{home}/", "https://generativelanguage.googleapis.com/"))
                found = file_in(uri) if own else None
                yield from [found] if found else []
            else:
                yield from _named(place)


def _named(place: Mapping[str, Json]) -> Iterator[str]:
    """The files that an object of OpenAI's or Anthropic's names itself."""
    match place.get("type"):
        case "input_file" | "input_image" | "container_upload":
            yield from filter(None, [words(place.get("file_id"))])
        case "file":
            own = words(place.get("file_id")) or words(members(place.get("file")).get("file_id"))
            yield from filter(None, [own])
        case "auto":
            yield from map(words, elements(place.get("file_ids")))
        case _:
            pass


def check_files(vendor: Vendor, names: Iterator[str], store: FileStore, now: float) -> None:
    """Refuse a file that was never there, was deleted or has expired. Raises Refused."""
    for name in names:
        if store.get(name, now) is None:
            raise unknown(vendor, name)


def check_ready(names: Iterator[str], files: GeminiFiles) -> None:
    """Refuse a file that Gemini still works on. Raises Refused."""
    for name in names:
        if files.store.processing(name, files.polls, looked=False):
            told = f"The File {name} is not in an ACTIVE state and usage is not allowed."
            raise Refused(told, code="FAILED_PRECONDITION")


def unknown(vendor: Vendor, name: str) -> Refused:
    """What a vendor says of a request that names a file that is not there."""
    match vendor:
        case "anthropic":
            return Refused(f"File not found: {name}", status=404)
        case "gemini":
            return not_yours(name)
        case "openai" | "compatible":
            return no_such_file(name, "input", 400)
