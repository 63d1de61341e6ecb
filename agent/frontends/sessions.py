"""`treadle sessions`: what was done, told from the logs alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ValidationError

from treadle.agent.config import Folders
from treadle.agent.conversation import Conversation, first_words
from treadle.agent.events import CallFinished, CallStarted, Entry, MessageAdded, PermissionResolved, TurnEnded
from treadle.agent.frontends.items import Items, plain, told_arguments, usage_object
from treadle.agent.frontends.outputs import OutputClosed, as_line, complain, emit, harmless
from treadle.agent.log import LogDamaged, LogError, SessionLog, load
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from treadle.agent.sessions import NoSuchSession, checkpoints_of, find, folder_of, fork, new_id, opened
from treadle.tools.contract import JsonObject


def list_sessions(places: Folders, workspace: Path | None, *, as_json: bool) -> int:
    """Tell which sessions there are, the newest last. None is those of every workspace."""
    folder = places.sessions if workspace is None else folder_of(places.sessions, _without_links(workspace))
    files = folder.glob("*/*.jsonl" if workspace is None else "*.jsonl")
    for file in sorted(files, key=lambda file: file.stem):
        told = _summary(file)
        if as_json:
            emit(as_line(told))
        else:
            emit(harmless(f"{told['id']}  {told['outcome']:9}  {told['steps']:>4} steps  {told['title']}"))
    return 0


def _without_links(folder: Path) -> Path:
    try:
        return folder.resolve()
    except FileNotFoundError as error:
        raise NoSuchSession(
            "the current folder was removed; --all lists the sessions of every folder"
        ) from error


def _summary(file: Path) -> JsonObject:
    try:
        entries = load(file).entries
        beginning = opened(entries)
    except (LogError, OSError) as error:
        return {"id": file.stem, "outcome": "damaged", "steps": 0, "title": str(error)}
    conversation = Conversation()
    for entry in branch_of(entries):
        conversation.admit(entry)
    ends = [entry.body for entry in entries if isinstance(entry.body, TurnEnded)]
    open_end = not isinstance(entries[-1].body, TurnEnded)
    return {
        "id": file.stem,
        "outcome": "open" if open_end or not ends else ends[-1].outcome,
        "steps": sum(end.steps for end in ends),
        "title": first_words(conversation.messages),
        "workspace": beginning.workspace,
        "model": conversation.model,
        "at": entries[0].at.isoformat(),
        "cost_usd": _sum_cost(ends),
        "usage": usage_object(sum((end.usage for end in ends), Usage())),
    }


def _sum_cost(ends: list[TurnEnded]) -> float | None:
    costs = [end.cost_usd for end in ends if end.cost_usd is not None]
    return round(sum(costs), 6) if ends and len(costs) == len(ends) else None


def branch_of(entries: tuple[Entry, ...]) -> list[Entry]:
    by_id = {entry.id: entry for entry in entries}
    path: list[Entry] = []
    at = entries[-1].id if entries else None
    while at is not None:
        path.append(by_id[at])
        at = by_id[at].parent
    return path[::-1]


def show_session(places: Folders, name: str, *, as_json: bool) -> int:
    """Tell a session's branch: what was said, called and answered, with the ids that `--fork` and `rewind` take."""
    entries = branch_of(load(find(places.sessions, name)).entries)
    items = Items()
    for entry in entries:
        if as_json:
            for line in items.of(entry):
                emit(as_line({**line, "entry": entry.id}))
        else:
            for line in _told(entry):
                emit(harmless(f"{entry.id:>6}  {line}"))
    return 0


def _told(entry: Entry) -> Iterator[str]:
    match entry.body:
        case MessageAdded(message=message):
            yield from _told_message(message)
        case CallFinished(result=result):
            yield f"  {result.status}: {' '.join(plain(result.content).split())[:120]}"
        case TurnEnded(outcome=outcome, limit=limit, error=error):
            yield " ".join(part for part in ("ended:", outcome, limit, error) if part)
        case PermissionResolved(granted=granted, access=access):
            yield f"{'allowed' if granted else 'refused'}: {access}"
        case CallStarted():
            pass
        case body:
            yield f"({body.type.replace('_', ' ')})"


def _told_message(message: Message) -> Iterator[str]:
    match message:
        case UserMessage(content=content, author=author):
            yield f"{author}: {' '.join(plain(content).split())[:160]}"
        case AssistantMessage(calls=calls, text=text):
            if text.strip():
                yield f"model: {' '.join(text.split())[:160]}"
            for call in calls:
                arguments = json.dumps(told_arguments(call), ensure_ascii=False)
                yield f"  {call.name} {arguments[:120]}"
        case ToolMessage():
            pass


