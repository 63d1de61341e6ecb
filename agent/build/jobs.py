"""The jobs of a session: where the next command begins, and which of its jobs have ended meanwhile."""

from __future__ import annotations

import os
import pathlib

from treadle.agent.conversation import Conversation
from treadle.agent.events import Body, CallFinished, CallStarted, MessageAdded
from treadle.agent.log import SessionLog
from treadle.agent.messages import notice
from treadle.prompts import load
from treadle.sandbox.contract import Place
from treadle.sandbox.paths import inside
from treadle.tools.contract import JsonObject, Spill
from treadle.tools.jobs import Job, Jobs


def jobs_of(log: SessionLog, spill: Spill, place: Place) -> Jobs:
    """Return the jobs of a session that begins or goes on: numbers go on, and so does the folder of the last command."""
    details = _details(log)
    numbers = [one["job"] for one in details if isinstance(one.get("job"), int)]
    folders = [one["cwd"] for one in details if isinstance(one.get("cwd"), str)]
    cwd = os.path.realpath(folders[-1]) if folders else None
    there = cwd is not None and inside(cwd, (place.root, *place.extra)) and pathlib.Path(cwd).is_dir()
    return Jobs(spill, cwd=cwd if there else None, last=max(numbers, default=0))


def _details(log: SessionLog) -> list[JsonObject]:
    """Return what the branch keeps of its commands."""
    commands: set[str] = set()
    found: list[JsonObject] = []
    for entry in log.branch():
        match entry.body:
            case CallStarted(call=call) if call.name == "shell":
                commands.add(call.id)
            case CallFinished(result=result) if result.call_id in commands and result.details:
                found.append(result.details)
            case _:
                pass
    return found


class JobEnds:
    """Jobs that ended without anybody having waited for them, each told once."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def __call__(self, conversation: Conversation) -> tuple[Body, ...]:
        """Return a notice for each job whose end the model does not know of."""
        ended = self._jobs.fresh_ends()
        for job in ended:
            job.known = True
        return tuple(MessageAdded(message=notice(_ended(job))) for job in ended)


def _ended(job: Job) -> str:
    end = "no exit code" if job.code is None else f"exit code {job.code}"
    number, seconds = str(job.number), f"{job.seconds:.0f}"
    return load("notices/job_ended", number=number, command=job.name, end=end, seconds=seconds)
