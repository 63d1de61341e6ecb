from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import anyio
import anyio.lowlevel
import pytest
from unit.sandbox.commands import run, running, sleeper, zombies

from treadle.sandbox.bubblewrap import arguments, bubblewrap_processes, find, probe
from treadle.sandbox.contract import Command, Profile, SandboxUnavailable
from treadle.sandbox.environment import child_environment
from treadle.sandbox.masks import Masks, user_masks
from treadle.sandbox.processes import HostProcesses

pytestmark = [pytest.mark.anyio, pytest.mark.real]

PATH = "/usr/local/bin:/usr/bin:/bin"
NOBODY = 65534


@dataclass(frozen=True)
class Site:
    """A workspace with what lies around it, all owned by one user."""

    uid: int
    top: Path

    @property
    def work(self) -> Path:
        return self.top / "work"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def outside(self) -> Path:
        return self.top / "outside"

    @property
    def host(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.home), "SECRET_KEY": "sesame"}

    @property
    def masks(self) -> Masks:
        return user_masks(str(self.home), [str(self.home / "state")], [str(self.home / "state" / "spill")])

    def attack(self, line: str, profile: Profile | None = None) -> str:
        """Run a line confined, as the site's user, with all that bubblewrap was given; its output."""
        profile = profile or Profile((str(self.work),))
        env = child_environment(self.host)
        user = ("setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--")
        argv = (*user, find(PATH, ()), *arguments(profile, self.masks, env), "--chdir", str(self.work), "--")
        done = subprocess.run(
            (*argv, "bash", "-c", f"echo alive\n{line}"),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=15,
            check=False,
        )
        assert done.stdout.startswith(b"alive\n"), done.stdout
        return done.stdout.decode().removeprefix("alive\n")

    def state(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file outside the workspace and in `.git`: mode, owner, content."""
        found: dict[str, tuple[int, int, bytes]] = {}
        for folder in (self.outside, self.home, self.work / ".git"):
            for path in [folder, *sorted(folder.rglob("*"))]:
                status = path.lstat()
                content = path.read_bytes() if path.is_file() else b""
                found[str(path)] = (status.st_mode, status.st_uid, content)
        return found


@pytest.fixture(params=[0, NOBODY], ids=["root", "user"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    uid: int = request.param
    site = Site(uid, Path(tempfile.mkdtemp(prefix="treadle-test-", dir="/srv")))
    try:
        for folder in (site.work, site.outside, site.home / ".ssh", site.home / "state" / "spill"):
            folder.mkdir(parents=True)
        (site.outside / "kept").write_text("kept", encoding="utf-8")
        (site.home / ".ssh" / "id").write_text("hidden", encoding="utf-8")
        (site.home / ".netrc").write_text("hidden", encoding="utf-8")
        (site.home / "state" / "log").write_text("hidden", encoding="utf-8")
        (site.home / "state" / "spill" / "out").write_text("shown", encoding="utf-8")
        subprocess.run(("git", "init", "-q", str(site.work)), check=True)
        (site.work / "file").write_text("text\n", encoding="utf-8")
        subprocess.run(("chown", "-R", f"{uid}:{uid}", str(site.top)), check=True)
        site.top.chmod(0o755)
        yield site
    finally:
        shutil.rmtree(site.top)


ATTACKS = {
    "write outside": "echo x > {outside}/new; echo x >> {outside}/kept; rm {outside}/kept",
    "write through a link": "ln -s {outside} out; echo x > out/new; echo x > out/kept",
    "hard link": "ln {outside}/kept here && echo x >> here",
    "metadata": "chmod 777 {outside}/kept; touch -d 1999-01-01 {outside}/kept; chown 1 {outside}/kept",
    "hook": "echo x > .git/hooks/pre-commit; mkdir -p .git/hooks; ln -s /bin/true .git/hooks/post-checkout",
    "git config": "git config core.fsmonitor true; echo '[core]' >> .git/config; rm .git/config",
    "rename git": "mv .git .g2; mv -T .git/hooks .git/h2",
    "replace git": "rm -rf .git; mkdir .git; mkdir x; mv -T x .git; git init -q --separate-git-dir=g2 .",
    "unmount": "umount -l .git; umount -l {home}/.ssh; umount -l {outside}; echo x > .git/hooks/new; "
    "echo x > {home}/.ssh/new; echo x > {outside}/new; umount -l {work}; umount -l /; echo x > {outside}/new",
    "remount": "for path in / {work}/.git {home}/.ssh {outside}; do mount -o remount,rw $path; "
    "mount -o remount,rw,bind $path; done; echo x > .git/hooks/new; echo x > {outside}/new",
    "mount over": "mount --bind {work} {outside}; mkdir m; mount --bind / m; mount -o remount,rw,bind m; "
    "echo x > m{outside}/new; mount -t proc proc m; mount -t tmpfs none .git",
    "nested namespace": "unshare -Urm bash -c 'umount -l {work}/.git; mount -o remount,rw,bind {work}/.git; "
    "mount -o remount,rw /; echo x > {work}/.git/config; echo x > {outside}/kept'",
    "leave the namespace": "nsenter -t 1 -m -- sh -c 'echo x > {outside}/new'; chroot /proc/1/root sh -c "
    "'echo x > {outside}/new'; echo x > /proc/1/root{outside}/new; echo x > /proc/1/cwd/.git/config",
    "device": "mknod disk b 254 0 && cat disk > /dev/null && echo x > {outside}/device",
    "git through an alternative directory": "git --git-dir={work}/.git config a.b c; GIT_DIR=.git git config a.b c",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_and_nothing_in_git_changes(site: Site, attack: str) -> None:
    before = site.state()

    site.attack(ATTACKS[attack].format(outside=site.outside, work=site.work, home=site.home))

    assert site.state() == before


def test_the_kernel_cannot_be_configured(site: Site) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern")
    before = pattern.read_bytes()

    said = site.attack(
        "echo treadle > /proc/sys/kernel/core_pattern && echo open; echo 1 > /proc/sysrq-trigger && echo open"
    )

    assert pattern.read_bytes() == before
    assert "open" not in said


@pytest.mark.parametrize(
    "line",
    [
        "cat /proc/1/environ /proc/self/environ /proc/*/environ | tr '\\0' '\\n'; env",
        "cat ~/.ssh/id ~/.netrc ~/state/log; ls -A ~/.ssh ~/state",
        "cat /proc/1/root{home}/.ssh/id; cat /proc/self/cwd/../home/.netrc",
        "umount -l {home}/.ssh; umount -l {home}; cat {home}/.ssh/id",
        "unshare -Urm bash -c 'umount -l {home}/.ssh; umount {home}/.netrc; cat {home}/.ssh/id {home}/.netrc'",
    ],
)
def test_secrets_cannot_be_read(site: Site, line: str) -> None:
    said = site.attack(line.format(home=site.home))

    assert "hidden" not in said
    assert "sesame" not in said


def test_spilled_output_can_be_read_though_the_state_around_it_cannot(site: Site) -> None:
    assert site.attack("cat ~/state/spill/out; ls ~/state; echo x > ~/state/spill/out").startswith("shown")
    assert (site.home / "state" / "spill" / "out").read_text(encoding="utf-8") == "shown"


CONNECT = """
import socket, sys
for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(sys.argv[1]))),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int(sys.argv[2]))),
    (socket.AF_UNIX, socket.SOCK_STREAM, chr(0) + sys.argv[3]),
    (socket.AF_UNIX, socket.SOCK_STREAM, "/run/" + sys.argv[3]),
):
    try:
        with socket.socket(family, kind) as peer:
            peer.settimeout(1)
            peer.connect(address)
            peer.send(b"x")
            if kind == socket.SOCK_DGRAM:
                peer.recv(1)
            print("reached", kind, address)
    except OSError as error:
        print("refused", error)
