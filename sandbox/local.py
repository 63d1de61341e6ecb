"""Commands without a sandbox: level "none"."""

from __future__ import annotations

from collections.abc import Mapping

from treadle.sandbox.contract import Command, Profile
from treadle.sandbox.environment import child_environment
from treadle.sandbox.processes import HostProcesses, Launch, limited, on_terminal


def local_processes(host: Mapping[str, str]) -> HostProcesses:
    """Run commands with all that the user may do. `host` is the environment that treadle was started with."""

    def wrap(command: Command, profile: Profile) -> Launch:
        env = {**child_environment(host, profile.env_grants), **command.env}
        argv = limited(command.argv, profile.limits)
        if not command.terminal:
            return Launch(argv, command.cwd, env)
        # A process that leads a group already could not begin a session without being another one.
        return Launch(on_terminal(argv), command.cwd, env, terminal=True, own_session=False)

    return HostProcesses("none", wrap)
