"""What comes up around a session while it works, for its tail: each source says what is new, nothing earlier moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from treadle.agent.conversation import Conversation
from treadle.agent.desk import News
from treadle.agent.events import Body, MessageAdded, ToolsChanged
from treadle.agent.messages import UserMessage, notice
from treadle.agent.workspace.instructions import instruction_file, read_instructions
from treadle.prompts import load
from treadle.sandbox.paths import inside
from treadle.tools.contract import Hosted, Text, ToolSpec
from treadle.tools.toolbox import Toolbox, ToolSet


def joined(*sources: News) -> News:
    """Return one source of news from several, in their order."""

    async def news(conversation: Conversation) -> tuple[Body, ...]:
        return tuple([body for source in sources for body in await source(conversation)])

    return news


class DeeperInstructions:
    """Instruction files below the workspace's root, told when something beside or below them was first touched.

    The branch says what was told already: after a compaction a file that is touched again is told again.
    """

    def __init__(
        self, root: Path, touched: Callable[[], Collection[str]], takes_in: Callable[[Path], bool]
    ) -> None:
        """`touched` gives absolute paths; `takes_in` says whether the user trusts a file as it is now."""
        self._root = str(root)
        self._touched = touched
        self._takes_in = takes_in
        self._looked_at: set[str] = set()
        self._epoch = ""

    async def __call__(self, conversation: Conversation) -> tuple[Body, ...]:
        """Return a notice for each file that holds for what was touched and was not told yet."""
        if self._epoch != conversation.epoch:
            self._epoch, self._looked_at = conversation.epoch, set()
        found = [self._new(folder, conversation) for folder in self._folders()]
        return tuple(MessageAdded(message=message) for message in found if message)

    def _folders(self) -> list[str]:
        """Return the folders between the root and what was touched that were not looked at yet, the outer first."""
        new: set[str] = set()
        for path in tuple(self._touched()):
            folder = path
            while inside(folder, (self._root,)) and folder != self._root:
                if folder in self._looked_at:
                    break
                new.add(folder)
                folder = str(Path(folder).parent)
        self._looked_at |= new
        return sorted(new)

    def _new(self, folder: str, conversation: Conversation) -> UserMessage | None:
        file = instruction_file(Path(folder))
        path = os.path.relpath(file, self._root) if file else ""
        if file is None or _was_told(path, conversation) or not self._takes_in(file):
            return None
        for one in read_instructions((file,)):
            return notice(load("facts/instructions", path=path, text=one.text.strip()))
        return None


def _was_told(path: str, conversation: Conversation) -> bool:
    begin = load("facts/instructions", path=path, text="").rstrip()
    return any(
        begin in part.text
        for message in conversation.messages
        if isinstance(message, UserMessage) and message.author == "runtime"
        for part in message.content
        if isinstance(part, Text)
    )


_NAMED = 40
"""Tools that a line of a notice names; the others are found through the dispatcher."""


class ToolSources:
    """Sources of tools that come, change and go after the list that a model is sent was frozen.

    What the model knows is that list, what the branch has told since, and what could be found when this was made.
    """

    def __init__(self, toolbox: Toolbox, conversation: Conversation) -> None:
        offered = toolbox.snapshot()
        self._toolbox = toolbox
        self._found = frozenset(offered.deferred)
        self._specs = _specs(offered)
        """What each tool was when it was last looked at, those that are gone too."""
        self._owners = dict(offered.sources)
        toolbox.known.update(frozen_specs(conversation), conversation.told)

    async def __call__(self, conversation: Conversation) -> tuple[Body, ...]:
        """Return what came, changed or went, by its source, and a notice of it."""
        offered = self._toolbox.snapshot()
        self._owners |= offered.sources
        there, frozen = _specs(offered), frozen_specs(conversation)
        known = dict.fromkeys((*frozen, *self._found), True) | conversation.told
        new = {name for name in there if not known.get(name, False)}
        back = {name for name in new if there[name] == frozen.get(name)}
        gone = {name for name, here in known.items() if here and name not in there}
        before = self._specs | {name: spec for name, spec in frozen.items() if name not in conversation.told}
        changed = {name for name in there if name not in new and there[name] != before.get(name, there[name])}
        self._specs |= there
        if "tools" not in frozen:  # nothing but what the list has can be reached
            new, changed = back, set[str]()
        told = {"added": new - back, "changed": changed, "back": back, "gone": gone}
        lines = [load(f"notices/tools_{what}", names=_named(names)) for what, names in told.items() if names]
        if not lines:
            return ()
        return (*self._entries(new | changed, gone | changed), MessageAdded(message=notice("\n".join(lines))))

    def _entries(self, added: set[str], removed: set[str]) -> Iterator[ToolsChanged]:
        sources = sorted({self._owners.get(name, "") for name in added | removed})
        for source in sources:
            ours = {name for name in added | removed if self._owners.get(name, "") == source}
            yield ToolsChanged(
                source=source, added=tuple(sorted(ours & added)), removed=tuple(sorted(ours & removed))
            )


def frozen_specs(conversation: Conversation) -> dict[str, ToolSpec]:
    """Return the tools of ours in the list that the model is sent, by name."""
    return {spec.name: spec for spec in conversation.prefix.tools if not isinstance(spec, Hosted)}


def _specs(offered: ToolSet) -> dict[str, ToolSpec]:
    return {name: tool.spec for name, tool in {**offered.deferred, **offered.tools}.items()}


def _named(names: set[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {more} more" if more > 0 else "")
