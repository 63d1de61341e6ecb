"""Make room: a note asked for as a continuation of the same prefix stands for what came before it."""

from __future__ import annotations
