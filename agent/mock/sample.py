"""The plainest value that a JSON Schema accepts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words

DEEPEST = 16
"""References followed inside one another before a recursive schema is cut short with null."""


def sample(schema: Json) -> Json:
    """A value valid under the schema; `pattern`, `format`, `not` and `if` are not looked at."""
    return _sample(schema, members(schema), 0)


def _sample(schema: Json, root: Mapping[str, Json], depth: int) -> Json:
    rules = members(schema)
    if depth > DEEPEST:
        return None
    for key in ("const", "default"):
        if key in rules:
            return rules[key]
    for key in ("enum", "examples"):
        if found := elements(rules.get(key)):
            return found[0]
    if reference := words(rules.get("$ref")):
        return _sample(_resolve(reference, root), root, depth + 1)
    if found := elements(rules.get("anyOf")) or elements(rules.get("oneOf")):
        return _sample(found[0], root, depth + 1)
    if parts := elements(rules.get("allOf")):
        rules = _joined([*parts, dict(rules)], root)
    return _by_type(rules, root, depth)


def _by_type(rules: Mapping[str, Json], root: Mapping[str, Json], depth: int) -> Json:
    kinds = rules.get("type")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    match kind:
        case "string":
            return _string(rules)
        case "integer" | "number":
            return _number(rules, whole=kind == "integer")
        case "boolean":
            return False
        case "null":
            return None
        case "array":
            least = rules.get("minItems")
            count = least if isinstance(least, int) else 0
            return [_sample(rules.get("items"), root, depth + 1) for _ in range(count)]
        case _:
            properties = members(rules.get("properties"))
            names = [name for name in map(words, elements(rules.get("required"))) if name]
            return {
                name: _sample(properties.get(name, {"type": "string"}), root, depth + 1) for name in names
            }


def _string(rules: Mapping[str, Json]) -> str:
    least, most = rules.get("minLength"), rules.get("maxLength")
    text = "mock"
    if isinstance(least, int) and least > len(text):
        text = text.ljust(least, ".")
    return text[:most] if isinstance(most, int) else text


def _number(rules: Mapping[str, Json], *, whole: bool) -> int | float:
    def bound(key: str, away: int) -> float | None:
        exclusive, inclusive = rules.get(f"exclusive{key.capitalize()}"), rules.get(key)
        if isinstance(exclusive, int | float) and not isinstance(exclusive, bool):
            return exclusive + away
        return inclusive if isinstance(inclusive, int | float) else None

    low, high = bound("minimum", 1), bound("maximum", -1)
    value = max(low, 0.0) if low is not None else 0.0
    if high is not None:
        value = min(value, high)
    step = rules.get("multipleOf")
    if isinstance(step, int | float) and step > 0:
        value = math.ceil(value / step) * step
    return math.ceil(value) if whole or float(value).is_integer() else value


def _resolve(reference: str, root: Mapping[str, Json]) -> Json:
    found: Json = dict(root)
    for part in reference.removeprefix("#").split("/")[1:]:
        found = members(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _joined(parts: list[Json], root: Mapping[str, Json]) -> JsonObject:
    whole: JsonObject = {}
    properties: JsonObject = {}
    required: list[Json] = []
    for part in parts:
        reference = words(members(part).get("$ref"))
        rules = members(_resolve(reference, root)) if reference else members(part)
        whole |= {key: value for key, value in rules.items() if key != "$ref"}
        properties |= members(rules.get("properties"))
        required += elements(rules.get("required"))
    return {**whole, "properties": properties, "required": required}
