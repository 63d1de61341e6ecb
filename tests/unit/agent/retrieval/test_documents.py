from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from docx import Document

from treadle.agent.retrieval.chunks import CHUNK, Chunk, Piece, chunks
from treadle.agent.retrieval.outline import MOST, Outline
from treadle.agent.retrieval.readers.pdf import pdf_pieces
from treadle.agent.retrieval.readers.sheets import sheet_pieces
from treadle.agent.retrieval.readers.text import csv_pieces, markdown_pieces, text_pieces
from treadle.agent.retrieval.readers.web import html_pieces
from treadle.agent.retrieval.readers.word import word_pieces

Reader = Callable[[Path], Iterator[Piece]]


def read(reader: Reader, path: Path) -> list[Chunk]:
    return list(chunks(reader(path)))


def test_pieces_are_joined_below_one_heading_and_cut_when_they_are_long() -> None:
    pieces = [
        Piece("a" * 500, ("One",), "line", 1),
        Piece("b" * 500, ("One",), "line", 2),
        Piece("c" * 500, ("One",), "line", 3),
        Piece("word " * 600, ("One", "Two"), "line", 4),
        Piece("   ", ("One",), "line", 5),
    ]
    found = list(chunks(pieces))
    assert [(one.title, one.place) for one in found][:3] == [
        ("One", "lines 1-2"),
        ("One", "line 3"),
        ("One > Two", "line 4"),
    ]
    assert all(0 < len(one.text) <= CHUNK + 1 for one in found)
    assert "".join(one.text for one in found[2:]).replace(" ", "") == "word" * 600


def test_markdown_has_headings_but_not_in_code(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("# A\nx\n```\n# no\n```\n## B #\ny\n# C\nz\n", encoding="utf-8")
    titles = [(one.title, one.place) for one in read(markdown_pieces, file)]
    assert titles == [("A", "lines 1-5"), ("A > B", "lines 6-7"), ("C", "lines 8-9")]


def test_plain_text_is_read_whatever_its_bytes_are(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\n\xff two\n")
    assert [one.text for one in text_pieces(file)] == ["one", "\N{REPLACEMENT CHARACTER} two"]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_rows_name_their_columns(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"name{mark}age\nAda{mark}36\n\nBob{mark}\n", encoding="utf-8")
    (only,) = read(csv_pieces, file)
    assert only.text == "name | age\nname: Ada; age: 36\nname: Bob"
    assert only.place == "rows 1-4"


def test_a_page_is_read_without_its_scripts(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_text(
        "<head><title>t</title></head><h1>One</h1><p>a &amp; <b>b</b></p><script>x()</script>"
        "<h2>Two</h2><ul><li>c<li>d</ul><table><tr><td>e</td><td>f</td></tr></table>",
        encoding="utf-8",
    )
    assert [(one.title, one.text) for one in read(html_pieces, file)] == [
        ("One", "One\na & b"),
        ("One > Two", "Two\nc\nd\ne f"),
    ]


def test_a_document_of_word_has_headings_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "a.docx"
    document = Document()
    document.add_heading("One", 1)
    document.add_paragraph("Hello.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "k", "v"
    document.save(str(file))
    assert [(one.title, one.text) for one in read(word_pieces, file)] == [("One", "One\nHello.\nk | v")]


def test_a_spreadsheet_has_its_sheets_as_headings(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    file.write_bytes(spreadsheet("Ages", [["name", "age"], ["Ada", "36"]]))
    assert [(one.title, one.text) for one in read(sheet_pieces, file)] == [
        ("Ages", "name | age\nname: Ada; age: 36")
    ]


def test_a_pdf_has_pages_below_its_contents(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(pdf("First page", "Second page"))
    assert [(one.title, one.place, one.text.strip()) for one in read(pdf_pieces, file)] == [
        ("Part 1", "page 1", "First page"),
        ("Part 2", "page 2", "Second page"),
    ]


@pytest.mark.parametrize("reader", [pdf_pieces, sheet_pieces, word_pieces])
def test_what_is_broken_says_so(tmp_path: Path, reader: Reader) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(OSError, match=r"a\.bin"):
        list(reader(file))


def test_an_outline_is_as_deep_as_there_is_room_for() -> None:
    small = Outline()
    list(small.noting([Chunk("t", "A > B", ""), Chunk("t", "A > C", "")]))
    assert small.text(7) == "- A (from #7)\n  - B (from #7)\n  - C (from #8)"
    large = Outline()
    list(large.noting(Chunk("t", f"Chapter {n // 50} > Part {n}", "") for n in range(1_000)))
    assert "Part" not in large.text(1)
    assert "- Chapter 19 (from #951)" in large.text(1)
    huge = Outline()
    list(huge.noting(Chunk("t", f"Chapter {n}", "") for n in range(5_000)))
    assert len(huge.text(1)) < MOST
    assert "5000 headings" in huge.text(1)
    bare = Outline()
    list(bare.noting([Chunk("It was a dark night.", "", "line 1")]))
    assert bare.text(1) == "(no headings) It begins: It was a dark night."


def spreadsheet(sheet: str, table: list[list[str]]) -> bytes:
    """Return the smallest XLSX that holds a table of texts."""
    rows = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{value}</t></is></c>' for value in row) + "</row>"
        for row in table
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    target = BytesIO()
    with ZipFile(target, "w") as file:
        file.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{rel}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{rel}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        file.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
        )
    return target.getvalue()


def pdf(*pages: str) -> bytes:
    """Return a PDF with a line on each page and an entry of its contents for each."""
    count = len(pages)
    kids = " ".join(f"{4 + 3 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Outlines 3 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] >>",
        f"<< /Type /Outlines /Count {count} /First 6 0 R /Last {3 + 3 * count} 0 R >>",
    ]
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    for number, text in enumerate(pages):
        first = 4 + 3 * number
        line = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
        following = f"/Next {first + 5} 0 R" if number + 1 < count else ""
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents {first + 1} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>",
            f"<< /Length {len(line)} >>\nstream\n{line}\nendstream",
            f"<< /Title (Part {number + 1}) /Parent 3 0 R /Dest [{first} 0 R /Fit] {following} >>",
        ]
    written, places = "%PDF-1.4\n", list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size, start = len(objects) + 1, len(written)
    written += f"xref\n0 {size}\n0000000000 65535 f \n{table}"
    return f"{written}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
