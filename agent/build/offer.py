"""What a session's model may call, under which permit, and how its answer must look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import partial
from typing import Literal

from treadle.agent.build.opening import Opening
from treadle.agent.build.skills import skills_tool
from treadle.agent.checks import Check, fits_schema, is_json, verified
from treadle.agent.config import Config
from treadle.agent.desk import Wanted
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, ToolMessage, user
from treadle.agent.permit import Gate
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import AuthFailed, InvalidRequest, ModelInfo, ModelRequest, Output
from treadle.agent.providers.rendering import stands_for
from treadle.agent.session import Record
from treadle.agent.settings import Mode
from treadle.agent.step import Calls
from treadle.sandbox.contract import Sandbox
from treadle.sandbox.paths import inside
from treadle.sandbox.rules import parse_rule
from treadle.tools.builtin.changes import Seen
from treadle.tools.builtin.dispatch import tools_tool
from treadle.tools.builtin.standard import builtin_tools
from treadle.tools.contract import Function, Hosted, HostedKind, JsonObject, Text, Tool, ToolSpec
from treadle.tools.jobs import Jobs
from treadle.tools.toolbox import Toolbox, ToolSet


def edits_by(config: Config, info: ModelInfo | None = None, log: SessionLog | None = None) -> frozenset[str]:
    """Return the names of the tools that files are changed with; all there are for no model in particular.

    A session that goes on keeps what it has.
    """
    if log is not None and log.head is not None:
        return frozenset(tool.name for tool in log.conversation.prefix.tools)
    chosen = config.tools.edit or (info.dialect.get("edit_tool", "edit") if info is not None else "both")
    return _EDITS if chosen == "both" else frozenset({chosen})


_EDITS = frozenset({"edit", "patch"})


def make_calls(
    opening: Opening, sandbox: Sandbox, record: Record, jobs: Jobs, mode: Mode, *, edits: frozenset[str]
) -> Calls:
    """Put together what runs calls, with the tools that were chosen; `edits` are those that change files."""
    config = opening.config
    rules = [
        *(parse_rule(text, "allow") for text in config.allow),
        *(parse_rule(text, "deny") for text in config.deny),
    ]
    contained = sandbox.processes.level != "none" or config.sandbox == "none"
    gate = Gate(rules, mode, contained, sandbox.place, opening.asker)
    toolbox = Toolbox()
    calls = Calls(toolbox, sandbox, gate, record.keep, record.show)
    ripgrep = _ripgrep(opening.env.get("PATH", ""), sandbox.place.root)
    dispatcher = tools_tool(lambda: _reachable(toolbox.snapshot(), record.log), calls, toolbox.known)
    offered = (*builtin_tools(Seen(partial(_sent, record.log)), jobs, ripgrep), dispatcher)
    if any(not skill.hidden for skill in opening.guidance.skills):
        offered = (*offered, skills_tool(opening.guidance.skills))
    unused = {*(_EDITS - edits), "job"}
    if "patch" in edits and "edit" not in edits:
        unused.add("write")  # a patch makes files too, and every request would carry both
    chosen = [tool for tool in offered if _is_offered(tool, opening.tools) and tool.spec.name not in unused]
    toolbox.plug("builtin", chosen)
    if opening.tools == "all":
        # Of use once there is a job: until then no request has to carry it.
        toolbox.plug("jobs", [tool for tool in offered if tool.spec.name == "job"], deferred=True)
    return calls


def _reachable(offered: ToolSet, log: SessionLog) -> Mapping[str, Tool]:
    """Return what the dispatcher reaches: every tool but those that the model's own list has as they are now."""
    if log.head is None:
        return offered.deferred
    listed = {spec.name: spec for spec in log.conversation.prefix.tools}
    more = {name: tool for name, tool in offered.tools.items() if tool.spec != listed.get(name)}
    return {**offered.deferred, **more}


def _sent(log: SessionLog, call_id: str) -> tuple[str, int] | None:
    """Return what the model is still sent as the result of a call, and how many replies ago that was."""
    ago = 1  # the reply that is being answered now
    for message in reversed(log.conversation.messages[:-2]):
        if isinstance(message, AssistantMessage):
            ago += 1
        elif isinstance(message, ToolMessage):
            found = [result for result in message.results if result.call_id == call_id]
            if found:
                return "".join(part.text for part in found[0].content if isinstance(part, Text)), ago
    return None


def _is_offered(tool: Tool, choice: Literal["all", "read", "none"]) -> bool:
    match choice:
        case "all":
            return True
        case "read":
            return tool.spec.name in {"read", "glob", "grep", "plan", "skill"}
        case "none":
            return False


def _ripgrep(path: str, root: str) -> str | None:
    """Find ripgrep outside the workspace. None: the searches do without."""
    found = shutil.which("rg", path=path)
    real = os.path.realpath(found) if found else ""
    return real if real and not inside(real, (root,)) else None


def answers_by_tool(opening: Opening, info: ModelInfo, log: SessionLog) -> bool:
    """Say whether the answer comes as a call: where no wire format holds the model to a schema, but tools work.

    A session that goes on keeps the tools it has: without this very one among them it is asked in words.
    """
    schema = opening.answer.output.schema
    if schema is None or info.dialect.get("structured", "json_schema") == "json_schema":
        return False
    if log.head is None:
        return opening.tools != "none"
    return any(
        isinstance(tool, Function) and (tool.name, tool.parameters) == ("answer", schema)
        for tool in log.conversation.prefix.tools
    )


def offer_answer(toolbox: Toolbox, output: Output) -> None:
    """Offer the tool whose call is the final answer."""
    from treadle.tools.builtin.answer import AnswerTool

    assert output.schema is not None
    toolbox.plug("answer", [AnswerTool(output.schema)])


def hosted_tools(chosen: Mapping[HostedKind, JsonObject | bool]) -> tuple[Hosted, ...]:
    """Return the tools that the provider is asked to run, in the order of their names."""
    return tuple(
        Hosted(kind=kind, config=given if isinstance(given, dict) else {})
        for kind, given in sorted(chosen.items())
        if given is not False
    )


def check_hosted(client: Client, tools: tuple[ToolSpec, ...]) -> None:
    """Find out before anything is sent whether a model's vendor runs what is asked for. Raises `InvalidRequest`."""
    if any(isinstance(tool, Hosted) and tool.kind == "computer_use" for tool in tools):
        raise InvalidRequest("hosted.computer_use needs a screen to act on, and there is none here yet.")
    client.encode(ModelRequest(system=(), tools=tools, messages=(user("May I?"),)))


def tokens_of(tools: tuple[Hosted, ...], env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tokens of MCP servers by what stands for each in a request. Raises `AuthFailed` for one not set."""
    names = [str(tool.config["token_env"]) for tool in tools if tool.config.get("token_env")]
    for name in names:
        if not env.get(name):
            raise AuthFailed(f"hosted.mcp takes its token from {name}, which is not set.")
    return {stands_for(name): env[name] for name in names}


def wanted_of(opening: Opening, sandbox: Sandbox, *, by_tool: bool) -> Wanted:
    """Say what must hold before the turn may end as done."""
    checks: list[Check] = []
    if opening.answer.output.schema is not None and not by_tool:
        from treadle.tools.schema import misfit

        checks.append(fits_schema(opening.answer.output.schema, misfit))
    if opening.answer.output.json_mode:
        checks.append(is_json())
    if opening.answer.verify is not None:
        checks.append(verified(sandbox, opening.answer.verify))
    return Wanted(
        Output() if by_tool else opening.answer.output, tuple(checks), "answer" if by_tool else None
    )
