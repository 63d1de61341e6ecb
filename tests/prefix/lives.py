"""Random lives of a session over one wire, as `build` puts it together: whatever happens, requests only grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import anyio
from prefix.bodies import begins, segments
from prefix.direct import Provider

from treadle.agent.build import Guidance, Opened, Opening, open_session
from treadle.agent.compaction.when import At
from treadle.agent.config import Config, ConnectionSettings, ContextSettings, Folders
from treadle.agent.events import Compacted, Event, MessageAdded, TextDelta, TurnEnded
from treadle.agent.log import SessionLog
from treadle.agent.messages import ToolMessage, notice, user
from treadle.agent.mock.contract import Asked
from treadle.agent.mock.script import Call, Step
from treadle.agent.providers.catalogue import ModelSettings
from treadle.agent.providers.contract import ContextOverflow, ModelRequest
from treadle.agent.providers.retry import Retries
from treadle.agent.providers.vendors import ProviderSettings
from treadle.agent.sessions import fork
from treadle.agent.settings import Effort, Mode
from treadle.agent.workspace.instructions import Instructions
from treadle.agent.workspace.skills import Skill
from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Function, JsonObject, Outcome, Text, ToolContext

WIRES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("anthropic/claude-opus-5-5", "anthropic/claude-sonnet-5"),
    "openai_responses": ("openai/gpt-6.1-sol", "openai/gpt-5.4"),
    "openai_chat": ("mock/one", "deepseek/deepseek-v4-pro"),
    "gemini": ("gemini/gemini-3.8-flash", "gemini/gemini-3.1-pro"),
    "gemini_interactions": ("interactions/gemini-3.8-flash", "interactions/gemini-3.1-pro"),
    "openai_completions": ("mock/old-1", "mock/old-2"),
}
"""Models by the wire that they are reached by."""
ENV = {
    "ANTHROPIC_API_KEY": "k",
    "OPENAI_API_KEY": "k",
    "GEMINI_API_KEY": "k",
    "DEEPSEEK_API_KEY": "k",
    "TREADLE_MOCK_URL": "http://127.0.0.1:9",
    "PATH": "/usr/bin:/bin",
}
WORDS = ("it", "the", "file", "says", "né", "→", "line", "\n", "no", '"x"', "\\u0041", "𝄞")
EFFORTS: Sequence[Effort] = ("low", "medium", "high")
MODES: Sequence[Mode] = ("plan", "ask", "edit", "auto", "yolo")


class Sourced:
    """A tool from a source that comes, changes and goes."""

    def __init__(self, name: str, description: str) -> None:
        schema: JsonObject = {"type": "object", "properties": {"q": {"type": "string"}}}
        self.spec = Function(name=name, description=description, parameters=schema)

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return Access(self.spec.name)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        return Outcome((Text(text=f"{self.spec.name}: {arguments.get('q')}"),))


@dataclass
class Speech:
    """What a model and its user say at random."""

    random: Random
    wire: str
    _calls: int = 0

    def step(self) -> Step:
        random = self.random
        faults: list[Any] = [{"cut": 1}] if random.random() < 0.1 else []
        thought = self.words(5) if random.random() < 0.5 else ""
        if self.wire == "openai_completions":
            return Step.model_validate({"text": self.words(8), "faults": faults})
        calls = tuple(self._call() for _ in range(random.choice([0, 1, 1, 1, 2, 3])))
        text = self.words(8) if not calls or random.random() < 0.5 else ""
        return Step.model_validate({"reasoning": thought, "text": text, "calls": calls, "faults": faults})

    def _call(self) -> Call:
        random = self.random
        made: list[tuple[str, dict[str, Any]]] = [
            ("read", {"path": random.choice(["a.txt", "b.txt", "deep/c.txt", "none.txt"])}),
            ("grep", {"pattern": "says"}),
            ("write", {"path": random.choice(["a.txt", "n.txt"]), "content": self.words(12)}),
            ("tools", {"action": "search", "query": "x"}),
            ("skill", {"name": f"skill-{random.randrange(2)}"}),
            (random.choice(["one_x", "two_y"]), {"q": self.words(2)}),
            ("plan", {"items": [{"text": self.words(3), "status": "pending"}]}),
        ]
        name, arguments = random.choice(made)
        self._calls += 1
        return Call(name=name, arguments=arguments, id=f"call_{self._calls}")

    def words(self, most: int) -> str:
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(1, most)))


@dataclass
class Life:
    """One session after another over one past, and every request that was made from it."""

    base: Path
    wire: str
    random: Random
    compact_at: At | None = None
    """When to make room; None leaves it to chance."""
    trace: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    """Of turns, requests, forks, and changes of what the folder tells."""
    epochs: set[str] = field(default_factory=set[str])
    _sent: dict[str, tuple[str, list[str]]] = field(default_factory=dict[str, tuple[str, list[str]]])
    """By the hash of the entry that a request was made from: its epoch, and its pieces."""
    _given: dict[str, Any] = field(default_factory=dict[str, Any])
    full: bool = False
    script: list[Step] = field(default_factory=list[Step])

    def __post_init__(self) -> None:
        self.speech = Speech(self.random, self.wire)
        if self.compact_at is None:
            self.compact_at = 1_000 if self.random.random() < 0.3 else "auto"
        self.work = self.base / "work"
        self.work.mkdir(parents=True)
        for name in ("a.txt", "b.txt", "deep/c.txt"):
            (self.work / name).parent.mkdir(exist_ok=True)
            line = f"{name} says one\n"
            (self.work / name).write_text(line * (150 if self.compact_at == 1_000 else 1), encoding="utf-8")
        self.provider = Provider(self._reply, self._asked, keep=False)
        self.file: Path | None = None
        self.opened: Opened
        self.stack = AsyncExitStack()

    @property
    def log(self) -> SessionLog:
        return self.opened.session.record.log

    async def run(self, events: int) -> None:
        """Live through so many events, and say goodbye with a last turn."""
        await self.open()
        try:
            for _ in range(events):
                happens = self.random.choices([*EVENTS], [*EVENTS.values()])[0]
                self.trace.append(happens.__name__)
                await happens(self)
            await turn(self)
        finally:
            await self.stack.aclose()

    async def open(self, **given: Any) -> None:
        await self.stack.aclose()
        self.stack = AsyncExitStack()
        if self.file is not None and not self.file.exists():
            self.file = None
        model = given.get("model") or self._given.get("model") or WIRES[self.wire][0]
        self._given |= given
        config = Config(
            model=model,
            sandbox="none",
            mode=self._given.get("mode"),
            effort=self._given.get("effort"),
            connection=ConnectionSettings(retries=Retries(attempts=3, base=0.0)),
            context=ContextSettings(compact_at=self.compact_at or "auto"),
            providers={
                "interactions": ProviderSettings(
                    base_url="http://127.0.0.1:9/v1beta", wire="gemini_interactions", key_env="GEMINI_API_KEY"
                )
            },
            models={"mock/old-*": ModelSettings(wire="openai_completions")},
        )
        opening = Opening(
            self.work,
            config,
            ENV,
            Folders(self.base / "config", self.base / "state"),
            self.file,
            guidance=self._guide(),
            tools="none" if self.wire == "openai_completions" else "all",
            given=frozenset(given),
            through=self.provider.through,
        )
        self.opened = await self.stack.enter_async_context(open_session(opening))
        self.file = self.log.path

    def _guide(self) -> Guidance:
        """What the folder tells, which is another thing each time that it has changed."""
        number = self.counts["guidance"]
        text = f"Rule {number}: be brief."
        skill = self.work / f".agents/skills/skill-{number}"
        skill.mkdir(parents=True, exist_ok=True)
        (skill / "SKILL.md").write_text(
            f"---\nname: skill-{number}\ndescription: Does {number}.\n---\nDo {number}.\n", encoding="utf-8"
        )
        skills = tuple(
            Skill(f"skill-{each}", f"Does {each}.", skill.with_name(f"skill-{each}"), "project")
            for each in range(number + 1)
        )
        return Guidance((Instructions(self.work / "AGENTS.md", text),), lambda file: True, skills)

    def _asked(self, request: ModelRequest, path: str, body: bytes) -> None:
        """Check a request against the last one that was made from an ancestor in the same epoch."""
        self.counts["requests"] += 1
        if self.full:
            self.full = False
            raise ContextOverflow("too long")
        pieces, conversation = segments(path, body), self.log.conversation
        line = [*(entry.prev for entry in self.log.branch() if entry.prev), self.log.head_hash]
        epoch = conversation.epoch
        self.epochs.add(epoch)
        past = [self._sent[digest] for digest in line if digest in self._sent]
        if past and past[-1][0] == epoch:
            strays = begins(pieces, past[-1][1])
            assert strays is None, f"{strays}\nafter {self.trace}"
        if request.messages == conversation.messages:  # what only asks for a note is no ancestor of anything
            self._sent[line[-1]] = (epoch, pieces)

    def _reply(self, asked: Asked) -> Step:
        """Say what the script says next; a note when that is asked for."""
        if self.script:
            return self.script.pop(0)
        return Step(text=f"Done. {self.speech.words(6)}")


async def turn(life: Life) -> None:
    """Prompt; perhaps cancel somewhere."""
    life.counts["turns"] += 1
    life.script = [life.speech.step() for _ in range(life.random.randrange(4))]
    moment, seen = life.random.randrange(40), 0

    async def watch(event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == moment and isinstance(event, TextDelta):
            life.opened.session.cancel()

    facts = life.opened.facts if life.counts["turns"] == 1 else ()
    with anyio.fail_after(5), life.opened.session.record.watch(watch):
        ended = await life.opened.session.prompt(
            *facts, user(f"Prompt {life.counts['turns']}: {life.speech.words(9)}")
        )
    assert isinstance(ended, TurnEnded)
    assert not (ended.error or "").startswith("internal error"), ended.error


async def mode(life: Life) -> None:
    """Open the session again in another mode."""
    await life.open(mode=life.random.choice(MODES))


async def effort(life: Life) -> None:
    """Open the session again with another effort."""
    await life.open(effort=life.random.choice(EFFORTS))


async def model(life: Life) -> None:
    """Open the session again with another model of the wire: that begins an epoch."""
    await life.open(model=life.random.choice(WIRES[life.wire]))


async def overflow(life: Life) -> None:
    """Let the provider find the next request too long: room must be made."""
    life.full = True


async def resume(life: Life) -> None:
    """Open the session again with nothing new."""
    await life.open()


async def guidance(life: Life) -> None:
    """Open the session again after its instruction files and its skills have changed."""
    life.counts["guidance"] += 1
    await life.open()


async def plug(life: Life) -> None:
    """Let a source of tools connect."""
    _plug(life, life.speech.words(3))


async def change(life: Life) -> None:
    """Let a source of tools say other things about its tools."""
    _plug(life, life.speech.words(5))


async def unplug(life: Life) -> None:
    """Let a source of tools die."""
    life.opened.session.calls.toolbox.unplug(life.random.choice(["one", "two"]))


def _plug(life: Life, description: str) -> None:
    source = life.random.choice(["one", "two"])
    tools = [Sourced(f"{source}_{name}", description) for name in ("x", "y", "z")]
    life.random.shuffle(tools)
    toolbox = life.opened.session.calls.toolbox
    toolbox.plug(source, tools, deferred=life.random.random() < 0.5)


async def outside(life: Life) -> None:
    """Change a file behind the session's back."""
    name = life.random.choice(["a.txt", "b.txt", "deep/c.txt", "AGENTS.md", "deep/AGENTS.md", "new.txt"])
    (life.work / name).write_text(life.speech.words(20), encoding="utf-8")


