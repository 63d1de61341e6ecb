"""The skills of a session: found, told, loaded by the model or called by the user."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import anyio

from treadle.agent.workspace.skills import (
    Skill,
    body,
    project_skill_files,
    read_skills,
    resources,
    user_skill_files,
)
from treadle.prompts import load
from treadle.tools.contract import Tool, ToolError

_LISTED = 30
"""Files of a skill that are named to the model."""


def find_skills(root: Path, home: Path | None, *, trusted: bool) -> tuple[tuple[Skill, ...], tuple[str, ...]]:
    """Return the skills that hold for a workspace, and a line for each that is odd.

    None for `home` leaves the user's own out; nothing of a workspace that is not trusted is read.
    """
    project = project_skill_files(root) if trusted else ()
    return read_skills(project, user_skill_files(home) if home else (), _yaml)


def index(skills: tuple[Skill, ...]) -> str:
    """Return what the model is told about the skills; empty when there is none to tell."""
    lines = [f"- {skill.name}: {skill.description}" for skill in skills if not skill.hidden]
    return load("facts/skills", skills="\n".join(lines)) if lines else ""


def skills_tool(skills: tuple[Skill, ...]) -> Tool:
    """Return the tool that loads them, loading its module."""
    from treadle.tools.builtin.skill import skill_tool

    texts: Mapping[str, Callable[[], Awaitable[str]]] = {
        skill.name: partial(_loaded, skill) for skill in skills if not skill.hidden
    }
    return skill_tool(texts)


def skill_text(skill: Skill) -> str:
    """Return a skill as the model reads it. Raises OSError."""
    files = [shlex.quote(str(file.relative_to(skill.folder))) for file in resources(skill.folder)]
    named = ", ".join(files[:_LISTED]) + (f" and {len(files) - _LISTED} more" if len(files) > _LISTED else "")
    return load("skill", skill=skill.name, folder=str(skill.folder), body=body(skill), files=named or "none")


def called(prompt: str, skills: tuple[Skill, ...]) -> str:
    """Return a prompt with the skill that it calls, as in `/name do this`; any other prompt as it is.

    Raises OSError when the skill cannot be read.
    """
    first, _, rest = prompt.partition(" ")
    skill = next((skill for skill in skills if first.rstrip("\n") == f"/{skill.name}"), None)
    return prompt if skill is None else f"{skill_text(skill).rstrip()}\n\n{rest.strip() or 'Do it.'}"


async def _loaded(skill: Skill) -> str:
    try:
        return await anyio.to_thread.run_sync(skill_text, skill)
    except OSError as error:
        raise ToolError(f"The skill {skill.name} cannot be read: {error.strerror or error}") from error


def _yaml(front: str) -> Mapping[str, str]:
    from treadle.agent.workspace.front_matter import parse

    return parse(front)
