"""Where a run goes: text for people, one JSON object, or a line an event."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TextIO, TypeAlias, cast

from treadle.agent.events import (
    CallFinished,
    CallStarted,
    Compacted,
    Entry,
    Event,
    MessageAdded,
    Noted,
    PermissionResolved,
    RetryScheduled,
)
from treadle.agent.frontends.items import Items, plain, remark, told_arguments
from treadle.agent.frontends.outcome import Result
from treadle.agent.messages import AssistantMessage
from treadle.agent.session import Session
from treadle.tools.contract import JsonObject, ToolCall, ToolResult

Format: TypeAlias = Literal["text", "json", "stream-json"]


class OutputClosed(Exception):
    """Whoever read our output has gone."""


class Output(Protocol):
    """One way of showing a run."""

    def begin(self, session: Session, root: Path) -> None:
        """Take note of the session, and of the workspace before anything happens in it."""
        ...

    def show(self, event: Event) -> None:
        """Raises `OutputClosed`."""
        ...

    def end(self, result: Result) -> None:
        """Say how it ended, on every way out. Raises `OutputClosed`."""
        ...


def output_for(kind: Format, *, color: bool) -> Output:
    """Return the output that was asked for."""
    match kind:
        case "text":
            return TextOutput(color=color)
        case "json":
            return JsonOutput()
        case "stream-json":
            return StreamOutput()


def wants_color(env_no_color: str | None, stream: TextIO | None) -> bool:
    """Say whether to colour what goes to a stream (https://no-color.org)."""
    return not env_no_color and stream is not None and stream.isatty()


def emit(text: str) -> None:
    """Write a line to standard output at once. Raises `OutputClosed`."""
    if sys.stdout is None:
        raise OutputClosed
    try:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError) as error:
        _forget_stdout()
        raise OutputClosed from error
    except OSError as error:
        _forget_stdout()
        raise OutputClosed(error.strerror) from error


def _forget_stdout() -> None:
    """Point standard output nowhere, so that the interpreter's own last flush cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def visible(text: str) -> str:
    """Return a text in which every character can be seen: all that a person would not see are written out."""
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def harmless(text: str) -> str:
    """Return a text that does nothing to a terminal: control and bidirectional characters are written out."""
    return _UNSAFE.sub(lambda found: _written_out(found[0]), text)


_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode()


def complain(text: str) -> None:
    """Write a line to standard error, if there is anybody to read it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def first_of(failures: ExceptionGroup[Exception]) -> Exception:
    """Return what really went wrong, from within any number of task groups."""
    first = failures.exceptions[0]
    # The parameter of an inner group is lost to isinstance.
    return first_of(cast("ExceptionGroup[Exception]", first)) if isinstance(first, ExceptionGroup) else first


def as_line(value: JsonObject) -> str:
    """Return JSON on one line, whatever is in its strings."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _note(event: Event) -> None:
    """Say on standard error what the user should know, where nothing else is said there."""
    if isinstance(event, Noted):
        complain(f"treadle: {harmless(event.text)}")


class JsonOutput:
    """One object at the end."""

    def begin(self, session: Session, root: Path) -> None: ...

    def show(self, event: Event) -> None:
        _note(event)

    def end(self, result: Result) -> None:
        if result.error is not None:
            complain(f"treadle: {result.error}")
        emit(as_line(result.as_object()))


class Lines:
    """A line an event; the result last. Where they go is up to `write`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._items = Items()

    def begin(self, session: Session, root: Path) -> None:
        self._write(as_line({"type": "thread.started", "thread_id": session.id}))
        self._write(as_line({"type": "turn.started"}))

    def show(self, event: Event) -> None:
        for item in self._items.of(event):
            self._write(as_line(item))

    def end(self, result: Result) -> None:
        if result.error is not None:
            self._write(as_line({"type": "error", "message": result.error}))
        self._write(as_line(result.as_object()))


class StreamOutput(Lines):
    """The lines on standard output, flushed; what went wrong on standard error too."""

    def __init__(self) -> None:
        super().__init__(emit)

    def show(self, event: Event) -> None:
        _note(event)
        super().show(event)

    def end(self, result: Result) -> None:
        if result.error is not None:
            complain(f"treadle: {result.error}")
        super().end(result)


class TextOutput:
    """The final message on standard output; what happens meanwhile on standard error, or where `say` puts it."""

    def __init__(self, *, color: bool, say: Callable[[str], None] = complain) -> None:
        self._color = color
        self._put = say
        self._calls: dict[str, ToolCall] = {}

    def begin(self, session: Session, root: Path) -> None:
        self._say(f"session {session.id}", "2")

    def show(self, event: Event) -> None:
        match event:
            case Entry(body=MessageAdded(message=AssistantMessage() as message, artifacts=artifacts)):
                if message.calls and message.text.strip():
                    self._say(message.text.strip())
                for artifact in artifacts:
                    self._say(f"  saved {artifact.path}", "32")
            case Entry(body=CallStarted(call=call)):
                self._calls[call.id] = call
                self._say(f"• {call.name} {short(call)}", "36")
            case Entry(body=CallFinished(result=result, seconds=seconds)):
                self._finished(result, seconds)
            case Entry(body=PermissionResolved(granted=False, access=access, reason=reason)):
                self._say(f"  refused: {access}: {reason}", "33")
            case Entry(body=Compacted(usage=usage, cost_usd=cost)):
                price = "" if not cost else f", ${cost:.4f}"
                self._say(f"  made room: a note of {usage.output:,} tokens{price}", "2")
            case RetryScheduled() | Noted():
                self._say(f"  {remark(event)}", "33")
            case _:
                pass

    def end(self, result: Result) -> None:
        usage = result.turn.usage
        cost = "" if result.turn.cost_usd is None else f" · ${result.turn.cost_usd:.4f}"
        if result.turn.steps:
            self._say(
                f"{result.turn.steps} steps · {result.turn.tool_calls} calls · {result.duration_ms / 1000:.1f} s · "
                f"{usage.input_total:,} tokens in ({usage.cache_read:,} cached) · {usage.output:,} out{cost}",
                "2",
            )
        if result.error is not None:
            self._say(f"treadle: {result.error}", "31")
        elif result.turn.limit is not None:
            self._say(f"treadle: stopped at the limit: {result.turn.limit}", "31")
        elif result.outcome == "denied":
            self._say("treadle: something was refused; see above", "33")
        if result.found.message:
            emit(result.found.message.encode("utf-8", "replace").decode())

    def _finished(self, result: ToolResult, seconds: float) -> None:
        call = self._calls.pop(result.call_id, None)
        if call is None or result.status == "denied":
            return
        first = plain(result.content).strip().split("\n", 1)[0][:160]
        mark, style = ("✗", "31") if result.is_error else ("✓", "32")
        self._say(f"  {mark} {first}" + (f" ({seconds:.1f} s)" if seconds >= 1 else ""), style)

    def _say(self, text: str, style: str = "") -> None:
        self._put(styled(harmless(text), style if self._color else ""))


def styled(text: str, style: str) -> str:
    """Return text in a style of ECMA-48, as in `31` for red; as it is in none."""
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def short(call: ToolCall) -> str:
    """Return what a call is about, on one short line."""
    arguments = told_arguments(call)
    names = ("command", "path", "pattern", "query", "name")
    told = [str(arguments[name]) for name in names if name in arguments]
    return " ".join(" ".join(told or arguments).split())[:120]
