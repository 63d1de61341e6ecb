"""What changed in a folder between two moments, found without touching the user's repository."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from git.cmd import Git
from git.exc import CommandError, GitError

from treadle.agent.workspace import DiffError

_RAW = "* -text -filter -ident -working-tree-encoding\n"
"""Every file is taken byte for byte, and no program is named that git would run."""
_NEUTRAL = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.looseCompression=0",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "index.version=4",
)


class Snapshots:
    """Pictures of a folder's files, kept in a git folder of their own.

    Of a repository nothing is written and no configuration is read; its objects are borrowed, so that what it already
    holds is not copied. What `.gitignore` leaves out is left out here too, unless the repository tracks it.
    Repositories inside the folder are walked like any other folder.
    """

    def __init__(self, root: Path, store: Path, leave_out: Path | None = None) -> None:
        """Use `store`, a folder that is empty or not there yet. `leave_out` is never looked at.

        Raises `DiffError`.
        """
        self._root = root
        self._store = store
        self._leave_out = leave_out
        own = root / ".git"
        self._user = own if own.is_dir() and not own.is_symlink() else None
        self._env = _environment(root, store, self._objects())
        self.git("init", "--quiet", "--template=", "--object-format=sha1")
        (store / "info").mkdir(exist_ok=True)
        (store / "info/attributes").write_text(_RAW, encoding="utf-8")

    def take(self) -> str:
        """Return the name of a picture of the folder as it is now. Raises `DiffError`."""
        try:
            return self.update(sorted(set(self._names())))
        except OSError as error:
            raise DiffError(_told(error)) from error

    def update(self, names: Iterable[bytes], gone: Collection[bytes] = (), *, packed: bool = False) -> str:
        """Look at these files alone, which may be gone, and return the name of the picture. Raises `DiffError`.

        Those in `gone` are known to be. `packed` keeps what is new in one file instead of one for each.
        """
        if gone:  # by itself: git refuses to look for what lay below a folder that is a link now
            self.feed(gone, "update-index", "--force-remove", "-z", "--stdin")
        packing = ("-c", "core.bigFileThreshold=1", "-c", "core.compression=1") if packed else ()
        self.feed(names, *packing, "update-index", "--add", "--remove", "--replace", "-z", "--stdin")
        return self.git("write-tree").decode().strip()

    def feed(self, names: Iterable[bytes], *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Run git with names on its standard input. Raises `DiffError`."""
        with TemporaryFile() as listed:
            listed.write(b"".join(name + b"\0" for name in names))
            listed.seek(0)
            self.git(*arguments, istream=listed, env=env)

    def listed(self) -> set[bytes]:
        """Return the files that are not ignored, and those that are but are tracked. Raises `DiffError`."""
        return {*self._tracked_though_ignored(), *self._found(b"")}

    def ignored_folders(self) -> set[bytes]:
        """Return the folders of which everything is ignored, each with a slash at its end. Raises `DiffError`."""
        listing = (
            "ls-files",
            "-z",
            "--others",
            "--ignored",
            "--directory",
            "--exclude-per-directory=.gitignore",
        )
        env = {"GIT_INDEX_FILE": str(self._store / "empty")}
        return {name for name in self._listed(*listing, *self._exclude(), env=env) if name.endswith(b"/")}

    def between(self, before: str, after: str) -> bytes:
        """Return a patch that leads from one picture to another. Raises `DiffError`."""
        style = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--binary")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        return self.git("diff-tree", "-r", "-p", *style, *prefixes, before, after)

    def _names(self) -> Iterator[bytes]:
        """The files to look at: those of the last picture, which may be gone, and those that are there."""
        yield from self._listed("ls-files", "-z", "--cached")
        yield from (name for name in self._tracked_though_ignored() if self._usable(name))
        yield from (name for name in self._found(b"") if self._usable(name))

    def _found(self, below: bytes) -> Iterator[bytes]:
        """The files below a folder of the root that are not ignored."""
        folder = str(self._root / os.fsdecode(below))
        # An index that holds nothing, so that every file counts as untracked.
        env = {"GIT_WORK_TREE": folder, "GIT_INDEX_FILE": str(self._store / "empty")}
        listing = ("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", *self._exclude())
        for name in self._listed(*listing, cwd=folder, env=env):
            if name.endswith(b"/"):  # a repository
                yield from self._found(below + name)
            else:
                yield below + name

    def _exclude(self) -> tuple[str, ...]:
        theirs = self._user / "info/exclude" if self._user is not None else None
        return (f"--exclude-from={theirs}",) if theirs is not None and theirs.is_file() else ()

    def _tracked_though_ignored(self) -> Iterable[bytes]:
        """What the user's index holds although it is ignored; nothing when the index cannot be read."""
        if self._user is None or not (self._user / "index").is_file():
            return ()
        copy = self._store / "theirs"
        try:
            shutil.copyfile(self._user / "index", copy)
            env = {"GIT_INDEX_FILE": str(copy)}
            return list(
                self._listed("ls-files", "-z", "-c", "-i", "--exclude-per-directory=.gitignore", env=env)
            )
        except (DiffError, OSError):
            return ()

    def _usable(self, name: bytes) -> bool:
        path = self._root / os.fsdecode(name)
        if self._leave_out is not None and path.is_relative_to(self._leave_out):
            return False
        try:
            mode = path.lstat().st_mode
        except OSError:
            return False
        return stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and os.access(path, os.R_OK))

    def _objects(self) -> Path | None:
        """The objects of the user's repository, when they are named the way ours are."""
        if self._user is None:
            return None
        try:
            config = (self._user / "config").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return None if "objectformat" in config.lower() else self._user / "objects"

    def _listed(
        self, *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        yield from filter(None, self.git(*arguments, cwd=cwd, env=env).split(b"\0"))

    def git(
        self,
        *arguments: str,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        istream: BinaryIO | None = None,
    ) -> bytes:
        """Run git on the store, and return what it printed. Raises `DiffError`."""
        settings = [word for setting in _NEUTRAL for word in ("-c", setting)]
        try:
            out = Git(cwd or str(self._root)).execute(
                ["git", *settings, *arguments],
                env={**self._env, **(env or {})},
                istream=istream,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
        except GitError as error:
            raise DiffError(_told(error)) from error
        assert isinstance(out, bytes)
        return out


def _environment(root: Path, store: Path, objects: Path | None) -> Mapping[str, str]:
    """Point git at the store and away from whatever the user has set."""
    return {
        "GIT_DIR": str(store),
        "GIT_COMMON_DIR": str(store),
        "GIT_WORK_TREE": str(root),
        "GIT_INDEX_FILE": str(store / "index"),
        "GIT_OBJECT_DIRECTORY": str(store / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects) if objects is not None else "",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "0",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def _told(error: Exception) -> str:
    said = str(error.stderr) if isinstance(error, CommandError) else str(error)
    line = (said.strip().splitlines() or [type(error).__name__])[-1]
    return f"the workspace cannot be compared: {line.strip().removeprefix('stderr: ').strip(chr(39))}"
