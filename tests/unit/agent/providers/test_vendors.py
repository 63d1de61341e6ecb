from __future__ import annotations

import pytest

from treadle.agent.providers.contract import AuthFailed, InvalidRequest, NotFound
from treadle.agent.providers.vendors import VENDORS, ProviderSettings, is_loopback, resolve

_KEYED = sorted(name for name, row in VENDORS.items() if not row.key_optional and row.base_url)
_HOSTED = sorted(name for name, row in VENDORS.items() if row.base_url)


@pytest.mark.parametrize("name", _KEYED)
def test_every_vendor_that_wants_a_key_names_its_variable_when_it_is_missing(name: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        resolve(name, {})
    assert VENDORS[name].key_env[0] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", _HOSTED)
def test_every_vendor_with_an_address_is_reached_with_its_own_key_alone(name: str) -> None:
    row = VENDORS[name]
    endpoint = resolve(name, {row.key_env[0]: " k-1234 "} if row.key_env else {})
    assert endpoint.base_url == row.base_url
    assert endpoint.usual
    assert endpoint.secrets == (("k-1234",) if row.key_env else ())
    assert [value for value in endpoint.headers.values() if "k-1234" in value] == (
        [] if not row.key_env else ["Bearer k-1234"] if row.auth == "bearer" else ["k-1234"]
    )


@pytest.mark.parametrize(
    ("name", "env", "base"),
    [
        ("openai", {"OPENAI_BASE_URL": "http://localhost:9/v1/"}, "http://localhost:9/v1"),
        ("anthropic", {"ANTHROPIC_BASE_URL": "https://proxy.example"}, "https://proxy.example/v1"),
        ("gemini", {"GOOGLE_GEMINI_BASE_URL": "https://proxy.example"}, "https://proxy.example/v1"),
        ("ollama", {"OLLAMA_HOST": "10.0.0.2:11434"}, "http://10.0.0.2:11434/v1"),
        ("azure", {"AZURE_OPENAI_RESOURCE": "my-res"}, "https://my-res.openai.azure.com/openai/v1"),
        (
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/"},
            "https://r.openai.azure.com/openai/v1",
        ),
        ("mock", {"TREADLE_MOCK_URL": "http://127.0.0.1:8399/v1"}, "http://127.0.0.1:8399/v1"),
    ],
)
def test_a_variable_moves_a_vendor_elsewhere(name: str, env: dict[str, str], base: str) -> None:
    keys = dict.fromkeys(VENDORS[name].key_env, "k")
    endpoint = resolve(name, env | keys)
    assert (endpoint.base_url, endpoint.usual) == (base, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x/v1",
        "https://",
        "https://u:p@host/v1",
        "http://host:99999/v1",
        "http://ho st/v1",
        "file:///etc",
    ],
)
def test_a_base_url_that_is_none_is_refused_before_a_key_is_sent_there(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve("own", {}, {"own": ProviderSettings(base_url=url or " ")})
    assert "own" in str(caught.value)


@pytest.mark.parametrize("resource", ["evil.example/x?", "a.b", "-a", "a" * 64, "a#"])
def test_a_resource_that_is_no_dns_label_is_refused(resource: str) -> None:
    with pytest.raises(InvalidRequest, match="AZURE_OPENAI_RESOURCE"):
        resolve("azure", {"AZURE_OPENAI_RESOURCE": resource, "AZURE_OPENAI_API_KEY": "k"})


def test_a_ready_token_goes_before_a_key() -> None:
    env = {"AZURE_OPENAI_RESOURCE": "r", "AZURE_OPENAI_API_KEY": "key-1234"}
    assert resolve("azure", env).headers == {"api-key": "key-1234"}
    both = resolve("azure", {**env, "AZURE_OPENAI_AD_TOKEN": "tok-1234"})
    assert (both.headers, both.secrets) == ({"authorization": "Bearer tok-1234"}, ("tok-1234",))
    own = {"azure": ProviderSettings(key_env="MINE")}
    mine = resolve("azure", {**env, "AZURE_OPENAI_AD_TOKEN": "tok-1234", "MINE": "key-5678"}, own)
    assert mine.headers == {"api-key": "key-5678"}
    with pytest.raises(AuthFailed, match="AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN"):
        resolve("azure", {"AZURE_OPENAI_RESOURCE": "r"})


@pytest.mark.parametrize(
    ("env", "base"),
    [
        (
            {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"},
            "https://r.openai.azure.com/openai/deployments/my%20gpt?api-version=2024-10-21",
        ),
        (
            {"AZURE_OPENAI_RESOURCE": "r", "AZURE_OPENAI_API_VERSION": "2025-01-01-preview"},
            "https://r.openai.azure.com/openai/deployments/my%20gpt?api-version=2025-01-01-preview",
        ),
    ],
)
def test_a_deployment_of_azure_has_an_address_of_its_own(env: dict[str, str], base: str) -> None:
    place = resolve("azure-deployments", {**env, "AZURE_OPENAI_API_KEY": "k"})
    assert place.address("my gpt", "openai_chat") == base


def test_a_place_of_ones_own_needs_no_path_of_the_vendors() -> None:
    own = {"vertex": ProviderSettings(base_url="https://proxy.example/{model}", auth="none")}
    place = resolve("vertex", {}, own)
    assert place.address("a/b", "anthropic") == "https://proxy.example/a%2Fb"


def test_the_mock_is_sent_a_key_that_is_no_secret() -> None:
    endpoint = resolve("mock", {"TREADLE_MOCK_URL": "http://127.0.0.1:1"})
    assert (endpoint.headers, endpoint.secrets) == ({"authorization": "Bearer mock"}, ())


def test_a_vendor_without_a_usual_place_says_which_variable_names_it() -> None:
    with pytest.raises(InvalidRequest, match="TREADLE_MOCK_URL"):
        resolve("mock", {})


def test_an_unknown_vendor_is_told_the_nearest_names() -> None:
    with pytest.raises(NotFound, match="did you mean openai"):
        resolve("opanai", {})
    with pytest.raises(NotFound, match=r"known are anthropic, azure.*mine"):
        resolve("zzzz", {}, {"mine": ProviderSettings(base_url="http://h")})


def test_any_compatible_place_is_a_vendor_once_it_is_configured() -> None:
    said = ProviderSettings(
        base_url="https://llm.example/v1",
        key_env="CORP_KEY",
        auth="api-key",
        headers={"x-team": "blue-team"},
        dialect={"stream_usage": False},
        wire="openai_responses",
    )
    endpoint = resolve("corp", {"CORP_KEY": "secret"}, {"corp": said})
    assert endpoint.headers == {"x-team": "blue-team", "api-key": "secret"}
    assert (endpoint.wire, endpoint.dialect) == ("openai_responses", {"stream_usage": False})
    assert set(endpoint.secrets) == {"secret", "blue-team"}
    with pytest.raises(AuthFailed, match="CORP_KEY"):
        resolve("corp", {}, {"corp": said})
    keyless = resolve("free", {}, {"free": ProviderSettings(base_url="http://h/v1")})
    assert keyless.headers == {}
    none = resolve("openai", {"OPENAI_API_KEY": "k"}, {"openai": ProviderSettings(auth="none")})
    assert none.headers == {}


def test_a_key_with_a_line_break_is_refused_without_being_shown() -> None:
    with pytest.raises(AuthFailed) as caught:
        resolve("openai", {"OPENAI_API_KEY": "sk-abc\ndef"})
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "sk-abc" not in str(caught.value)


def test_the_hash_follows_the_account_and_the_place_but_not_the_key() -> None:
    def of(**env: str) -> str:
        return resolve("openai", {"OPENAI_API_KEY": "a"} | env).hash

    assert of() == of(OPENAI_API_KEY="b")
    assert len({of(), of(OPENAI_ORG_ID="o"), of(OPENAI_BASE_URL="http://h/v1")}) == 3
    headers = resolve("openai", {"OPENAI_API_KEY": "a", "OPENAI_ORG_ID": "o"}).headers
    assert headers["openai-organization"] == "o"


@pytest.mark.parametrize(
    ("base", "env", "proxy"),
    [
        ("https://h.example/v1", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://h.example/v1", {"https_proxy": "p:3128", "HTTPS_PROXY": "q"}, "http://p:3128"),
        ("https://h.example/v1", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://h.example/v1", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("https://h.example/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "x, .example"}, None),
        ("https://h.example/v1", {"HTTPS_PROXY": "http://p:3128", "no_proxy": "*"}, None),
        ("https://h.example/v1", {"HTTPS_PROXY": "http://p:3128", "no_proxy": "h.example:443"}, None),
        ("https://notexample/v1", {"HTTPS_PROXY": "http://p:3128", "no_proxy": "example"}, "http://p:3128"),
        ("http://127.0.0.1:1/v1", {"HTTP_PROXY": "http://p:3128", "ALL_PROXY": "http://p"}, None),
        ("http://localhost:1/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("https://h.example/v1", {}, None),
    ],
)
def test_the_environments_proxy_is_used_but_never_for_this_machine(
    base: str, env: dict[str, str], proxy: str | None
) -> None:
    assert resolve("own", env, {"own": ProviderSettings(base_url=base)}).proxy == proxy


def test_a_proxy_that_cannot_be_used_is_said_so() -> None:
    with pytest.raises(InvalidRequest, match="socks5"):
        resolve("own", {"ALL_PROXY": "socks5://p:1"}, {"own": ProviderSettings(base_url="https://h.example")})


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("h", False),
    ],
)
def test_this_machine_is_known_by_its_spelling(host: str, here: bool) -> None:
    assert is_loopback(host) is here
