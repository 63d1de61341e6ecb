"""What a request may hold at most, and what each vendor says of one that holds more."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping

from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Face, Vendor
from treadle.agent.mock.jsontext import Json, members, words
from treadle.agent.mock.pixels import pixels
from treadle.agent.mock.script import Limits
from treadle.sandbox.frozen import frozen

MEGABYTE = 1024 * 1024
USUAL: Mapping[Vendor, Limits] = {
    "anthropic": Limits(
        images=100,
        image_bytes=5 * MEGABYTE,
        image_pixels=8000,
        many_images=20,
        many_pixels=2000,
    ),
    "openai": Limits(images=500, image_bytes=20 * MEGABYTE),
    "gemini": Limits(images=3600),
    "compatible": Limits(),
}
HEADER = 400_000
"""Letters of an image that are looked at for its size."""


@frozen
class Image:
    """An image in a request."""

    path: str
    data: str
    """In base64."""


def limits_of(vendor: Vendor, given: Limits) -> Limits:
    """A vendor's limits, with the script's in their place."""
    return USUAL[vendor].model_copy(update=given.model_dump(exclude_none=True))


def too_large(face: Face, most: int, size: int) -> Refused:
    """What a vendor says of a body of more bytes than it takes."""
    match face.vendor:
        case "anthropic":
            return Refused("Request exceeds the maximum size", status=413)
        case "gemini":
            return Refused(f"Request payload size exceeds the limit: {most} bytes.", status=400)
        case "openai":
            told = f"413: Maximum content size limit ({most}) exceeded ({size} bytes read)"
            return Refused(told, code="", status=413)
        case "compatible":
            return Refused(f"the body is larger than {most:,} bytes", status=413, code="request_too_large")


def check_window(face: Face, asked: Asked, tokens: int, window: int | None) -> None:
    """Refuse what does not fit into the model's window. Raises Refused."""
    if window is None or tokens <= window:
        return
    match face.vendor:
        case "anthropic":
            raise Refused(f"prompt is too long: {tokens} tokens > {window} maximum")
        case "gemini":
            told = (
                f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."
            )
            raise Refused(told)
        case "openai" if "messages" not in asked.body and "prompt" not in asked.body:
            told = (
                "Your input exceeds the context window of this model. Please adjust your input and try again."
            )
            raise Refused(told, "input", "context_length_exceeded")
        case "openai" | "compatible":
            told = (
                f"This model's maximum context length is {window} tokens. However, your messages resulted in "
            )
            told += f"{tokens} tokens. Please reduce the length of the messages."
            raise Refused(told, "messages", "context_length_exceeded")


def check_images(vendor: Vendor, body: Json, limits: Limits) -> None:
    """Refuse images that are too many, or too large in bytes or pixels. Raises Refused."""
    images = [*_images(body, "")]
    if limits.images is not None and len(images) > limits.images:
        raise _too_many(vendor, len(images), limits.images)
    many = limits.many_images is not None and len(images) > limits.many_images
    for image in images:
        if limits.image_bytes is not None and len(image.data) > limits.image_bytes:
            raise _too_heavy(vendor, image, limits.image_bytes)
        _check_pixels(image, limits.many_pixels if many else limits.image_pixels, many=many)


def _too_many(vendor: Vendor, count: int, most: int) -> Refused:
    match vendor:
        case "anthropic":
            return Refused(f"Too much media: 0 document pages + {count} images > {most}")
        case "gemini":
            return Refused(f"Please use fewer than {most} images in your request")
        case "openai" | "compatible":
            return Refused(f"Too many images in request: {count} > {most}", code="too_many_images")


def _too_heavy(vendor: Vendor, image: Image, most: int) -> Refused:
    size = len(image.data)
    match vendor:
        case "anthropic":
            whole = f"{most // MEGABYTE} MB" if most >= MEGABYTE else f"{most} bytes"
            told = f"image exceeds {whole} maximum: {size} bytes > {most} bytes"
            return Refused(f"{image.path}: {told}", image.path)
        case "openai" | "gemini" | "compatible":
            told = f"{image.path}: the image has {size} bytes, and may have {most}"
            return Refused(told, image.path, "image_file_too_large")


def _check_pixels(image: Image, most: int | None, *, many: bool) -> None:
    if most is None:
        return
    wide, high = pixels(_start(image.data))
    if max(wide, high) > most:
        path, kind = f"{image.path}.data", " for many-image requests" if many else ""
        told = f"At least one of the image dimensions exceed max allowed size{kind}: {most} pixels"
        raise Refused(f"{path}: {told}", path)


def _start(data: str) -> bytes:
    try:
        return b64decode(data[:HEADER] + "=" * (-len(data[:HEADER]) % 4))
    except ValueError:
        return b""


def _images(value: Json, path: str) -> Iterator[Image]:
    """The images that a body holds, as any of the APIs writes them."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            if isinstance(element, dict | list):
                yield from _images(element, f"{path}[{index}]")
    elif isinstance(value, dict):
        found = _image(value, path)
        if found is not None:
            yield found
            return
        for key, member in value.items():
            if isinstance(member, dict | list):
                yield from _images(member, f"{path}.{key}" if path else key)


def _image(held: Mapping[str, Json], path: str) -> Image | None:
    inline, source = members(held.get("inlineData")), members(held.get("source"))
    link = held.get("image_url")
    url = words(link) or words(members(link).get("url"))
    if words(inline.get("mimeType")).startswith("image/"):
        return Image(f"{path}.inlineData", words(inline.get("data")))
    match held.get("type"):
        case "image" if source.get("type") == "base64":
            return Image(f"{path}.image.source.base64", words(source.get("data")))
        case "image" if isinstance(held.get("data"), str):
            return Image(path, words(held["data"]))
        case "input_image" | "image_url" if url.startswith("data:"):
            return Image(f"{path}.image_url", url.partition(",")[2])
        case _:
            return None
