"""Who serves models: where, how one proves who one is, and what is peculiar there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import Field

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import AuthFailed, Dialect, InvalidRequest, NotFound, WireName
from treadle.agent.providers.dialects import ByWire
from treadle.tools.contract import Frozen

Auth: TypeAlias = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "none"]
"""The header that carries the key; `bearer` is `Authorization: Bearer`."""

_SHORTEST_SECRET = 6
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Vendor:
    """One row: a place that serves models."""

    name: str
    base_url: str = ""
    """Paths of wires go below it. Empty when there is no usual place."""
    base_env: tuple[tuple[str, str], ...] = ()
    """Variables that name another place, the first one set wins, each with what its value becomes."""
    key_env: tuple[str, ...] = ()
    auth: Auth = "bearer"
    key_optional: bool = False
    stock_key: str = ""
    """Sent when there is no other; no secret."""
    wire: WireName = "openai_chat"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    header_env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers taken from variables, when set. They are the account's scope."""
    dialects: ByWire = field(default_factory=dict[WireName, Dialect])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A vendor as it is reached from here."""

    vendor: str
    base_url: str
    headers: Mapping[str, str]
    """Sent with every request; the key is among them."""
    secrets: tuple[str, ...]
    """What must never be shown."""
    hash: str
    """Of base URL and account scope, not of the key: signatures bound to an account outlive its keys."""
    wire: WireName
    dialects: ByWire
    """What holds for every model there."""
    dialect: Dialect
    """What the user says of all of them, over any wire."""
    usual: bool = True
    """False where another place was named than the vendor's own: its models may have any name."""
    proxy: str | None = None


class ProviderSettings(Frozen):
    """What a user's configuration says of a vendor, known or new. None leaves the row as it is."""

    base_url: str | None = None
    wire: WireName | None = None
    key_env: str | None = None
    """Name of the variable that holds the key."""
    auth: Auth | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    dialect: dict[str, Any] = Field(default_factory=dict)


def _local(name: str, base_url: str, *base_env: tuple[str, str], dialects: ByWire) -> Vendor:
    key = f"{name.upper()}_API_KEY"
    return Vendor(name, base_url, base_env, (key,), key_optional=True, dialects=dialects)


def _glm(name: str, host: str, *key_env: str) -> Vendor:
    base = f"https://{host}/api/paas/v4"
    return Vendor(name, base, ((f"{name.upper()}_BASE_URL", "{}"),), key_env, dialects=dialects.GLM)


VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "openai",
            "https://api.openai.com/v1",
            (("OPENAI_BASE_URL", "{}"),),
            ("OPENAI_API_KEY",),
            header_env={"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"},
            dialects=dialects.OPENAI,
        ),
        Vendor(
            "anthropic",
            "https://api.anthropic.com/v1",
            (("ANTHROPIC_BASE_URL", "{}/v1"),),
            ("ANTHROPIC_API_KEY",),
            auth="x-api-key",
            wire="anthropic",
            header_env={"anthropic-workspace-id": "ANTHROPIC_WORKSPACE_ID"},
        ),
        Vendor(
            "gemini",
            "https://generativelanguage.googleapis.com/v1",
            (("GEMINI_BASE_URL", "{}/v1"), ("GOOGLE_GEMINI_BASE_URL", "{}/v1")),
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            auth="x-goog-api-key",
            wire="gemini",
        ),
        Vendor(
            "openrouter",
            "https://openrouter.ai/api/v1",
            (("OPENROUTER_BASE_URL", "{}"),),
            ("OPENROUTER_API_KEY",),
            headers={"x-openrouter-title": "treadle"},
            dialects=dialects.OPENROUTER,
        ),
        Vendor(
            "azure",
            "",
            (
                ("AZURE_OPENAI_BASE_URL", "{}"),
                ("AZURE_OPENAI_ENDPOINT", "{}/openai/v1"),
                ("AZURE_OPENAI_RESOURCE", "https://{}.openai.azure.com/openai/v1"),
            ),
            ("AZURE_OPENAI_API_KEY",),
            auth="api-key",
            dialects=dialects.AZURE,
        ),
        _glm("zai", "api.z.ai", "ZAI_API_KEY", "ZHIPUAI_API_KEY"),
        _glm("bigmodel", "open.bigmodel.cn", "ZHIPUAI_API_KEY", "BIGMODEL_API_KEY"),
        Vendor(
            "deepseek",
            "https://api.deepseek.com/v1",
            (("DEEPSEEK_BASE_URL", "{}"),),
            ("DEEPSEEK_API_KEY",),
            dialects=dialects.DEEPSEEK,
        ),
        Vendor(
            "moonshot",
            "https://api.moonshot.ai/v1",
            (("MOONSHOT_BASE_URL", "{}"),),
            ("MOONSHOT_API_KEY",),
            dialects=dialects.MOONSHOT,
        ),
        Vendor(
            "mistral",
            "https://api.mistral.ai/v1",
            (("MISTRAL_BASE_URL", "{}"),),
            ("MISTRAL_API_KEY",),
            dialects=dialects.MISTRAL,
        ),
        Vendor(
            "xai", "https://api.x.ai/v1", (("XAI_BASE_URL", "{}"),), ("XAI_API_KEY",), dialects=dialects.XAI
        ),
        Vendor(
            "groq",
            "https://api.groq.com/openai/v1",
            (("GROQ_BASE_URL", "{}"),),
            ("GROQ_API_KEY",),
            dialects=dialects.GROQ,
        ),
        _local("vllm", "http://127.0.0.1:8000/v1", ("VLLM_BASE_URL", "{}"), dialects=dialects.OPEN_WEIGHTS),
        _local(
            "ollama",
            "http://127.0.0.1:11434/v1",
            ("OLLAMA_BASE_URL", "{}"),
            ("OLLAMA_HOST", "{}/v1"),
            dialects=dialects.OLLAMA,
        ),
        _local(
            "lmstudio",
            "http://127.0.0.1:1234/v1",
            ("LMSTUDIO_BASE_URL", "{}"),
            dialects=dialects.OPEN_WEIGHTS,
        ),
        replace(_local("mock", "", ("TREADLE_MOCK_URL", "{}/v1"), dialects=dialects.MOCK), stock_key="mock"),
    )
}


