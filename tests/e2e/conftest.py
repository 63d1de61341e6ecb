"""A home and a provider for tests that run real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e.running import Home, Provider, new_home, provider

Serve = Callable[[Path | str | None], tuple[Home, Provider]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user's empty folders; no provider is set."""
    return new_home(tmp_path)


@pytest.fixture
def serve(home: Home) -> Iterator[Serve]:
    """Serves a script for the test, and gives the home in which it is the provider."""
    with ExitStack() as running:

        def begin(script: Path | str | None) -> tuple[Home, Provider]:
            mock = running.enter_context(provider(home.base, script))
            return home.with_env(TREADLE_MOCK_URL=mock.url), mock

        yield begin
