"""What of a request is more than a vendor takes: asked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from treadle.agent.providers.contract import ModelInfo, ModelRequest
from treadle.agent.providers.limits import limit_of, warning_of
from treadle.agent.providers.limits.kinds import MEANINGS, What
from treadle.agent.providers.limits.sizes import Shown, Sizes
from treadle.sandbox.frozen import frozen

Figure: TypeAlias = Callable[[ModelInfo, What], int | None]
_Counted: TypeAlias = tuple[What, int]


@frozen
class Breach:
    """One thing that is more than a vendor takes."""

    what: What
    value: int
    most: int
    where: str
    """The part that is too much, or the largest of those that are together."""
    message: int | None = None
    """Index of the message that it stands in; None when it is in none."""
    part: str = ""
    vendor: str = ""

    def __str__(self) -> str:
        unit, meaning = MEANINGS[self.what]
        return (
            f"{self.where}: {self.value:,} {unit} are more than the {self.most:,} that {self.vendor} takes "
            f"({self.what}: {meaning})"
        )


def breaches(
    request: ModelRequest, info: ModelInfo, sizes: Sizes, body: int, *, warned: bool = False
) -> tuple[Breach, ...]:
    """Return what must not be sent as it is; nothing, as a rule.

    Args:
        request: What is asked.
        info: Whom.
        sizes: Of the request's messages.
        body: Bytes of the encoded body.
        warned: Ask the stricter figures of other sources instead: what is above them is said, and sent.
    """
    figure = warning_of if warned else limit_of
    whole: tuple[_Counted, ...] = (
        ("request_bytes", body),
        ("messages", sizes.sent),
        ("tools", len(request.tools)),
    )
    together: tuple[_Counted, ...] = (
        ("images", sizes.images),
        ("image_total_bytes", sizes.image_bytes),
        ("document_pages", sizes.pages),
    )
    return (
        *(_over(whole, info, sizes, figure)),
        *(_over(together, info, sizes, figure) if sizes.media else ()),
        *(_each(info, sizes, figure) if sizes.media else ()),
    )


def side_of(info: ModelInfo, images: int, figure: Figure = limit_of) -> tuple[What, int | None]:
    """Return which limit holds for the sides of so many images, and what it is."""
    many = figure(info, "images_many")
    if many is not None and images > many and (most := figure(info, "image_side_many")) is not None:
        return "image_side_many", most
    return "image_side", figure(info, "image_side")


def _over(counted: tuple[_Counted, ...], info: ModelInfo, sizes: Sizes, figure: Figure) -> Iterator[Breach]:
    for what, value in counted:
        most = figure(info, what)
        if most is not None and value > most:
            yield breach(info, sizes, what, value, most)


def breach(info: ModelInfo, sizes: Sizes, what: What, value: int, most: int) -> Breach:
    """Return a breach of what counts together, with the part that counts most."""
    match largest(sizes, what):
        case Shown() as one:
            return Breach(what, value, most, one.name, one.message, one.part, info.vendor)
        case None:
            return Breach(what, value, most, "the request", vendor=info.vendor)
        case number:
            return Breach(what, value, most, f"message {number}", number, vendor=info.vendor)


def largest(sizes: Sizes, what: What) -> Shown | int | None:
    """Return the part that counts most: media, or the number of a message; None where none counts more than others."""
    if what in {"tools", "messages"}:
        return None
    both = what in {"request_bytes", "context_tokens"}
    wanted = [one for one in sizes.media if both or _is_counted(one, what)]
    media = max(wanted, key=lambda one: (one.pages, one.encoded), default=None)
    if both and sizes.texts:
        text = max(range(len(sizes.texts)), key=sizes.texts.__getitem__)
        return text if media is None or sizes.texts[text] > media.encoded else media
    return media


def _is_counted(one: Shown, what: What) -> bool:
    return bool(one.pages) if what == "document_pages" else one.media.kind == "image"


def _each(info: ModelInfo, sizes: Sizes, figure: Figure) -> Iterator[Breach]:
    side, longest = side_of(info, sizes.images, figure)
    each: tuple[tuple[What, int | None, int], ...] = (
        ("image_bytes", figure(info, "image_bytes"), sizes.largest_image),
        (side, longest, sizes.largest_side),
        ("document_bytes", figure(info, "document_bytes"), _bytes(sizes.largest_document)),
    )
    for what, most, largest in each:
        if most is not None and largest > most:
            yield from (
                Breach(what, value, most, one.name, one.message, one.part, info.vendor)
                for one in sizes.media
                if (value := _measure(one, what)) > most
            )


def _measure(one: Shown, what: What) -> int:
    is_image = one.media.kind == "image"
    if what == "document_bytes":
        return 0 if is_image else _bytes(one.encoded)
    if not is_image:
        return 0
    return one.encoded if what == "image_bytes" else one.side


def _bytes(encoded: int) -> int:
    return encoded * 3 // 4