def fork_session(places: Folders, name: str) -> Path:
    """Begin a session with the past of `ID` or `ID@ENTRY`. Returns its file. Raises `NoSuchSession`."""
    stem, _, entry = name.partition("@")
    source = find(places.sessions, stem)
    target = source.with_name(f"{new_id(datetime.now(UTC))}.jsonl")
    try:
        fork(source, entry or None, target)
    except KeyError as error:
        raise NoSuchSession(
            f"session {source.stem} has no entry {entry!r}; `sessions show` lists them"
        ) from error
    return target


def fork_and_tell(places: Folders, name: str) -> int:
    """Fork a session and print the new one's id."""
    emit(fork_session(places, name).stem)
    return 0


def verify_session(places: Folders, name: str) -> int:
    """Check every line's hash and form. 0 when the file is whole, 2 when it is not."""
    file = find(places.sessions, name)
    try:
        loaded = load(file)
    except LogError as error:
        complain(f"treadle: {error}")
        return 2
    tail = f", {len(loaded.torn)} bytes of an unfinished record behind them" if loaded.torn else ""
    emit(f"{file.stem}: {len(loaded.entries)} entries, the chain holds{tail}")
    emit(f"head {loaded.hashes[-1] if loaded.hashes else '-'}")
    return 0


def export_session(places: Folders, name: str, kind: Literal["jsonl", "markdown"]) -> int:
    """Write a session to standard output: its exact lines, or the conversation as Markdown."""
    file = find(places.sessions, name)
    if kind == "jsonl":
        for line in file.read_bytes()[: load(file).good].split(b"\n")[:-1]:
            emit(line.decode())
        return 0
    conversation = Conversation()
    for entry in branch_of(load(file).entries):
        conversation.admit(entry)
    for message in conversation.messages:
        emit(_as_markdown(message))
    return 0


def _as_markdown(message: Message) -> str:
    match message:
        case UserMessage(content=content, author=author):
            return f"## {author.capitalize()}\n\n{plain(content)}\n"
        case AssistantMessage(calls=calls, text=text):
            made = "".join(f"\n- `{call.name}` `{call.arguments}`" for call in calls)
            return f"## Model\n\n{text}{made}\n"
        case ToolMessage(results=results):
            return "\n".join(f"```\n{plain(result.content)}\n```\n" for result in results)


Leftovers: TypeAlias = Callable[[Folders, Path, SessionLog], list[str]]
"""Deletes what providers keep for a session alone. Returns a line for each thing that could not be deleted."""


def remove_sessions(places: Folders, names: tuple[str, ...], leftovers: Leftovers, *, force: bool) -> int:
    """Delete sessions with all that lies beside them, and what providers keep for them.

    One of which a provider keeps something that cannot be deleted stays, unless `force`. Raises `NoSuchSession` before
    anything is deleted.
    """
    files = dict.fromkeys(find(places.sessions, name) for name in names)
    failed = 0
    for file in files:
        left = _left_at_providers(places, file, leftovers)
        for line in left:
            complain(f"treadle: {file.stem}: could not be deleted: {line}")
        if left and not force:
            failed += 1
            complain(f"treadle: {file.stem} was left as it is; --force removes it all the same")
            continue
        for beside in file.parent.glob(f"{file.stem}.torn-*"):
            beside.unlink()
        for folder in (file.with_suffix(""), checkpoints_of(file)):
            shutil.rmtree(folder, ignore_errors=True)
        file.unlink()
        emit(f"removed {file.stem}")
    return 2 if failed else 0


def _left_at_providers(places: Folders, file: Path, leftovers: Leftovers) -> list[str]:
    """Delete what providers keep for a session alone. Returns a line for each thing that could not be deleted."""
    keeps = b'"remote_kept"' in file.read_bytes()
    try:
        log = SessionLog(file)  # refuses a session that is at work
    except LogDamaged as error:
        return [f"what providers keep for it: {error}"] if keeps else []
    try:
        return leftovers(places, file, log) if keeps else []
    finally:
        log.close()


def told_plainly(action: Callable[[], int]) -> int:
    """Run one of these and turn what may go wrong into one line and an exit code."""
    try:
        return action()
    except NoSuchSession as error:
        complain(f"treadle: {error}")
        return 1
    except (LogError, ValidationError, OSError) as error:
        complain(f"treadle: {error}")
        return 2
    except OutputClosed:
        return 2
