"""What comes up around a session while it works, for its tail: each source says what is new, nothing earlier moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from treadle.agent.conversation import Conversation
from treadle.agent.desk import News
from treadle.agent.events import Body, MessageAdded
from treadle.agent.messages import UserMessage, notice
from treadle.agent.workspace.instructions import instruction_file, read_instructions
from treadle.prompts import load
from treadle.sandbox.paths import inside
from treadle.tools.contract import Text


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
