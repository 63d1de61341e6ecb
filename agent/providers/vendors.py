"""Who serves models: where, how one proves who one is, and what is peculiar there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from difflib import get_close_matches
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field

from treadle.agent.providers.contract import AuthFailed, Dialect, InvalidRequest, NotFound, WireName
from treadle.agent.providers.credentials import Grant, entra_grant, google_grant
from treadle.agent.providers.dialects import ByWire
from treadle.agent.providers.limits import LimitSettings
from treadle.agent.providers.vendor_rows import VENDORS, Auth, Vendor
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Frozen

_SHORTEST_SECRET = 6
_PLACE = re.compile(r"\{([A-Z][A-Z0-9_]*)(?:=([a-z0-9-]+))?\}")
_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@frozen
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
    paths: Mapping[WireName, str] = field(default_factory=dict[WireName, str])
    """What stands between the base URL and a wire's own path."""
    grant: Grant | None = None
    """What a token is had for, where the headers hold no key."""

    def address(self, model: str, wire: WireName) -> str:
        """Return the base URL of one model over one wire."""
        base, question, query = self.base_url.replace("{model}", quote(model, safe="@")).partition("?")
        return base + self.paths.get(wire, "") + question + query


class ProviderSettings(Frozen):
    """What a user's configuration says of a vendor, known or new. None leaves the row as it is."""

    base_url: str | None = None
    wire: WireName | None = None
    key_env: str | None = None
    """Name of the variable that holds the key."""
    auth: Auth | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    dialect: dict[str, Any] = Field(default_factory=dict)
    limits: LimitSettings = Field(default_factory=LimitSettings)


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
    proof, grant = _proof(row, own, env)
    scope = {header: value for header, text in row.headers.items() if (value := _filled(text, env))}
    if grant is not None:
        grant = replace(grant, proxy=None if grant.metadata else _proxy(grant.url, env))
    scoped = (f"{header}: {value}" for header, value in sorted(scope.items()) if row.headers[header] != value)
    return Endpoint(
        vendor=name,
        base_url=base,
        headers={**scope, **own.headers, **proof},
        secrets=_secrets(*_keys(row, proof), *own.headers.values(), *(grant.secrets if grant else ())),
        hash=sha256("\n".join([base, *scoped]).encode()).hexdigest()[:16],
        wire=own.wire or row.wire,
        dialects=row.dialects,
        dialect=own.dialect,
        usual=base == row.base_url,
        proxy=_proxy(base, env),
        paths={} if own.base_url else row.paths,
        grant=grant,
    )


def _keys(row: Vendor, proof: Mapping[str, str]) -> list[str]:
    keys = [value.removeprefix("Bearer ") for value in proof.values()]
    return [key for key in keys if key != row.stock_key]


def _secrets(*values: str) -> tuple[str, ...]:
    """Return what to scrub, longest first. What is shorter than any key would tear holes into plain words."""
    return tuple(sorted({value for value in values if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True))


def _row(name: str, own: ProviderSettings, configured: Iterable[str]) -> Vendor:
    if row := VENDORS.get(name):
        return row
    if own.base_url:
        return Vendor(name, stock_key="" if own.key_env is None else None)
    known = {*VENDORS, *configured} - {name}
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}."
    raise NotFound(f"There is no vendor named {name!r}; {hint}")


def _base_url(row: Vendor, own: ProviderSettings, env: Mapping[str, str]) -> str:
    value, source = row.base_url, f"the base URL of {row.name}"
    if own.base_url:
        value, source = own.base_url, f"base_url of provider {row.name}"
    else:
        for template in row.base_env:
            if filled := _filled(template, env):
                value = filled if "://" in filled else f"http://{filled}"
                source = " and ".join(_variables(template))
                break
    if not value:
        needs = [frozenset(_variables(template)) for template in row.base_env]
        least = [each for each in dict.fromkeys(needs) if not any(other < each for other in needs)]
        names = " or ".join(" and ".join(sorted(each)) for each in least)
        raise InvalidRequest(f"{row.name} has no usual address: set {names}.")
    return _checked(value.rstrip("/"), source)


def base_variables(row: Vendor) -> tuple[str, ...]:
    """Return the variables that say where a vendor is, each once."""
    return tuple(dict.fromkeys(name for template in row.base_env for name in _variables(template)))


def _variables(template: str) -> list[str]:
    return [found[1] for found in _PLACE.finditer(template)]


def _filled(template: str, env: Mapping[str, str]) -> str | None:
    """Return a text with its variables put in; None when one is not set, or set to another value than it must be.

    A variable at the beginning is a URL, whose path may be there already; in a host's name it is one DNS label, and
    elsewhere one segment of a path.
    """
    values: dict[str, str] = {}
    for found in _PLACE.finditer(template):
        name, only = found.groups()
        given = env.get(name, "").strip().rstrip("/")
        if not given or only not in {None, given}:
            return None
        if found.start() > 0:
            shape = _SEGMENT if "/" in template[: found.start()].removeprefix("https://") else _LABEL
            if not shape.fullmatch(given):
                raise InvalidRequest(f"{name} is {given!r}, which cannot be part of an address.")
        else:
            given = given.removesuffix(_PLACE.split(template[found.end() :])[0])
        values[name] = given
    return _PLACE.sub(lambda found: values[found[1]], template)


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


def _proof(
    row: Vendor, own: ProviderSettings, env: Mapping[str, str]
) -> tuple[Mapping[str, str], Grant | None]:
    """Return the header that says who asks, or what a token is had for. Neither, where none is needed."""
    auth = own.auth or row.auth
    if auth == "none":
        return {}, None
    if not own.key_env and (token := _first(row.token_env, env)):
        return _header("bearer", token), None
    names = (own.key_env,) if own.key_env else row.key_env
    if key := _first(names, env) or row.stock_key:
        return _header(auth, key), None
    if not own.key_env and (grant := _grant(row, env)):
        return {}, grant
    if row.key_optional:
        return {}, None
    raise AuthFailed(f"There is no key for {row.name}: set {' or '.join((*names, *row.token_env))}.")


def _grant(row: Vendor, env: Mapping[str, str]) -> Grant | None:
    match row.tokens:
        case "google":
            return google_grant(env)
        case "entra":
            return entra_grant(env)
        case None:
            return None


def _header(auth: Auth, key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if auth == "bearer" else {auth: key}


def _first(names: Iterable[str], env: Mapping[str, str]) -> str:
    for name in names:
        if key := env.get(name, "").strip():
            if not all(33 <= ord(char) <= 126 for char in key):
                raise AuthFailed(f"{name} holds characters that no key has.")
            return key
    return ""


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
