from __future__ import annotations

from wires.matrix import PAGE, page


def test_the_page_of_providers_says_what_holds_now() -> None:
    told = page()
    assert PAGE.read_text(encoding="utf-8") == told, (
        "renew it: cd tests && ../.venv/bin/python -m wires.matrix"
    )
    cells = [line.split(" | ") for line in told.splitlines() if line.startswith("| ") and " | " in line]
    assert all(cell.strip(" |") for row in cells for cell in row[1:])