"""


@pytest.mark.parametrize(("network", "reached"), [("off", 0), ("on", 2)])
def test_no_host_service_is_reached_without_network(site: Site, network: str, reached: int) -> None:
    name = site.top.name
    (site.work / "connect.py").write_text(CONNECT, encoding="utf-8")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as named,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind("\0" + name)
        abstract.listen()
        named.bind(f"/run/{name}")
        named.listen()
        Path(f"/run/{name}").chmod(0o777)
        line = f"/usr/bin/python3 connect.py {tcp.getsockname()[1]} {udp.getsockname()[1]} {name}"

        profile = Profile((str(site.work),), network="on" if network == "on" else "off")
        said = site.attack(line, profile)
    Path(f"/run/{name}").unlink()

    assert said.count("reached") == reached
    assert f"/run/{name}" not in said


def test_no_process_of_the_host_is_seen_or_signalled(site: Site) -> None:
    with subprocess.Popen(("sleep", sleeper())) as bystander:
        said = site.attack(
            f"kill -9 {bystander.pid} && echo killed; ls -d /proc/{bystander.pid}; ps ax | wc -l"
        )
        alive = bystander.poll() is None
        bystander.kill()

    assert alive
    assert "killed" not in said
    assert int(said.split()[-1]) < 10


def test_the_workspace_can_be_written_and_git_be_read(site: Site) -> None:
    said = site.attack(
        "echo new > fresh && mkdir -p a/b && rm file && git status --short && echo x > /tmp/t && pwd"
    )

    assert said.split() == ["??", "fresh", str(site.work)]
    assert (site.work / "fresh").stat().st_uid == site.uid
    assert not (site.work / "file").exists()


def test_git_may_commit_when_granted_but_not_be_reconfigured(site: Site) -> None:
    profile = Profile((str(site.work),), git="write")
    config = (site.work / ".git" / "config").read_bytes()

    commit = "git add file && git -c user.name=a -c user.email=a@b commit -q -m one && git log --format=%s"
    assert site.attack(commit, profile) == "one\n"
    site.attack(
        "mv .git g2; echo x > .git/config; rm -rf .git/hooks; echo x > .git/hooks/pre-commit", profile
    )

    assert (site.work / ".git" / "config").read_bytes() == config
    assert not (site.work / ".git" / "hooks" / "pre-commit").exists()


@pytest.mark.parametrize("place", ["worktree", "."])
def test_a_linked_worktree_and_its_repository_are_pinned(site: Site, place: str) -> None:
    git = ("git", "-C", str(site.work), "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run((*git, "add", "."), check=True)
    subprocess.run((*git, "commit", "-q", "-m", "one"), check=True)
    subprocess.run((*git, "worktree", "add", "-q", str(site.work / "worktree")), check=True)
    subprocess.run(("chown", "-R", f"{site.uid}:{site.uid}", str(site.work)), check=True)
    profile = Profile((str(site.work / "worktree"), str(site.work)))
    before = site.state()

    site.attack(
        f"cd {place}; mv .git g; echo x > .git; echo x > {site.work}/.git/config; "
        f"echo x > {site.work}/.git/worktrees/worktree/gitdir; rm -f .git",
        profile,
    )

    assert site.state() == before
    assert (site.work / "worktree" / ".git").read_text(encoding="utf-8").startswith("gitdir:")


@pytest.fixture
def processes(site: Site) -> HostProcesses:
    return bubblewrap_processes(site.host, site.masks, (str(site.work),))


async def test_a_command_runs_as_the_owner_of_the_workspace(site: Site, processes: HostProcesses) -> None:
    with anyio.fail_after(10):
        assert processes.level == "bwrap"
        code, said = await run(processes, "echo hi > made; id -u; exit 3", site.work)

    assert (code, said) == (3, f"{site.uid}\n")
    assert (site.work / "made").stat().st_uid == site.uid


async def test_a_home_that_the_owner_cannot_enter_is_no_obstacle(site: Site) -> None:
    site.top.joinpath("home").chmod(0o700)
    os.chown(site.home, 0, 0)
    processes = bubblewrap_processes(site.host, site.masks, (str(site.work),))

    with anyio.fail_after(10):
        code, said = await run(processes, "cat ~/.ssh/id; git status --short; cd && pwd", site.work)

    assert code == 0
    assert "hidden" not in said
    assert "?? file" in said


@pytest.mark.parametrize("line", ["sleep {n} & echo hi", "setsid sleep {n} >/dev/null 2>&1 & echo hi"])
async def test_what_runs_in_the_background_ends_with_its_command(
    site: Site, processes: HostProcesses, line: str
) -> None:
    number = sleeper()
    ended, before = zombies(os.getpid()), monotonic()

    with anyio.fail_after(10):
        assert await run(processes, line.format(n=number), site.work) == (0, "hi\n")

    assert monotonic() - before < 1
    assert running(number) == []
    assert zombies(os.getpid()) == ended


@pytest.mark.parametrize("trap", ["true", "trap '' TERM"])
async def test_nothing_is_left_of_a_cancelled_tree(site: Site, processes: HostProcesses, trap: str) -> None:
    number, ended, cancelled = sleeper(), zombies(os.getpid()), 0.0
    line = f"{trap}; bash -c '(env -i setsid sleep {number} &); sleep {number}; true'"

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run, processes, line, site.work)
            while len(running(f"sleep {number}")) < 3:
                await anyio.lowlevel.checkpoint()
            cancelled = monotonic()
            group.cancel_scope.cancel()
    took = monotonic() - cancelled

    assert took < 2
    assert running(number) == []
    assert zombies(os.getpid()) == ended


async def test_stop_asks_the_command_and_not_the_sandbox(site: Site, processes: HostProcesses) -> None:
    line = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.01; done"

    with anyio.fail_after(10):
        async with processes.spawn(Command(("bash", "-c", line), str(site.work)), Profile(())) as process:
            assert await anext(process.output) == b"ready\n"
            await process.stop()
            rest = b"".join([chunk async for chunk in process.output])
            assert await process.wait() == 4

    assert rest.endswith(b"asked\n")


DRIVER = """
import sys, anyio
from treadle.sandbox.bubblewrap import bubblewrap_processes
from treadle.sandbox.contract import Command, Profile
from treadle.sandbox.masks import Masks

