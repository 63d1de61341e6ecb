"""The environment that commands are given: what programs need, nothing that looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

from treadle.sandbox.family import MARK

_KEEP = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR", MARK,
    "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYENV_ROOT", "PYENV_VERSION", "PYTHONPATH", "PYTHONHOME",
    "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "UV_CACHE_DIR", "UV_PYTHON", "PIP_CACHE_DIR", "PIP_INDEX_URL",
    "UV_INDEX_URL", "UV_DEFAULT_INDEX",
    "NODE_PATH", "NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "FNM_DIR", "PNPM_HOME",
    "BUN_INSTALL", "DENO_DIR", "npm_config_cache", "npm_config_registry",
    "GOPATH", "GOROOT", "GOBIN", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN",
    "CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS",
    "JAVA_HOME", "MAVEN_HOME", "M2_HOME", "GRADLE_HOME", "GRADLE_USER_HOME", "SDKMAN_DIR", "ANDROID_HOME",
    "GEM_HOME", "GEM_PATH", "RBENV_ROOT", "BUNDLE_PATH", "COMPOSER_HOME", "DOTNET_ROOT", "NUGET_PACKAGES",
    "PERL5LIB", "R_LIBS_USER", "JULIA_DEPOT_PATH", "GHCUP_INSTALL_BASE_PREFIX", "STACK_ROOT", "OPAM_SWITCH_PREFIX",
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "PKG_CONFIG_PATH", "LD_LIBRARY_PATH",
    "CMAKE_PREFIX_PATH", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SOURCE_DATE_EPOCH",
    "NIX_PATH", "NIX_SSL_CERT_FILE", "LOCALE_ARCHIVE", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR",
})  # fmt: skip

_SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASS(?!IVE)|CREDENTIAL|AUTH|COOKIE|PRIVATE|SIGNATURE|^AWS_|^AZURE_|^GCP_|^GOOGLE_"
    r"|^(OPENAI|ANTHROPIC|GEMINI|OPENROUTER|ZHIPUAI|MISTRAL|DEEPSEEK|GROQ|XAI|COHERE|TOGETHER|HF|GITHUB|GITLAB)_",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"://[^/\s@]+@")
"""A URL that carries a name or a password."""

_SET = {
    # No colours, no pager, no screen: output is read by a model.
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "",
    # Nobody answers questions: fail at once. `false` as an asker ends what would wait for a person.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "SSH_ASKPASS_REQUIRE": "force",
    "SUDO_ASKPASS": "false",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
    "npm_config_yes": "true",
    # An editor that changes nothing: git takes the text as it is.
    "EDITOR": "true",
    "VISUAL": "true",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    # Lines come when they are printed, also when a command is cut off by its time limit.
    "PYTHONUNBUFFERED": "1",
    # Reading a repository does not write to it.
    "GIT_OPTIONAL_LOCKS": "0",
}


def child_environment(host: Mapping[str, str], grants: tuple[str, ...] = ()) -> dict[str, str]:
    """Build a command's environment from the host's: a list of known names, minus secrets, plus quiet settings.

    Names in `grants` are taken over whatever they look like. `CI` is not set: it changes what test runners do.
    PATH keeps only absolute folders, so that a workspace cannot put its own programs in front.
    """
    env = {
        name: value
        for name, value in host.items()
        if (name in _KEEP or name.startswith("LC_"))
        and not _SECRET.search(name)
        and not _USERINFO.search(value)
    }
    env["PATH"] = (
        ":".join(folder for folder in host.get("PATH", "").split(":") if folder.startswith("/"))
        or "/usr/local/bin:/usr/bin:/bin"
    )
    env.setdefault("LANG", "C.UTF-8")
    return env | _SET | {name: host[name] for name in grants if name in host}
