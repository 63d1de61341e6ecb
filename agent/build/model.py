"""A live model from its name: catalogue row, endpoint, wire and transport."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from treadle.agent.config import Config
from treadle.agent.providers import catalogue, vendors
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import AuthFailed, ModelInfo, Wire, WireName
from treadle.agent.providers.credentials import Grant
from treadle.agent.providers.transport import Address, Authenticator, Timeouts, Transport

WIRES: tuple[WireName, ...] = (
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "anthropic",
    "gemini",
    "gemini_interactions",
)
"""The wires that this program speaks."""


def language_model(
    spec: str, config: Config, env: Mapping[str, str], grants: Mapping[str, str] | None = None
) -> Client:
    """Put a model together; `grants` are what goes into a request for what stands there for it.

    Raises `ProviderError` when the name, the key or the address does not do.
    """
    vendor, name = catalogue.split(spec)
    endpoint = vendors.resolve(vendor, env, config.providers)
    home = catalogue.Home(
        vendor,
        endpoint.hash,
        endpoint.wire,
        endpoint.dialects,
        endpoint.dialect,
        endpoint.usual,
        config.providers[vendor].wire if vendor in config.providers else None,
        config.providers[vendor].limits.given if vendor in config.providers else {},
    )
    shelf = catalogue.Shelf(WIRES, _book, datetime.now(UTC))
    info = catalogue.find(name, home, shelf, settings=config.models)
    transport = transport_to(endpoint, endpoint.address(info.id, info.wire), config)
    return Client(wire(info.wire), info, transport, secrets=endpoint.secrets, grants=grants)


def transport_to(endpoint: vendors.Endpoint, url: str, config: Config) -> Transport:
    """Return what sends calls to an address of an endpoint."""
    timeouts = config.connection.timeouts
    if config.limits.time is not None:
        timeouts = timeouts.model_copy(update={"connect": min(timeouts.connect, config.limits.time / 2)})
    authenticator = _tokens(endpoint.grant, timeouts) if endpoint.grant is not None else None
    return Transport(Address(url, endpoint.headers, endpoint.proxy, authenticator), timeouts=timeouts)


def _tokens(grant: Grant, timeouts: Timeouts) -> Authenticator:
    """Return what has tokens for a grant, loading what it takes."""
    from treadle.agent.providers.tokens import Tokens

    signer = grant.signer
    if signer is None:
        return Tokens(grant, timeouts=timeouts)
    try:
        from treadle.agent.providers.signing import assertion
    except ImportError as error:
        raise AuthFailed(
            "A service account's key needs the extra `google`: pip install 'treadle[google]'"
        ) from error
    return Tokens(grant, assertion=partial(assertion, signer, grant.url), timeouts=timeouts)


def wire(name: WireName) -> Wire:
    """Return a wire, loading it alone."""
    match name:
        case "openai_responses":
            from treadle.agent.providers.wires.openai_responses import OpenAIResponses

            return OpenAIResponses()
        case "openai_completions":
            from treadle.agent.providers.wires.openai_completions import OpenAICompletions

            return OpenAICompletions()
        case "anthropic":
            from treadle.agent.providers.wires.anthropic import Anthropic

            return Anthropic()
        case "gemini":
            from treadle.agent.providers.wires.gemini import Gemini

            return Gemini()
        case "gemini_interactions":
            from treadle.agent.providers.wires.gemini_interactions import GeminiInteractions

            return GeminiInteractions()
        case _:
            from treadle.agent.providers.wires.openai_chat import OpenAIChat

            assert name in WIRES
            return OpenAIChat()


def _book() -> catalogue.Book:
    from treadle.agent.providers.catalogue.book import PackageBook

    return PackageBook()


def remarks(info: ModelInfo) -> tuple[str, ...]:
    """Return what the user should know about a model, a line each."""
    name = f"{info.vendor}/{info.id}"
    said = [] if info.known else [f"{name} is not in the catalogue: its price and limits are not known"]
    if info.wire == "openai_completions":
        said.append(f"{name} is asked over legacy Completions, which is deprecated: text only, no tools")
    return tuple(said)
