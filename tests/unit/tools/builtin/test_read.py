from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from treadle.tools.contract import Inline, Media, Outcome, Text, ToolError

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
Read = Callable[..., Awaitable[str]]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"a\nb\n", "1\ta\n2\tb"),
        (b"a\nb", "1\ta\n2\tb"),
        (b"\n\n", "1\t\n2\t"),
        (b"a\r\nb\r\n", "1\ta\n2\tb"),
        (b"", "[empty file]"),
        (b"\xef\xbb\xbfa\n", "1\ta"),
        (b"\xef\xbb\xbf", "[empty file]"),
        ("grün\n".encode("utf-16"), "1\tgrün"),
        ("grün\n".encode("utf-32"), "1\tgrün"),
        (b"caf\xe9\n", "1\tcaf\ufffd\n[bytes that are not UTF-8 are shown as \ufffd]"),
        ("is \ufffd itself\n".encode(), "1\tis \ufffd itself"),
        (b"x" * 2000 + b"\n", "1\t" + "x" * 2000),
        (b"x" * 9000 + b"\nb\n", "1\t" + "x" * 2000 + " [line cut: it is longer]\n2\tb"),
        ("猫".encode() * 2001, "1\t" + "猫" * 2000 + " [line cut: it is longer]"),
    ],
)
async def test_a_file_is_shown_as_numbered_lines(text: Read, root: Path, data: bytes, shown: str) -> None:
    (root / "f").write_bytes(data)
    assert await text("read", path="f") == shown


@pytest.mark.parametrize(
    ("arguments", "first", "last", "note"),
    [
        ({}, "1\tline 1", "2000\tline 2000", "[lines 1 to 2,000 of 3,000; go on with offset=2001]"),
        ({"offset": 2001}, "2001\tline 2001", "3000\tline 3000", None),
        ({"offset": 5, "limit": 2}, "5\tline 5", "6\tline 6", "[lines 5 to 6 of 3,000; go on with offset=7]"),
        ({"offset": 3000, "limit": 1}, "3000\tline 3000", "3000\tline 3000", None),
        (
            {"limit": 9000},
            "1\tline 1",
            "2000\tline 2000",
            "[lines 1 to 2,000 of 3,000; go on with offset=2001]",
        ),
    ],
)
async def test_a_long_file_comes_in_parts(
    text: Read, root: Path, arguments: dict[str, int], first: str, last: str, note: str | None
) -> None:
    (root / "f").write_text("".join(f"line {number}\n" for number in range(1, 3001)), encoding="utf-8")
    lines = (await text("read", path="f", **arguments)).split("\n")
    if note:
        assert lines.pop() == note
    assert (lines[0], lines[-1]) == (first, last)


async def test_bytes_are_capped_too_and_the_parts_join(text: Read, root: Path) -> None:
    original = [f"{number} {'x' * 200}" for number in range(1000)]
    (root / "f").write_text("\n".join(original), encoding="utf-8")
    collected: list[str] = []
    offset: int | None = 1
    while offset:
        *lines, last = (await text("read", path="f", offset=offset)).split("\n")
        assert sum(map(len, lines)) < 60_000
        more = last.startswith("[lines")
        collected += [line.split("\t", 1)[1] for line in (lines if more else [*lines, last])]
        offset = int(last.split("offset=")[1][:-1]) if more else None
    assert collected == original


async def test_a_line_that_spans_many_chunks_is_cut_in_bounded_memory(text: Read, root: Path) -> None:
    with (root / "f").open("wb") as file:
        file.truncate(0)
        file.write(b"head\n" + b"y" * 3_000_000 + b"\ntail\n")
    assert await text("read", path="f", offset=2) == f"2\t{'y' * 2000} [line cut: it is longer]\n3\ttail"


async def test_a_huge_file_is_not_read_to_its_end(text: Read, root: Path) -> None:
    with (root / "f").open("wb") as file:
        file.write(b"line\n" * 10_000)
        file.truncate(20 * 2**30)
    shown = await text("read", path="f", limit=2)
    assert shown == "1\tline\n2\tline\n[lines 1 to 2 of more; go on with offset=3]"


