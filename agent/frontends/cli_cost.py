"""`treadle cost` on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from treadle.agent.frontends.options import CONTEXT


@click.group(context_settings=CONTEXT)
def cost() -> None:
    r"""What a session did cost, and what one would.

    \b
    treadle cost report 20261124-1
    treadle cost plan "fix the failing test" -m anthropic/claude-opus-5-5 -m openai/gpt-6.1-sol
    """


_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@cost.command("report", context_settings=CONTEXT)
@click.argument("session")
@_json
def cost_report(session: str, as_json: bool) -> int:
    r"""Tell of each request what was read from the provider's cache, written to it and sent afresh, and what it cost.

    Below a request stands why less was read than had been sent before, and what that cost.

    \b
    treadle cost report 20261124-1          the beginning of an id will do
    treadle cost report 20261124-1 --json | jq 'select(.missed)'
    """
    from treadle.agent.frontends.cost import report

    return report(session, as_json=as_json)


@cost.command("plan", context_settings=CONTEXT)
@click.argument("job")
@click.option(
    "-m", "--model", "models", multiple=True, metavar="VENDOR/MODEL", help="More than one are compared."
)
@click.option("-C", "--cd", "folder", type=click.Path(path_type=Path), default=Path(), help="The workspace.")
@click.option(
    "--steps", type=click.IntRange(min=1), default=20, show_default=True, help="Requests a job takes."
)
@click.option(
    "--grows", type=click.IntRange(min=0), default=2000, show_default=True, help="Tokens of results a step."
)
@click.option(
    "--said", type=click.IntRange(min=0), default=600, show_default=True, help="Tokens of output a step."
)
@click.option(
    "--gap", type=click.FloatRange(min=0), default=15.0, show_default=True, help="Seconds between requests."
)
@_json
def cost_plan(  # every option is one of the job's
    job: str, models: tuple[str, ...], folder: Path, as_json: bool, **course: float
) -> int:
    r"""Tell what a job would cost with each model. Nothing is sent and no key is needed.

    JOB is a prompt, or a file of JSON lines, each a prompt or an object with one under `prompt`.

    \b
    treadle cost plan "port the parser" -m openai/gpt-6.1-sol --steps 60
    treadle cost plan jobs.jsonl -m anthropic/claude-sonnet-5 -m deepseek/deepseek-v4-flash --json
    """
    from treadle.agent.frontends.cost import plan

    return plan(job, models, folder, as_json=as_json, **course)
