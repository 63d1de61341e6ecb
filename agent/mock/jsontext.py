"""JSON as it travels: read as strictly as a provider reads it, written compactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = "dict[str, Json]"
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ESCAPED = json.JSONEncoder(separators=(",", ":"))
EMPTY: Mapping[str, Json] = {}


def read(text: str) -> Json:
    """Parse strict JSON. Raises ValueError: also for NaN, Infinity, endless nesting and endless numbers."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def write(value: object) -> bytes:
    """Compact UTF-8. Text that UTF-8 cannot hold (lone surrogates) goes out escaped."""
    try:
        return _PLAIN.encode(value).encode()
    except UnicodeEncodeError:
        return _ESCAPED.encode(value).encode()


def size(text: str) -> int:
    """Bytes of this text in UTF-8, lone surrogates included."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def members(value: Json) -> Mapping[str, Json]:
    """The members of an object; none for anything else."""
    return value if isinstance(value, dict) else EMPTY


def elements(value: Json) -> list[Json]:
    """The elements of an array; none for anything else."""
    return value if isinstance(value, list) else []


def words(value: Json) -> str:
    """The string, or "" for anything else."""
    return value if isinstance(value, str) else ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
