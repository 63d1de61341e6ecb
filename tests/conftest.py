"""Rules of every run: one async backend, and a word about the tests that were left to another target."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

TARGETS = {"real": "make test-real", "soak": "make soak", "live": "a run with real keys"}
LEFT = pytest.StashKey[Counter[str]]()


class Worker(Protocol):
    """What is used of xdist's controller of a worker, which has no types."""

    config: pytest.Config


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skip", action="store_true", help="a skipped test is a failed one")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT] = Counter()
    # Whoever starts the tests in the background may have signals ignored, and what we start would inherit that.
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    for number, handler in usual.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        for mark in TARGETS.keys() & {mark.name for mark in item.iter_markers()}:
            item.config.stash[LEFT][f"{mark} {item.path.relative_to(item.config.rootpath)}"] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    worker = vars(session.config).get("workeroutput")
    if worker is not None:
        worker["left"] = dict(session.config.stash[LEFT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Worker, error: object) -> None:
    left: dict[str, int] = vars(node).get("workeroutput", {}).get("left", {})
    node.config.stash[LEFT] = Counter(left)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for mark, target in TARGETS.items():
        files = {
            key.split(" ", 1)[1]: count for key, count in config.stash[LEFT].items() if key.startswith(mark)
        }
        if files:
            where = ", ".join(f"{path} ({count})" for path, count in sorted(files.items()))
            terminalreporter.write_line(f"left to {target}: {sum(files.values())} tests in {where}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skip"):
        report.outcome, report.longrepr = (
            "failed",
            f"skipped, and a skip is a failure here: {report.longrepr}",
        )
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--no-skip"):
        report.outcome, report.longrepr = "failed", f"{Path(collector.nodeid)} skipped: {report.longrepr}"
    return report
