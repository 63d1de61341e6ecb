"""Checks of a request, as strict as a provider's, put together from small ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from treadle.agent.mock.jsontext import Json

Check: TypeAlias = Callable[[Json, str], None]
"""Accepts the value at a path, or raises Refused."""


class Refused(Exception):
    """A request that is answered with an error in the API's shape."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, *, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status


def wrong(path: str, what: str, code: str = "invalid_value") -> Refused:
    """A refusal whose message begins with the path."""
    return Refused(f"{path}: {what}", path, code)


def join(path: str, key: str) -> str:
    """The path of a member."""
    return f"{path}.{key}" if path else key


def anything(value: Json, path: str) -> None:
    """Whatever JSON holds."""


def flag(value: Json, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise _mistyped(path, "a boolean", value)


def mapping(value: Json, path: str) -> None:
    """An object of any shape."""
    if not isinstance(value, dict):
        raise _mistyped(path, "an object", value)


def text(least: int = 0, most: int | None = None, pattern: str | None = None) -> Check:
    """A string, so many characters long, matching the whole pattern."""
    shape = re.compile(pattern) if pattern is not None else None

    def check(value: Json, path: str) -> None:
        if not isinstance(value, str):
            raise _mistyped(path, "a string", value)
        if len(value) < least:
            raise wrong(path, f"expected at least {least} character(s)", "string_below_min_length")
        if most is not None and len(value) > most:
            raise wrong(
                path, f"expected at most {most} characters, got {len(value)}", "string_above_max_length"
            )
        if shape is not None and not shape.fullmatch(value):
            raise wrong(path, f"{value[:80]!r} does not match the pattern {shape.pattern}")

    return check


def number(low: float, high: float | None = None) -> Check:
    """A number in this closed range."""

    def check(value: Json, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _mistyped(path, "a number", value)
        _in_range(value, low, high, path)

    return check


def integer(low: int, high: int | None = None) -> Check:
    """A whole number in this closed range."""

    def check(value: Json, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _mistyped(path, "an integer", value)
        _in_range(value, low, high, path)

    return check


def one_of(*choices: str) -> Check:
    """One of these strings."""
    known = frozenset(choices)

    def check(value: Json, path: str) -> None:
        if not isinstance(value, str):
            raise _mistyped(path, "a string", value)
        if value not in known:
            raise wrong(path, f"{value[:80]!r} is not one of {', '.join(choices)}")

    return check


def nullable(check: Check) -> Check:
    """Null, or what the check accepts."""

    def either(value: Json, path: str) -> None:
        if value is not None:
            check(value, path)

    return either


def text_or(other: Check) -> Check:
    """A string, or what the other check accepts."""

    def either(value: Json, path: str) -> None:
        if not isinstance(value, str):
            other(value, path)

    return either


def items(check: Check, least: int = 0, most: int | None = None) -> Check:
    """An array, so many elements long, each accepted by the check."""

    def each(value: Json, path: str) -> None:
        if not isinstance(value, list):
            raise _mistyped(path, "an array", value)
        if len(value) < least:
            raise wrong(path, f"expected at least {least} element(s)", "empty_array")
        if most is not None and len(value) > most:
            raise wrong(path, f"expected at most {most} elements, got {len(value)}", "array_above_max_length")
        for index, element in enumerate(value):
            check(element, f"{path}[{index}]")

    return each


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these members and no others."""
    known = {**required, **(optional or {})}

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise _mistyped(path, "an object", value)
        for key in required:
            if key not in value:
                at = join(path, key)
                raise wrong(at, "missing required parameter", "missing_required_parameter")
        for key, member in value.items():
            inner = known.get(key)
            if inner is None:
                raise wrong(join(path, key), "unknown parameter", "unknown_parameter")
            inner(member, f"{path}.{key}" if path else key)

    return check


def tagged(key: str, variants: Mapping[str, Check]) -> Check:
    """An object whose member `key` says which of the checks it must satisfy."""
    tag = one_of(*variants)

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise _mistyped(path, "an object", value)
        if key not in value:
            raise wrong(join(path, key), "missing required parameter", "missing_required_parameter")
        name = value[key]
        tag(name, join(path, key))
        variants[str(name)](value, path)

    return check


def _in_range(value: float, low: float, high: float | None, path: str) -> None:
    if value < low:
        raise wrong(path, f"expected a value of at least {low:g}, got {value}", "below_min_value")
    if high is not None and value > high:
        raise wrong(path, f"expected a value of at most {high:g}, got {value}", "above_max_value")


def _mistyped(path: str, expected: str, value: Json) -> Refused:
    match value:
        case None:
            got = "null"
        case bool():
            got = "a boolean"
        case str():
            got = "a string"
        case int() | float():
            got = "a number"
        case list():
            got = "an array"
        case dict():
            got = "an object"
    return wrong(path or "body", f"expected {expected}, got {got}", "invalid_type")
