"""The section `cache` of the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from benchmarks.cache import long
from benchmarks.cache.best import best, bill
from benchmarks.cache.play import Marking, play
from benchmarks.cache.scenarios import Scenario, scenarios
from treadle.agent.providers.contract import Breakpoint, Caching

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
TITLE = "## Cache"
GOAL = 4.0
"""Percent above the least."""
MODELS = (
    ("Anthropic", "anthropic/claude-opus-5-5"),
    ("OpenAI ≥ 5.6", "openai/gpt-6-sol"),
    ("OpenAI < 5.6", "openai/gpt-5.4"),
    ("Gemini", "gemini/gemini-3.6-flash"),
    ("DeepSeek", "deepseek/deepseek-v4-flash"),
)
AGENTS: tuple[Marking | None, ...] = (
    None,
    lambda planned: Caching(),
    lambda planned: Caching((Breakpoint("system"),)),
)


def section() -> list[str]:
    """Play every session with every model and agent. Returns the lines."""
    rows, steps = anyio.run(_rows), anyio.run(long.rows)
    return [
        TITLE,
        "",
        "Sessions played in this process against the mock's caches, which follow each vendor's published rules; times on its clock.",
        "Input billed, in thousand fresh tokens. *Least*: the same requests at the same times with markers and times chosen by one",
        f"who knows what comes. Goal: within {GOAL:.0f} %. Beside it an agent that marks nothing and one that marks the system prompt.",
        "",
        "| session | cache | least | treadle | above | marks nothing | marks the system prompt | |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "Where the goal is not met somebody came back after the shorter life and within the longer one: one who knows that pays for the",
        "longer one just before, and one who does not either pays for it at every step or reads all anew. The planner goes by the pauses",
        "that it has seen.",
        "",
        f"A session of {long.STEPS} steps that read 2 KB each, in one process, without the provider's share: ms of a step (median of the first",
        f"and of the last {long.EDGE}, planning, encoding and the log in memory included) and KB that the process grows with each.",
        "",
        "| model | ms, first steps | ms, last steps | KB a step |",
        "|---|---|---|---|",
        *steps,
        "",
    ]


async def _rows() -> list[str]:
    return [await _row(scenario, family, spec) for scenario in scenarios() for family, spec in MODELS]


async def _row(scenario: Scenario, family: str, spec: str) -> str:
    played = [await play(scenario, spec, marking) for marking in AGENTS]
    least = best(played[0])
    ours, *others = (bill(each) for each in played)
    above = (ours / least - 1) * 100
    figures = f"{least / 1e3:,.1f} | {ours / 1e3:,.1f} | {above:.1f} %"
    beside = " | ".join(f"{other / 1e3:,.1f}" for other in others)
    verdict = "met" if above <= GOAL else "**not met**"
    return f"| {scenario.name} | {family} | {figures} | {beside} | {verdict} |"


def put(lines: Sequence[str]) -> None:
    """Put the section in its place in the results, or at their end."""
    RESULTS.write_text(replaced(RESULTS.read_text(encoding="utf-8"), lines), encoding="utf-8")


def replaced(text: str, lines: Sequence[str]) -> str:
    """Return the results with this section in place of what it said before."""
    before, _, after = text.partition(f"\n{TITLE}\n")
    rest = after[after.index("\n## ") + 1 :].rstrip("\n") if "\n## " in after else ""
    return "\n".join([before.rstrip("\n"), "", *lines, *([rest, ""] if rest else [])])
