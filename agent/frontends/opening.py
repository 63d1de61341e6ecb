"""What a run is opened with, from what was asked for and what the folder holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from treadle.agent.build import Answer, Guidance, Opening, workspace
from treadle.agent.build.skills import called, find_skills
from treadle.agent.config import Folders, assigned, folders, load
from treadle.agent.frontends.asking import asker_for
from treadle.agent.frontends.outcome import Result
from treadle.agent.frontends.outputs import Format, complain
from treadle.agent.frontends.prompt import read_prompt
from treadle.agent.frontends.sessions import fork_session
from treadle.agent.permit import nobody
from treadle.agent.providers.contract import Output as Wanted
from treadle.agent.sessions import find, newest
from treadle.agent.workspace.instructions import instruction_files, read_instructions
from treadle.agent.workspace.trust import PROJECT_CONFIG, TrustStore, takes_effect
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject

_NAMED = 8
"""Files named in one line."""


@frozen
class Past:
    """Which session a run goes on with; at most one of the first three is given."""

    resume: str | None = None
    """Id of a session to go on with, or the beginning of one."""
    fork: str | None = None
    """ID[@ENTRY] of a session whose past a new one begins with."""
    go_on: bool = False
    """Go on with the newest session of the workspace."""
    ephemeral: bool = False
    """Keep nothing on disk."""


@frozen
class Destination:
    """Where what a run says goes."""

    output: Format = "text"
    last_message: Path | None = None
    """A file that gets the final message too."""
    output_dir: Path | None = None
    """A folder that gets everything, however the run ends."""


@frozen
class AnswerOptions:
    """What the final message must be, and what must hold before it counts."""

    schema: JsonObject | None = None
    """JSON Schema; None for text."""
    json_mode: bool = False
    verify: str | None = None
    """A command that must succeed before the task is done."""


@frozen
class RunOptions:
    """What `treadle run` was asked for."""

    prompt: str | None = None
    """None or `-` reads standard input; with a prompt, what stands there is appended as a block."""
    folder: Path = Path()
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings by dotted key; None where a flag was not given."""
    assignments: tuple[str, ...] = ()
    to: Destination = Destination()
    past: Past = Past()
    answer: AnswerOptions = AnswerOptions()
    permission_command: str | None = None
    """A program that answers what rules leave open; None asks at the terminal, if there is one."""
    trust: bool = False
    """Trust the folder as it is now, and remember that."""
    tools: Literal["all", "read", "none"] = "all"
    attach: tuple[Path, ...] = ()
    """Documents that go with the prompt."""


def opening_for(options: RunOptions, env: Mapping[str, str], result: Result) -> tuple[Opening, str | None]:
    """Return what a session is opened with, and the prompt: None goes on with what is unfinished.

    Raises `UsageError`, `WorkspaceError`, `ConfigError`, `NoSuchSession`.
    """
    root = workspace(options.folder)
    places = folders(env)
    store = TrustStore(places.state / "trust.json")
    trusted = _is_trusted(root, store, options, result)
    project = root / PROJECT_CONFIG if trusted and (root / PROJECT_CONFIG).is_file() else None
    config = load(env, options.flags, options.assignments, project)
    resume = _session_file(options, places, root)
    goes_on = resume is not None or options.past.fork is not None
    prompt = read_prompt(options.prompt, optional=goes_on and not options.attach)
    instructions = read_instructions(instruction_files(root)) if trusted else ()
    home = env.get("HOME")
    skills, odd = find_skills(root, Path(home) if home else None, trusted=trusted)
    for line in odd:
        complain(f"treadle: {line}")
    prompt = called(prompt, skills) if prompt else prompt
    if options.past.fork is not None:  # last, for it makes a file
        resume = fork_session(places, options.past.fork)
    return Opening(
        root,
        config,
        env,
        places,
        resume,
        options.past.ephemeral,
        guidance=Guidance(
            instructions,
            lambda file: trusted and _takes_in(file, root, store, options, result),
            skills,
        ),
        tools=options.tools,
        given=_given(options),
        answer=Answer(Wanted(options.answer.schema, options.answer.json_mode), options.answer.verify),
        asker=asker_for(options.permission_command, str(root), env) or nobody,
    ), prompt


def _is_trusted(root: Path, store: TrustStore, options: RunOptions, result: Result) -> bool:
    """Say whether what lies in the workspace may steer the session; when not, say what is ignored."""
    if options.trust:
        store.trust(root)
    if store.trusts(root):
        return True
    result.found.untrusted = [os.path.relpath(file, root) for file in takes_effect(root)]
    _tell_untrusted("this folder is not trusted", result.found.untrusted)
    return False


def _takes_in(file: Path, root: Path, store: TrustStore, options: RunOptions, result: Result) -> bool:
    """Say whether an instruction file deep in a trusted workspace is trusted too; when not, say that it is ignored."""
    if options.trust:
        store.trust_file(file)
    elif not store.trusts_file(file):
        name = os.path.relpath(file, root)
        result.found.untrusted.append(name)
        _tell_untrusted(f"{name} is not trusted as it is now", [name])
        return False
    return True


def _tell_untrusted(what: str, names: list[str]) -> None:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    complain(f"treadle: {what}: ignoring {', '.join(names[:_NAMED])}{more}; --trust takes them in")


def _given(options: RunOptions) -> frozenset[str]:
    flags = {key for key, value in options.flags.items() if value is not None and value != ()}
    return assigned(options.assignments) | flags


def _session_file(options: RunOptions, places: Folders, root: Path) -> Path | None:
    if options.past.resume is not None:
        return find(places.sessions, options.past.resume)
    return newest(places.sessions, root) if options.past.go_on else None
