"""Credentials that are exchanged for a token: found in the environment, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from treadle.agent.providers.contract import AuthFailed
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject, as_object

_GOOGLE: Final = "https://oauth2.googleapis.com/token"
_GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_AT_GOOGLE: Final = ("GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB", "GAE_SERVICE")
"""Variables that are set where there is a metadata server."""
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9a-fA-F:]+\](?::\d{1,5})?")
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
class Subject:
    """A token of another's, in a file that somebody keeps fresh (RFC 8693)."""

    path: Path
    field: str = ""
    """The field that holds it; "" where the file is the token."""

    def read(self) -> str:
        """Return the token. Raises `AuthFailed`."""
        if self.field:
            return _texts(_read(self.path), self.path, self.field)[0]
        try:
            return self.path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise AuthFailed(f"The token in {self.path} cannot be read: {error}.") from error


@frozen
class Grant:
    """What a token endpoint is asked with (RFC 6749 §4.4 and §6, RFC 7523 §2.1, RFC 8693)."""

    url: str
    form: Mapping[str, str] = field(repr=False)
    signer: Signer | None = None
    """Signs an assertion for each request; None where the form is all."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with every request to the API."""
    proxy: str | None = None
    subject: Subject | None = None
    """Whose token is exchanged; None where the form is all."""
    acts_as: str = ""
    """Where Google gives the token of a service account for the token that was had; "" takes that itself."""
    metadata: bool = False
    """True for the server that tells a machine of Google's who it is: it is asked by GET and within the machine."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        private = ("client_secret", "refresh_token")
        return tuple(value for key, value in self.form.items() if key in private)


def google_grant(env: Mapping[str, str]) -> Grant:
    """Read Google's application default credentials: a file, or on a machine of Google's what it says itself.

    A file holds a service account's key, what a user's login left, or where another's token is to be exchanged.
    Raises `AuthFailed` when there are none, or of a kind that is not known here.
    """
    path = _google_file(env)
    if path is None:
        return _metadata(env)
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
        case "external_account":
            return _external(data, path)
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


def _external(data: JsonObject, path: Path) -> Grant:
    """Return how a workload of another cloud proves itself, where its token is in a file."""
    audience, kind, url = _texts(data, path, "audience", "subject_token_type", "token_url")
    source = as_object(data.get("credential_source")) or {}
    if not isinstance(source.get("file"), str):
        raise AuthFailed(
            f"The credentials in {path} take a token from elsewhere than a file, which is not known here."
        )
    form = as_object(source.get("format")) or {}
    field = _texts(form, path, "subject_token_field_name")[0] if form.get("type") == "json" else ""
    return Grant(
        url,
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": kind,
            "audience": audience,
            "scope": _GOOGLE_SCOPE,
        },
        subject=Subject(Path(source["file"]), field),
        acts_as=str(data.get("service_account_impersonation_url") or ""),
    )


def _metadata(env: Mapping[str, str]) -> Grant:
    host = env.get("GCE_METADATA_HOST") or "metadata.google.internal"
    if not _HOST.fullmatch(host):
        raise AuthFailed("GCE_METADATA_HOST is no name of a host.")
    return Grant(
        f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token", {}, metadata=True
    )


def _google_file(env: Mapping[str, str]) -> Path | None:
    """Return the file of credentials; None where there is none and the machine can be asked."""
    if given := env.get("GOOGLE_APPLICATION_CREDENTIALS", ""):
        return Path(given)
    own = env.get("CLOUDSDK_CONFIG") or f"{env.get('HOME', '')}/.config/gcloud"
    path = Path(own) / "application_default_credentials.json"
    if path.exists():
        return path
    if any(env.get(name) for name in _AT_GOOGLE):
        return None
    raise AuthFailed(
        "There are no Google credentials: set GOOGLE_APPLICATION_CREDENTIALS to a file of them or "
        "GOOGLE_OAUTH_ACCESS_TOKEN to a token, or run `gcloud auth application-default login`; on a machine of "
        "Google's, set GCE_METADATA_HOST to metadata.google.internal."
    )


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
