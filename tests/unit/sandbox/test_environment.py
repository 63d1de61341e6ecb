from __future__ import annotations

import pytest

from treadle.sandbox.environment import child_environment


def test_what_programs_need_is_kept_and_the_rest_is_not() -> None:
    kept = {
        "PATH": "/a:/b",
        "HOME": "/h",
        "LANG": "de",
        "LC_ALL": "C",
        "VIRTUAL_ENV": "/v",
        "GOPATH": "/g",
        "TZ": "UTC",
    }

    env = child_environment({
        **kept,
        "WHATEVER": "x",
        "BASH_ENV": "/evil",
        "LD_PRELOAD": "/evil",
        "PWD": "/p",
    })

    assert {name: env[name] for name in kept} == kept
    assert not {"WHATEVER", "BASH_ENV", "LD_PRELOAD", "PWD"} & set(env)


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GITHUB_TOKEN", "AWS_PROFILE", "AWS_SESSION_TOKEN", "DB_PASSWORD",
        "SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DOCKER_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "LC_SECRET", "HF_HOME",
        "OPENAI_BASE_URL", "PGPASSFILE", "HTTPS_PROXY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
    ],
)  # fmt: skip
def test_what_may_be_a_secret_is_given_only_by_name(name: str) -> None:
    host = {name: "value", "PATH": "/bin"}

    assert name not in child_environment(host)
    assert child_environment(host, (name, "MISSING"))[name] == "value"


def test_an_index_with_a_password_is_a_secret() -> None:
    host = {
        "PIP_INDEX_URL": "https://user:pass@index.example/simple",
        "UV_INDEX_URL": "https://index.example/simple",
    }

    assert "PIP_INDEX_URL" not in child_environment(host)
    assert child_environment(host)["UV_INDEX_URL"] == host["UV_INDEX_URL"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a:.:bin::/b", "/a:/b"),
        ("", "/usr/local/bin:/usr/bin:/bin"),
        (".", "/usr/local/bin:/usr/bin:/bin"),
    ],
)
def test_the_path_holds_only_absolute_folders(path: str, expected: str) -> None:
    assert child_environment({"PATH": path})["PATH"] == expected


def test_nothing_asks_pages_or_paints() -> None:
    env = child_environment({"TERM": "xterm", "EDITOR": "vi", "PAGER": "less"})

    assert {
        name: env[name] for name in ("TERM", "PAGER", "GIT_EDITOR", "GIT_TERMINAL_PROMPT", "NO_COLOR")
    } == {
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_COLOR": "1",
    }
    assert env["EDITOR"] == "true"
    assert env["LANG"] == "C.UTF-8"
