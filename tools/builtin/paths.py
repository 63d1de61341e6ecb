"""Paths as models write and read them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Generator
from contextlib import contextmanager
from difflib import get_close_matches

from treadle.sandbox.contract import ChangedOnDisk, FileInfo, Files, Place, SandboxError
from treadle.tools.contract import ToolError


def absolute(place: Place, path: str) -> str:
    """Return the path as an absolute and lexically normal one. Raises `ToolError` for what cannot be a path."""
    if not path or "\0" in path:
        raise ToolError("A path must not be empty or hold a NUL character.")
    return posixpath.normpath(posixpath.join(place.cwd, path)).replace("//", "/", 1)


def shown(place: Place, path: str) -> str:
    """Return an absolute path as a model is shown it: relative where it lies in the working folder."""
    if path == place.cwd:
        return "."
    inside = place.cwd.rstrip("/") + "/"
    return printable(path.removeprefix(inside))


def printable(path: str) -> str:
    """Return a path without the characters that would break a line or cannot be encoded."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@contextmanager
def explained(action: str, name: str) -> Generator[None]:
    """Turn what the sandbox raises into one line for the model: `action failed: name: why`."""
    try:
        yield
    except ChangedOnDisk as error:
        raise ToolError(f"{action} failed: {name} changed on disk meanwhile; read it again") from error
    except SandboxError as error:
        raise ToolError(f"{action} failed: {error}") from error
    except OSError as error:
        raise ToolError(f"{action} failed: {name}: {error.strerror or error}") from error


async def find(files: Files, place: Place, action: str, path: str) -> FileInfo:
    """Return what is at an absolute path. Raises `ToolError` that names what is near when nothing is there."""
    name = shown(place, path)
    try:
        with explained(action, name):
            return await files.info(path)
    except ToolError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            near = await _near(files, place, path)
            raise ToolError(f"{action} failed: {name} does not exist; {near}") from error
        raise


async def _near(files: Files, place: Place, path: str) -> str:
    """Say what is nearest to a path that does not exist: names in its folder, or the folder that is there."""
    folder, name = posixpath.split(path)
    while True:
        try:
            names = [entry.path.rsplit("/", 1)[-1] for entry in await files.list(folder)]
            break
        except OSError:
            if folder == "/":
                return "nothing on the way to it can be read"
            folder, name = posixpath.split(folder)
    lower = {each.lower(): each for each in names}
    near = [lower[each] for each in get_close_matches(name.lower(), lower, 3, 0.6)]
    within = shown(place, folder)
    if near:
        return f"near names in {within}: {', '.join(map(printable, near))}"
    listed = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    return f"{within} has: {listed}" if names else f"{within} is empty"
