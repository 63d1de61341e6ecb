"""What must hold before a turn may end as done: each check can send the model back to work."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from treadle.prompts import load
from treadle.sandbox.contract import Sandbox
from treadle.sandbox.frozen import frozen
from treadle.sandbox.run import run
from treadle.tools.contract import JsonObject

Judge: TypeAlias = Callable[[str], Awaitable[str | None]]
"""Takes the final message; returns what is wrong, for the model, or None."""

_TAIL = 4_000
"""Characters of a failed command's output that the model is told."""


@frozen
class Check:
    """One condition on the end of a turn."""

    judge: Judge
    failed: str
    """One line for the user when the model could not meet it."""
    tries: int = 2
    """Times that the model may try, the first one included."""


def fits_schema(schema: JsonObject, misfit: Callable[[Any, JsonObject], str]) -> Check:
    """Demand a final message that is JSON and fits a schema. `misfit` says what does not fit, or nothing."""

    async def judge(message: str) -> str | None:
        try:
            wrong = misfit(json.loads(message, parse_constant=_no_constant), schema)
        except (ValueError, RecursionError) as error:
            wrong = f"it is not JSON: {error}"
        return load("notices/schema", wrong=wrong) if wrong else None

    return Check(judge, "the final message does not fit the output schema")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


def is_json() -> Check:
    """Demand a final message that is one JSON object."""
    check = fits_schema({}, lambda value, _: "" if isinstance(value, dict) else "it is no object")
    return Check(check.judge, "the final message is not a JSON object")


def verified(sandbox: Sandbox, command: str, time_limit: float = 600.0) -> Check:
    """Demand that a command succeeds, in the sandbox. Its output goes to the model when it does not."""

    async def judge(message: str) -> str | None:
        finished = await run(sandbox, ("bash", "-c", command), time_limit=time_limit, most=64 * 1024)
        if finished.exit_code == 0 and not finished.timed_out:
            return None
        how = f"no end after {time_limit:g} s" if finished.timed_out else f"exit code {finished.exit_code}"
        output = finished.output.decode("utf-8", "replace")[-_TAIL:]
        return load("notices/verify", command=command, how=how, output=output)

    return Check(judge, f"`{command}` does not succeed", tries=3)
