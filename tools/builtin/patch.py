"""The `patch` tool: files added, changed, moved and deleted together, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from treadle.sandbox.contract import Access, Files, Place, Version
from treadle.sandbox.frozen import frozen
from treadle.tools.builtin.changes import Change, Seen, change
from treadle.tools.builtin.hunks import Patched, apply_hunks
from treadle.tools.builtin.patch_grammar import Add, Delete, Part, Update, parse
from treadle.tools.builtin.paths import absolute, explained, find, shown
from treadle.tools.contract import Freeform, JsonObject, Outcome, Text, ToolContext, ToolError

_MAX_SIZE = 64 * 1024 * 1024


class PatchTool:
    """Takes a patch as plain text, or as the one string of an object."""

    def __init__(self, spec: Freeform, seen: Seen) -> None:
        self.spec = spec
        self._seen = seen

    def access(self, arguments: JsonObject, place: Place) -> Access:
        reads: list[str] = []
        writes: list[str] = []
        for part in parse(_text(arguments)):
            path = absolute(place, part.path)
            reads += [path] if not isinstance(part, Add) else []
            writes += [path]
            writes += [absolute(place, part.target)] if isinstance(part, Update) and part.target else []
        return Access(tool="patch", reads=tuple(reads), writes=tuple(writes))

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        parts = parse(_text(arguments))
        files, place = ctx.sandbox.files, ctx.sandbox.place
        steps: list[_Step] = []
        problems: list[str] = []
        for part in parts:
            try:
                steps.append(await _planned(self._seen, files, place, part))
            except ToolError as error:
                problems.append(str(error))
        if problems:
            note = ["Nothing was changed."] if len(parts) > 1 else []
            raise ToolError("\n".join(problems + note))
        versions = await _written(files, steps)
        for step in steps:
            path = step.target or step.path
            if step.known and path in versions:
                self._seen.note(path, versions[path])
        return _told(steps)


def _text(arguments: JsonObject) -> str:
    match list(arguments.items()):
        case [("input" | "patch", str(text))]:
            pass
        case _:
            raise ToolError("patch failed: the arguments do not fit\n- input: expected a string, the patch")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("patch failed: the patch holds half a character (a lone surrogate)") from error
    return text


@frozen
class _Step:
    """What is to be done to one file."""

    path: str
    name: str
    """As the model is shown it."""
    version: Version | None
    """What it must still be; None when it must not exist."""
    old: bytes | None
    new: bytes | None
    """None to delete it."""
    target: str | None = None
    """The absolute path that it gets; None to stay where it is."""
    target_name: str = ""
    made: Patched = Patched(b"", ())
    changed: bool | None = False
    """True when it is not what the model saw; None when it never saw it."""

    @property
    def known(self) -> bool:
        """True when the model knows all that is in it once this is done."""
        return self.changed is False


async def _planned(seen: Seen, files: Files, place: Place, part: Part) -> _Step:
    """Work out what becomes of a file, without writing. Raises `ToolError`."""
    path = absolute(place, part.path)
    name = shown(place, path)
    if isinstance(part, Add):
        await _check_free(files, path, name)
        return _Step(path, name, None, None, part.text.encode())
    info = await find(files, place, "patch", path)
    if info.kind != "file" or info.size > _MAX_SIZE:
        raise ToolError(f"patch failed: {name} is not a file of at most {_MAX_SIZE:,} bytes")
    with explained("patch", name):
        version = await files.version(path)
        if version is None:
            raise FileNotFoundError(2, "it does not exist any more")
        old = await files.read(path)
    changed = seen.stale(path, version)
    if isinstance(part, Delete):
        if changed:
            raise ToolError(f"patch failed: {name} changed on disk since you read it; read it again")
        return _Step(path, name, version, old, None)
    target = absolute(place, part.target) if part.target is not None else None
    if target == path:
        target = None
    if target is not None:
        await _check_free(files, target, shown(place, target))
    # Explaining a miss in a long file takes its time; nothing else waits for it.
    warning = f"{name} changed on disk since you read it" if changed else ""
    made = await anyio.to_thread.run_sync(_applied, old, part, name, warning)
    target_name = shown(place, target) if target is not None else ""
    return _Step(path, name, version, old, made.data, target, target_name, made, changed)


async def _check_free(files: Files, path: str, name: str) -> None:
    try:
        with explained("patch", name):
            await files.info(path)
    except ToolError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return
        raise
    raise ToolError(f"patch failed: {name} exists already; use *** Update File to change it")


def _applied(old: bytes, part: Update, name: str, warning: str) -> Patched:
    try:
        made = apply_hunks(old, part.hunks)
    except ToolError as error:
        where = f"{warning}.\npatch failed: {name}" if warning else name
        lines = str(error).split("\n")
        raise ToolError("\n".join([f"patch failed: {where}: {lines[0]}", *lines[1:]])) from error
    if warning and made.ignoring:
        raise ToolError(f"patch failed: {warning}, and not all lines are there exactly; read it again")
    return made


async def _written(files: Files, steps: Sequence[_Step]) -> dict[str, Version]:
    """Do all steps; return the versions of the files there are now. Raises `ToolError`, having undone what was done."""
    for step in steps:
        with explained("patch", step.name):
            now = await files.version(step.path)
        if (now and now.sha256) != (step.version and step.version.sha256):
            raise ToolError(f"patch failed: {step.name} changed on disk meanwhile; read it again")
    work = _Work(files)
    versions: dict[str, Version] = {}
    done = False
    try:
        # A file that was deleted comes back without its mode: so nothing can fail after it but another deletion.
        for step in sorted(steps, key=lambda step: step.new is None):
            with explained("patch", step.name):
                versions |= await work.do(step)
        done = True
    except ToolError as error:
        lost = await work.undo()
        done = True
        told = f"could not put back: {', '.join(lost)}" if lost else "Nothing was changed."
        raise ToolError(f"{error}\n{told}" if len(steps) > 1 else str(error)) from error
    finally:
        if not done:  # cancelled
            with anyio.CancelScope(shield=True):
                await work.undo()
    return versions


class _Work:
    """Changes files one by one and, should it come to that, puts them back."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._back: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    async def do(self, step: _Step) -> dict[str, Version]:
        files, path = self._files, step.path
        if step.new is None:
            assert step.version is not None
            await files.remove(path, expect=step.version)
            self._back.append((step.name, partial(files.write, path, step.old or b"", expect=None)))
            return {}
        version = step.version
        if step.target is not None and version is not None:
            await files.move(path, step.target, expect=version)
            self._back.append((step.name, partial(files.move, step.target, path, expect=version)))
            path = step.target
        if version is None or step.new != step.old:
            version = await files.write(path, step.new, expect=step.version)
            back = (
                partial(files.remove, path, expect=version)
                if step.old is None
                else partial(files.write, path, step.old, expect=version)
            )
            self._back.append((step.name, back))
        return {path: version}

    async def undo(self) -> list[str]:
        """Return the names of the files that could not be put back."""
        lost: list[str] = []
        for name, back in reversed(self._back):
            try:
                with explained("patch", name):
                    await back()
            except ToolError:
                lost.append(name)
        return lost


