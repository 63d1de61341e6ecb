"""The handoff note: what it must hold, what is wrong with one, and one made from the log alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import field

from treadle.agent.arguments import parse_arguments
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, UserMessage
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Content, JsonObject, Text, ToolCall, ToolError, ToolResult, as_object

SECTIONS = (
    "Goal",
    "Constraints",
    "Decisions",
    "Files",
    "Commands that work",
    "Dead ends",
    "Next step",
)
_HEADING = re.compile(r"^#{1,4} *\**([A-Za-z ]+?)\**:? *$", re.MULTILINE)
_QUOTED = re.compile(r"[\"\u201c]([^\"\u201c\u201d\n]{4,})[\"\u201d]")
_TICKED = re.compile(r"`([^`\s]+)`")
_LINE = re.compile(r":\d+([-:]\d+)?$")
_MOST = 15
"""Lines of a section that is made from the log."""
_SHORT = 200
"""Characters of one such line."""

Exists = Callable[[str], Awaitable[bool]]
"""Says whether there is a file or folder of this name, as a model writes it."""


@frozen
class Flaws:
    """What is wrong with a note."""

    missing: tuple[str, ...] = ()
    """Sections that are not there or say nothing where something must be said."""
    unknown: tuple[str, ...] = ()
    """Paths that neither exist nor were ever seen."""
    misquoted: tuple[str, ...] = ()
    """What is quoted but was never said."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.unknown or self.misquoted)

    def __str__(self) -> str:
        said = [f"there is no section {name}" for name in self.missing]
        said += [f"there is no file {path}" for path in self.unknown]
        said += [f"nobody said {quote!r}" for quote in self.misquoted]
        return "; ".join(said)


async def flaws(note: str, messages: Sequence[Message], instructions: str, exists: Exists) -> Flaws:
    """Check a note against what it stands for. `instructions` may be quoted too."""
    parts = sections(note)
    missing = tuple(name for name in SECTIONS if not parts.get(name, "").strip())
    seen = "\n".join(_all_text(messages))
    unknown = [
        path
        for path in dict.fromkeys(_LINE.sub("", each) for each in _TICKED.findall(parts.get("Files", "")))
        if _is_path(path) and path not in seen and not await exists(path)
    ]
    said = _squeezed(instructions + seen)
    quotes = _QUOTED.findall(parts.get("Constraints", ""))
    return Flaws(missing, tuple(unknown), tuple(quote for quote in quotes if _squeezed(quote) not in said))


def sections(note: str) -> dict[str, str]:
    """Return what a note says under each of its headings."""
    marks = list(_HEADING.finditer(note))
    ends = [mark.start() for mark in marks[1:]] + [len(note)]
    known = {name.lower(): name for name in SECTIONS}
    return {
        known.get(mark[1].strip().lower(), mark[1].strip()): note[mark.end() : end].strip()
        for mark, end in zip(marks, ends, strict=False)
    }


def without(note: str, found: Flaws) -> str:
    """Return a note without the lines that are known to be wrong."""
    wrong = (*found.unknown, *found.misquoted)
    return "\n".join(line for line in note.split("\n") if not any(each in line for each in wrong))


