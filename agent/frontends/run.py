"""One task, headless: `treadle run`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import anyio

from treadle.agent.build import Opened, Opening, WorkspaceError, open_session
from treadle.agent.config import ConfigError, Folders, environment, folders
from treadle.agent.events import Event, MessageAdded, Noted, TurnEnded
from treadle.agent.frontends.eventloop import run
from treadle.agent.frontends.faults import told_fault
from treadle.agent.frontends.folder import FolderOutput
from treadle.agent.frontends.interrupts import Interrupts
from treadle.agent.frontends.opening import Destination, RunOptions, opening_for
from treadle.agent.frontends.outcome import Result
from treadle.agent.frontends.outputs import (
    Output,
    OutputClosed,
    complain,
    first_of,
    output_for,
    wants_color,
)
from treadle.agent.frontends.prompt import UsageError
from treadle.agent.log import LogError, SessionLog
from treadle.agent.messages import AssistantMessage, UserMessage
from treadle.agent.providers.contract import ProviderError
from treadle.agent.session import Session
from treadle.agent.sessions import NoSuchSession
from treadle.sandbox.contract import SandboxError, SandboxUnavailable

UNREAD = "standard output was closed; the session is saved"


def run_task(options: RunOptions) -> int:
    """Run one task and return the exit code. Whatever happens, the result is told."""
    with Interrupts() as interrupts:
        return _run_task(options, interrupts)


def _run_task(options: RunOptions, interrupts: Interrupts) -> int:
    began = monotonic()
    env = environment()
    result = Result()
    output = output_for(options.to.output, color=wants_color(env.get("NO_COLOR"), sys.stderr))
    try:
        output = _try_to_write(options.to, output)
        run(_run, options, env, output, result, interrupts)
    except (UsageError, WorkspaceError, ConfigError, NoSuchSession, ProviderError) as error:
        result.end("usage", str(error))  # a `ProviderError` here is about a name, a key or an address
    except SandboxUnavailable as error:
        result.end("failed", f"{error} --sandbox none runs commands without any.")
    except (SandboxError, LogError) as error:
        result.end("failed", str(error))
    except OSError as error:
        result.end("failed", _os_error(error, folders(env)))
    except OutputClosed:
        result.end("failed", UNREAD)
    except KeyboardInterrupt:
        result.end("cancelled", exit_code=interrupts.code)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a fault of ours must not hide the outcome
        result.end("failed", told_fault(error, folders(env).state))
    interrupts.phase = "ending"
    result.duration_ms = round((monotonic() - began) * 1000)
    return _tell(output, options, result)


def _try_to_write(to: Destination, shown: Output) -> Output:
    """Find out before anything runs whether files can be written, and return where events go. Raises `UsageError`."""
    option = f"-o {to.last_message}"
    try:
        if to.last_message is not None:
            to.last_message.open("a", encoding="utf-8").close()
        option = f"--output-dir {to.output_dir}"
        return FolderOutput(to.output_dir, shown) if to.output_dir is not None else shown
    except OSError as error:
        raise UsageError(f"{option}: cannot be written: {error.strerror or error}") from error


def _tell(output: Output, options: RunOptions, result: Result) -> int:
    try:
        if options.to.last_message is not None:
            options.to.last_message.write_text(result.found.message, encoding="utf-8", errors="replace")
    except OSError as error:
        if result.outcome == "done":
            result.end("failed", f"-o {options.to.last_message}: {error.strerror or error}")
    told = result.error is not None
    try:
        output.end(result)
    except OutputClosed:
        if result.outcome == "done":
            result.end("failed")
        if not told:
            complain("treadle: standard output was closed before the result could be written")
    return result.exit_code


def _os_error(error: OSError, places: Folders) -> str:
    where = f"{error.filename}: " if error.filename else ""
    file = Path(str(error.filename or "-"))
    ours = file.is_relative_to(places.state) or places.state.is_relative_to(file)
    hint = "; set XDG_STATE_HOME to a folder that can be written, or keep no session with --ephemeral"
    return f"{where}{error.strerror or error}" + (hint if ours else "")


async def _run(
    options: RunOptions, env: Mapping[str, str], output: Output, result: Result, interrupts: Interrupts
) -> None:
    opening, prompt = opening_for(options, env, result)
    try:
        await _run_session(opening, prompt, output, result, interrupts, attach=options.attach)
    finally:
        if options.past.fork is not None and opening.resume is not None and result.log_head is None:
            opening.resume.unlink(missing_ok=True)  # nothing was said in it: it is only a copy


async def _run_session(
    opening: Opening,
    prompt: str | None,
    output: Output,
    result: Result,
    interrupts: Interrupts,
    *,
    attach: tuple[Path, ...],
) -> None:
    async with open_session(opening) as opened:
        result.session_id, result.sandbox = opened.session.id, opened.level
        if prompt is None:
            result.found.message = _left_over(opened.session.record.log)
        messages: tuple[UserMessage, ...] = ()
        if prompt is not None:
            messages = (*opened.facts, await opened.attach(await opened.say(prompt), attach))
        try:
            output.begin(opened.session, opening.folder)
        except OutputClosed:  # what was asked for is there to go on with
            await opened.session.record.keep(*(MessageAdded(message=message) for message in messages))
            raise
        for remark in opened.remarks:
            complain(f"treadle: {remark}")

        async def show(event: Event) -> None:
            result.see(event)
            try:
                output.show(event)
            except OutputClosed:
                interrupts.unread = True
                opened.session.cancel()

        with opened.session.record.watch(show):
            try:
                ended = await _until_interrupted(opened.session, messages, interrupts)
                await _stop_jobs(opened)
            finally:
                result.log_head = opened.session.record.log.head_hash
        if unsaved := opened.session.record.log.unsaved:
            complain(f"treadle: {unsaved:,} bytes of the session could not be saved: the disk is full")
        _conclude(result, ended, interrupts)


async def _stop_jobs(opened: Opened) -> None:
    """End the jobs that still run, and say so: nobody is there to look after them."""
    for job in await opened.jobs.stop():
        await opened.session.record.show(Noted(text=f"stopped job {job.number} ({job.name})"))


def _conclude(result: Result, ended: TurnEnded, interrupts: Interrupts) -> None:
    result.turn = ended
    if ended.outcome == "cancelled" and interrupts.code is None:
        result.end("failed", UNREAD)
    else:
        result.end(ended.outcome, ended.error, interrupts.code if ended.outcome == "cancelled" else None)


async def _until_interrupted(
    session: Session, messages: tuple[UserMessage, ...], interrupts: Interrupts
) -> TurnEnded:
    """Prompt the session; what ends the run from outside cancels the turn."""

    async def heed() -> None:
        await interrupts.wait()
        session.cancel()

    ended: TurnEnded | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(heed)
            interrupts.phase = "working"
            ended = await session.prompt(*messages)
            interrupts.phase = "ending"
            group.cancel_scope.cancel()
    except ExceptionGroup as failures:
        raise first_of(failures) from None
    assert ended is not None
    return ended


def _left_over(log: SessionLog) -> str:
    """Return what the model said last where only the turn's end is missing; empty when there is more to do.

    Raises `UsageError` where there is nothing to go on with.
    """
    match log.conversation.messages[-1:]:
        case (AssistantMessage(state="complete", text=text),):
            marks = (entry.body for entry in reversed(log.branch()))
            if isinstance(
                next(mark for mark in marks if isinstance(mark, MessageAdded | TurnEnded)), MessageAdded
            ):
                return text
        case (_,):
            return ""
        case _:
            pass
    raise UsageError("this session has nothing left to do: give a prompt")
