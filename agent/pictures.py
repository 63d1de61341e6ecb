"""Makes a picture smaller, once: the same bytes in give the same bytes out."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from treadle.agent.providers.limits.headers import decoded, picture_size
from treadle.tools.contract import Inline, Media

MOST_PIXELS: Final = 80_000_000
"""Of a picture that is opened: above it, decoding takes more memory than a picture is worth."""
_QUALITY: Final = 85
_STEPS: Final = (1.0, 0.75, 0.5, 0.35, 0.2, 0.1)
"""By which the sides shrink until the bytes fit."""


def shrink(media: Media, side: int, most: int | None = None) -> Media | None:
    """Return a picture of which no side is longer than this; of an animation, the first picture.

    It stands upright, as its EXIF says, and keeps what is see-through. A photo stays a JPEG; what is opaque becomes
    the smaller of PNG and JPEG.

    Args:
        media: The picture, inline.
        side: Pixels that the longer side may have.
        most: Bytes of base64 that it may have; None for no limit.

    Returns:
        None for what is no picture, for one that is too large to be opened, and where nothing would become smaller.
    """
    if not isinstance(media.source, Inline):
        return None
    size = picture_size(media.source.data)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        return None
    raw = decoded(media.source.data)
    try:
        with Image.open(BytesIO(raw)) as opened:
            is_photo = opened.format == "JPEG"
            picture = _plain(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError):
        return None
    for step in _STEPS:
        mime, data = _rendered(picture, int(side * step), is_photo=is_photo)
        if most is None or len(data) <= most:
            smaller = len(data) < len(media.source.data) or max(size) > side
            return media.model_copy(update={"mime": mime, "source": Inline(data=data)}) if smaller else None
    return None


def _plain(picture: Image.Image) -> Image.Image:
    """Return a picture in a mode that both formats take: grey, colour, or colour with what is see-through."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        low, _ = picture.getchannel("A").getextrema()
        return picture if low != 255 else picture.convert("RGB")
    if picture.mode.startswith("I;16"):
        high = 0 if picture.mode == "I;16B" else 1
        return Image.frombytes("L", picture.size, picture.tobytes()[high::2])
    return picture if picture.mode in {"L", "RGB"} else picture.convert("RGB")


def _rendered(picture: Image.Image, side: int, *, is_photo: bool) -> tuple[str, str]:
    """Return type and base64 of a picture, scaled down where it is larger."""
    small = picture.copy()
    small.thumbnail((max(side, 1), max(side, 1)), Image.Resampling.LANCZOS)
    found: list[tuple[str, bytes]] = []
    if small.mode != "RGBA":
        found.append(("image/jpeg", _saved(small, "JPEG", quality=_QUALITY)))
    if not is_photo:
        found.append(("image/png", _saved(small, "PNG", compress_level=6)))
    mime, data = min(found, key=lambda one: len(one[1]))
    return mime, b64encode(data).decode()


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    into = BytesIO()
    picture.save(into, kind, **options)
    return into.getvalue()
