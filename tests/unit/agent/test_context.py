from __future__ import annotations

import pytest

from fakes import says
from treadle.agent.cache.marks import breakpoints
from treadle.agent.context import assemble
from treadle.agent.events import MessageAdded, Prefix, SessionOpened
from treadle.agent.log import SessionLog
from treadle.agent.messages import Message, ToolMessage, user
from treadle.agent.providers.contract import Breakpoint, Caching, Output
from treadle.agent.settings import Sampling, Settings
from treadle.tools.contract import Function

PREFIX = Prefix(system=("S", "T"), tools=(Function(name="t", description="d", parameters={}),))
SETTINGS = Settings(
    effort="high", verbosity="low", service_tier="flex", max_output=9, sampling=Sampling(temperature=0.0)
)


def test_a_request_is_the_branch_its_settings_and_what_is_wanted_of_the_reply() -> None:
    log = SessionLog(None)
    log.append(SessionOpened(session="s", workspace="/w", model="v/m", prefix=PREFIX, settings=SETTINGS))
    log.append(MessageAdded(message=user("Go.")))
    schema = {"type": "object"}
    request = assemble(log.conversation, "key", Output(schema=schema, json_mode=True, effort="low"))
    assert (request.system, request.tools) == (PREFIX.system, PREFIX.tools)
    assert request.messages == log.conversation.messages
    assert request.caching == Caching(breakpoints=breakpoints(request.messages), key="key")
    assert (request.sampling, request.service_tier) == (SETTINGS.sampling, "flex")
    assert request.output == Output(
        schema=schema, json_mode=True, max_tokens=9, effort="high", verbosity="low"
    )


U, A, T = user("u"), says("a"), ToolMessage(results=())


@pytest.mark.parametrize(
    ("messages", "marked"),
    [
        ((), []),
        ((U,), [0]),
        ((U, U), [1]),
        ((U, A, T), [0, 2]),
        ((U, A, T, A, U), [2, 4]),
        ((A, U), [1]),
        ((U, A), [0, 1]),
    ],
)
def test_what_is_marked_for_a_cache_is_the_system_the_last_requests_end_and_this_ones(
    messages: tuple[Message, ...], marked: list[int]
) -> None:
    assert breakpoints(messages) == (Breakpoint("system"), *(Breakpoint("message", n) for n in marked))
