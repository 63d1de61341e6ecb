"""A conversation in no provider's words, read from JSON, as the request that a model would be asked it with."""

from __future__ import annotations

from pydantic import ValidationError

from treadle.agent.build.offer import hosted_tools
from treadle.agent.cache.marks import breakpoints
from treadle.agent.config import Config
from treadle.agent.messages import Message
from treadle.agent.providers.contract import Caching, ModelRequest, Output
from treadle.tools.contract import Frozen, ToolSpec


class NotNeutral(Exception):
    """The JSON is no conversation. The message is one line: where, and what is wrong."""


class Neutral(Frozen):
    """A conversation and what it begins with."""

    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    tools: tuple[ToolSpec, ...] = ()


def neutral(text: str | bytes) -> Neutral:
    """Read an object {messages, system, tools}, or an array of messages alone. Raises `NotNeutral`."""
    bare = text.lstrip()[:1] in {"[", b"["}
    whole = (
        (b'{"messages":%s}' % text if isinstance(text, bytes) else f'{{"messages":{text}}}') if bare else text
    )
    try:
        return Neutral.model_validate_json(whole)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotNeutral(f"{where}: {first['msg']}" if where else first["msg"]) from error


def request_of(conversation: Neutral, config: Config, wanted: Output) -> ModelRequest:
    """Return the request, with what the config says of replies and of tools that the provider runs.

    It belongs to no session, so there is no key under which a provider would find its cache.
    """
    return ModelRequest(
        system=conversation.system,
        tools=(*conversation.tools, *hosted_tools(config.hosted)),
        messages=conversation.messages,
        sampling=config.reply.sampling,
        caching=Caching(breakpoints=breakpoints(conversation.messages)),
        output=Output(
            schema=wanted.schema,
            json_mode=wanted.json_mode,
            max_tokens=config.reply.max_output_tokens,
            effort=config.effort,
            verbosity=config.reply.verbosity,
        ),
        service_tier=config.reply.service_tier,
    )
