"""JSON as providers send it, read so that it can be kept and shown."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from treadle.agent.providers.rendering import dumps

_UNSOUND: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""Where an escape may be NUL or half of a character; a pair of halves is read for nothing."""


def loads(text: str) -> Any:
    """Return what a text holds, sound. Raises ValueError for what is no JSON, or nested beyond reason."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return sound(value) if _UNSOUND.search(text) else value


def sound(value: Any) -> Any:
    """Return JSON without halves of characters and without NUL, which can be neither kept nor shown."""
    return json.loads(dumps(value))
