"""A tool made from an arguments model and a function."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Function, JsonObject, Outcome, Tool, ToolContext, ToolError

A = TypeVar("A", bound=BaseModel)


def define(
    name: str,
    arguments: type[A],
    *,
    description: str,
    access: Callable[[A, Place], Access],
    run: Callable[[A, ToolContext], Awaitable[Outcome]],
) -> Tool:
    """Return a tool whose calls reach `access` and `run` with checked arguments."""
    spec = Function(name=name, description=description, parameters=schema_of(arguments))
    return _Defined(spec, arguments, access, run)


def schema_of(model: type[BaseModel]) -> JsonObject:
    """Return the model's JSON Schema in the subset that every provider takes.

    Definitions are inlined; titles, defaults and null alternatives are left out; keys come in a fixed order.
    Raises TypeError for a model that contains itself.
    """
    raw = model.model_json_schema()
    return _tidy(raw, raw.get("$defs", {}), ())


@frozen
class _Defined(Generic[A]):
    spec: Function
    model: type[A]
    touches: Callable[[A, Place], Access]
    act: Callable[[A, ToolContext], Awaitable[Outcome]]

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return self.touches(self._check(arguments), place)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        return await self.act(self._check(arguments), ctx)

    def _check(self, arguments: JsonObject) -> A:
        schema = self.spec.parameters
        try:
            json.dumps(arguments, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ToolError(
                f"{self.spec.name} failed: a string holds half a character (a lone surrogate)"
            ) from error
        try:
            return self.model.model_validate(_unwrap(arguments, schema["properties"]))
        except ValidationError as error:
            every = error.errors(include_url=False, include_context=False)
            # A list is called too short for its bad items, which are named by themselves.
            problems = [
                problem for problem in every if problem["type"] != "too_short" or not problem["input"]
            ]
            lines = [f"- {_problem(problem, schema)}" for problem in problems[:_MOST_PROBLEMS]]
            lines += ["- and more"] * (len(problems) > _MOST_PROBLEMS)
            raise ToolError(
                "\n".join((f"{self.spec.name} failed: the arguments do not fit", *lines))
            ) from error


_MOST_PROBLEMS = 10
_KEYS = (
    "type",
    "description",
    "enum",
    "minimum",
    "maximum",
    "minItems",
    "items",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
)
_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def _tidy(node: JsonObject, defs: JsonObject, inside: tuple[str, ...]) -> JsonObject:
    if "$ref" in node:
        name: str = node["$ref"].rsplit("/", 1)[-1]
        if name in inside:
            raise TypeError(f"{name} contains itself; no provider takes such a schema")
        return _tidy({**defs[name], **_without(node, "$ref")}, defs, (*inside, name))
    if "anyOf" in node:
        options: list[JsonObject] = [option for option in node["anyOf"] if option.get("type") != "null"]
        if len(options) == 1:
            return _tidy({**options[0], **_without(node, "anyOf")}, defs, inside)
        node = {**node, "anyOf": [_tidy(option, defs, inside) for option in options]}
    if "const" in node:
        node = {**node, "enum": [node["const"]]}
    if "items" in node:
        node = {**node, "items": _tidy(node["items"], defs, inside)}
    if "properties" in node:
        fields = {name: _tidy(field, defs, inside) for name, field in node["properties"].items()}
        node = {
            **node,
            "properties": fields,
            "required": node.get("required", []),
            "additionalProperties": False,
        }
    elif node.get("type") == "object":
        node = _without(node, "additionalProperties")
    return {key: node[key] for key in _KEYS if key in node}


def _without(node: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in node.items() if name != key}


def _unwrap(arguments: JsonObject, fields: JsonObject) -> JsonObject:
    """Decode lists and objects that the model wrote as JSON strings."""
    return {name: _unwrapped(value, fields.get(name, {}).get("type")) for name, value in arguments.items()}


def _unwrapped(value: object, kind: str | None) -> object:
    if kind not in {"array", "object"} or not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return cast("object", decoded) if isinstance(decoded, list if kind == "array" else dict) else value


def _problem(problem: Mapping[str, Any], schema: JsonObject) -> str:
    """Return one line that names the field and says what was expected there."""
    loc: Sequence[str | int] = problem["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if problem["type"] == "extra_forbidden":
        names: list[str] = list(_at(schema, loc[:-1]).get("properties", {}))
        near = get_close_matches(str(loc[-1]), names, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names) or 'no arguments'}"
        return f"{where}: there is no such argument; {hint}"
    expected = _expected(_at(schema, loc)) or problem["msg"]
    if problem["type"] == "missing":
        return f"{where}: missing; expected {expected}"
    return f"{where}: expected {expected}, got {_brief(problem['input'])}"


def _at(schema: JsonObject, loc: Sequence[str | int]) -> JsonObject:
    for part in loc:
        schema = (
            schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
        )
    return schema


def _expected(schema: JsonObject) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    noun = _NOUNS.get(schema.get("type", ""), "")
    match schema:
        case {"minimum": low, "maximum": high}:
            return f"{noun} from {low} to {high}"
        case {"minimum": low}:
            return f"{noun} of at least {low}"
        case {"minItems": count}:
            return f"{noun} with at least {count} item"
        case _:
            return noun


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
