"""What no call may read, wherever it runs: the user's secrets, and our own state."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import inside

_SECRETS = (
    ".ssh", ".aws", ".gnupg", ".docker", ".kube", ".azure", ".password-store", ".oci", ".terraform.d",
    ".config/gh", ".config/hub", ".config/glab-cli", ".config/gcloud", ".config/op", ".config/git/credentials",
    ".config/google-chrome", ".config/chromium", ".mozilla", ".local/share/keyrings", ".local/share/kwalletd",
    ".netrc", ".git-credentials", ".npmrc", ".yarnrc.yml", ".pypirc", ".vault-token", ".databrickscfg", ".pgpass",
    ".my.cnf", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml",
    ".gradle/gradle.properties", ".terraformrc", ".claude/.credentials.json", ".codex/auth.json",
)  # fmt: skip
_PROCESS = re.compile(r"/proc/\d+(/|$)")


@frozen
class Masks:
    """Absolute paths without links."""

    hidden: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """Folders inside hidden ones that may be read all the same, as the one that holds spilled outputs."""

    def hide(self, real: str) -> bool:
        """Whether a path without links must not be read: `/proc/PID` too, which shows environments and memory."""
        if _PROCESS.match(real):
            return True
        return inside(real, self.hidden) and not inside(real, self.shown)


def user_masks(home: str, state: Iterable[str] = (), shown: Iterable[str] = ()) -> Masks:
    """Mask the secrets that exist below a home folder, and our own folders `state`."""
    secrets = [Path(home, name) for name in _SECRETS]
    hidden = [str(path) for path in secrets if path.exists()] + list(state)
    return Masks(_real(hidden), _real(shown))


def _real(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.realpath(path) for path in paths)
