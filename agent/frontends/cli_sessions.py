"""`treadle sessions` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from treadle.agent.frontends.options import CONTEXT


@click.group(context_settings=CONTEXT)
def sessions() -> None:
    r"""Look at sessions on disk, and go on from any point of one.

    \b
    treadle sessions list
    treadle sessions show 20261124-1
    treadle sessions fork 20261124-101500-ab12cd@e7
    """


def _with_sessions(action: Callable[..., int], *arguments: Any, **named: Any) -> int:
    from treadle.agent.config import environment, folders
    from treadle.agent.frontends.sessions import told_plainly

    places = folders(environment())
    return told_plainly(lambda: action(places, *arguments, **named))


@sessions.command("list", context_settings=CONTEXT)
@click.option(
    "-C", "--cd", "folder", type=click.Path(path_type=Path), default=Path(), help="Those of this folder."
)
@click.option("--all", "everywhere", is_flag=True, help="Those of every folder.")
@click.option("--json", "as_json", is_flag=True)
def sessions_list(folder: Path, everywhere: bool, as_json: bool) -> int:
    r"""List sessions, the newest last.

    \b
    treadle sessions list -C ~/src/project
    treadle sessions list --all --json | jq .cost_usd
    """
    from treadle.agent.frontends.sessions import list_sessions

    return _with_sessions(list_sessions, None if everywhere else folder, as_json=as_json)


@sessions.command("show", context_settings=CONTEXT)
@click.argument("session")
@click.option("--json", "as_json", is_flag=True)
def sessions_show(session: str, as_json: bool) -> int:
    r"""Tell what a session said and did, with the ids of its entries.

    \b
    treadle sessions show 20261124-1        the beginning of an id will do
    """
    from treadle.agent.frontends.sessions import show_session

    return _with_sessions(show_session, session, as_json=as_json)


@sessions.command("fork", context_settings=CONTEXT)
@click.argument("session", metavar="ID[@ENTRY]")
def sessions_fork(session: str) -> int:
    r"""Begin a new session with the past of another, and print its id.

    \b
    treadle sessions fork 20261124-101500-ab12cd@e7
    treadle run --resume "$(treadle sessions fork 20261124-1)" "Try it another way."
    """
    from treadle.agent.frontends.sessions import fork_and_tell

    return _with_sessions(fork_and_tell, session)


@sessions.command("rewind", context_settings=CONTEXT)
@click.argument("session")
@click.argument("entry", required=False)
@click.option("--files-only", is_flag=True, help="The conversation stays as it is.")
@click.option("--conversation-only", is_flag=True, help="Files stay as they are.")
@click.option(
    "--overwrite", is_flag=True, help="Take back also what somebody else changed after the session."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def sessions_rewind(session: str, entry: str | None, **given: bool) -> int:
    r"""Go back to an entry, files and conversation together: what is said next continues from there.

    Without ENTRY to before the last prompt. Says first what it will do with which file, and asks. Files that the
    session never touched are left alone, and so are those that somebody else has changed after it.

    \b
    treadle sessions rewind 20261124-1
    treadle sessions rewind -y 20261124-1 e7 && treadle run --resume 20261124-1 "No: use the other one."

    \b
    Exit code: 0 done · 1 no such entry, or nobody agreed · 2 it could not be done
    """
    from treadle.agent.frontends.rewind import Wishes, rewind_session

    if given["files_only"] and given["conversation_only"]:
        raise click.UsageError("--files-only and --conversation-only leave nothing to go back in")
    wishes = Wishes(
        files=not given["conversation_only"],
        conversation=not given["files_only"],
        yes=given["yes"],
        overwrite=given["overwrite"],
    )
    return _with_sessions(rewind_session, session, entry, wishes)


@sessions.command("verify", context_settings=CONTEXT)
@click.argument("session")
def sessions_verify(session: str) -> int:
    r"""Check that nothing in a session's file was changed, and print the hash of its head.

    \b
    treadle sessions verify 20261124-1      the head is `log_head` of the run's result
    """
    from treadle.agent.frontends.sessions import verify_session

    return _with_sessions(verify_session, session)


@sessions.command("export", context_settings=CONTEXT)
@click.argument("session")
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "markdown"]), default="markdown", show_default=True
)
def sessions_export(session: str, kind: Any) -> int:
    r"""Write a session to standard output.

    \b
    treadle sessions export 20261124-1 > session.md
    treadle sessions export --format jsonl 20261124-1 | jq .body.type
    """
    from treadle.agent.frontends.sessions import export_session

    return _with_sessions(export_session, session, kind)


@sessions.command("rm", context_settings=CONTEXT)
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Delete a session though a provider still keeps something of it.")
def sessions_rm(names: tuple[str, ...], force: bool) -> int:
    r"""Delete sessions with all that lies beside them and all that providers keep for them.

    What another session of yours still refers to, as a fork does, stays at the provider. A session of which a provider
    keeps something that cannot be deleted now is left as it is.

    \b
    treadle sessions rm 20261124-1 20261123-2

    \b
    Exit code: 0 done · 1 no such session · 2 something could not be deleted
    """
    from treadle.agent.frontends.sessions import remove_sessions

    return _with_sessions(remove_sessions, names, _delete_leftovers, force=force)


def _delete_leftovers(*where: Any) -> list[str]:
    """Load what reaches providers only for a session of which they keep something."""
    from treadle.agent.frontends.leftovers import delete_leftovers

    return delete_leftovers(*where)
