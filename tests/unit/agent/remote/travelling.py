"""Sessions whose provider keeps something, told by what they said and by what the provider saw."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unit.agent.headless import Object, Ran, Treadle

from treadle.agent.conversation import Conversation
from treadle.agent.events import RemoteGone, RemoteKept
from treadle.agent.log import load
from treadle.agent.messages import AssistantMessage, Message, ToolMessage

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chain": ("openai_responses", ("--state", "chain")),
    "conversation": ("openai_responses", ("--state", "conversation")),
    "background": ("openai_responses", ("--background",)),
    "chain in the background": ("openai_responses", ("--state", "chain", "--background")),
    "conversation in the background": ("openai_responses", ("--state", "conversation", "--background")),
    "interactions": ("gemini_interactions", ("--state", "chain")),
    "interactions in the background": ("gemini_interactions", ("--state", "chain", "--background")),
    "one interaction in the background": ("gemini_interactions", ("--background",)),
}
"""How requests can travel: the wire, and the options."""


_SECONDS = re.compile(r"\d+\.\d s")


def work(treadle: Treadle, wire: str, steps: Sequence[Object]) -> None:
    """Serve steps over a wire, as the user's own config says."""
    config = treadle.base / "config/treadle/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'[providers.mock]\nwire = "{wire}"\n', encoding="utf-8")
    treadle.script(*steps)


def ask(treadle: Treadle, *arguments: str) -> Ran:
    """Run a task against what is served now."""
    common = ("--output", "stream-json", "--sandbox", "none", "-m", "mock/m", "-C", str(treadle.workspace))
    return treadle("run", *common, *arguments)


def transcript(file: Path) -> list[Any]:
    """Return what a session says, without what only its provider needs."""
    conversation = Conversation()
    for entry in branch(file):
        conversation.admit(entry)
    return [_plain(message) for message in conversation.messages]


def branch(file: Path) -> list[Any]:
    """Return the entries of a session's branch."""
    entries = load(file).entries
    known = {entry.id: entry for entry in entries}
    at: str | None = entries[-1].id
    path: list[Any] = []
    while at is not None:
        path.append(known[at])
        at = known[at].parent
    return path[::-1]


def _plain(message: Message) -> Any:
    match message:
        case AssistantMessage(text=text, calls=calls):
            return ("model", text, [(call.name, json.loads(call.arguments)) for call in calls])
        case ToolMessage(results=results):
            return ("tools", [(result.status, _SECONDS.sub("", str(result.content))) for result in results])
        case _:
            return (message.author, message.content)


def kept(file: Path) -> list[tuple[str, str]]:
    """Return what the log says that a provider keeps: kinds and ids."""
    bodies = [entry.body for entry in load(file).entries]
    gone = {body.id for body in bodies if isinstance(body, RemoteGone)}
    return [(body.kind, body.id) for body in bodies if isinstance(body, RemoteKept) and body.id not in gone]


def asked(treadle: Treadle) -> list[Object]:
    """Return what the model was asked, without what else the provider was."""
    paths = ("/v1/responses", "/v1/interactions")
    return [
        json.loads(request.body)
        for request in treadle.mock.requests
        if request.path in paths and request.method == "POST"
    ]


def paid(treadle: Treadle) -> list[int]:
    """Return the steps that the provider made a reply for, in order: each once, if nothing is paid twice."""
    return [each["step"] for each in report(treadle)["generations"]]


def stored(treadle: Treadle, *kinds: str) -> list[list[str]]:
    """Return the ids of what the provider keeps, of each kind."""
    return [report(treadle)["stored"][kind] for kind in kinds]


def report(treadle: Treadle) -> Any:
    """Return what the provider tells of itself."""
    return treadle.mock.report()
