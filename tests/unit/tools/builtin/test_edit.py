from __future__ import annotations

import codecs
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from treadle.sandbox.contract import Access
from treadle.tools.builtin.edit import Edit, Made, apply
from treadle.tools.contract import Outcome, Text, Tool, ToolContext, ToolError

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Outcome]]
CODE = "def f():\n    return 1\n\n\ndef g():\n    return 1\n"


def edited(data: bytes, *edits: tuple[str, str]) -> bytes:
    return apply(data, [Edit(old=old, new=new) for old, new in edits]).data


def refusal(data: bytes, *edits: Edit) -> str:
    with pytest.raises(ToolError) as caught:
        apply(data, edits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "old", "new", "result"),
    [
        (b"a b c", "b", "B", b"a B c"),
        (b"a b c", "a b c", "", b""),
        (b"a\nb\n", "a\nb", "x\ny\nz", b"x\ny\nz\n"),
        # The line ends of the place win, whatever the model wrote.
        (b"a\r\nb\r\n", "a\nb", "x\ny", b"x\r\ny\r\n"),
        (b"a\r\nb\r\n", "a\r\nb", "x\r\ny", b"x\r\ny\r\n"),
        (b"a\r\nb\r\nc", "c", "x\ny", b"a\r\nb\r\nx\r\ny"),
        (b"a\r\nb\nc\r\n", "a\nb\nc", "x", b"x\r\n"),
        (b"a\nb\r\nc\n", "a", "x\ny", b"x\ny\nb\r\nc\n"),
        (b"a\nb\r\nc\n", "b", "x\ny", b"a\nx\r\ny\r\nc\n"),
        (b"a\r\n\r\nb\r\n", "\nb", "\nc", b"a\r\n\r\nc\r\n"),
        (b"a\r\nb\r\n", "\nb", "b", b"ab\r\n"),
        (b"one\rtwo\r", "two", "x\ny", b"one\rx\ny\r"),
        (b"only", "only", "x\ny", b"x\ny"),
        # Bytes that are not UTF-8 stay what they are.
        (b"caf\xe9 = 1\n", "= 1", "= 2", b"caf\xe9 = 2\n"),
        (b"\x00\xff\x00key\x00", "key", "KEY", b"\x00\xff\x00KEY\x00"),
        ("猫 = 1".encode("shift-jis"), "= 1", "= 2", "猫 = 2".encode("shift-jis")),
        ("猫 = 1".encode("gbk"), "= 1", "= 2", "猫 = 2".encode("gbk")),
        ("grün".encode(), "ü", "üü", "grüün".encode()),
        # A regular expression is only text here.
        (b"a.*b\\n", ".*b\\n", "$1\\g<0>", b"a$1\\g<0>"),
    ],
)
def test_only_the_bytes_that_were_meant_change(data: bytes, old: str, new: str, result: bytes) -> None:
    assert edited(data, (old, new)) == result


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_marks_and_their_encodings_are_kept(mark: bytes, codec: str, end: str) -> None:
    before = f"one{end}zwei ü{end}three{end}"
    after = f"one{end}2 ö{end}2½{end}three{end}"
    assert edited(mark + before.encode(codec), ("zwei ü\n", "2 ö\n2½\n")) == mark + after.encode(codec)


def test_in_a_wide_encoding_a_match_between_characters_does_not_count() -> None:
    mark = codecs.BOM_UTF16_LE
    assert edited(mark + "\u6100\u0061a".encode("utf-16-le"), ("\u0061\u0061", "x")).endswith(
        "\u6100x".encode("utf-16-le")
    )
    assert "not found" in refusal(
        mark + "\u6161\u6161".encode("utf-16-le"), Edit(old="\u6161\u6161\u6161", new="")
    )
    shifted = mark + b"\x00\x61\x00\x62\x00"
    assert "not found" in refusal(shifted, Edit(old="ab", new=""))


@pytest.mark.parametrize("number", range(100))
def test_untouched_bytes_of_any_file_are_identical(number: int) -> None:
    chance = random.Random(number)
    before, after = chance.randbytes(chance.randrange(300)), chance.randbytes(chance.randrange(300))
    before = (
        before.replace(b"NEEDLE", b"").removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)
    )
    assert edited(before + b"NEEDLE" + after, ("NEEDLE", "x")) == before + b"x" + after


def test_several_edits_are_found_in_the_original() -> None:
    made = apply(b"a b c d", [Edit(old="d", new="a"), Edit(old="a", new="long"), Edit(old="c", new="")])
    assert made == Made(b"long b  a", (0, 7, 8))


