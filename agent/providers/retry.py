"""When a failed request is made again, and after how long."""

from __future__ import annotations

from treadle.agent.providers.contract import ProviderError
from treadle.tools.contract import Frozen


class Retries(Frozen):
    """How persistent we are. Times are in seconds."""

    attempts: int = 6
    """Requests made for one reply, the first one included."""
    base: float = 0.5
    cap: float = 60.0
    """No wait is longer; a provider that asks for more is not waited for."""


def wait(
    error: ProviderError, attempt: int, *, random: float, retries: Retries | None = None
) -> float | None:
    """Return the seconds to wait before asking again, or None when that would not help.

    `attempt` counts the requests made so far, from 1. `random` lies in [0, 1). The wait doubles each time, half of it
    at random, and is never shorter than what the provider asked for.
    """
    retries = retries or Retries()
    hint = error.retry_after or 0.0
    if not error.retryable or attempt >= retries.attempts or hint > retries.cap:
        return None
    backoff = min(retries.cap, retries.base * 2.0 ** min(attempt - 1, 32))
    return max(hint, backoff * (0.5 + random / 2))
