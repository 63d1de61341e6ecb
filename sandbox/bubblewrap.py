"""Commands in bubblewrap: everything read-only but the workspace, secrets hidden, no network."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from treadle.sandbox.contract import Command, Profile, SandboxUnavailable
from treadle.sandbox.environment import child_environment
from treadle.sandbox.masks import Masks
from treadle.sandbox.paths import inside
from treadle.sandbox.processes import HostProcesses, Launch, limited, on_terminal

Kind: TypeAlias = Literal["write", "read", "empty", "null"]
"""What is to be at a path: itself, writable or not; an empty folder; an empty file."""
Mount: TypeAlias = tuple[str, Kind]

_PRIVATE = tuple(f"/{name}" for name in ("tmp", "var/tmp", "run"))
_SCRATCH = {
    "TMPDIR": _PRIVATE[0],
    # These refuse to work at all when their cache in the home folder is read-only.
    "GOCACHE": f"{_PRIVATE[0]}/go-build",
    "UV_CACHE_DIR": f"{_PRIVATE[0]}/uv-cache",
}
_CONFINE = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--cap-drop",
    "ALL",
    "--die-with-parent",
)
# No --new-session: the leader has a session of its own already, and stays recognisable by it.
_PINNED = ("config", "config.worktree", "hooks", "info")
"""What makes git run programs: never writable, not even for git itself."""
_SHIELDS = 2
"""bubblewrap itself, and the first process of the PID namespace."""
_PROBE_TIMEOUT = 5.0


def bubblewrap_processes(host: Mapping[str, str], masks: Masks, roots: tuple[str, ...]) -> HostProcesses:
    """Run commands in bubblewrap. Raises `SandboxUnavailable` with the reason when it does not work here."""
    program = find(host.get("PATH", ""), roots)
    probe(program)

    def wrap(command: Command, profile: Profile) -> Launch:
        owner = _owner((*profile.write_roots, command.cwd))
        env = {**child_environment(host, profile.env_grants), **_identity(owner), **_SCRATCH, **command.env}
        inner = limited(command.argv, profile.limits)
        argv = (
            program,
            *arguments(profile, masks, env, roots, owner),
            *("--chdir", os.path.realpath(command.cwd), "--"),
            *(on_terminal(inner) if command.terminal else inner),
        )
        # The environment is emptied here and not by --clearenv, which leaves it readable in /proc/1/environ.
        return Launch(argv, command.cwd, env, _SHIELDS, owner, command.terminal)

    return HostProcesses("bwrap", wrap)


def find(path: str, roots: tuple[str, ...]) -> str:
    """Find a bubblewrap that only root could have put there. Raises `SandboxUnavailable`."""
    doubt = ""
    for folder in path.split(":"):
        program = Path(folder, "bwrap")
        if not folder.startswith("/") or not program.is_file():
            continue
        real = program.resolve()
        status = real.stat()
        if (
            status.st_uid == 0
            and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            and not inside(str(real), roots)
        ):
            return str(real)
        doubt = f"{program} could have been changed by others than root; "
    raise SandboxUnavailable(f"{doubt}bubblewrap is not installed: install the package `bubblewrap`.")


def probe(program: str) -> None:
    """Run `true` in a sandbox with all namespaces. Raises `SandboxUnavailable` with the reason in one line."""
    # Without a first process of its own, bubblewrap leaves no orphan for us to reap.
    argv = [program, *_base(), *_CONFINE, "--unshare-net", "--as-pid-1", "--", "true"]
    try:
        done = subprocess.run(
            argv,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"bubblewrap does not start: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise SandboxUnavailable(f"bubblewrap does not work here: {said[-1]}. {_remedy()}")


def arguments(
    profile: Profile,
    masks: Masks,
    env: Mapping[str, str],
    roots: Iterable[str] = (),
    owner: tuple[int, int] | None = None,
) -> tuple[str, ...]:
    """Build bubblewrap's options for a profile. Looks at the file system, changes nothing.

    `roots` can be read even where their surroundings are emptied and the profile lets nobody write them. What
    `owner`, who is to run it, cannot reach anyway is left out, since bubblewrap could not reach it either.
    """
    mounts: dict[str, Kind] = dict(_workspace(profile))
    for path in masks.hidden:
        if path not in mounts and Path(path).exists():
            mounts[path] = "empty" if Path(path).is_dir() else "null"
    for path in (*map(os.path.realpath, roots), *masks.shown, *_needed(env, profile)):
        if path not in mounts and Path(path).exists():
            mounts[path] = "read"
    if owner is not None:
        mounts = {path: kind for path, kind in mounts.items() if kind == "write" or _reaches(owner, path)}
    # A deeper mount comes later and so wins over the one it lies in.
    ordered = sorted(mounts.items(), key=lambda mount: mount[0].count("/") if mount[0] != "/" else 0)
    network = () if profile.network == "on" else ("--unshare-net",)
    runtime = (("--tmpfs", folder) for folder in _runtime_folders(env))
    return (
        *_base(),
        *(word for pair in runtime for word in pair),
        *(word for mount in ordered for word in _mount(mount)),
        # Only now, so that what is shown inside could still be mounted.
        *(word for path, kind in ordered if kind == "empty" for word in ("--remount-ro", path)),
        *_CONFINE,
        *network,
    )


def _base() -> tuple[str, ...]:
    """Everything, read-only, with fresh kernel folders; /proc/sys too, which root could write to otherwise."""
    private = (
        ("--tmpfs", folder) for folder in _PRIVATE if Path(folder).is_dir() and not Path(folder).is_symlink()
    )
    system = (
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--ro-bind",
        "/proc/sys",
        "/proc/sys",
    )
    return (*system, *(word for pair in private for word in pair))


def _mount(mount: Mount) -> tuple[str, ...]:
    match mount:
        case path, "write":
            return "--bind", path, path
        case path, "read":
            return "--ro-bind", path, path
        case path, "empty":
            return "--tmpfs", path
        case path, "null":
            return "--ro-bind", "/dev/null", path


def _workspace(profile: Profile) -> Iterator[Mount]:
    """The folders that may be written, and in them what of git may not.

    `.git` becomes a mount of its own: so it can be neither renamed nor replaced.
    """
    roots = [os.path.realpath(root) for root in profile.write_roots]
    for root in roots:
        yield root, "write"
    for folder in {folder for root in roots for folder in git_folders(root)}:
        if profile.git == "read":
            if inside(folder, roots):
                yield folder, "read"
            continue
        yield folder, "write" if Path(folder).is_dir() else "read"
        for name in _PINNED:
            if Path(folder, name).exists():
                yield str(Path(folder, name)), "read"
            elif name == "hooks" and Path(folder, "HEAD").exists():
                yield str(Path(folder, name)), "empty"


def git_folders(root: str) -> Iterator[str]:
    """What git keeps for a working folder: `.git`, and where a `.git` file and its `commondir` point to."""
    git = Path(root, ".git")
    if git.is_symlink() or not git.exists():
        if git.exists():
            yield str(git.resolve())
        return
    yield str(git)
    folder = git
    if git.is_file():
        text = _text(git)
        if not text.startswith("gitdir:"):
            return
        folder = Path(root, text.removeprefix("gitdir:").strip()).resolve()
        if not folder.is_dir():
            return
        yield str(folder)
    if common := _text(folder / "commondir").strip():
        yield str((folder / common).resolve())


def _needed(env: Mapping[str, str], profile: Profile) -> Iterable[str]:
    """What programs must see although it lies in a folder that is emptied: their own, and the name servers."""
    folders = [Path(folder) for folder in env.get("PATH", "").split(":")]
    wanted = [folder.parent if folder.name in {"bin", "sbin"} else folder for folder in folders]
    wanted += [Path(env[name]) for name in ("HOME", "VIRTUAL_ENV") if name in env]
    if profile.network == "on":
        wanted.append(Path("/etc/resolv.conf"))
    for path in wanted:
        real = os.path.realpath(path)
        if inside(real, _PRIVATE) and real not in _PRIVATE:
            yield real


def _runtime_folders(env: Mapping[str, str]) -> Iterable[str]:
    folder = env.get("XDG_RUNTIME_DIR", "")
    return (
        [folder]
        if Path(folder).is_absolute() and not inside(folder, _PRIVATE) and Path(folder).is_dir()
        else []
    )


def _owner(roots: Iterable[str]) -> tuple[int, int] | None:
    """As root, whose folder the first root is, if not root's: without capabilities root could not write there."""
    if os.geteuid() != 0:
        return None
    for root in roots:
        status = Path(root).stat()
        return (status.st_uid, status.st_gid) if status.st_uid != 0 else None
    return None


