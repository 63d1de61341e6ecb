"""Credentials that are exchanged for tokens, against a token endpoint on the loopback interface."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from unit.agent.providers.raw import Server, serving, whole

from treadle.agent.build import language_model
from treadle.agent.config import Config
from treadle.agent.messages import user
from treadle.agent.mock.script import parse
from treadle.agent.mock.server import serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    AuthFailed,
    Busy,
    InvalidRequest,
    ModelRequest,
    ProviderError,
    Unreachable,
)
from treadle.agent.providers.credentials import Grant, Signer, entra_grant, google_grant
from treadle.agent.providers.signing import assertion
from treadle.agent.providers.tokens import Tokens
from treadle.agent.providers.vendors import resolve

pytestmark = pytest.mark.anyio
SECRET = "refresh-me-1234"
ASKED = ModelRequest(system=(), tools=(), messages=(user("Hi."),))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def answer(status: int = 200, **body: Any) -> bytes:
    return whole(status, json.dumps(body).encode())


@asynccontextmanager
async def endpoint(*answers: bytes) -> AsyncGenerator[Server]:
    """A token endpoint that gives these answers, for five seconds at most."""
    with anyio.fail_after(5):
        async with serving(*([each] for each in answers)) as server:
            yield server


async def told(client: Client) -> str:
    async with client.stream(ASKED) as reply:
        async for _ in reply:
            pass
        return reply.message.text


def form(request: bytes) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(request.partition(b"\r\n\r\n")[2].decode()).items()}


def grant(server: Server, **more: Any) -> Grant:
    return Grant(server.url, {"grant_type": "refresh_token", "refresh_token": SECRET}, **more)


async def test_a_token_is_kept_until_shortly_before_it_ends_and_is_then_asked_for_anew() -> None:
    clock = Clock()
    first = answer(access_token="tok-1", expires_in=3600, token_type="Bearer")
    later = (answer(access_token="tok-2"), answer(access_token="tok-3"))
    async with endpoint(first, *later) as server:
        tokens = Tokens(grant(server, headers={"x-goog-user-project": "p"}), clock=clock)
        assert tokens.secrets == (SECRET,)
        seen: list[str] = []
        for now in (1000, 1000 + 3539, 1000 + 3541, 1000 + 3541 + 239, 1000 + 3541 + 241):
            clock.now = now
            headers = await tokens.headers()
            assert headers["x-goog-user-project"] == "p"
            seen.append(headers["authorization"])
        await tokens.aclose()
    assert seen == ["Bearer tok-1"] * 2 + ["Bearer tok-2"] * 2 + ["Bearer tok-3"]
    assert form(server.requests[0]) == {"grant_type": "refresh_token", "refresh_token": SECRET}
    assert b"content-type: application/x-www-form-urlencoded" in server.requests[0].lower()
    assert tokens.secrets == (SECRET, "tok-3")


async def test_many_requests_at_once_ask_for_one_token() -> None:
    async with endpoint(answer(access_token="tok-1", expires_in=3600)) as server:
        tokens = Tokens(grant(server))
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(tokens.headers)
        await tokens.aclose()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (
            answer(400, error="invalid_grant", error_description=f"{SECRET} was revoked"),
            AuthFailed,
            "invalid_grant [redacted] was revoked",
        ),
        (answer(503), Busy, "HTTP 503"),
        (answer(429, error="slow_down"), Busy, "slow_down"),
        (whole(200, b"<html>"), AuthFailed, "gave no token: HTTP 200"),
        (whole(200, b"[1]"), AuthFailed, "gave no token"),
        (answer(access_token="two words"), AuthFailed, "gave no token"),
        (answer(access_token=""), AuthFailed, "gave no token"),
        (b"", Unreachable, "no proper answer"),
    ],
)
async def test_an_endpoint_that_gives_no_token_is_an_error_that_tells_no_secret(
    reply: bytes, kind: type[ProviderError], words: str
) -> None:
    with anyio.fail_after(5):
        async with serving([reply, "close"]) as server:
            tokens = Tokens(grant(server))
            with pytest.raises(ProviderError) as caught:
                await tokens.headers()
            await tokens.aclose()
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_secret_is_sent_nowhere_without_https_but_to_this_machine() -> None:
    with pytest.raises(AuthFailed, match="https"):
        Tokens(Grant("http://token.example/t", {}))


def pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_an_assertion_is_signed_and_says_who_for_what_until_when(key: RSAPrivateKey) -> None:
    jwt = assertion(Signer("me@x.example", pem(key), "k1", "scope"), "https://token.example", 1000.9)
    head, claims, signature = jwt.split(".")
    key.public_key().verify(decoded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert json.loads(decoded(claims)) == {
        "iss": "me@x.example",
        "scope": "scope",
        "aud": "https://token.example",
        "iat": 1000,
        "exp": 4600,
    }


def test_a_key_that_cannot_sign_is_refused_without_being_shown() -> None:
    for bad in ("not-a-key", pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(AuthFailed, match="no RSA key") as caught:
            assertion(Signer("me", bad, "", ""), "https://t", 0)
        assert bad[:40] not in str(caught.value)


def credentials(folder: Path, **data: Any) -> dict[str, str]:
    file = folder / "credentials.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


USER: Mapping[str, str] = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": "client-secret",
    "refresh_token": SECRET,
}


def test_a_users_login_is_found_where_it_was_left(tmp_path: Path) -> None:
    own = tmp_path / ".config/gcloud"
    own.mkdir(parents=True)
    (own / "application_default_credentials.json").write_text(json.dumps({**USER, "quota_project_id": "q"}))
    for env in ({"HOME": str(tmp_path)}, {"HOME": "/nowhere", "CLOUDSDK_CONFIG": str(own)}):
        found = google_grant(env)
        assert (found.url, found.form["refresh_token"]) == ("https://oauth2.googleapis.com/token", SECRET)
        assert found.headers == {"x-goog-user-project": "q"}
        assert found.secrets == ("client-secret", SECRET)
        assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "type None"),
        ('{"type": "external_account_authorized_user"}', "GOOGLE_OAUTH_ACCESS_TOKEN"),
        ('{"type": "authorized_user", "client_id": "c", "client_secret": ""}', "lack client_secret"),
        ('{"type": "service_account", "client_email": 3}', "lack client_email"),
        ("[1]", "not a JSON object"),
        ("nope", "not a JSON object"),
    ],
)
def test_credentials_that_do_not_do_are_named_by_their_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(text)
    with pytest.raises(AuthFailed, match=r"c\.json") as caught:
        google_grant({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
    assert words in str(caught.value)


def test_credentials_that_are_not_there_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AuthFailed, match="gcloud auth application-default login"):
        google_grant({"HOME": str(tmp_path)})
    with pytest.raises(AuthFailed, match="cannot be read: No such file"):
        google_grant({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")})


def test_an_application_of_entra_proves_itself_with_its_secret() -> None:
    env = {"AZURE_TENANT_ID": "ten-1", "AZURE_CLIENT_ID": "cli", "AZURE_CLIENT_SECRET": "entra-secret"}
    found = entra_grant(env)
    assert found is not None
    assert found.url == "https://login.microsoftonline.com/ten-1/oauth2/v2.0/token"
    assert (found.form["client_secret"], found.form["scope"]) == (
        "entra-secret",
        "https://cognitiveservices.azure.com/.default",
    )
    assert entra_grant({**env, "AZURE_CLIENT_SECRET": " "}) is None
    with pytest.raises(AuthFailed, match="AZURE_TENANT_ID"):
        entra_grant({**env, "AZURE_TENANT_ID": "../x"})
    endpoint = resolve("azure", {**env, "AZURE_OPENAI_RESOURCE": "r", "HTTPS_PROXY": "http://p:3128"})
    assert endpoint.grant is not None
    assert endpoint.grant.proxy == "http://p:3128"
    assert "entra-secret" in endpoint.secrets


GOOGLE = {"GOOGLE_CLOUD_PROJECT": "proj-1", "GOOGLE_CLOUD_LOCATION": "global"}


async def test_a_service_account_asks_claude_on_vertex_with_one_token_for_many_requests(
    tmp_path: Path, key: RSAPrivateKey
) -> None:
    token = answer(access_token="ya29.very-secret", expires_in=3600)
    script = parse("{steps: [{text: Hi}], then: repeat}")
    async with endpoint(token) as server, serve(script) as mock:
        env = credentials(
            tmp_path,
            type="service_account",
            client_email="me@x.example",
            private_key=pem(key),
            private_key_id="k1",
            token_uri=server.url,
        )
        env |= {**GOOGLE, "VERTEX_BASE_URL": f"{mock.url}/vertex"}
        client = language_model("vertex/claude-opus-4-5@20251101", Config(), env)
        _, headers, _ = client.preview(client.encode(ASKED))
        assert headers["authorization"] == "[redacted]"
        assert [await told(client), await told(client)] == ["Hi", "Hi"]
        await client.aclose()
    assert len(server.requests) == 1
    assert {request.headers["authorization"] for request in mock.requests} == {"Bearer ya29.very-secret"}
    sent = form(server.requests[0])
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = json.loads(decoded(sent["assertion"].split(".")[1]))
    assert (claims["iss"], claims["aud"]) == ("me@x.example", server.url)


async def test_a_token_that_a_server_repeats_is_not_shown(tmp_path: Path) -> None:
    body = '{error: {code: 401, message: "no such token: ya29.very-secret", status: UNAUTHENTICATED}}'
    script = parse(f"steps: [{{faults: [{{status: 401, body: {body}}}]}}]")
    async with endpoint(answer(access_token="ya29.very-secret")) as server, serve(script) as mock:
        env = credentials(tmp_path, **USER, token_uri=server.url)
        env |= {**GOOGLE, "VERTEX_BASE_URL": f"{mock.url}/vertex"}
        client = language_model("vertex/claude-opus-5", Config(), env)
        with pytest.raises(AuthFailed) as caught:
            await told(client)
        await client.aclose()
    assert str(caught.value) == "HTTP 401: no such token: [redacted]"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("", "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west1", "europe-west1-aiplatform.googleapis.com"),
    ],
)
def test_each_location_of_vertex_has_its_own_host(location: str, host: str) -> None:
    env = {**GOOGLE, "GOOGLE_CLOUD_LOCATION": location, "GOOGLE_OAUTH_ACCESS_TOKEN": "tok-1234"}
    found = resolve("vertex", env)
    place = location or "global"
    assert found.base_url == f"https://{host}/v1/projects/proj-1/locations/{place}"
    assert found.headers == {"authorization": "Bearer tok-1234"}
    assert found.address("meta/llama", "openai_chat") == f"{found.base_url}/endpoints/openapi"
    assert found.address("x", "anthropic") == f"{found.base_url}/publishers/anthropic"


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({}, "GOOGLE_CLOUD_PROJECT"),
        ({"GOOGLE_CLOUD_PROJECT": "p/../q"}, "GOOGLE_CLOUD_PROJECT"),
        ({"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "evil.example/x?"}, "GOOGLE_CLOUD_LOCATION"),
    ],
)
def test_a_place_that_is_missing_or_none_is_said_before_anything_is_sent(
    env: dict[str, str], word: str
) -> None:
    with pytest.raises(InvalidRequest, match=word):
        resolve("vertex", env)


async def test_on_a_machine_of_googles_the_metadata_server_is_asked(tmp_path: Path) -> None:
    async with endpoint(answer(access_token="tok-1", expires_in=3600, token_type="Bearer")) as server:
        host = server.url.removeprefix("http://").removesuffix("/v1")
        asked = google_grant({"HOME": str(tmp_path), "GCE_METADATA_HOST": host})
        tokens = Tokens(asked)
        assert (await tokens.headers())["authorization"] == "Bearer tok-1"
        await tokens.aclose()
    head = server.requests[0].lower()
    assert head.startswith(b"get /computemetadata/v1/instance/service-accounts/default/token http/1.1")
    assert b"metadata-flavor: google" in head


def test_the_metadata_server_has_a_usual_name_and_is_never_looked_for_elsewhere(tmp_path: Path) -> None:
    run = google_grant({"HOME": str(tmp_path), "K_SERVICE": "mine"})
    assert run.url.startswith("http://metadata.google.internal/")
    with pytest.raises(AuthFailed, match="GCE_METADATA_HOST"):
        google_grant({"HOME": str(tmp_path)})
    with pytest.raises(AuthFailed, match="no name of a host"):
        google_grant({"HOME": str(tmp_path), "GCE_METADATA_HOST": "evil/path?x"})


def external(folder: Path, server: Server, **more: Any) -> dict[str, str]:
    """The environment of a workload whose token is exchanged at this server."""
    told = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": server.url,
        "credential_source": {"file": str(folder / "token")},
        **more,
    }
    (folder / "adc.json").write_text(json.dumps(told), encoding="utf-8")
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "adc.json")}


async def test_a_token_of_another_cloud_in_a_file_is_exchanged_and_read_anew_each_time(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with endpoint(answer(access_token="tok-1", expires_in=100), answer(access_token="tok-2")) as server:
        tokens = Tokens(google_grant(external(tmp_path, server)), clock=clock)
        for number in (1, 2):
            (tmp_path / "token").write_text(f"theirs-{number}\n", encoding="utf-8")
            assert (await tokens.headers())["authorization"] == f"Bearer tok-{number}"
            clock.now += 200
        await tokens.aclose()
    sent = [form(request) for request in server.requests]
    assert [each["subject_token"] for each in sent] == ["theirs-1", "theirs-2"]
    assert sent[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert sent[0]["audience"] == "//iam.googleapis.com/pool"


async def test_the_token_that_was_had_is_given_for_that_of_a_service_account(tmp_path: Path) -> None:
    clock = Clock()
    source = {"file": str(tmp_path / "token"), "format": {"type": "json", "subject_token_field_name": "jwt"}}
    (tmp_path / "token").write_text('{"jwt": "theirs"}', encoding="utf-8")
    until = "1970-01-01T00:26:40Z"
    replies = (
        answer(access_token="between", expires_in=9),
        answer(accessToken="tok-1", expireTime=until),
        answer(access_token="between", expires_in=9),
        answer(403, error="denied"),
    )
    async with endpoint(*replies) as server:
        env = external(
            tmp_path, server, credential_source=source, service_account_impersonation_url=server.url
        )
        tokens = Tokens(google_grant(env), clock=clock)
        assert (await tokens.headers())["authorization"] == "Bearer tok-1"
        clock.now = 1539
        assert (await tokens.headers())["authorization"] == "Bearer tok-1"
        clock.now = 1541
        with pytest.raises(AuthFailed, match="denied"):
            await tokens.headers()
        await tokens.aclose()
    assert form(server.requests[0])["subject_token"] == "theirs"
    assert b"authorization: bearer between" in server.requests[1].lower()
    assert json.loads(server.requests[1].partition(b"\r\n\r\n")[2]) == {
        "scope": ["https://www.googleapis.com/auth/cloud-platform"]
    }


async def test_a_workload_whose_token_cannot_be_had_is_told(tmp_path: Path) -> None:
    server = Server("https://sts.example.org/v1/token")
    with pytest.raises(AuthFailed, match="elsewhere than a file"):
        google_grant(external(tmp_path, server, credential_source={"url": "http://x"}))
    tokens = Tokens(google_grant(external(tmp_path, server)))
    with pytest.raises(AuthFailed, match="cannot be read"):
        await tokens.headers()
    await tokens.aclose()
    plain = external(tmp_path, server, service_account_impersonation_url="http://iam.example.org")
    with pytest.raises(AuthFailed, match="not reached over https"):
        Tokens(google_grant(plain))
