"""What a vendor says when a client asks why its cache did not hold the request before."""

from __future__ import annotations

from treadle.agent.mock.billing_prompt import Miss
from treadle.sandbox.frozen import frozen


@frozen
class Asking:
    """A request as it is compared with another."""

    knobs: tuple[tuple[str, object], ...]
    """What must be equal, in the order in which it is looked at, each with the word for its change."""
    changed: str
    """The word for messages that do not begin with those of the other."""
    chains: tuple[int, ...]
    """What stands for the prompt up to each of its messages."""
    total: int


class Diagnoses:
    """Remembers requests by the ids of their answers."""

    def __init__(self) -> None:
        self._asked: dict[str, Asking] = {}

    def compare(self, name: str, asking: Asking, cached: int, previous: str | None, lost: str) -> Miss | None:
        """Say how a request strays from an earlier one, and remember it.

        None: it does not, or there is none to compare it with. `lost` is the word for one that is not known.
        """
        self._asked[name] = asking
        if previous is None:
            return None
        before = self._asked.get(previous)
        if before is None:
            return Miss(lost)
        missed = max(0, before.total - cached)
        for (reason, now), (_, then) in zip(asking.knobs, before.knobs, strict=True):
            if now != then:
                return Miss(reason, missed)
        return None if asking.chains[: len(before.chains)] == before.chains else Miss(asking.changed, missed)
