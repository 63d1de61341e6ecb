from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

Read = Callable[..., Awaitable[str]]

CELLS: list[dict[str, Any]] = [
    {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "words"]},
    {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": "print(1)",
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
            {
                "output_type": "display_data",
                "metadata": {},
                "data": {"text/plain": ["<Figure>"], "image/png": "AAAA"},
            },
            {
                "output_type": "execute_result",
                "execution_count": 1,
                "metadata": {},
                "data": {"text/plain": "2"},
            },
            {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["..."]},
        ],
    },
]


async def test_a_notebook_is_shown_as_its_cells(text: Read, root: Path) -> None:
    notebook: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": CELLS}
    (root / "n.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    shown = [line.partition("\t")[2] for line in (await text("read", path="n.ipynb")).split("\n")]
    assert shown == [
        "[a notebook, shown as its cells; what edit and grep see is its JSON]",
        "",
        "[cell 1: markdown]",
        "# Title",
        "words",
        "",
        "[cell 2: code]",
        "print(1)",
        "[output]",
        "1",
        "[output: image/png]",
        "<Figure>",
        "[output]",
        "2",
        "[error]",
        "ValueError: no",
    ]
    assert await text("read", path="n.ipynb", offset=8, limit=1) == (
        "8\tprint(1)\n[lines 8 to 8 of 16; go on with offset=9]"
    )


@pytest.mark.parametrize("content", ["{", "[]", '{"nbformat": 3, "worksheets": []}', '{"nbformat": 4}'])
async def test_what_is_no_notebook_is_shown_as_it_is(text: Read, root: Path, content: str) -> None:
    (root / "n.ipynb").write_text(content, encoding="utf-8")
    assert await text("read", path="n.ipynb") == f"1\t{content}"
