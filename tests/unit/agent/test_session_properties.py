"""Random lives of a session: whatever happens to it, requests only grow and every call is answered."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import anyio
import pytest

from fakes import Cut, FakeTool, ScriptedModel, calls, make_session, reading, says
from treadle.agent.events import (
    CallFinished,
    CallStarted,
    Entry,
    Event,
    MessageAdded,
    ModelChanged,
    TextDelta,
    TurnEnded,
)
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, user
from treadle.agent.providers.contract import ModelRequest, StreamCutShort
from treadle.agent.session import Session
from treadle.agent.sessions import fork
from treadle.tools.contract import ToolContext, ToolResult

pytestmark = pytest.mark.anyio
HALF = "Half an ans"


async def hang(path: str, ctx: ToolContext) -> str:
    await anyio.sleep_forever()
    return path


class Life:
    """One session after another over one past, and every request that was made from it."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.random = random
        self.files = 0
        self.calls = 0
        self.turns = 0
        self.sent: dict[str, tuple[str, ModelRequest]] = {}
        """By the hash of the entry it was made from: the epoch, and the last request."""
        self.session = self.open(self.new_file())

    def new_file(self) -> Path:
        self.files += 1
        return self.folder / f"{self.files}.jsonl"

    @property
    def log(self) -> SessionLog:
        return self.session.record.log

    def open(self, path: Path, *script: AssistantMessage | Cut) -> Session:
        model = ScriptedModel(*script, when_asked=lambda: self.asked(model.requests[-1]))
        tools = (reading(), FakeTool("hang", hang), FakeTool("set", hang, writes=True))
        return make_session(path, model, *tools)

    def asked(self, request: ModelRequest) -> None:
        """Check a request against the last one that was made from an ancestor."""
        well_answered(request.messages, self.log.branch())
        line = lineage(self.log)
        epoch = self.log.conversation.epoch
        past = [self.sent[digest] for digest in line if digest in self.sent]
        if past and past[-1][0] == epoch:
            before = past[-1][1]
            assert (request.system, request.tools) == (before.system, before.tools)
            assert request.messages[: len(before.messages)] == before.messages
        self.sent[line[-1]] = (epoch, request)

    async def turn(self) -> None:
        """Prompt, or go on without a word; perhaps cancel somewhere."""
        random = self.random
        script = [reply for _ in range(random.randrange(4)) for reply in self.replies()]
        path = self.reopened()
        self.session = self.open(path, *script, says("Done."))
        moment = random.randrange(25)
        seen = 0

        async def watch(event: Event) -> None:
            nonlocal seen
            seen += 1
            if seen == moment or hangs(event):
                self.session.cancel()

        unfinished = len(self.log.conversation.messages) > 0 and random.random() < 0.3
        self.turns += 1
        said = () if unfinished else (user(f"Prompt {self.turns}."),)
        with anyio.fail_after(5), self.session.record.watch(watch):
            await self.session.prompt(*said)
        assert isinstance(self.log.branch()[-1].body, TurnEnded)

    def replies(self) -> list[AssistantMessage | Cut]:
        """Return a reply: one with calls, or one that breaks off, for good or to be asked for again."""
        random = self.random
        if random.random() < 0.15:
            return [Cut(random.choice([HALF, ""]), StreamCutShort("cut"))]
        if random.random() < 0.15:
            return [Cut(HALF)]
        names = random.choices(["read", "hang", "set", "none"], [6, 1, 1, 1], k=random.randrange(1, 4))
        self.calls += len(names)
        path = random.choice(['{"path": "a"}', '{"path": "b"}', "{"])
        # Some providers count the calls of each reply from one.
        first = random.choice([1, self.calls])
        return [calls(*((name, path) for name in names), first_id=first, text=random.choice(["", "So:"]))]

    def rewind(self) -> None:
        self.log.rewind(self.random.choice(self.log.branch()).id)

    def switch(self) -> None:
        self.log.append(ModelChanged(model=f"m/{self.turns}", prefix=self.log.conversation.prefix))

    def fork(self) -> None:
        at, path, target = self.random.choice(self.log.branch()).id, self.reopened(), self.new_file()
        fork(path, at, target)
        self.session = self.open(target)
        assert self.log.head == at

    def crash(self) -> None:
        """Lose an end of the file, as when a disk did not keep what it had taken."""
        path = self.reopened()
        data = path.read_bytes()
        path.write_bytes(data[: self.random.randrange(data.index(b"\n") + 1, len(data) + 1)])
        self.session = self.open(path)

    def reopened(self) -> Path:
        """Close the session and return its file, from which the same is read back."""
        path, conversation, head = self.log.path, self.log.conversation, self.log.head_hash
        self.log.close()
        assert path is not None
        shutil.copy(path, self.folder / "copy.jsonl")
        copy = SessionLog(self.folder / "copy.jsonl")
        copy.close()
        assert copy.conversation.messages == conversation.messages
        assert (copy.conversation.epoch, copy.conversation.model) == (conversation.epoch, conversation.model)
        assert copy.head_hash == head
        well_answered(conversation.messages, self.log.branch())
        return path


def hangs(event: Event) -> bool:
    match event:
        case TextDelta(text=text):
            return text == HALF
        case Entry(body=CallStarted(call=call)):
            return call.name in {"hang", "set"}
        case _:
            return False


def lineage(log: SessionLog) -> list[str]:
    """Return the hashes of a branch, oldest first: each entry names its parent's."""
    return [*(entry.prev for entry in log.branch() if entry.prev is not None), log.head_hash]


def well_answered(messages: Sequence[Message], branch: Sequence[Entry]) -> None:
    """Check that each reply's calls are answered right after it, in order, with what the log says or as cut off."""
    finished: list[dict[str, ToolResult]] = []
    for entry in branch:
        match entry.body:
            case MessageAdded(message=AssistantMessage(state="complete" | "interrupted")):
                finished.append({})
            case CallFinished(result=result):
                finished[-1][result.call_id] = result
            case _:
                pass
    results = iter(finished)
    for before, message in zip((None, *messages), (*messages, None), strict=True):
        wanted = [call.id for call in before.calls] if isinstance(before, AssistantMessage) else []
        answers = message.results if isinstance(message, ToolMessage) else ()
        assert [answer.call_id for answer in answers] == wanted
        known = next(results) if isinstance(before, AssistantMessage) else {}
        for answer in answers:
            assert answer == known.get(answer.call_id, answer)
            assert (answer.status == "interrupted") == (answer.call_id not in known)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_requests_only_grow_and_every_call_is_answered(
    tmp_path: Path, seed: int
) -> None:
    life = Life(tmp_path, Random(seed))
    for _ in range(12):
        match life.random.choices(["turn", "rewind", "fork", "crash", "switch"], [8, 2, 2, 2, 1])[0]:
            case "turn":
                await life.turn()
            case "rewind":
                life.rewind()
            case "fork":
                life.fork()
            case "crash":
                life.crash()
            case _:
                life.switch()
    await life.turn()
    life.reopened()
    assert life.sent
