"""What is too long for a prompt: cut into chunks, indexed, and found again by words or by meaning."""

from __future__ import annotations
