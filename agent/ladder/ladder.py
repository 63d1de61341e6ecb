"""The ladder: shrink, upload, leave out, spill, compact; each rung once for a thing, and kept as an entry."""

from __future__ import annotations

from treadle.agent.conversation import Conversation
from treadle.agent.events import Body, HistoryRepaired, Noted
from treadle.agent.ladder import rungs
from treadle.agent.ladder.over import Caps
from treadle.agent.ladder.scale import Scale
from treadle.agent.ladder.seams import Seams
from treadle.agent.providers.contract import (
    ContextOverflow,
    LanguageModel,
    Output,
    ProviderError,
    RequestTooLarge,
    StaleState,
)
from treadle.agent.providers.limits.check import Breach

_RUNGS = (rungs.shrink, rungs.upload, rungs.leave_out, rungs.spill, rungs.compact)


class Ladder:
    """Makes room for one session's requests."""

    def __init__(self, cache_key: str, output: Output, seams: Seams) -> None:
        self._seams = seams
        self._scale = Scale(cache_key, output, seams)

    async def make_room(
        self, conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        """Return what must be kept for the next request to fit: usually nothing. See `desk.MakeRoom`.

        Raises `RequestTooLarge` or `ContextOverflow`, naming the part, when nothing helps; and a refusal of another
        kind when it cannot be mended.
        """
        if isinstance(refused, StaleState):
            return await self._mend(conversation, model, refused)
        told = self._scale.told(conversation, model, refused)
        over = await self._scale.over(conversation, model, told)
        if over is not None:
            return await self._climb(rungs.Step(self._seams, conversation, model, over), told, refused)
        if refused is not None:
            raise refused
        return await self._seams.pays(conversation, model)

    async def _mend(
        self, conversation: Conversation, model: LanguageModel, refused: ProviderError
    ) -> tuple[Body, ...]:
        mended = await self._seams.mend(conversation, model, refused)
        for body in mended:
            if isinstance(body, HistoryRepaired):
                await self._seams.show(Noted(text=body.reason))
        return mended

    async def _climb(self, step: rungs.Step, told: Caps, refused: ProviderError | None) -> tuple[Body, ...]:
        made: list[Body] = []
        for rung in _RUNGS:
            body = await rung(step)
            if body is None:
                continue
            made.append(body)
            if isinstance(body, HistoryRepaired):
                await self._seams.show(Noted(text=body.reason))
            now = step.conversation.after(body)
            over = await self._scale.over(now, step.model, told)
            if over is None:
                return tuple(made)
            step = rungs.Step(self._seams, now, step.model, over)
        raise _no_room(step.over.breaches[0], refused)


def _no_room(breach: Breach, refused: ProviderError | None) -> ProviderError:
    kind = ContextOverflow if breach.what == "context_tokens" else RequestTooLarge
    said = f"{refused}; and there" if refused is not None else "There"
    return kind(f"{said} is no more room to be made: {breach}", code=breach.what)
