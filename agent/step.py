"""The second half of a step: run what the model called."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from uuid import uuid4

import anyio

from treadle.agent import results
from treadle.agent.arguments import parse_arguments
from treadle.agent.events import (
    CallFinished,
    CallProgress,
    CallStarted,
    Keep,
    MessageAdded,
    PermissionAsked,
    PermissionResolved,
    Show,
)
from treadle.agent.limits import Meter
from treadle.agent.permit import Allowed, Permit, Refused, Unsure, in_words
from treadle.sandbox.conflicts import earlier_conflicts
from treadle.sandbox.contract import Access, Sandbox, SandboxError
from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import resolve
from treadle.tools.contract import (
    JsonObject,
    Tool,
    ToolCall,
    ToolContext,
    ToolError,
    ToolResult,
)
from treadle.tools.toolbox import Toolbox


@frozen
class _Ready:
    """A call that names a tool and fits it."""

    tool: Tool
    arguments: JsonObject
    access: Access


class Calls:
    """Runs calls: those of a reply, and those that a tool makes itself, under one permit and one meter."""

    def __init__(self, toolbox: Toolbox, sandbox: Sandbox, permit: Permit, keep: Keep, show: Show) -> None:
        self.toolbox = toolbox
        self.meter = Meter(None)
        """Counts against the turn's limit; each turn brings its own."""
        self.denied = 0
        """Calls refused so far in this turn."""
        self.touched: set[str] = set()
        """Absolute paths that calls which ran have named so far."""
        self.before: Callable[[MessageAdded | None, Access], Awaitable[None]] | None = None
        """Is waited for before each call that runs, with the reply that it belongs to and what it would touch."""
        self._reply: MessageAdded | None = None
        self._sandbox = sandbox
        self._permit = permit
        self._keep = keep
        self._show = show

    def begin(self, meter: Meter) -> None:
        """Start counting for a new turn."""
        self.meter, self.denied = meter, 0

    async def run(self, calls: Sequence[ToolCall], reply: MessageAdded) -> list[ToolResult]:
        """Keep the reply and run its calls, all at once but for those whose accesses conflict.

        The results keep the calls' order. A call beyond the meter's limit is not started and has no result.
        """
        prepared = [(call, self._prepare(call)) for call in calls if self.meter.take()]
        found: dict[int, ToolResult] = {}
        self._reply = reply
        verdicts = [self._judge(call, ready) for call, ready in prepared]
        started = [
            CallStarted(call=call)
            for (call, _), verdict in zip(prepared, verdicts, strict=True)
            if isinstance(verdict, Allowed)
        ]
        await self._keep(reply, *started)
        done = [anyio.Event() for _ in prepared]
        waits = earlier_conflicts([
            resolve(ready.access) if isinstance(ready, _Ready) else None for _, ready in prepared
        ])

        async def run(index: int) -> None:
            call, ready = prepared[index]
            try:
                for earlier in waits[index]:
                    await done[earlier].wait()
                found[index] = await self._finish(call, ready, verdicts[index], None)
            finally:
                done[index].set()

        async with anyio.create_task_group() as group:
            for index in range(len(prepared)):
                group.start_soon(run, index)
        return [found[index] for index in range(len(prepared))]

    async def call(self, name: str, arguments: JsonObject, *, parent: str) -> ToolResult:
        """Run one call that the call `parent` makes."""
        call = ToolCall(id=f"{parent}.{uuid4().hex[:8]}", name=name, arguments=json.dumps(arguments))
        if not self.meter.take():
            return results.result(call, "The limit on tool calls is reached.", "denied")
        ready = self._prepare(call)
        verdict = self._judge(call, ready)
        if isinstance(verdict, Allowed):
            await self._keep(CallStarted(call=call, parent_call=parent))
        return await self._finish(call, ready, verdict, parent)

    def _prepare(self, call: ToolCall) -> _Ready | ToolResult:
        try:
            offered = self.toolbox.snapshot()
            tool = offered.find(call.name)
            if tool is None:
                if call.name in self.toolbox.known:
                    raise ToolError(f"{call.name} is not available any more.")
                names = ", ".join(offered.tools)
                raise ToolError(f"There is no tool named {call.name!r}. There are: {names}.")
            arguments = parse_arguments(call)
            return _Ready(tool, arguments, tool.access(arguments, self._sandbox.place))
        except ToolError as error:
            return results.failed(call, error)

    def _judge(self, call: ToolCall, ready: _Ready | ToolResult) -> Allowed | Refused | Unsure | None:
        return self._permit.judge(call, ready.access) if isinstance(ready, _Ready) else None

    async def _finish(
        self,
        call: ToolCall,
        ready: _Ready | ToolResult,
        verdict: Allowed | Refused | Unsure | None,
        parent: str | None,
    ) -> ToolResult:
        """Get what is still missing of a decision, run the call if it may run, keep the result."""
        began = monotonic()
        if not isinstance(ready, _Ready):
            result = ready
        else:
            grant = () if verdict is None or isinstance(verdict, Refused) else verdict.grant
            if isinstance(verdict, Unsure):
                verdict = await self._ask(call, ready.access, verdict, parent)
                began = monotonic()
            elif isinstance(verdict, Refused):
                await self._resolved(call, ready.access, verdict)
            result = (
                await self._run(call, ready, grant)
                if isinstance(verdict, Allowed)
                else results.result(call, verdict.reason if verdict else "", "denied")
            )
        await self._keep(
            CallFinished(result=result, seconds=round(monotonic() - began, 3), parent_call=parent)
        )
        return result

    async def _ask(
        self, call: ToolCall, access: Access, unsure: Unsure, parent: str | None
    ) -> Allowed | Refused:
        await self._show(PermissionAsked(call=call, access=in_words(access), reason=unsure.reason))
        answer = await self._permit.ask(call, access, unsure.reason)
        await self._resolved(call, access, answer)
        if isinstance(answer, Allowed):
            await self._keep(CallStarted(call=call, parent_call=parent))
        return answer

    async def _resolved(self, call: ToolCall, access: Access, answer: Allowed | Refused) -> None:
        granted = isinstance(answer, Allowed)
        self.denied += not granted
        await self._keep(
            PermissionResolved(
                call_id=call.id,
                tool=access.tool,
                access=in_words(access),
                granted=granted,
                by=answer.by,
                reason=answer.reason,
            )
        )

    async def _run(self, call: ToolCall, ready: _Ready, grant: tuple[str, ...]) -> ToolResult:
        """Run one call. Whatever the model can learn from becomes a result, not an exception."""
        sandbox = replace(self._sandbox, files=self._sandbox.files.granting(grant))
        context = ToolContext(call.id, sandbox, partial(self._progress, call.id))
        self.touched.update(ready.access.reads, ready.access.writes)
        if self.before is not None:
            await self.before(self._reply, ready.access)
        try:
            outcome = await ready.tool.run(ready.arguments, context)
        except (ToolError, SandboxError, OSError) as error:
            return results.failed(call, error)
        return results.told(call, outcome)

    async def _progress(self, call_id: str, text: str) -> None:
        await self._show(CallProgress(call_id=call_id, text=text))