def test_all_places_are_replaced_when_asked() -> None:
    assert apply(b"a a aa", [Edit(old="a", new="b", replace_all=True)]).data == b"b b bb"


@pytest.mark.parametrize(
    ("data", "edit", "why"),
    [
        (b"x", Edit(old="", new="y"), "old is empty; use write to make or replace a whole file"),
        (b"x", Edit(old="x", new="x"), "old and new are the same"),
        (
            CODE.encode(),
            Edit(old="return 1", new="return 2"),
            "old was found 2 times (lines 2, 6); include more context or set replace_all",
        ),
        (
            b"x\nx\nx\n",
            Edit(old="x\nx", new="x"),
            "old was found 2 times (lines 1, 2); include more context or set replace_all",
        ),
        (
            b"x\r\nx\r\nx\r\n",
            Edit(old="x\nx", new="x"),
            "old was found 2 times (lines 1, 2); include more context or set replace_all",
        ),
        (
            b"x\n" * 12,
            Edit(old="x", new="y"),
            "old was found 12 times (lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...); include more context or set replace_all",
        ),
        (
            b"caf\xe9 x",
            Edit(old="x", new="\ufffd"),
            "the file is not UTF-8; only ASCII text can be put into it",
        ),
        (
            CODE.encode(),
            Edit(old="def f():\n\treturn 1", new="x"),
            "old was not found; tabs and spaces differ. The nearest lines:\n"
            "1\tdef f():\n2\t    return 1\n3\t\n4\t",
        ),
        (
            CODE.encode(),
            Edit(old="def g():\n  return 1", new="x"),
            "old was not found; the indentation or spacing differs. The nearest lines:\n"
            "4\t\n5\tdef g():\n6\t    return 1\n7\t",
        ),
        (
            b"a line  \nanother\n",
            Edit(old="a line\nanother\n", new="x"),
            "old was not found; spaces at the end of lines differ. The nearest lines:\n1\ta line  \n2\tanother\n3\t",
        ),
        (
            CODE.encode(),
            Edit(old="1\tdef f():\n2\t    return 1", new="x"),
            "old was not found; it holds the line numbers that read shows; leave them out. The nearest lines:\n"
            "1\tdef f():\n2\t    return 1\n3\t\n4\t",
        ),
        (
            b"caf\xe9 = 1\n",
            Edit(old="caf\ufffd = 1", new="x"),
            "old was not found; it holds the sign for bytes that are not UTF-8; pick a part without it. "
            "The nearest lines:\n1\tcaf\ufffd = 1\n2\t",
        ),
        (
            CODE.encode(),
            Edit(old="def h():\n    return 1", new="def g():\n    return 1"),
            "old was not found; new is already there, at line 5. The nearest lines:\n"
            "1\tdef f():\n2\t    return 1\n3\t\n4\t",
        ),
        (
            b"something else entirely\n",
            Edit(old="qqq", new="x"),
            "old was not found; read the file again and copy the text exactly",
        ),
        (b"", Edit(old="q", new="x"), "old was not found; read the file again and copy the text exactly"),
        (
            b"import os\nvalue = compute(first, second)\nend\n",
            Edit(old="value = compute(first, third)", new="x"),
            "old was not found; read the file again and copy the text exactly. The nearest lines:\n"
            "1\timport os\n2\tvalue = compute(first, second)\n3\tend",
        ),
    ],
)
def test_an_edit_that_cannot_be_made_is_explained(data: bytes, edit: Edit, why: str) -> None:
    assert refusal(data, edit) == f"edit failed: {why}"


def test_every_edit_that_cannot_be_made_is_named() -> None:
    edits = (Edit(old="x", new="x"), Edit(old="a", new="b"), Edit(old="", new="x"))
    assert refusal(b"a", *edits) == (
        "edit failed: edit 1: old and new are the same\n"
        "edit failed: edit 3: old is empty; use write to make or replace a whole file\n"
        "Nothing was changed."
    )


def test_edits_that_overlap_are_refused() -> None:
    assert refusal(b"abcd", Edit(old="bc", new="x"), Edit(old="abc", new="y")) == (
        "edit failed: edits 2 and 1 overlap; make them one\nNothing was changed."
    )


