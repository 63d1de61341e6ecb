"""Credentials that are exchanged for a token: found in the environment, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from treadle.agent.providers.contract import AuthFailed
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, as_object

_GOOGLE: Final = "https://oauth2.googleapis.com/token"
_GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_ENTRA: Final = "https://login.microsoftonline.com"
_ENTRA_SCOPE: Final = "https://cognitiveservices.azure.com/.default"


@frozen
class Signer:
    """The key of a service account, and what it says (RFC 7523)."""

    email: str
    key: str = field(repr=False)
    """PEM."""
    key_id: str
    scope: str


@frozen
class Grant:
    """What a token endpoint is asked with (RFC 6749 §4.4 and §6, RFC 7523 §2.1)."""

    url: str
    form: Mapping[str, str] = field(repr=False)
    signer: Signer | None = None
    """Signs an assertion for each request; None where the form is all."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with every request to the API."""
    proxy: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        private = ("client_secret", "refresh_token")
        return tuple(value for key, value in self.form.items() if key in private)


def google_grant(env: Mapping[str, str]) -> Grant:
    """Read Google's application default credentials: a service account's key, or what a user's login left.

    Raises `AuthFailed` when there are none, or of a kind that is not known here.
    """
    path = _google_file(env)
    data = _read(path)
    match data.get("type"):
        case "service_account":
            email, key = _texts(data, path, "client_email", "private_key")
            signer = Signer(email, key, str(data.get("private_key_id") or ""), _GOOGLE_SCOPE)
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
        case "authorized_user":
            names = ("client_id", "client_secret", "refresh_token")
            signer = None
            form = {
                "grant_type": "refresh_token",
                **dict(zip(names, _texts(data, path, *names), strict=True)),
            }
        case kind:
            raise AuthFailed(
                f"{path} holds credentials of the type {kind!r}, which is not known here: "
                "use a service account's key, or set GOOGLE_OAUTH_ACCESS_TOKEN."
            )
    quota = data.get("quota_project_id")
    headers = {"x-goog-user-project": quota} if isinstance(quota, str) and quota else {}
    return Grant(str(data.get("token_uri") or _GOOGLE), form, signer, headers)


def entra_grant(env: Mapping[str, str]) -> Grant | None:
    """Return how an application of Microsoft Entra proves itself; None when the environment names none."""
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    tenant, client, secret = (env.get(name, "").strip() for name in names)
    if not (tenant and client and secret):
        return None
    if not tenant.replace("-", "").replace(".", "").isalnum():
        raise AuthFailed("AZURE_TENANT_ID is no id of a tenant.")
    host = env.get("AZURE_AUTHORITY_HOST", "").strip().rstrip("/") or _ENTRA
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
        "scope": _ENTRA_SCOPE,
    }
    return Grant(f"{host}/{tenant}/oauth2/v2.0/token", form)


def _google_file(env: Mapping[str, str]) -> Path:
    if given := env.get("GOOGLE_APPLICATION_CREDENTIALS", ""):
        return Path(given)
    own = env.get("CLOUDSDK_CONFIG") or f"{env.get('HOME', '')}/.config/gcloud"
    path = Path(own) / "application_default_credentials.json"
    if not path.exists():
        raise AuthFailed(
            "There are no Google credentials: set GOOGLE_APPLICATION_CREDENTIALS to a file of them or "
            "GOOGLE_OAUTH_ACCESS_TOKEN to a token, or run `gcloud auth application-default login`."
        )
    return path


def _read(path: Path) -> JsonObject:
    try:
        data = as_object(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise AuthFailed(f"The credentials in {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        data = None
    if data is None:
        raise AuthFailed(f"{path} holds no credentials: it is not a JSON object.")
    return data


def _texts(data: JsonObject, path: Path, *names: str) -> list[str]:
    for name in names:
        if not (isinstance(data.get(name), str) and data[name]):
            raise AuthFailed(f"The credentials in {path} lack {name}.")
    return [data[name] for name in names]
