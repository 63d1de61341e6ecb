"""How large a conversation is: every message is measured once, and what was added up stays so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import is_

from treadle.agent.messages import (
    AssistantMessage,
    CallPart,
    HostedCallPart,
    HostedResultPart,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolMessage,
    UserMessage,
)
from treadle.agent.providers.limits.headers import pdf_pages, picture_size
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, Inline, Json, Media, Resource, Text

_AROUND = 80
"""Bytes of JSON that stand around a piece of content."""


@frozen
class Shown:
    """One picture, document or other file in a message."""

    message: int
    """Index of the message in the request."""
    part: str
    """Where in the message, as in `content[1]` or `results[0].content[2]`."""
    media: Media
    at: tuple[int, ...]
    """The same as indices: of the content, or of the result and its content."""
    encoded: int
    """Bytes of its base64; 0 where it is only named."""
    width: int = 0
    """In pixels; 0 where it is not known."""
    height: int = 0
    pages: int = 0
    """Of a PDF; 0 where they cannot be counted."""

    @property
    def side(self) -> int:
        """The longer side, in pixels."""
        return max(self.width, self.height)

    @property
    def name(self) -> str:
        """As people are told of it."""
        said = " ".join(filter(None, (self.media.kind, self.media.filename, f"({self.media.mime})")))
        return f"message {self.message}, {self.part}, {said}"


@dataclass(slots=True)
class Sizes:
    """What messages add up to."""

    texts: list[int] = field(default_factory=list[int])
    """Bytes of each message but for its media, as JSON."""
    text: int = 0
    """The sum of these."""
    sent: int = 0
    """Messages as providers count them: each result of a call is one."""
    media: list[Shown] = field(default_factory=list[Shown])
    encoded: int = 0
    """Bytes of the base64 of all media."""
    images: int = 0
    image_bytes: int = 0
    """Bytes of the base64 of all images."""
    largest_image: int = 0
    """Bytes of base64."""
    largest_side: int = 0
    largest_document: int = 0
    """Bytes of base64."""
    pages: int = 0

    def add(self, message: Message) -> None:
        """Take the message that comes next."""
        number = len(self.texts)
        size = _AROUND
        for at, content in contents(message):
            size += _content_bytes(content)
            if isinstance(content, Media):
                self._show(_shown(number, _place(message, at), at, content))
        if isinstance(message, AssistantMessage):
            size += sum(_part_bytes(part) for part in message.parts)
        self.texts.append(size)
        self.text += size
        self.sent += len(message.results) if isinstance(message, ToolMessage) else 1

    def _show(self, one: Shown) -> None:
        self.media.append(one)
        self.encoded += one.encoded
        self.pages += one.pages
        if one.media.kind == "image":
            self.images += 1
            self.image_bytes += one.encoded
            self.largest_image = max(self.largest_image, one.encoded)
            self.largest_side = max(self.largest_side, one.side)
        else:
            self.largest_document = max(self.largest_document, one.encoded)


class Tally:
    """Adds up a conversation as it grows: a step costs what it brought, and a comparison of what was there."""

    def __init__(self) -> None:
        self._messages: tuple[Message, ...] = ()
        self._sizes = Sizes()

    def of(self, messages: tuple[Message, ...]) -> Sizes:
        """Return the sizes of these messages. They hold until the next call."""
        known = len(self._messages)
        if len(messages) < known or not all(map(is_, self._messages, messages)):
            known, self._sizes = 0, Sizes()
        for message in messages[known:]:
            self._sizes.add(message)
        self._messages = messages
        return self._sizes


def _shown(message: int, part: str, at: tuple[int, ...], media: Media) -> Shown:
    if not isinstance(media.source, Inline):
        return Shown(message, part, media, at, 0)
    data = media.source.data
    if media.kind == "image":
        width, height = picture_size(data) or (0, 0)
        return Shown(message, part, media, at, len(data), width, height)
    pages = pdf_pages(data) if media.mime == "application/pdf" else 0
    return Shown(message, part, media, at, len(data), pages=pages)


def _place(message: Message, at: tuple[int, ...]) -> str:
    match message, at:
        case ToolMessage(), (result, content):
            return f"results[{result}].content[{content}]"
        case UserMessage(), (content,):
            return f"content[{content}]"
        case _:
            return f"parts[{at[-1]}]"


def json_bytes(text: str) -> int:
    """Return about how many bytes a text takes in a JSON body."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return size + text.count("\n") + text.count('"') + text.count("\\")


def contents(message: Message) -> Iterator[tuple[tuple[int, ...], Content]]:
    """Yield what a message shows, each with where it stands in it."""
    match message:
        case UserMessage(content=content):
            yield from (((index,), each) for index, each in enumerate(content))
        case ToolMessage(results=results):
            for number, result in enumerate(results):
                yield from (((number, index), each) for index, each in enumerate(result.content))
        case AssistantMessage(parts=parts):
            for index, part in enumerate(parts):
                if isinstance(part, MediaPart):
                    yield (index,), part.media


def _content_bytes(content: Content) -> int:
    match content:
        case Text(text=text):
            return _AROUND + json_bytes(text)
        case Json(value=value):
            return _AROUND + json_bytes(str(value))
        case Resource(uri=uri, text=text):
            return _AROUND + json_bytes(uri) + json_bytes(text or "")
        case _:
            return _AROUND


def _part_bytes(part: Part) -> int:
    if part.raw and not isinstance(part, MediaPart):
        return _AROUND + len(part.raw)
    match part:
        case TextPart(text=text) | RefusalPart(text=text) | ReasoningPart(text=text):
            return _AROUND + json_bytes(text)
        case CallPart(call=call):
            return 2 * _AROUND + json_bytes(call.arguments)
        case HostedCallPart(arguments=arguments):
            return _AROUND + json_bytes(arguments)
        case HostedResultPart(content=contents):
            return _AROUND + sum(map(_content_bytes, contents))
        case _:
            return _AROUND
