"""A Jupyter notebook as text: its cells, with what they printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from treadle.prompts import load

Lines = str | list[str]


class _Output(BaseModel):
    output_type: Literal["stream", "display_data", "execute_result", "error"]
    text: Lines = ""
    data: dict[str, Any] = Field(default_factory=dict)
    ename: str = ""
    evalue: str = ""


class _Cell(BaseModel):
    cell_type: Literal["code", "markdown", "raw"]
    source: Lines
    outputs: list[_Output] = Field(default_factory=list[_Output])


class _Notebook(BaseModel):
    """What nbformat 4 says of a notebook, as far as it is shown."""

    nbformat: Literal[4]
    cells: list[_Cell]


def shown_cells(data: bytes) -> str | None:
    """Return the text; None when this is no notebook of format 4."""
    try:
        notebook = _Notebook.model_validate(json.loads(data))
    except (ValueError, RecursionError, ValidationError):
        return None
    lines = [load("notices/notebook")]
    for number, cell in enumerate(notebook.cells, 1):
        lines += ["", f"[cell {number}: {cell.cell_type}]", _joined(cell.source)]
        lines += [line for output in cell.outputs for line in _output(output)]
    return "\n".join(lines) + "\n"


def _output(output: _Output) -> Iterator[str]:
    match output.output_type:
        case "stream":
            yield f"[output]\n{_joined(output.text).rstrip()}"
        case "error":
            yield f"[error]\n{output.ename}: {output.evalue}"
        case "display_data" | "execute_result":
            plain = output.data.get("text/plain", "")
            text = plain if isinstance(plain, str) else "".join(map(str, plain))
            others = sorted(output.data.keys() - {"text/plain"})
            yield f"[output{': ' if others else ''}{', '.join(others)}]\n{text}".rstrip()


def _joined(text: Lines) -> str:
    return text if isinstance(text, str) else "".join(text)