async def main():
    processes = bubblewrap_processes({"PATH": "/usr/bin:/bin"}, Masks(), (sys.argv[1],))
    async with processes.spawn(Command(("bash", "-c", sys.argv[2]), sys.argv[1]), Profile((sys.argv[1],))) as process:
        async for chunk in process.output:
            print(chunk.decode(), end="", flush=True)

anyio.run(main)
"""


async def test_nothing_is_left_when_we_are_killed(site: Site) -> None:
    number = sleeper()
    line = f"env -i setsid sleep {number} & (sleep {number} &); echo ready; sleep {number}"

    driver = await anyio.open_process((sys.executable, "-c", DRIVER, str(site.work), line))
    with anyio.fail_after(15):
        assert driver.stdout is not None
        assert await driver.stdout.receive() == b"ready\n"
        driver.send_signal(signal.SIGKILL)
        while running(number):
            await anyio.lowlevel.checkpoint()
        await driver.aclose()


def test_only_a_bubblewrap_that_belongs_to_root_is_taken(tmp_path: Path) -> None:
    real = Path(find(PATH, ()))
    fake = tmp_path / "bwrap"
    shutil.copy(real, fake)
    fake.chmod(0o777)

    assert find(f"relative:{tmp_path}:{PATH}", ()) == str(real)
    with pytest.raises(SandboxUnavailable, match="could have been changed"):
        find(str(tmp_path), ())
    fake.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match="could have been changed"):
        find(str(tmp_path), (str(tmp_path),))


def test_the_one_that_is_installed_is_found_and_works(tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "bwrap").chmod(0o777)

    probe(find(f"relative:{tmp_path}:{PATH}", (str(tmp_path),)))
