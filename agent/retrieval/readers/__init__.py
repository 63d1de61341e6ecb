"""Documents in their formats, each read as pieces of text in order."""

from __future__ import annotations
