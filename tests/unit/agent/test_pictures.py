from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import pytest
from PIL import Image
from unit.agent.providers.limits.picturing import claims, image, noise

from treadle.agent.pictures import shrink
from treadle.tools.contract import Inline, Media, Url


def opened(media: Media) -> Image.Image:
    assert isinstance(media.source, Inline)
    return Image.open(BytesIO(b64decode(media.source.data)))


def shrunk(data: bytes, mime: str, side: int, most: int | None = None) -> tuple[Media, Image.Image]:
    media = shrink(image(data, mime, "a"), side, most)
    assert media is not None
    return media, opened(media)


def test_the_longer_side_is_cut_down_and_the_shape_stays() -> None:
    media, picture = shrunk(noise(200, 100), "image/png", 50)
    assert picture.size == (50, 25)
    assert media.filename == "a"


def test_the_same_bytes_in_give_the_same_bytes_out() -> None:
    first, second = (shrunk(noise(200, 100), "image/png", 50)[0] for _ in range(2))
    assert first == second


def test_a_photo_stays_a_jpeg_and_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    media, picture = shrunk(noise(200, 100, "JPEG", exif=exif), "image/jpeg", 50)
    assert (media.mime, picture.format, picture.size) == ("image/jpeg", "JPEG", (25, 50))
    assert 0x0112 not in picture.getexif()


def test_a_drawing_stays_a_png_and_noise_becomes_a_jpeg() -> None:
    into = BytesIO()
    Image.new("RGB", (300, 300), "red").save(into, "PNG")
    assert shrunk(into.getvalue(), "image/png", 100)[0].mime == "image/png"
    assert shrunk(noise(300, 300), "image/png", 100)[0].mime == "image/jpeg"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_see_through_stays_so(mode: str) -> None:
    media, picture = shrunk(noise(100, 100, mode=mode), "image/png", 50)
    assert (media.mime, picture.mode) == ("image/png", "RGBA")


def test_an_opaque_alpha_channel_counts_for_nothing() -> None:
    into = BytesIO()
    Image.frombytes("RGB", (64, 64), bytes(range(256)) * 48).convert("RGBA").save(into, "PNG")
    assert shrunk(into.getvalue(), "image/png", 32)[1].mode == "RGB"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_stays(kind: str) -> None:
    into = BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(into, kind, save_all=True, append_images=frames[1:])
    _, picture = shrunk(into.getvalue(), f"image/{kind.lower()}", 32)
    assert getattr(picture, "n_frames", 1) == 1
    red, _, blue = picture.convert("RGB").tobytes()[:3]
    assert red > 200 > 60 > blue


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("L", "PNG"), ("I;16", "PNG"), ("1", "PNG")])
def test_other_modes_are_turned_into_what_models_read(mode: str, kind: str) -> None:
    into = BytesIO()
    Image.new(mode, (64, 64), 0 if mode != "CMYK" else (0, 0, 0, 0)).save(into, kind)
    _, picture = shrunk(into.getvalue(), f"image/{kind.lower()}", 32)
    assert picture.mode in {"L", "RGB"}


def test_a_picture_shrinks_until_its_bytes_fit() -> None:
    media, picture = shrunk(noise(200, 200), "image/png", 200, 6000)
    assert isinstance(media.source, Inline)
    assert len(media.source.data) <= 6000
    assert max(picture.size) < 200


def test_what_cannot_be_opened_or_become_smaller_stays() -> None:
    small = image(noise(20, 20, "JPEG"), "image/jpeg")
    assert shrink(image(claims(9000, 9000)), 100) is None
    assert shrink(image(claims(90, 90, 4000)), 10) is None
    assert shrink(image(b"BM"), 100) is None
    assert shrink(small, 20, 100) is None
    assert shrink(small.model_copy(update={"source": Url(url="http://a")}), 10) is None
    tiny = shrink(small, 20)
    assert tiny is None or opened(tiny).size == (20, 20)
