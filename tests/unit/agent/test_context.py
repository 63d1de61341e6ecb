from __future__ import annotations

from treadle.agent.context import assemble
from treadle.agent.events import MessageAdded, Prefix, Sampling, SessionOpened, Settings
from treadle.agent.log import SessionLog
from treadle.agent.messages import user
from treadle.agent.providers.contract import Caching, Output
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
    assert request.caching == Caching(key="key")
    assert (request.sampling, request.service_tier) == (SETTINGS.sampling, "flex")
    assert request.output == Output(
        schema=schema, json_mode=True, max_tokens=9, effort="high", verbosity="low"
    )