async def test_a_huge_file_in_a_wide_encoding_is_refused(text: Read, root: Path) -> None:
    with (root / "f").open("wb") as file:
        file.write("a".encode("utf-16"))
        file.truncate(2**30)
    with pytest.raises(ToolError, match="f is utf-16-le of 1,073,741,824 bytes; that is too long"):
        await text("read", path="f")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x7fELF\0\0", "f is not text: ELF program or library, 6 bytes"),
        (b"ab\0", "f is not text: binary data, 3 bytes"),
        (b"%PDF-1.7", "f is not text: PDF document, 8 bytes"),
        (b"a\n", "f has 1 lines; offset 7 is behind its end"),
    ],
)
async def test_what_cannot_be_shown_is_explained(text: Read, root: Path, data: bytes, why: str) -> None:
    (root / "f").write_bytes(data)
    with pytest.raises(ToolError, match=f"^read failed: {why}$"):
        await text("read", path="f", offset=7)


@pytest.mark.parametrize(
    ("start", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a\0", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
async def test_a_picture_is_shown(
    run: Callable[..., Awaitable[Outcome]], root: Path, start: bytes, mime: str
) -> None:
    (root / "p").write_bytes(start)
    outcome = await run("read", path="p")
    data = b64encode(start).decode()
    assert outcome.content == (
        Text(text=f"[{mime}, {len(start)} bytes]"),
        Media(kind="image", mime=mime, source=Inline(data=data), filename="p"),
    )


async def test_a_picture_that_is_too_big_is_refused(text: Read, root: Path) -> None:
    (root / "p").write_bytes(PNG + bytes(3_750_000))
    with pytest.raises(ToolError, match=r"p is an image of 3,750,108 bytes; 3,750,000 can be shown"):
        await text("read", path="p")


async def test_a_folder_is_listed(text: Read, root: Path) -> None:
    (root / "d" / "sub").mkdir(parents=True)
    (root / "d" / "file").touch()
    (root / "d" / "new\nline").touch()
    os.mkfifo(root / "d" / "pipe")
    assert await text("read", path="d") == "file\nnew\\nline\npipe@\nsub/"
    assert await text("read", path="d/sub") == "[empty folder]"


async def test_a_long_folder_is_cut(text: Read, root: Path) -> None:
    for number in range(502):
        (root / f"{number:03}").touch()
    assert (await text("read", path=".")).endswith("499\n[500 of 502 names; use glob for the rest]")


async def test_a_pipe_is_refused_and_not_waited_for(text: Read, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ToolError, match="pipe is a device, pipe or socket"):
        await text("read", path="pipe")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("src/mian.py", "src/mian.py does not exist; near names in src: main.py"),
        ("src/Main.PY", "src/Main.PY does not exist; near names in src: main.py"),
        ("src/zzz", "src/zzz does not exist; src has: main.py"),
        ("scr/main.py", r"scr/main.py does not exist; near names in \.: src"),
        ("src/main.py/x", r"src/main.py/x does not exist; near names in src: main.py"),
        ("empty/x", "empty/x does not exist; empty is empty"),
        ("many/zzz", "many/zzz does not exist; many has: 0, 1, 10, 11, 12, 13, 14, 2, 3, 4, ..."),
        ("a" * 300, f"{'a' * 300}: File name too long"),
    ],
)
async def test_a_missing_file_is_told_with_what_is_near(text: Read, root: Path, path: str, why: str) -> None:
    for folder in ("src", "empty", "many"):
        (root / folder).mkdir()
    (root / "src" / "main.py").touch()
    for number in range(15):
        (root / "many" / str(number)).touch()
    with pytest.raises(ToolError, match=f"^read failed: {why}$"):
        await text("read", path=path)


@pytest.mark.parametrize("path", ["", "a\0b"])
async def test_what_cannot_be_a_path_is_refused(text: Read, path: str) -> None:
    with pytest.raises(ToolError, match="A path must not be empty or hold a NUL character"):
        await text("read", path=path)
