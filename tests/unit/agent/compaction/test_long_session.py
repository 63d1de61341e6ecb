from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from unit.agent.compaction.talk import NOTE

from fakes import INFO, FakeTool, Says, ScriptedModel, calls, memory_sandbox, says
from treadle.agent.compaction.compactor import Around, Compactor
from treadle.agent.compaction.size import tokens
from treadle.agent.conversation import Conversation
from treadle.agent.desk import Desk
from treadle.agent.events import Body, Compacted, Prefix, SessionOpened, TurnEnded
from treadle.agent.limits import Limits
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, Usage, UserMessage, user
from treadle.agent.providers.contract import (
    HttpCall,
    LanguageModel,
    ModelRequest,
    Prices,
    ProviderError,
    ReplyStream,
)
from treadle.agent.providers.retry import Retries
from treadle.agent.retrieval.archive import Archive
from treadle.agent.retrieval.shelf import Shelf
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.prompts import load
from treadle.tools.builtin.recall import recall_tool
from treadle.tools.contract import Text, ToolContext
from treadle.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio
STEPS = 400
FACT = "the port of the billing service is 47113"
TOLD = {60: "Never edit generated/.", 190: "Use tabs in Makefiles.", 310: "Mention ticket TR-9 at the end."}
FIRST = "Rename Old in src/old.py. But keep the API stable!"


@dataclass
class Worker:
    """A model that takes so many steps, one call each, and writes a note when it is asked for one."""

    session: Session | None = None
    taken: int = 0
    prompts: list[tuple[Message, ...]] = field(default_factory=list[tuple[Message, ...]])
    found: str = ""
    billed: list[Usage] = field(default_factory=list[Usage])
    info = INFO.__class__(
        id="script",
        wire="openai_chat",
        vendor="script",
        endpoint="",
        context_window=400_000,
        prices=Prices(input=1.0, output=5.0, cache_read=0.1, cache_write={"m5": 1.25}),
    )

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[ReplyStream]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: ModelRequest) -> AsyncGenerator[ReplyStream]:
        self.prompts.append(request.messages)
        reply = self._reply(request)
        usage = Usage(cache_read=int(tokens(request.messages)), input=50, output=60)
        self.billed.append(usage)
        async with ScriptedModel(reply.model_copy(update={"usage": usage})).stream(request) as stream:
            yield stream

    def _reply(self, request: ModelRequest) -> AssistantMessage:
        if request.messages[-1] == user(load("compaction/ask")):
            return says(NOTE)
        self.taken += 1
        if self.taken in TOLD:
            assert self.session is not None
            self.session.steer(user(TOLD[self.taken]))
        if self.taken == STEPS:
            return says("All renamed. TR-9.")
        if self.taken == STEPS - 1:
            self.found = str(request.messages[-1])
        name, arguments = "read", {"path": f"f{self.taken}"}
        if self.taken == STEPS - 2:
            name, arguments = "recall", {"query": "which port does billing use"}
        return calls((name, json.dumps(arguments)), first_id=self.taken)

    def encode(self, request: ModelRequest) -> HttpCall:
        return HttpCall("POST", "/script")


async def reads(path: str, ctx: ToolContext) -> str:
    fact = f"NB: {FACT}." if path == "f3" else ""
    return f"{path}: {fact}" + f"src/old.py has {path} in it. " * 100


def opened(path: Path, worker: Worker) -> Session:
    log = SessionLog(path)
    record = Record(log)
    toolbox = Toolbox()
    searched = Archive(log, Shelf(path.with_suffix("") / "recall.db"), path.with_suffix(""))
    toolbox.plug("builtin", [FakeTool("read", reads), recall_tool(searched)])
    run = Calls(toolbox, memory_sandbox(), Says(), record.keep, record.show)
    retries = Retries(attempts=1, base=0.0)
    notes = Compactor("s", retries, record.show, "auto", Around(recall="direct", steps=500))

    async def make_room(
        conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        assert refused is None
        return await notes.make_room(conversation, model)

    desk = Desk("s", worker, run, Limits(steps=500), retries=retries, make_room=make_room)
    prefix = Prefix(system=("You work.",), tools=toolbox.snapshot().specs)
    log.append(SessionOpened(session="s", workspace="/w", model="script/script", prefix=prefix))
    return Session("s", desk, record)


def words(messages: tuple[Message, ...]) -> list[str]:
    return [
        part.text
        for message in messages
        if isinstance(message, UserMessage) and message.author == "user"
        for part in message.content
        if isinstance(part, Text)
    ]


async def test_400_steps_and_two_notes_lose_no_word_of_the_user_and_a_fact_of_step_3_is_found_again(
    tmp_path: Path,
) -> None:
    worker = Worker()
    worker.session = session = opened(tmp_path / "s.jsonl", worker)
    with anyio.fail_after(15):
        ended = await session.prompt(user(FIRST))
    log = session.record.log
    notes = [entry.body for entry in log.branch() if isinstance(entry.body, Compacted)]
    assert (ended.outcome, ended.steps) == ("done", STEPS)
    assert len(notes) >= 2
    assert words(worker.prompts[-1]) == [FIRST, *TOLD.values()]
    assert '"keep the API stable"' in notes[-1].summary
    assert FACT not in str(worker.prompts[-3])
    assert FACT in worker.found
    assert_billed(ended, worker.billed)
    assert_prompts_grow(worker.prompts, len(notes))


def assert_billed(ended: TurnEnded, billed: list[Usage]) -> None:
    """What was asked for a note is in the turn's bill."""
    total = Usage()
    for usage in billed:
        total += usage
    assert ended.usage == total
    price = (total.input + total.cache_read * 0.1 + total.output * 5) / 1e6
    assert ended.cost_usd == pytest.approx(price, abs=2e-6)
    assert ended.request_bytes == 100 * len(billed)


def assert_prompts_grow(prompts: list[tuple[Message, ...]], notes: int) -> None:
    """Each prompt begins with the one before it, but for the first after each note."""
    broken = 0
    for one, two in pairwise(prompts):
        broken += len(two) < len(one) or not all(a is b for a, b in zip(one, two, strict=False))
    assert broken == notes
