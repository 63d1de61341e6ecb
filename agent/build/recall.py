"""What a session finds again: the `recall` tool, and documents that a prompt takes along."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anyio import to_thread

from treadle.agent.build.model import transport_to
from treadle.agent.build.opening import Opening, WorkspaceError
from treadle.agent.log import SessionLog
from treadle.agent.messages import UserMessage
from treadle.agent.providers import catalogue, vendors
from treadle.agent.providers.contract import ProviderError
from treadle.agent.sessions import SHELF
from treadle.prompts import load
from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.standard import Later
from treadle.tools.contract import Content, Function, Inline, JsonObject, Media, Text, Tool, ToolSpec

if TYPE_CHECKING:
    from treadle.agent.retrieval.chunks import Chunk, Piece
    from treadle.agent.retrieval.shelf import Shelf
    from treadle.agent.retrieval.vectors import Meaning

SHOWN = 16_000
"""Characters of a document that are shown as they are; a longer one is searched."""
PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {
        "query": {"type": "string"},
        "id": {"type": "string"},
        "offset": {"type": "integer", "minimum": 0},
        "limit": {"type": "integer", "minimum": 1, "maximum": 20},
    },
    "required": [],
    "additionalProperties": False,
}
"""Of `recall`, so that a start need not load it."""


class AttachmentError(WorkspaceError):
    """A document cannot be taken along. The message is one line for the user."""


@frozen
class Recalling:
    """What a session has for finding things again."""

    tool: Tool
    folder: Path
    meaning: Meaning | None

    async def taking(self, message: UserMessage, files: Sequence[Path], reach: Reach) -> UserMessage:
        """Return a prompt with the documents that go with it: as they are, or as an outline and parts to be searched.

        Raises `AttachmentError`.
        """
        if not files:
            return message
        contents = [await to_thread.run_sync(_content, file, self.folder, reach) for file in files]
        if self.meaning is not None:
            try:
                await self.meaning.take_in({str(file.resolve()) for file in files})
            except ProviderError as error:
                raise AttachmentError(f"retrieval.embeddings: {error}") from error
        return message.model_copy(update={"content": (*message.content, *contents)})


Reach = Literal["deferred", "direct", "none"]
"""How the model reaches `recall`: through the dispatcher, as a tool of its own, or not at all."""


def reach_of(tools: Sequence[ToolSpec]) -> Reach:
    """Say how the model of a session reaches `recall`: its tools are what they were when it began."""
    names = {tool.name for tool in tools}
    return "direct" if "recall" in names else "deferred" if "tools" in names else "none"


@asynccontextmanager
async def recalling(opening: Opening, folder: Path, log: SessionLog) -> AsyncGenerator[Recalling]:
    """Yield what finds things again in a session whose files are in `folder`. Raises `ProviderError` for a bad setting."""
    async with _meaning(opening, folder) as meaning:

        def made() -> Tool:
            from treadle.agent.retrieval.archive import Archive
            from treadle.tools.builtin.recall import recall_tool

            return recall_tool(Archive(log, shelf_in(folder), folder, meaning))

        spec = Function(name="recall", description=load("tools/recall"), parameters=PARAMETERS)
        yield Recalling(Later(spec, made), folder, meaning)


@asynccontextmanager
async def _meaning(opening: Opening, folder: Path) -> AsyncGenerator[Meaning | None]:
    spec = opening.config.retrieval.embeddings
    if spec is None:
        yield None
        return
    from treadle.agent.providers.embeddings import Embedder, style_of
    from treadle.agent.providers.plain import Plain
    from treadle.agent.retrieval.vectors import Meaning, VectorCache

    vendor, model = catalogue.split(spec)
    endpoint = vendors.resolve(vendor, opening.env, opening.config.providers)
    url = endpoint.address(model, endpoint.wire)
    plain = Plain(transport_to(endpoint, url, opening.config), endpoint.secrets)
    embedder = Embedder(plain, model, style_of(endpoint.wire), opening.config.connection.retries)
    cache = VectorCache((folder if opening.ephemeral else opening.folders.state) / "embeddings.db", spec)
    try:
        yield Meaning(shelf_in(folder), cache, embedder.embed)
    finally:
        await plain.aclose()


def shelf_in(folder: Path) -> Shelf:
    """Return the shelf of a session."""
    from treadle.agent.retrieval.shelf import Shelf

    return Shelf(folder / SHELF)


def _content(file: Path, folder: Path, reach: Reach) -> Content:
    from treadle.tools.builtin.text import LOOKED_AT, binary_kind, image_type

    try:
        with file.open("rb") as opened:
            start = opened.read(LOOKED_AT)
        if mime := image_type(start):
            data = b64encode(file.read_bytes()).decode()
            return Media(kind="image", mime=mime, source=Inline(data=data), filename=file.name)
        pieces = reader_of(file)
        kind = binary_kind(start) if pieces is None else None
        if kind:
            raise AttachmentError(f"{file} is not text ({kind}): text can be attached, {', '.join(READERS)}")
        return _document(file, folder, reach, pieces)
    except OSError as error:
        told = error.strerror and f"{file}: {error.strerror}"
        raise AttachmentError(f"--attach: {told or error}") from error


def _document(
    file: Path, folder: Path, reach: Reach, pieces: Callable[[Path], Iterator[Piece]] | None
) -> Content:
    from treadle.agent.retrieval.chunks import chunks
    from treadle.agent.retrieval.outline import Outline
    from treadle.agent.retrieval.readers.text import text_pieces
    from treadle.agent.retrieval.shelf import Source

    outline = Outline()
    stream = outline.noting(chunks((pieces or text_pieces)(file)))
    begin: list[Chunk] = []
    while outline.characters <= SHOWN and (chunk := next(stream, None)) is not None:
        begin.append(chunk)
    if outline.characters <= SHOWN:
        return Text(text=load("facts/attachment", file=file.name, text=_joined(begin)))
    if reach == "none":
        raise AttachmentError(f"{file}: is too long for a prompt, and without tools it cannot be searched")
    shelf, name = shelf_in(folder), str(file.resolve())
    with file.open("rb") as opened:
        digest = file_digest(opened, "sha256").hexdigest()
    shelf.put([Source(name, file.name, digest, chain(begin, stream))])
    for _ in stream:
        pass  # it was there already: only the outline is wanted
    text = load(
        "facts/attachment_outline",
        file=file.name,
        size=f"{outline.characters:,}",
        parts=f"{outline.chunks:,}",
        recall=load(f"compaction/recall_{reach}"),
        outline=outline.text(shelf.first_of(name) or 0),
    )
    return Text(text=text)


def _joined(found: Sequence[Chunk]) -> str:
    """Return a whole document again, its headings where they begin."""
    lines: list[str] = []
    title = ""
    for chunk in found:
        new = chunk.title != title and not chunk.text.lstrip("# ").startswith(
            chunk.title.rpartition(" > ")[2]
        )
        lines += [f"[{chunk.title}]"] * (new and bool(chunk.title)) + [chunk.text]
        title = chunk.title
    return "\n".join(lines)


READERS = ("Markdown", "CSV", "XLSX", "DOCX", "PDF", "HTML", "or a picture")
"""What can be attached beside plain text."""


def reader_of(file: Path) -> Callable[[Path], Iterator[Piece]] | None:
    """Return what reads a format, loading it; None for plain text. Raises `AttachmentError` without the extra."""
    try:
        match file.suffix.lower():
            case ".md" | ".markdown":
                from treadle.agent.retrieval.readers.text import markdown_pieces as read
            case ".csv" | ".tsv":
                from treadle.agent.retrieval.readers.text import csv_pieces as read
            case ".html" | ".htm" | ".xhtml":
                from treadle.agent.retrieval.readers.web import html_pieces as read
            case ".pdf":
                from treadle.agent.retrieval.readers.pdf import pdf_pieces as read
            case ".xlsx" | ".xls" | ".ods":
                from treadle.agent.retrieval.readers.sheets import sheet_pieces as read
            case ".docx":
                from treadle.agent.retrieval.readers.word import word_pieces as read
            case _:
                return None
    except ImportError as error:
        raise AttachmentError(
            f"{file}: reading it takes the extra `documents`: pip install 'treadle[documents]'"
        ) from error
    return read
