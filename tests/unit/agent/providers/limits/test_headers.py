from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import pytest
from PIL import Image
from unit.agent.providers.limits.picturing import pdf

from treadle.agent.providers.limits.headers import decoded, pdf_pages, picture_size


def saved(kind: str, **options: object) -> str:
    into = BytesIO()
    Image.new("RGB", (37, 21), "red").save(into, kind, **options)
    return b64encode(into.getvalue()).decode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_size_is_read_from_the_first_bytes(kind: str) -> None:
    assert picture_size(saved(kind)) == (37, 21)


def test_both_other_kinds_of_webp_are_read_too() -> None:
    assert picture_size(saved("WEBP", lossless=True)) == (37, 21)
    into = BytesIO()
    first, second = Image.new("RGBA", (37, 21), "red"), Image.new("RGBA", (37, 21), "blue")
    first.save(into, "WEBP", save_all=True, append_images=[second])
    assert picture_size(b64encode(into.getvalue()).decode()) == (37, 21)


def test_a_jpeg_whose_size_stands_behind_a_long_profile_is_read_to_there() -> None:
    assert picture_size(saved("JPEG", icc_profile=b"p" * 150_000)) == (37, 21)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xd8" + b"\xff" * 20,
        b"\xff\xd8\xff\x01\xff\xd9\xff\x01\xff\x01\xff\x01",
        b"RIFF\0\0\0\0WEBPVP9 " + b"\0" * 20,
        b"BM picture of another kind, which nobody takes",
    ],
)
def test_what_is_no_picture_has_no_size(raw: bytes) -> None:
    assert picture_size(b64encode(raw).decode()) is None


def test_what_is_no_base64_gives_nothing() -> None:
    assert decoded("a") == b""
    assert picture_size("é") is None


def test_pages_of_a_pdf_are_counted_where_they_can_be_seen() -> None:
    assert pdf_pages(b64encode(pdf(3)).decode()) == 3
    assert pdf_pages(b64encode(b"%PDF-1.7 << /Type /Pages /Count 41 >>").decode()) == 41
    assert pdf_pages(b64encode(b"%PDF-1.7 packed").decode()) == 0