@frozen
class Facts:
    """What the log itself says of the work: nothing here was written by a model for this."""

    asked: list[str] = field(default_factory=list[str])
    """What the user said, in order."""
    changed: dict[str, str] = field(default_factory=dict[str, str])
    """Paths that tools changed, with the last kind of change."""
    worked: dict[str, str] = field(default_factory=dict[str, str])
    """Commands that succeeded last time, with the first line of what they printed."""
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Commands that did not, with the last line."""
    plan: list[str] = field(default_factory=list[str])
    last: str = ""
    """What the model said last."""


def facts(messages: Sequence[Message]) -> Facts:
    """Gather the facts of messages, with those that an earlier note has carried along."""
    found = Facts()
    last = ""
    for message in messages:
        match message:
            case UserMessage(author="user"):
                found.asked.append(_plain(message.content))
            case UserMessage():
                changed = re.findall(r"^- changed: (.+) \((\w+)\)$", _plain(message.content), re.MULTILINE)
                found.changed.update(changed)
            case AssistantMessage():
                last = message.text or last
            case ToolMessage():
                pass
    for call, result in answered(messages):
        _take(found, call, result)
    return Facts(found.asked, found.changed, found.worked, found.failed, found.plan, last)


def answered(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, ToolResult]]:
    """Yield every call with its result, in order."""
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if isinstance(message, AssistantMessage):
            calls = {call.id: call for call in message.calls}
        elif isinstance(message, ToolMessage):
            yield from ((calls[one.call_id], one) for one in message.results if one.call_id in calls)


def _take(found: Facts, call: ToolCall, result: ToolResult) -> None:
    details = result.details or {}
    for change in details.get("changes") or ():
        found.changed[str(change.get("path"))] = str(change.get("kind"))
    if call.name == "plan" and not result.is_error:
        items = [as_object(item) or {} for item in details.get("items") or ()]
        found.plan[:] = [f"[{item.get('status')}] {item.get('step')}" for item in items]
    if call.name == "shell":
        command = _short(str(_arguments(call).get("command", "")))
        lines = _plain(result.content).split("\n")
        found.worked.pop(command, None)
        found.failed.pop(command, None)
        if result.status == "ok":
            found.worked[command] = _short(lines[1] if len(lines) > 1 else "")
        else:
            found.failed[command] = _short(f"{lines[0]}; {lines[-1]}")


def told(found: Facts) -> str:
    """Return what stands behind every note: the plan and the files that were changed."""
    lines = [f"- changed: {path} ({kind})" for path, kind in found.changed.items()]
    lines += [f"- plan: {item}" for item in found.plan]
    return "\n".join(["From the log:", *lines]) if lines else ""


def from_log(found: Facts, earlier: str) -> str:
    """Return a note made from the log alone; `earlier` is the note before it, empty when there was none."""
    said = {
        "Goal": [f"> {line}" for line in _short(found.asked[0], 2_000).split("\n")] if found.asked else [],
        "Constraints": ["As the user's messages say, which stand above."],
        "Decisions": [earlier] if earlier else [],
        "Files": [f"- `{path}`: {kind}" for path, kind in list(found.changed.items())[-_MOST:]],
        "Commands that work": [f"- `{each}`: {line}" for each, line in list(found.worked.items())[-_MOST:]],
        "Dead ends": [f"- `{each}`: {line}" for each, line in list(found.failed.items())[-_MOST:]],
        "Next step": [_short(found.last, 2_000) or "Look at what is there, and go on."],
    }
    return "\n\n".join("\n".join([f"## {name}", *(said[name] or ["none"])]) for name in SECTIONS)


def _arguments(call: ToolCall) -> JsonObject:
    try:
        return parse_arguments(call)
    except ToolError:
        return {}


def described(call: ToolCall) -> str:
    """Return what a call was, on one short line."""
    arguments = _arguments(call)
    named = [str(arguments[key]) for key in ("command", "path", "pattern", "query") if key in arguments]
    return _short(f"{call.name} {' '.join(named) or call.arguments}")


def _all_text(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        match message:
            case AssistantMessage():
                yield message.text
                yield from (call.arguments.replace("\\/", "/") for call in message.calls)
            case ToolMessage(results=results):
                yield from (_plain(result.content) for result in results)
            case _:
                yield _plain(message.content)


def _plain(content: Sequence[Content]) -> str:
    return "\n".join(part.text for part in content if isinstance(part, Text))


def _is_path(text: str) -> bool:
    return (
        "://" not in text
        and not text.startswith("-")
        and ("/" in text or bool(re.search(r"\.\w{1,8}$", text)))
    )


def _squeezed(text: str) -> str:
    return " ".join(text.split()).lower()


def _short(text: str, most: int = _SHORT) -> str:
    text = text if most > _SHORT else " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
