from __future__ import annotations

import pytest

from treadle.agent.providers.contract import AuthFailed, Busy, ProviderError, StreamCutShort, Unreachable
from treadle.agent.providers.retry import Retries, wait


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"),
    [(1, 0.25, 0.5), (2, 0.5, 1.0), (3, 1.0, 2.0), (4, 2.0, 4.0), (5, 4.0, 8.0)],
)
def test_waits_double_and_half_of_each_is_chance(attempt: int, shortest: float, longest: float) -> None:
    error = Unreachable("gone")
    assert wait(error, attempt, random=0.0) == shortest
    assert wait(error, attempt, random=1.0) == longest


def test_no_wait_of_ours_is_longer_than_the_cap() -> None:
    assert wait(Busy("busy"), 5000, random=1.0, retries=Retries(attempts=9999)) == 60.0


@pytest.mark.parametrize(
    ("hint", "seconds"),
    [(None, 0.25), (0.0, 0.25), (0.1, 0.25), (20.0, 20.0), (60.0, 60.0), (60.1, None), (3600.0, None)],
)
def test_what_a_provider_asks_for_is_the_least_and_too_much_is_not_waited_for(
    hint: float | None, seconds: float | None
) -> None:
    assert wait(Busy("busy", retry_after=hint), 1, random=0.0) == seconds


def test_after_the_last_attempt_there_is_no_other() -> None:
    assert wait(StreamCutShort("cut"), 5, random=0.0) is not None
    assert wait(StreamCutShort("cut"), 6, random=0.0) is None
    assert wait(StreamCutShort("cut"), 1, random=0.0, retries=Retries(attempts=1)) is None


@pytest.mark.parametrize("error", [AuthFailed("no"), ProviderError("unknown")])
def test_what_asking_again_cannot_mend_is_not_asked_again(error: ProviderError) -> None:
    assert wait(error, 1, random=0.0) is None


def test_a_provider_that_says_do_not_retry_is_believed() -> None:
    error = Busy("busy")
    error.retryable = False
    assert wait(error, 1, random=0.0) is None
