"""Pictures of a workspace from before each change, in a git store of the session's own."""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from hashlib import sha1
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE, S_ISLNK, S_ISREG
from time import time_ns
from typing import Any

from treadle.agent.workspace import DiffError
from treadle.agent.workspace.diff import Snapshots
from treadle.agent.workspace.scan import LARGE, RACY, Status, crowded, is_kept_though_ignored, scan
from treadle.sandbox.frozen import frozen

FILES, MANIFEST = "files", "manifest"
MANY = 200
"""Files from which on they are kept in one pack."""


@frozen
class Kept:
    """One file in a picture."""

    mode: str
    """As git writes it: 100644, 100755 or 120000."""
    object: str
    rights: tuple[int, int, int]
    """Permission bits, owner and group."""


@frozen
class Picture:
    """What a checkpoint holds, by names relative to the workspace."""

    files: Mapping[bytes, Kept]
    beyond: frozenset[bytes] = field(default_factory=frozenset[bytes])
    """What was there and is not kept; a folder has a slash at its end."""

    def left_out(self, name: bytes) -> bool:
        """Say whether something of this name was there and is not kept."""
        parts = name.split(b"/")
        folders = (b"/".join(parts[:number]) + b"/" for number in range(1, len(parts)))
        return name in self.beyond or any(folder in self.beyond for folder in folders)


class Checkpoints:
    """Takes pictures of one workspace; what did not change since the last one costs a look at its status.

    The name of a picture is that of a tree of two: the files, and a manifest of the rights that git does not keep.
    One process at a time uses a store, which whoever holds the session's file is.
    """

    def __init__(self, root: Path, store: Path) -> None:
        """Use `store`, which need not be there yet. Raises `DiffError`."""
        self._root = str(root)
        self._store = store
        for lock in (store / "index.lock", store / "empty.lock"):
            lock.unlink(missing_ok=True)  # of one that was killed
        if not store.is_dir():
            store.mkdir(parents=True, mode=0o700)
        self.snapshots = Snapshots(root, store)
        self._seen: dict[bytes, Status] = {}
        self._wanted: set[bytes] = set()
        self._pruned: set[bytes] = set()
        self._beyond: set[bytes] = set()
        self._last = ""

    def take(self) -> str:
        """Return the name of a picture of the workspace as it is now. Raises `DiffError`."""
        try:
            return self._take()
        except OSError as error:
            raise DiffError(f"the workspace cannot be kept: {error}") from error

    def _take(self) -> str:
        began = time_ns()
        if not self._last:
            self._pruned = crowded(self._root, self.snapshots.ignored_folders())
        seen = scan(self._root, self._pruned)
        if self._last and seen == self._seen:
            return self._last
        changed = {name for name, status in seen.items() if self._seen.get(name) != status}
        gone = self._seen.keys() - seen.keys()
        if not self._last:
            gone |= self._indexed() - seen.keys()
        if changed - self._seen.keys() or any(name.endswith(b".gitignore") for name in changed | gone):
            self._list(seen, began)
            changed |= self._wanted - self._seen.keys()
        names = sorted(changed & self._wanted)
        tree = self.snapshots.update(names, sorted(gone), packed=len(names) > MANY)
        self._last = self._picture(tree, seen)
        late = began - RACY
        self._seen = seen
        for name in [name for name, status in seen.items() if status[1] >= late]:
            seen[name] = ()
        return self._last

    def _list(self, seen: Mapping[bytes, Status], now: int) -> None:
        """Find out which files are kept."""
        listed = self.snapshots.listed()
        wanted = {
            name
            for name, status in seen.items()
            if status[2] <= LARGE
            and (name in listed or name in self._wanted or is_kept_though_ignored(status, now))
            and (
                S_ISLNK(status[4])
                or (S_ISREG(status[4]) and os.access(os.fsencode(self._root) + b"/" + name, os.R_OK))
            )
        }
        self._wanted = wanted
        self._beyond = {*self._pruned, *(seen.keys() - wanted)}

    def _indexed(self) -> set[bytes]:
        return set(filter(None, self.snapshots.git("ls-files", "-z", "--cached").split(b"\0")))

    def _picture(self, tree: str, seen: Mapping[bytes, Status]) -> str:
        wanted = self._wanted
        raw = {name: status[4:] for name, status in seen.items() if name in wanted}
        common = Counter(raw.values()).most_common()
        usual: dict[bool, tuple[int, ...]] = {False: (0o644, -1, -1), True: (0o755, -1, -1)}
        for (mode, *owners), _ in reversed(common):
            if S_ISREG(mode):
                usual[bool(mode & 0o100)] = (S_IMODE(mode), *owners)
        rare = {one for one, _ in common if (S_IMODE(one[0]), *one[1:]) != usual[bool(one[0] & 0o100)]}
        told = {
            "usual": [usual[False], usual[True]],
            "files": {
                os.fsdecode(name): (S_IMODE(right[0]), *right[1:])
                for name, right in sorted(raw.items() if rare else ())
                if right in rare and S_ISREG(right[0])
            },
            "beyond": sorted(os.fsdecode(name) for name in self._beyond),
        }
        manifest = self._keep("blob", json.dumps(told).encode())
        both = b"40000 files\0" + bytes.fromhex(tree) + b"100644 manifest\0" + bytes.fromhex(manifest)
        return self._keep("tree", both)

    def _keep(self, kind: str, data: bytes) -> str:
        """Write one object as git does (gitformat-loose), without a process for it."""
        whole = f"{kind} {len(data)}\0".encode() + data
        name = sha1(whole, usedforsecurity=False).hexdigest()
        file = self._store / "objects" / name[:2] / name[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            new = file.with_name(f"tmp_obj_{token_hex(4)}")
            new.write_bytes(zlib.compress(whole, 1))
            new.replace(file)
        return name

    def read(self, name: str) -> Picture:
        """Return what a picture holds. Raises `DiffError`."""
        try:
            told: dict[str, Any] = json.loads(self.snapshots.git("cat-file", "blob", f"{name}:{MANIFEST}"))
        except ValueError as error:
            raise DiffError(f"the picture {name} is damaged") from error
        usual = [tuple(one) for one in told["usual"]]
        files: dict[bytes, Kept] = {}
        for line in self.snapshots.git("ls-tree", "-r", "-z", f"{name}:{FILES}").split(b"\0"):
            if line:
                meta, _, path = line.partition(b"\t")
                mode, _, kept = meta.decode().split()
                rights = told["files"].get(os.fsdecode(path), usual[mode == "100755"])
                files[path] = Kept(mode, kept, tuple(rights) if mode != "120000" else (0, -1, -1))
        return Picture(files, frozenset(os.fsencode(name) for name in told["beyond"]))

    def changed(self, before: str, after: str) -> frozenset[bytes]:
        """Return the files that differ between two pictures, by content, kind or whether they run. Raises `DiffError`."""
        if before == after:
            return frozenset()
        trees = (f"{before}:{FILES}", f"{after}:{FILES}")
        out = self.snapshots.git("diff-tree", "-r", "-z", "--no-renames", "--name-only", *trees)
        return frozenset(filter(None, out.split(b"\0")))

    def write(self, picture: str, names: Iterable[bytes], folder: Path) -> None:
        """Write files of a picture below a folder, links and bits that make a file run with them. Raises `DiffError`."""
        index = self._store / f"index-{token_hex(4)}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            self.snapshots.git("read-tree", f"{picture}:{FILES}", env=env)
            self.snapshots.feed(names, "checkout-index", f"--prefix={folder}/", "-z", "--stdin", env=env)
        finally:
            index.unlink(missing_ok=True)
