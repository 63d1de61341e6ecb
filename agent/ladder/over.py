"""What of a conversation is too much for a model, and how much has to go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from treadle.agent.providers.contract import ContextOverflow, ProviderError
from treadle.agent.providers.limits.check import Breach
from treadle.agent.providers.limits.kinds import What
from treadle.agent.providers.limits.sizes import Sizes
from treadle.sandbox.frozen import frozen

ROOM: Final = 0.75
"""To this part of a limit room is made, so that the next step does not have to make it again."""
_REFUSED: Final = 2 / 3
"""Of the size that a provider refused without saying what it takes."""
_SPARE: Final = 0.95
_NUMBERS: Final = re.compile(r"\d[\d,_]{3,}")


@frozen
class Caps:
    """What holds for one request beside what is published: what a provider's refusal says."""

    bytes: int | None = None
    tokens: int | None = None


@frozen
class Over:
    """A conversation that does not fit."""

    sizes: Sizes
    breaches: tuple[Breach, ...]

    def of(self, *whats: What) -> tuple[Breach, ...]:
        """Return what is too much of these."""
        return tuple(one for one in self.breaches if one.what in whats)

    @property
    def each(self) -> frozenset[tuple[int | None, str]]:
        """Where the media stand that are each too much by themselves."""
        kinds: tuple[What, ...] = ("image_bytes", "image_side", "image_side_many", "document_bytes")
        return frozenset((one.message, one.part) for one in self.of(*kinds))

    @property
    def needed(self) -> Needed:
        """What has to go for what counts together to fit, with room to spare."""
        return Needed(self.excess("request_bytes", "image_total_bytes"), self.excess("context_tokens"))

    def excess(self, *whats: What) -> int:
        """Return by how much it is too much, with room to spare; 0 where it is not."""
        return max((one.value - int(one.most * ROOM) for one in self.of(*whats)), default=0)


@dataclass(slots=True)
class Needed:
    """What still has to go."""

    bytes: int
    tokens: int

    @property
    def some(self) -> bool:
        return self.bytes > 0 or self.tokens > 0

    def less(self, bytes_gone: int, tokens_gone: int) -> None:
        """Take off what goes."""
        self.bytes -= bytes_gone
        self.tokens -= tokens_gone


def caps(refused: ProviderError | None, body: int, tokens: int) -> Caps:
    """Return what a refusal says of how much may be sent. A refusal of ours says nothing that is not known."""
    if refused is None or refused.status is None:
        return Caps()
    if not isinstance(refused, ContextOverflow):
        return Caps(bytes=int(body * _REFUSED))
    told = [int(found.replace(",", "").replace("_", "")) for found in _NUMBERS.findall(str(refused))]
    if len(told) >= 2 and max(told[:2]) > min(told[:2]):
        # The two say by how much it is too long, in the vendor's own tokens.
        return Caps(tokens=int(tokens * min(told[:2]) / max(told[:2]) * _SPARE))
    return Caps(tokens=int(tokens * _REFUSED))
