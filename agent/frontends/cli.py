"""The command line: what can be asked for, and what each command loads."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from treadle.agent import __version__
from treadle.agent.frontends.cli_cost import cost
from treadle.agent.frontends.cli_files import files
from treadle.agent.frontends.cli_sessions import sessions
from treadle.agent.frontends.options import CONTEXT, KEYS, settings

if TYPE_CHECKING:
    from treadle.agent.frontends.opening import RunOptions


def main() -> NoReturn:
    """Run the command line and exit. Bad usage is exit code 1; click's own is 2."""
    _fill_standard_streams()
    _keep_line_breaks(cli)
    leave(code_of(sys.argv[1:]))


def leave(code: int) -> NoReturn:
    """End the process now. Whatever must be closed is closed: to take the interpreter apart would take longer than a step.

    Nor is anything waited for that a thread still does, as for a name server that never answers.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, unread or not there at all
            stream.flush()
    os._exit(code)


def _keep_line_breaks(command: click.Command) -> None:
    """Turn what a raw docstring says into what click reads: a backspace keeps a paragraph's lines."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _keep_line_breaks(inner)


def _fill_standard_streams() -> None:
    """Point standard streams that were closed nowhere, so that no file of ours takes their numbers."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        os.set_inheritable(number, True)
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


def code_of(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        code = cli.main(arguments, prog_name="treadle", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 1
    except click.UsageError as error:
        _bad_usage(arguments, error)
        return 1
    except click.ClickException as error:
        click.echo(f"treadle: {error.format_message()}", err=True)
        return 1
    except click.Abort:
        _interrupted(arguments)
        return 130
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        from treadle.agent.config import environment, folders
        from treadle.agent.frontends.faults import told_fault

        click.echo(f"treadle: {told_fault(error, folders(environment()).state)}", err=True)
        return 2


def _interrupted(arguments: list[str]) -> None:
    """Tell the result of a run that was interrupted while its parts were loaded."""
    if arguments[:1] == ["run"] and _value_of("--output", arguments) in {"json", "stream-json"}:
        from treadle.agent.frontends.outcome import Result

        click.echo(json.dumps(Result().end("cancelled").as_object()))


def _bad_usage(arguments: list[str], error: click.UsageError) -> None:
    hint = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
    message = " ".join(error.format_message().split())
    click.echo(f"treadle: {message}{hint}", err=True)
    if arguments[:1] != ["run"]:
        return
    from treadle.agent.frontends.outcome import Result

    result = Result().end("usage", message)
    if _value_of("--output", arguments) in {"json", "stream-json"}:
        click.echo(json.dumps(result.as_object()))
    if folder := _value_of("--output-dir", arguments):
        from treadle.agent.frontends.folder import leave_result

        leave_result(Path(folder), result)


def _value_of(option: str, arguments: list[str]) -> str:
    """Find an option in a command line that could not be parsed; empty when it is not there."""
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name == option:
            return value
        if name.startswith(f"{option}="):
            return name.partition("=")[2]
    return ""


@click.group(context_settings=CONTEXT, invoke_without_command=False)
@click.version_option(__version__, "-V", "--version", prog_name="treadle", message="%(prog)s %(version)s")
def cli() -> None:
    r"""An agentic coding runtime: give it a task on a repository and any model.

    \b
    treadle demo                                    the main job on an embedded task, without a key
    treadle run -m openai/gpt-6.1-sol "fix the failing test"
    treadle run --output json < task.md             for scripts: one JSON object at the end
    treadle doctor                                  what works on this machine
    """


cli.add_command(sessions)
cli.add_command(files)
cli.add_command(cost)


@cli.command(context_settings=CONTEXT)
@click.argument("prompt", required=False)
@click.option(
    "-C", "--cd", "folder", type=click.Path(path_type=Path), default=Path(), help="The folder to work on."
)
@settings
@click.option(
    "--output", type=click.Choice(["text", "json", "stream-json"]), default="text", show_default=True
)
@click.option(
    "-o",
    "--output-last-message",
    "last_message",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the final message to this file too.",
)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave result, events, diff and session there, however the run ends.",
)
@click.option("--continue", "go_on", is_flag=True, help="Go on with the newest session of this folder.")
@click.option("--resume", metavar="ID", help="Go on with a session, by its id or the beginning of it.")
@click.option("--fork", metavar="ID[@ENTRY]", help="Begin with the past of another session.")
@click.option(
    "--output-schema",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The final message must be JSON that fits this JSON Schema.",
)
@click.option("--json-mode", is_flag=True, help="The final message must be a JSON object.")
@click.option("--verify", metavar="CMD", help="A command that must succeed before the task is done.")
@click.option(
    "--permission-command",
    metavar="CMD",
    help="A program that is asked what rules leave open: JSON on its input, exit code 0 allows.",
)
@click.option("--trust", is_flag=True, help="Take in the folder's instructions and config, and remember it.")
@click.option(
    "--tools",
    type=click.Choice(["all", "read", "none"]),
    default="all",
    show_default=True,
    help="What the model may call; none is plain chat.",
)
@click.option(
    "--attach",
    "--image",
    "attach",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="A document or picture that goes with the prompt; a long one is searched. Repeatable.",
)
@click.option("--ephemeral", is_flag=True, help="Keep no session on disk.")
def run(**given: Any) -> int:
    r"""Do one task; what rules leave open is asked at a terminal, and refused where there is none.

    The prompt is the argument, or standard input when there is none; with both, the input is added to it. The
    final message goes to standard output, progress to standard error.

    \b
    treadle run -m anthropic/claude-sonnet-5-5 "add a --json flag to the report command"
    git diff | treadle run "review this change" --mode plan
    treadle run --output json --max-cost 0.50 --time-limit 600 - < task.md

    \b
    Exit code: 0 done · 1 usage · 2 failed · 3 limit · 5 denied · 130/143 cancelled
    """
    from treadle.agent.frontends.run import run_task

    if sum(bool(given[name]) for name in ("go_on", "resume", "fork")) > 1:
        raise click.UsageError("--continue, --resume and --fork exclude each other")
    if given["ephemeral"] and (given["go_on"] or given["resume"] or given["fork"]):
        raise click.UsageError("--ephemeral begins anew: leave it out to go on with a session")
    given["schema"] = _schema(given.pop("output_schema"))
    return run_task(_options(given))


@cli.command(context_settings=CONTEXT)
@click.argument("script", required=False, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free one.")
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Write each request there.")
def mock(script: Path | None, port: int, record: Path | None) -> int:
    r"""Serve a provider on 127.0.0.1 that says what a script tells it to.

    Without a script it answers every request by itself. Ends with Ctrl-C. Below a vendor's name it is as peculiar as
    that vendor, at the paths of the vendor's own address.

    \b
    treadle mock script.yaml --port 8123 --record requests.jsonl
    TREADLE_MOCK_URL=http://127.0.0.1:8123 treadle run -m mock/any "do it"
    OPENROUTER_BASE_URL=http://127.0.0.1:8123/openrouter/api/v1 treadle run -m openrouter/any "do it"
    """
    from treadle.agent.frontends.serve_mock import serve_mock

    return serve_mock(script, port, record)


@cli.command(context_settings=CONTEXT)
@click.option("--task", default="ledger", show_default=True, metavar="NAME", help="Which ready-made task.")
@click.option("--keep", is_flag=True, help="Leave the working copy where it is.")
def demo(task: str, keep: bool) -> int:
    """Do a ready-made task with a scripted model: no key, no network.

    Shows the work as it happens, the diff, the failing test that passes afterwards, tokens and cost. The working
    copy lies in the folder for temporary files; no setting and no session of yours is used.
    """
    from treadle.agent.frontends.demo import run_demo

    return run_demo(task, keep=keep)


@cli.command(context_settings=CONTEXT)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> int:
    """Say what works on this machine, and what to do about the rest.

    Names the variables that hold keys, never their values. Exit code: 0, or 1 when a plain run would not work.
    """
    from treadle.agent.frontends.doctor import run_doctor

    return run_doctor(as_json=as_json)


@cli.command(context_settings=CONTEXT)
@click.argument("glob", metavar="[NAME-GLOB]", default="*")
@click.option("--vendor", metavar="NAME", help="The models of one vendor.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models(glob: str, vendor: str | None, as_json: bool) -> int:
    r"""List models with their limits, efforts and prices.

    What is listed comes from the catalogue, from two data packages and from your config; nothing is fetched. Prices
    are in USD a million tokens as of today; `from` and `above` say when, and for which requests, others hold.

    \b
    treadle models --vendor anthropic
    treadle models 'openai/gpt-6*'
    treadle models --json sonnet | jq .prices
    """
    from treadle.agent.frontends.models import show_models

    return show_models(glob, vendor, as_json=as_json)


@cli.group(context_settings=CONTEXT)
def debug() -> None:
    r"""Look at one part of the machinery.

    \b
    treadle debug request -m openai/gpt-6.1-sol "fix the test"
    treadle debug decode --wire openai_chat < stream.txt
    treadle debug tool grep '{"pattern": "TODO"}' -C src
    """


@debug.command("request", context_settings=CONTEXT)
@click.argument("prompt", required=False)
@click.option("-C", "--cd", "folder", type=click.Path(path_type=Path), default=Path())
@settings
@click.option("--resume", metavar="ID", help="The next request of this session; it is left as it is.")
@click.option(
    "--messages", metavar="FILE", help="A conversation as JSON in place of a session; - is standard input."
)
@click.option("--output-schema", type=click.Path(path_type=Path), metavar="FILE", help="As in `treadle run`.")
@click.option("--json-mode", is_flag=True, help="As in `treadle run`.")
@click.option(
    "--tools", type=click.Choice(["all", "read", "none"]), default="all", help="As in `treadle run`."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def debug_request(as_json: bool, messages: str | None, **given: Any) -> int:
    r"""Show the exact next request, secrets blotted out. Nothing is sent.

    \b
    treadle debug request -m openai/gpt-6.1-sol "fix the test"
    treadle debug request -m zai/glm-5.3 --messages conversation.json --json
    """
    from treadle.agent.frontends.debug import debug_messages
    from treadle.agent.frontends.debug import debug_request as show

    given["schema"] = _schema(given.pop("output_schema"))
    if messages is None:
        return show(_options(given), as_json=as_json)
    if given["prompt"] is not None or given["resume"] is not None:
        raise click.UsageError("--messages excludes a prompt and --resume")
    if given["tools"] != "all":
        raise click.UsageError("--messages names its own tools: leave --tools out")
    return debug_messages(_options(given), messages, as_json=as_json)


@debug.command("decode", context_settings=CONTEXT)
@click.option("--wire", "name", required=True, metavar="NAME", help="As in openai_chat.")
def debug_decode(name: str) -> int:
    """Decode a recorded reply on standard input: neutral events, one JSON a line, then the message."""
    from treadle.agent.frontends.debug import debug_decode as decode

    return decode(name)


@debug.command("tool", context_settings=CONTEXT)
@click.argument("name")
@click.argument("arguments", metavar="JSON", default="{}")
@click.option("-C", "--cd", "folder", type=click.Path(path_type=Path), default=Path())
@click.option("--mode", type=click.Choice(["plan", "ask", "edit", "auto", "yolo"]))
@click.option("--sandbox", type=click.Choice(["auto", "bwrap", "none"]))
@click.option(
    "-c", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, as TOML. Repeatable."
)
def debug_tool(name: str, arguments: str, **given: Any) -> int:
    """Make one call of a built-in tool through policy and sandbox, and show its result as JSON.

    Exit code: 0 done · 1 usage · 2 the call failed · 5 denied
    """
    from treadle.agent.frontends.debug import debug_tool as make

    return make(name, arguments, _options(given))


def _options(given: dict[str, Any]) -> RunOptions:
    """Take the settings among the options apart from the others."""
    from treadle.agent.frontends.opening import AnswerOptions, Destination, Past, RunOptions

    to, past = Destination(**_taken(Destination, given)), Past(**_taken(Past, given))
    answer = AnswerOptions(**_taken(AnswerOptions, given))
    own = _taken(RunOptions, given)
    return RunOptions(
        to=to,
        past=past,
        answer=answer,
        **own,
        flags={KEYS.get(name, name): value for name, value in given.items()},
    )


def _schema(file: Path | None) -> dict[str, Any] | None:
    """Read the schema of `--output-schema`; the validator is loaded for that alone."""
    if file is None:
        return None
    from treadle.agent.frontends.schema_file import read_schema
    from treadle.tools.schema import BadSchema

    try:
        return read_schema(file)
    except BadSchema as error:
        raise click.UsageError(str(error)) from error


def _taken(made: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Take out of what was given the fields of one record."""
    return {name: given.pop(name) for name in made.__dataclass_fields__ if name in given}
