"""The prompt of a run: from the argument, from standard input, or both."""

from __future__ import annotations

import os
import select
import stat
import sys

from treadle.agent.frontends.outputs import complain

MOST_PROMPT = 10 * 1024 * 1024
"""Bytes of a prompt. More than any model reads at once; a larger text belongs into a file of the workspace."""

SILENCE = 2.0
"""Seconds after which a run says that it waits for standard input."""


class UsageError(Exception):
    """What was asked for makes no sense. The message is one line: what, where, what to do."""


def read_prompt(given: str | None, *, optional: bool = False) -> str | None:
    """Return the prompt from the argument, from standard input, or both. Raises `UsageError`."""
    if given not in {None, "-"} and _has_input() and not select.select([0], [], [], SILENCE)[0]:
        complain("treadle: reading standard input until it is closed; `< /dev/null` gives none")
    piped = _read_stdin() if given in {None, "-"} or _has_input() else ""
    prompt = "" if given in {None, "-"} else given or ""
    if piped.strip():
        prompt = f"{prompt}\n\n<stdin>\n{piped}\n</stdin>" if prompt else piped
    if not prompt.strip():
        if optional:
            return None
        raise UsageError('the prompt is empty: give one, as in treadle run "fix the failing test"')
    try:
        size = len(prompt.encode())
    except UnicodeEncodeError as error:
        raise UsageError("the prompt is not valid UTF-8") from error
    _check_size(size)
    return prompt


def _check_size(size: int) -> None:
    if size > MOST_PROMPT:
        most = MOST_PROMPT // (1024 * 1024)
        raise UsageError(
            f"the prompt is larger than {most} MB: put the text into a file of the workspace and name it"
        )


def _has_input() -> bool:
    """Say whether something was piped in. A terminal, a closed input and /dev/null are nothing."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read_stdin() -> str:
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    try:
        data = sys.stdin.buffer.read(MOST_PROMPT + 1)
    except (OSError, ValueError):
        return ""
    _check_size(len(data))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not valid UTF-8 (byte {error.start})") from error
