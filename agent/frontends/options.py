"""The options that are settings, which more than one command takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def settings(command: F) -> F:
    """Add the options that are settings: each has a key in the config file."""
    options = (
        click.option(
            "-m",
            "--model",
            metavar="VENDOR/MODEL[,FALLBACK...]",
            help="Which model to drive, and which take over in turn when it cannot be had.",
        ),
        click.option(
            "--effort",
            type=click.Choice(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
            help="How hard the model should think.",
        ),
        click.option(
            "--verbosity", type=click.Choice(["low", "medium", "high"]), help="How much it should say."
        ),
        click.option("--service-tier", help="The provider's service tier."),
        click.option(
            "--state",
            type=click.Choice(["stateless", "chain", "conversation"]),
            help="What the provider keeps between requests, so that only what is new is sent.",
        ),
        click.option(
            "--background/--no-background",
            default=None,
            help="The provider works on though the connection breaks; --continue waits for it again.",
        ),
        click.option(
            "--mode",
            type=click.Choice(["plan", "ask", "edit", "auto", "yolo"]),
            help="plan reads only; auto (default) does all that the sandbox contains; yolo has no sandbox.",
        ),
        click.option(
            "--sandbox",
            type=click.Choice(["auto", "bwrap", "none"]),
            help="What confines commands; without a working one nothing runs unless this is none.",
        ),
        click.option("--allow", multiple=True, metavar="RULE", help="As in 'Shell(git log *)'. Repeatable."),
        click.option("--deny", multiple=True, metavar="RULE", help="As in 'Edit(secrets/**)'. Repeatable."),
        click.option("--max-steps", "--max-turns", type=click.IntRange(1), help="Model replies."),
        click.option("--max-tool-calls", type=click.IntRange(0), help="Tool calls."),
        click.option("--max-tokens", type=click.IntRange(1), help="Tokens, in and out together."),
        click.option("--max-cost", type=click.FloatRange(0, min_open=True), metavar="USD", help="Money."),
        click.option(
            "--time-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Time."
        ),
        click.option("--temperature", type=float),
        click.option("--top-p", type=float),
        click.option("--top-k", type=int),
        click.option("--min-p", type=float),
        click.option("--seed", type=int),
        click.option("--presence-penalty", type=float),
        click.option("--frequency-penalty", type=float),
        click.option("--max-output-tokens", type=click.IntRange(1), help="Tokens of one reply."),
        click.option("--top-logprobs", type=click.IntRange(0, 20)),
        click.option("--stop", multiple=True, metavar="TEXT", help="Where a reply ends. Repeatable."),
        click.option(
            "-c", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, as TOML. Repeatable."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


KEYS = {
    "verbosity": "reply.verbosity",
    "service_tier": "reply.service_tier",
    "max_output_tokens": "reply.max_output_tokens",
    "max_steps": "limits.steps",
    "max_tool_calls": "limits.tool_calls",
    "max_tokens": "limits.tokens",
    "max_cost": "limits.cost",
    "time_limit": "limits.time",
    **{
        name: f"reply.sampling.{name}"
        for name in (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "top_logprobs",
            "stop",
        )
    },
}
"""The setting behind each flag whose name is not its key."""