def test_a_miss_in_a_long_file_shows_few_lines_and_is_found_soon() -> None:
    lines = [f"    value_{number} = compute(number={number}, other={number * 7})" for number in range(20_000)]
    data = "\n".join(lines).encode()
    started = time.process_time()
    exact = refusal(
        data,
        Edit(old="\n".join(line[number % 2 :] for number, line in enumerate(lines[9_000:9_050])), new="x"),
    )
    similar = refusal(data, Edit(old="    value_15000 = compute(nummber=15000, othr=105000)", new="x"))
    assert time.process_time() - started < 10
    assert exact.split("\n")[1] == f"9000\t{lines[8_999]}"
    assert len(exact.split("\n")) == 13
    assert f"15001\t{lines[15_000]}" in similar


async def test_an_edit_is_made_and_told(run: Run, root: Path) -> None:
    (root / "f.py").write_text(CODE, encoding="utf-8")
    outcome = await run(
        "edit", path="f.py", edits=[{"old": "def g():\n    return 1", "new": "def g():\n    return 2"}]
    )
    assert (root / "f.py").read_text(encoding="utf-8") == CODE[:-2] + "2\n"
    assert outcome.content == (Text(text="edited f.py: 1 replaced at line 5 (+1 -1 lines)"),)
    assert outcome.details == {
        "changes": [{"path": "f.py", "kind": "update"}],
        "diff": "--- a/f.py\n+++ b/f.py\n@@ -3,4 +3,4 @@\n \n \n def g():\n-    return 1\n+    return 2\n",
        "ignoring": [],
    }


async def test_a_second_edit_needs_no_reading_in_between(run: Run, root: Path) -> None:
    (root / "f").write_text("a b", encoding="utf-8")
    await run("read", path="f")
    await run("edit", path="f", edits=[{"old": "a", "new": "x"}])
    await run("edit", path="f", edits=[{"old": "b", "new": "y"}])
    assert (root / "f").read_text(encoding="utf-8") == "x y"


async def test_what_is_untouched_in_a_file_that_changed_since_it_was_read_is_edited(
    run: Run, root: Path
) -> None:
    (root / "f").write_text("a b", encoding="utf-8")
    await run("read", path="f")
    (root / "f").write_text("a b c", encoding="utf-8")
    outcome = await run("edit", path="f", edits=[{"old": "a", "new": "x"}])
    assert (root / "f").read_text(encoding="utf-8") == "x b c"
    assert "changed on disk since you read it" in str(outcome.content)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"old": "two", "new": "x"}, "since you read it.\nedit failed: old was not found; "),
        ({"old": "one\nend", "new": "x"}, "and old is not there exactly; read it again"),
        ({"old": "e", "new": "x", "replace_all": True}, "read it again before you replace all of anything"),
    ],
)
async def test_what_changed_since_it_was_read_is_not_edited(
    run: Run, root: Path, edit: dict[str, Any], why: str
) -> None:
    (root / "f").write_text("one\ntwo\nend", encoding="utf-8")
    await run("read", path="f")
    (root / "f").write_text("one \nend", encoding="utf-8")
    with pytest.raises(ToolError) as caught:
        await run("edit", path="f", edits=[edit])
    assert str(caught.value).startswith("edit failed: f changed on disk since you read it")
    assert why in str(caught.value)
    assert (root / "f").read_text(encoding="utf-8") == "one \nend"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing", "missing does not exist; near names in .: missing.py"),
        ("d", "d is not a file of at most 67,108,864 bytes"),
        ("big", "big is not a file of at most 67,108,864 bytes"),
        ("../outside.txt", "outside the folders that may be written"),
    ],
)
async def test_what_cannot_be_edited_is_explained(run: Run, root: Path, path: str, why: str) -> None:
    (root / "d").mkdir()
    (root / "missing.py").touch()
    (root.parent / "outside.txt").write_text("a", encoding="utf-8")
    with (root / "big").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(ToolError) as caught:
        await run("edit", path=path, edits=[{"old": "a", "new": "b"}])
    assert str(caught.value).startswith("edit failed: ")
    assert why in str(caught.value)
    assert (root.parent / "outside.txt").read_text(encoding="utf-8") == "a"


@pytest.mark.parametrize("edits", [[], "x", [{"old": "a"}], [{"old": "a", "new": "b", "all": True}]])
async def test_edits_of_another_shape_are_refused(run: Run, edits: Any) -> None:
    with pytest.raises(ToolError, match=r"^edit failed: the arguments do not fit\n- edits"):
        await run("edit", path="f", edits=edits)


def test_it_says_what_it_would_touch(tools: dict[str, Tool], ctx: ToolContext, root: Path) -> None:
    access = tools["edit"].access({"path": "f", "edits": [{"old": "a", "new": "b"}]}, ctx.sandbox.place)
    assert access == Access(tool="edit", reads=(f"{root}/f",), writes=(f"{root}/f",))