def _identity(owner: tuple[int, int] | None) -> Mapping[str, str]:
    """Name and home of whom a command runs as; nothing when that is us."""
    if owner is None:
        return {}
    try:
        user = pwd.getpwuid(owner[0])
    except KeyError:
        return {"HOME": _PRIVATE[0]}
    home = user.pw_dir if Path(user.pw_dir).is_dir() else _PRIVATE[0]
    return {"HOME": home, "USER": user.pw_name, "LOGNAME": user.pw_name}


def _reaches(owner: tuple[int, int], path: str) -> bool:
    """Whether a user may enter all the folders above a path."""
    for folder in Path(path).parents:
        status = folder.stat()
        shift = 6 if status.st_uid == owner[0] else 3 if status.st_gid == owner[1] else 0
        if not status.st_mode >> shift & stat.S_IXOTH:
            return False
    return True


def _text(path: Path) -> str:
    """The start of a small file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4096).decode(errors="surrogateescape")
    except OSError:
        return ""


def _remedy() -> str:
    """What a user can do about a kernel that forbids user namespaces."""
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if _text(restricted).strip() == "1":
        return "AppArmor forbids user namespaces: allow them for bwrap by a profile in /etc/apparmor.d."
    if Path("/.dockerenv").exists():
        return "This container forbids user namespaces: start it with --security-opt seccomp=unconfined."
    return "The kernel must allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)."
