"""Files that a prompt names as `@path`: what is in them goes with it, as the model would read them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import anyio

from treadle.agent.messages import UserMessage, user
from treadle.agent.step import Calls
from treadle.prompts import load
from treadle.sandbox.contract import Sandbox
from treadle.sandbox.paths import absolute, inside
from treadle.tools.contract import Content, Text, Tool, ToolContext, ToolError

MOST = 20
"""Files that one prompt takes with it; a later one is for the model to read."""
_MENTION = re.compile(r"(?<![\w@/.])@(?:\"([^\"\n]+)\"|([^\s\"'`<>|]+))")
_AFTER = ".,;:!?)]}"


def reader(calls: Calls) -> Tool | None:
    """Return the tool that reads files. None in a session without tools."""
    return calls.toolbox.snapshot().tools.get("read")


async def with_mentions(prompt: str, *, reads: Tool | None, sandbox: Sandbox) -> UserMessage:
    """Return a prompt as a message, each file of the workspace that it names attached once.

    What names no file there stays a word. `reads` reads a file as the model does, so that what is attached counts as
    seen, and neither a mask nor a rule is got round; None attaches nothing.
    """
    attached: list[Content] = []
    if reads is None or "@" not in prompt:
        return user(prompt)
    for name, path in (await anyio.to_thread.run_sync(_named, prompt, sandbox)).items():
        try:
            outcome = await reads.run({"path": path}, ToolContext("", sandbox, _say_nothing))
        except (ToolError, OSError) as error:
            attached.append(Text(text=load("facts/mention_failed", path=name, error=str(error))))
        else:
            attached.extend(_marked(name, content) for content in outcome.content)
    return UserMessage(content=(Text(text=prompt), *attached))


def _marked(name: str, content: Content) -> Content:
    if isinstance(content, Text):
        return Text(text=load("facts/mention", path=name, text=content.text))
    return content


def _named(prompt: str, sandbox: Sandbox) -> dict[str, str]:
    """Return the absolute paths named, by path below the root: what exists and lies in the workspace, links followed."""
    place = sandbox.place
    found: dict[str, str] = {}
    for match in _MENTION.finditer(prompt):
        quoted, word = match[1], match[2] or ""
        paths = [absolute(name, place) for name in ([quoted] if quoted else [word, word.rstrip(_AFTER)])]
        real = [
            path for path in paths if Path(path).exists() and inside(os.path.realpath(path), (place.root,))
        ]
        for path in real[:1]:
            found[os.path.relpath(path, place.root)] = path
    return dict(list(found.items())[:MOST])


async def _say_nothing(text: str) -> None:
    pass
