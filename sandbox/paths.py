"""Paths as the policy sees them: absolute, without `.` and `..`, inside their roots or not."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import replace

from treadle.sandbox.contract import Access, Place


def absolute(path: str, place: Place) -> str:
    """Join to the working folder and normalise by the letters alone; links are not looked at. Pure."""
    normal = posixpath.normpath(posixpath.join(place.cwd, path))
    return normal.replace("//", "/", 1) if normal.startswith("//") else normal


def inside(path: str, roots: Iterable[str]) -> bool:
    """Whether a normal absolute path is one of the roots or below one. Pure."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def resolve(access: Access) -> Access:
    """Follow the links in an access's paths as the host has them now; what does not exist stays as it is."""
    return replace(
        access,
        reads=tuple(os.path.realpath(path) for path in access.reads),
        writes=tuple(os.path.realpath(path) for path in access.writes),
    )