async def note(life: Life) -> None:
    """Add a notice, as whatever around the session has something to say does."""
    await life.opened.session.record.keep(MessageAdded(message=notice(f"Notice: {life.speech.words(4)}")))


async def rewind(life: Life) -> None:
    """Go back to any entry."""
    life.log.rewind(life.random.choice(life.log.branch()).id)
    await life.open()


async def fork_(life: Life) -> None:
    """Go on with a copy of the past up to any entry."""
    at, source = life.random.choice(life.log.branch()).id, life.log.path
    await life.stack.aclose()
    if source is None or not source.exists():  # nothing was said yet
        await life.open()
        return
    life.counts["forks"] += 1
    target = source.with_name(f"fork-{life.counts['forks']}.jsonl")
    fork(source, at, target)
    life.file = target
    await life.open()


async def compact(life: Life) -> None:
    """Let a note take the place of what came before, all of it or all but an end."""
    items = life.log.conversation.items
    starts = [name for name, message in items if not isinstance(message, ToolMessage)]
    keep_from = life.random.choice([None, *starts])
    note = Compacted(summary=f"Note: {life.speech.words(6)}", keep_from=keep_from)
    await life.opened.session.record.keep(note)


Happening: TypeAlias = Callable[[Life], Awaitable[None]]
EVENTS: Mapping[Happening, int] = {
    turn: 10,
    mode: 2,
    effort: 2,
    plug: 2,
    unplug: 1,
    change: 2,
    outside: 2,
    resume: 2,
    note: 1,
    rewind: 2,
    fork_: 2,
    model: 2,
    overflow: 1,
    compact: 1,
    guidance: 1,
}
