"""The wires under test, each with models that speak it. A new wire is one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from wires import anthropic_rows, chat_rows, completions_rows, gemini_rows, interactions_rows, responses_rows

from treadle.agent.providers.contract import ModelInfo, ModelRequest, Wire
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.providers.wires.gemini import Gemini
from treadle.agent.providers.wires.gemini_interactions import GeminiInteractions
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.agent.providers.wires.openai_completions import OpenAICompletions
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.tools.contract import JsonObject


@dataclass(frozen=True)
class Row:
    wire: Wire
    model: ModelInfo
    replies: Mapping[str, JsonObject] = field(default_factory=dict[str, Any])
    """Whole replies in this wire's words, by name: decoded, and then sent back to where they came from."""
    tools: bool = True
    """False for a wire that knows none: the cases are sent without theirs."""

    def asked(self, request: ModelRequest) -> ModelRequest:
        """A case as this wire can be asked it."""
        return request if self.tools else replace(request, tools=(), tool_choice="auto")


WIRES: Final[dict[str, Row]] = {
    **{
        name: Row(OpenAIChat(), model, chat_rows.REPLIES.get(name, {}))
        for name, model in chat_rows.MODELS.items()
    },
    **{
        name: Row(Anthropic(), model, anthropic_rows.REPLIES.get(name, {}))
        for name, model in anthropic_rows.MODELS.items()
    },
    **{
        name: Row(OpenAIResponses(), model, responses_rows.REPLIES.get(name, {}))
        for name, model in responses_rows.MODELS.items()
    },
    **{
        name: Row(Gemini(), model, gemini_rows.REPLIES.get(name, {}))
        for name, model in gemini_rows.MODELS.items()
    },
    **{
        name: Row(GeminiInteractions(), model, interactions_rows.REPLIES.get(name, {}))
        for name, model in interactions_rows.MODELS.items()
    },
    **{
        name: Row(OpenAICompletions(), model, completions_rows.REPLIES.get(name, {}), tools=False)
        for name, model in completions_rows.MODELS.items()
    },
}
