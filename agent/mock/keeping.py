"""Everything that the mock keeps between requests, and the paths that lead to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Vendor
from treadle.agent.mock.files import anthropic_file_routes, openai_file_routes
from treadle.agent.mock.files_gemini import GeminiFiles, gemini_file_routes
from treadle.agent.mock.filestore import FileStore
from treadle.agent.mock.interactions_memory import InteractionsMemory, interaction_routes
from treadle.agent.mock.jsontext import Json, JsonObject
from treadle.agent.mock.memory import Memory
from treadle.agent.mock.references import check_files, check_ready, named_files, unknown
from treadle.agent.mock.responses_memory import ResponsesMemory
from treadle.agent.mock.responses_routes import response_routes
from treadle.agent.mock.routes import Route
from treadle.agent.mock.script import Script

_Thing = TypeVar("_Thing")
FORGETTABLE = ("responses", "conversations", "interactions", "files")


class Keeping:
    """Files, responses, conversations and interactions."""

    def __init__(self, script: Script) -> None:
        life = script.files.life
        self.gemini = GeminiFiles(FileStore("", life), script.files.polls)
        self.files: Mapping[Vendor, FileStore] = {
            "openai": FileStore("file-", life),
            "anthropic": FileStore("file_", life),
            "gemini": self.gemini.store,
        }
        self.responses, self.interactions = ResponsesMemory(), InteractionsMemory()
        self._file_bytes = script.limits.file_bytes
        self._memories: Mapping[str, Memory] = {
            "/v1/responses": self.responses,
            "/azure/openai/v1/responses": self.responses,
            "/{version}/interactions": self.interactions,
        }

    def routes(self) -> Iterator[Route]:
        """The paths to what is kept."""
        yield from openai_file_routes(self.files["openai"], self._file_bytes)
        yield from anthropic_file_routes(self.files["anthropic"], self._file_bytes)
        yield from gemini_file_routes(self.gemini, self._file_bytes)
        yield from response_routes(self.responses)
        yield from interaction_routes(self.interactions)

    def memory(self, path: str) -> Memory | None:
        """What is kept of the conversations of a face; None if that is nothing."""
        return self._memories.get(path)

    def check(self, vendor: Vendor, body: Json, home: str, now: float) -> None:
        """Refuse a request that names a file which is not there, or not ready. Raises Refused."""
        store = self.files.get(vendor)
        if store is None:
            return
        check_files(vendor, named_files(vendor, body, home), store, now)
        if vendor == "gemini":
            check_ready(named_files(vendor, body, home), self.gemini)

    def forget_files(self, vendor: Vendor, body: Json, home: str) -> None:
        """Drop the files that a request names. Raises Refused if it names any."""
        names = [*named_files(vendor, body, home)]
        for name in names:
            self.files[vendor].remove(name)
        if names:
            raise unknown(vendor, names[0])

    def drop(self, what: str, kept_id: str) -> None:
        """Forget one thing, or all of its kind if the id is "". Raises Refused for a kind that there is not."""
        match what:
            case "responses":
                _drop(self.responses.responses, kept_id)
            case "conversations":
                _drop(self.responses.conversations, kept_id)
            case "interactions":
                _drop(self.interactions.interactions, kept_id)
            case "files":
                for store in self.files.values():
                    for file_id in [name for name in store if kept_id in {"", name}]:
                        store.remove(file_id)
            case _:
                raise Refused(f"what: {what!r} is not one of {', '.join(FORGETTABLE)}", "what")

    def stored(self, now: float) -> JsonObject:
        """The ids of what is here, by kind."""
        files: JsonObject = {
            vendor: [file.id for file in store.listed(now)] for vendor, store in self.files.items()
        }
        return {"files": files, **self.responses.stored(), **self.interactions.stored()}


def _drop(held: dict[str, _Thing], kept_id: str) -> None:
    for key in [key for key in held if kept_id in {"", key}]:
        del held[key]
