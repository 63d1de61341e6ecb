from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.tools.output import SHOWN, Recorder, Ring, clean

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"\x1b[31mred\x1b[0m \x1b[2K\x1b[1;5Hx", "    x"),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        (b"\x1b(Bplain\x1b=", "plain"),
        (b"10%\r50%\r100%\ndone", "100%\ndone"),
        (b"windows\r\nends\r\n", "windows\nends\n"),
        (b"caf\xe9 \xff", "caf\ufffd \ufffd"),
        (b"nul\0bell\x07tab\t", "nul\ufffdbell\ufffdtab\t"),
        ("grün 猫".encode(), "grün 猫"),
    ],
)
def test_terminal_bytes_become_plain_text(data: bytes, text: str) -> None:
    assert clean(data) == text


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_counts_are_exact_however_output_is_chunked(chunks: list[bytes]) -> None:
    ring = Ring(head=7, tail=5)
    for chunk in chunks:
        ring.feed(chunk)
    whole = b"".join(chunks)
    assert ring.bytes == len(whole)
    assert ring.lines == len(whole.split(b"\n")) - (not whole or whole.endswith(b"\n"))


@given(st.binary(max_size=300), st.randoms(use_true_random=False))
def test_short_output_is_shown_whole(data: bytes, chance: random.Random) -> None:
    ring = Ring(head=200, tail=100)
    rest = data
    while rest:
        size = chance.randint(1, 40)
        ring.feed(rest[:size])
        rest = rest[size:]
    view = ring.view(200, 100, "")
    assert not view.cut
    assert view.text == clean(data)


def test_long_output_keeps_whole_lines_of_both_ends() -> None:
    ring = Ring(head=1000, tail=1000)
    lines = [f"line {number}\n".encode() for number in range(10_000)]
    for line in lines:
        ring.feed(line)
    view = ring.view(25, 25, "see there")
    shown = b"".join(lines[:3] + lines[-2:])
    assert view.cut
    lost = sum(map(len, lines)) - len(shown)
    assert view.text == (
        f"line 0\nline 1\nline 2\n[cut here: {lost:,} bytes, 9,995 line ends; see there]\nline 9998\nline 9999\n"
    )


def test_one_endless_line_is_cut_between_characters() -> None:
    ring = Ring(head=10, tail=10)
    for _ in range(1000):
        ring.feed("猫".encode())
    view = ring.view(10, 10, "x")
    assert view.text == "猫猫猫\n[cut here: 2,982 bytes, 0 line ends; x]\n猫猫猫"


def test_output_that_fits_in_memory_is_cut_all_the_same() -> None:
    ring = Ring(head=1000, tail=1000)
    ring.feed(b"a\n" * 100)
    view = ring.view(4, 6, "x")
    assert view.text == "a\na\n[cut here: 192 bytes, 96 line ends; x]\na\na\n"


async def test_short_output_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    async with Recorder(str(path)) as recorder:
        await recorder.feed(b"x" * SHOWN)
    assert recorder.spill is None
    assert not path.exists()
    assert not recorder.view(failed=False).cut


async def test_long_output_is_whole_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    chunks = [random.Random(number).randbytes(3000) for number in range(100)]
    async with Recorder(str(path)) as recorder:
        for chunk in chunks:
            await recorder.feed(chunk)
    assert path.read_bytes() == b"".join(chunks)
    assert path.stat().st_mode & 0o777 == 0o600
    assert recorder.spill == str(path)
    assert f"all of it is in {path}: use read or grep on it" in recorder.view(failed=False).text


async def test_a_failure_shows_more_of_the_end(tmp_path: Path) -> None:
    async with Recorder(str(tmp_path / "out")) as recorder:
        await recorder.feed(b"".join(b"%7d\n" % number for number in range(20_000)))
    good, bad = (recorder.view(failed=failed).text.split("[cut here") for failed in (False, True))
    assert len(good[0]) == pytest.approx(SHOWN / 2, abs=100)
    assert len(bad[0]) == pytest.approx(SHOWN / 4, abs=100)
    assert len(bad[1]) == pytest.approx(3 * SHOWN / 4, abs=200)


async def test_the_file_is_bounded_and_the_notice_says_so(tmp_path: Path) -> None:
    path = tmp_path / "out"
    async with Recorder(str(path), kept=50_000) as recorder:
        for _ in range(30):
            await recorder.feed(b"0123456789" * 300)
    assert path.stat().st_size == 50_000
    assert recorder.bytes == 90_000
    assert f"the first 50,000 bytes are in {path}" in recorder.view(failed=False).text


async def test_output_that_cannot_be_kept_is_still_shown(tmp_path: Path) -> None:
    async with Recorder(str(tmp_path / "missing" / "out")) as recorder:
        for _ in range(3):
            await recorder.feed(b"x\n" * SHOWN)
    assert recorder.spill is None
    assert "the rest could not be kept (No such file or directory)" in recorder.view(failed=False).text


async def test_a_link_in_the_files_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "out").symlink_to(victim)
    async with Recorder(str(tmp_path / "out")) as recorder:
        await recorder.feed(b"x" * 2 * SHOWN)
    assert victim.read_text(encoding="utf-8") == "precious"
