"""Acting on a screen: calls that vendors name in their own words, brought to the one tool that has a screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, Outcome, Tool, ToolContext, ToolSpec

SCREEN: Final = "computer_use"
"""The kind of hosted tool that is run here, and the name of a call that holds all its actions itself."""
ACTIONS: Final = frozenset([
    "computer",
    "screenshot",
    "cursor_position",
    "mouse_move",
    "left_click",
    "right_click",
    "middle_click",
    "double_click",
    "triple_click",
    "left_click_drag",
    "left_mouse_down",
    "left_mouse_up",
    "scroll",
    "type",
    "key",
    "hold_key",
    "wait",
    "zoom",
    "open_web_browser",
    "wait_5_seconds",
    "go_back",
    "go_forward",
    "search",
    "navigate",
    "click_at",
    "hover_at",
    "type_text_at",
    "key_combination",
    "scroll_document",
    "scroll_at",
    "drag_and_drop",
])
"""Calls by the names of their actions: Anthropic's toolset and its older tool, then Gemini's predefined functions."""


def acting(tools: Mapping[str, Tool], name: str) -> Tool | None:
    """Return the tool that has a screen, where a call is named after an action on one."""
    screen = tools.get(SCREEN)
    return Action(screen, name) if screen and name in ACTIONS else None


@frozen
class Action:
    """The tool that has the screen, as it is called by the name of one action."""

    tool: Tool
    name: str

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    def access(self, arguments: JsonObject, place: Place) -> Access:
        return self.tool.access(self._named(arguments), place)

    async def run(self, arguments: JsonObject, ctx: ToolContext) -> Outcome:
        return await self.tool.run(self._named(arguments), ctx)

    def _named(self, arguments: JsonObject) -> JsonObject:
        """Say which action is meant. Anthropic's older tool says it itself."""
        return arguments if self.name == "computer" else {**arguments, "action": self.name}
