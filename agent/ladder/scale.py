"""Weighs a conversation before it is sent: a step costs what it brought."""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_

from treadle.agent.context import assemble
from treadle.agent.conversation import Conversation
from treadle.agent.events import Noted, Prefix
from treadle.agent.ladder.over import Caps, Over, caps
from treadle.agent.ladder.seams import Seams
from treadle.agent.messages import Message
from treadle.agent.providers.contract import LanguageModel, ModelInfo, ModelRequest, Output, ProviderError
from treadle.agent.providers.counting import Estimate, estimate
from treadle.agent.providers.limits import limit_of
from treadle.agent.providers.limits.check import Breach, breach, breaches
from treadle.agent.providers.limits.sizes import Sizes, Tally, json_bytes

_NEAR = 1.2
"""By how much a body may turn out larger than it was reckoned to be: nearer than that it is encoded."""


class Scale:
    """Weighs one session's conversation. Keeps what was measured; nothing else depends on it."""

    def __init__(self, cache_key: str, output: Output, seams: Seams) -> None:
        self._cache_key = cache_key
        self._output = output
        self._seams = seams
        self._tally = Tally()
        self._fixed: tuple[Prefix | None, int] = (None, 0)
        self._counted: tuple[tuple[Message, ...], int] = ((), 0)
        """What the vendor was last asked to count, and what it said."""
        self._warned: set[str] = set()

    def told(self, conversation: Conversation, model: LanguageModel, refused: ProviderError | None) -> Caps:
        """Say what a refusal of this very conversation means for its size."""
        if refused is None:
            return Caps()
        body = len(model.encode(self._request(conversation)).body)
        sizes = self._tally.of(conversation.messages)
        return caps(refused, body, self._estimate(conversation, model.info, sizes).tokens)

    async def over(self, conversation: Conversation, model: LanguageModel, told: Caps) -> Over | None:
        """Say what is too much; None, as a rule, after a few additions."""
        info, prefix = model.info, conversation.prefix
        bare = ModelRequest(prefix.system, prefix.tools, conversation.messages)
        sizes = self._tally.of(bare.messages)
        body = self._body(conversation, model, sizes, told)
        found = list(breaches(bare, info, sizes, body))
        if told.bytes is not None and body > told.bytes:
            found.append(breach(info, sizes, "request_bytes", body, told.bytes))
        if too_long := await self._too_long(conversation, model, sizes, told):
            found.append(too_long)
        for one in self._unsaid(breaches(bare, info, sizes, body, warned=True)):
            await self._seams.show(
                Noted(text=f"{one}; another source says that it takes more, so it is sent")
            )
        return Over(sizes, tuple(found)) if found else None

    def _body(self, conversation: Conversation, model: LanguageModel, sizes: Sizes, told: Caps) -> int:
        """Return the bytes of the body: reckoned, or counted where the reckoning is not enough."""
        body = self._prefix_bytes(conversation.prefix) + sizes.text + sizes.encoded
        most = _least(limit_of(model.info, "request_bytes"), told.bytes)
        if most is None or body * _NEAR <= most:
            return body
        return len(model.encode(self._request(conversation)).body)

    async def _too_long(
        self, conversation: Conversation, model: LanguageModel, sizes: Sizes, told: Caps
    ) -> Breach | None:
        most = _least(model.info.context_window, told.tokens)
        if most is None:
            return None
        found = self._estimate(conversation, model.info, sizes)
        tokens = found.tokens
        if told.tokens is None and found.most > most:
            counted = await self._seams.count(model, self._request(conversation))
            if counted is not None:
                self._counted = (conversation.messages, counted)
                tokens = counted
        return breach(model.info, sizes, "context_tokens", tokens, most) if tokens > most else None

    def _estimate(self, conversation: Conversation, info: ModelInfo, sizes: Sizes) -> Estimate:
        messages, (counted, tokens) = conversation.messages, self._counted
        same = len(counted) <= len(messages) and all(map(is_, counted, messages))
        known = (len(counted), tokens) if same else (0, 0)
        fixed = self._prefix_bytes(conversation.prefix)
        return estimate(info, messages, sizes, fixed, since=conversation.settled, known=known)

    def _unsaid(self, found: tuple[Breach, ...]) -> Iterator[Breach]:
        for one in found:
            if one.what not in self._warned:
                self._warned.add(one.what)
                yield one

    def _request(self, conversation: Conversation) -> ModelRequest:
        return assemble(conversation, self._cache_key, self._output)

    def _prefix_bytes(self, prefix: Prefix) -> int:
        """Return the bytes of what every request of the epoch begins with."""
        if self._fixed[0] is not prefix:
            tools = sum(len(tool.model_dump_json()) for tool in prefix.tools)
            self._fixed = (prefix, tools + sum(map(json_bytes, prefix.system)))
        return self._fixed[1]


def _least(*figures: int | None) -> int | None:
    return min((figure for figure in figures if figure is not None), default=None)