def _told(steps: Sequence[_Step]) -> Outcome:
    changes = [change(step.name, step.old, step.new) for step in steps]
    listed: list[JsonObject] = []
    diffs: list[str] = []
    for step, done in zip(steps, changes, strict=True):
        if step.target is None:
            listed.append({"path": step.name, "kind": done.kind})
            diffs.append(done.diff)
        else:
            listed += [{"path": step.name, "kind": "delete"}, {"path": step.target_name, "kind": "add"}]
            moved = f"--- a/{step.name}\n+++ b/{step.target_name}\n"
            diffs.append(moved + "".join(done.diff.splitlines(keepends=True)[2:]))
    text = "\n".join(_line(step, done) for step, done in zip(steps, changes, strict=True))
    ignoring = [ignored for step in steps for ignored in step.made.ignoring]
    details: JsonObject = {"changes": listed, "diff": "".join(diffs), "ignoring": ignoring}
    return Outcome((Text(text=text),), details=details)


def _line(step: _Step, done: Change) -> str:
    if step.old is None:
        return f"added {step.name} ({done.stat})"
    if step.new is None:
        return f"deleted {step.name} ({done.stat})"
    moved = f"moved {step.name} to {step.target_name}" if step.target is not None else f"patched {step.name}"
    spots = step.made.spots
    at = f" at {'line' if len(spots) == 1 else 'lines'} {', '.join(map(str, spots[:10]))}" if spots else ""
    told = [f"{moved}{at} ({done.stat})"]
    told += [f"lines were matched ignoring {ignored}" for ignored in dict.fromkeys(step.made.ignoring)]
    if step.changed:
        told.append("the file changed on disk since you read it; what lies elsewhere in it may be new")
    return "; ".join(told)