def resolve(
    name: str, env: Mapping[str, str], settings: Mapping[str, ProviderSettings] | None = None
) -> Endpoint:
    """Say how a vendor is reached.

    Raises `NotFound` for a vendor that is neither a row nor configured, `AuthFailed` for a missing key, and
    `InvalidRequest` for a base URL that is missing or is none. Each message is one line and names what to set.
    """
    own = (settings or {}).get(name, ProviderSettings())
    row = _row(name, own, settings or {})
    base = _base_url(row, own, env)
    auth = own.auth or row.auth
    key = _key(row, own, env) if auth != "none" else ""
    scope = {header: env[var] for header, var in row.header_env.items() if env.get(var)}
    headers = {**row.headers, **scope, **own.headers}
    if key:
        header, value = ("authorization", f"Bearer {key}") if auth == "bearer" else (auth, key)
        headers[header] = value
    material = "\n".join([base, *(f"{header}: {value}" for header, value in sorted(scope.items()))])
    return Endpoint(
        vendor=name,
        base_url=base,
        headers=headers,
        secrets=_secrets(key, *own.headers.values()),
        hash=sha256(material.encode()).hexdigest()[:16],
        wire=own.wire or row.wire,
        dialects=row.dialects,
        dialect=own.dialect,
        usual=base == row.base_url,
        proxy=_proxy(base, env),
    )


def _secrets(*values: str) -> tuple[str, ...]:
    """Return what to scrub, longest first. What is shorter than any key would tear holes into plain words."""
    return tuple(sorted({value for value in values if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True))


def _row(name: str, own: ProviderSettings, configured: Iterable[str]) -> Vendor:
    if row := VENDORS.get(name):
        return row
    if own.base_url:
        return Vendor(name, key_optional=own.key_env is None)
    known = {*VENDORS, *configured} - {name}
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}."
    raise NotFound(f"There is no vendor named {name!r}; {hint}")


def _base_url(row: Vendor, own: ProviderSettings, env: Mapping[str, str]) -> str:
    value, source = row.base_url, f"the base URL of {row.name}"
    if own.base_url:
        value, source = own.base_url, f"base_url of provider {row.name}"
    else:
        for variable, template in row.base_env:
            if given := env.get(variable, "").strip().rstrip("/"):
                value, source = _filled(template, given, variable), variable
                break
    if not value:
        names = " or ".join(variable for variable, _ in row.base_env)
        raise InvalidRequest(f"{row.name} has no usual address: set {names}.")
    return _checked(value.rstrip("/"), source)


def _filled(template: str, given: str, variable: str) -> str:
    if template.startswith("https://"):
        if not _LABEL.fullmatch(given):
            raise InvalidRequest(f"{variable} is {given!r}, which cannot be part of a host name.")
        return template.format(given)
    path = template.removeprefix("{}")
    given = given.removesuffix(path) if path else given
    return template.format(given if "://" in given else f"http://{given}")


def _checked(url: str, source: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
        parts = urlsplit("")
    if not sound or any(ord(char) <= 32 for char in url):
        raise InvalidRequest(f"{source} is {url!r}, which is no http or https URL.")
    if parts.username is not None:
        raise InvalidRequest(f"{source} holds a user name or password; keys belong in a variable.")
    return url


def _key(row: Vendor, own: ProviderSettings, env: Mapping[str, str]) -> str:
    names = (own.key_env,) if own.key_env else row.key_env
    for name in names:
        if key := env.get(name, "").strip():
            if not all(33 <= ord(char) <= 126 for char in key):
                raise AuthFailed(f"{name} holds characters that no key has.")
            return key
    if row.key_optional:
        return row.stock_key
    raise AuthFailed(f"There is no key for {row.name}: set {' or '.join(names)}.")


def _proxy(base_url: str, env: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for this address. Loopback has none."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    values = {
        name: env.get(name) or env.get(name.upper()) or "" for name in (f"{parts.scheme}_proxy", "all_proxy")
    }
    url = next((value for value in values.values() if value), "")
    if not url or is_loopback(host) or _exempt(host, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return None
    url = url if "://" in url else f"http://{url}"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise InvalidRequest(
            f"The environment names a proxy that is not http or https ({urlsplit(url).scheme})."
        )
    return url


def _exempt(host: str, listed: str) -> bool:
    entries = [entry.strip().lower().lstrip(".").partition(":")[0] for entry in listed.split(",")]
    return any(entry == "*" or (entry and (host == entry or host.endswith(f".{entry}"))) for entry in entries)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by its spelling alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(unquote(host).partition("%")[0]).is_loopback
    except ValueError:
        return False
