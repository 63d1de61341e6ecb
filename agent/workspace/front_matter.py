"""The front matter of a Markdown file that is more than plain lines: YAML, with the usual mistake forgiven."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import yaml

_VALUE = re.compile(r"^([A-Za-z][\w-]*):[ \t]+([^'\"\[{>|\s].*?)[ \t]*$", re.MULTILINE)


def parse(front: str) -> Mapping[str, str]:
    """Return the fields at the top, each as text; lists and maps as YAML writes them. Raises ValueError."""
    try:
        given: object = yaml.safe_load(front)
    except (yaml.YAMLError, RecursionError):
        given = _quoted(front)
    if not isinstance(given, dict):
        raise ValueError("its front matter is not a map of YAML")
    return {str(key): _text(value) for key, value in cast(dict[object, object], given).items()}


def _quoted(front: str) -> object:
    """Read once more with the values in quotes: an unquoted colon is the usual mistake."""
    quoted = _VALUE.sub(lambda found: f"{found[1]}: '{found[2].replace(chr(39), chr(39) * 2)}'", front)
    try:
        return yaml.safe_load(quoted)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"its front matter is not YAML: {str(error).splitlines()[0]}") from error


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return value
        case list():
            return ", ".join(map(str, cast(list[object], value)))
        case _:
            return yaml.safe_dump(value, default_flow_style=True).strip()
