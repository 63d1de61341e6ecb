"""What confines a session's commands and files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from treadle.agent.build.opening import Opening
from treadle.agent.settings import Mode
from treadle.sandbox.contract import Place, Profile, Sandbox
from treadle.sandbox.files import HostFiles
from treadle.sandbox.masks import Masks, user_masks
from treadle.sandbox.processes import HostProcesses
from treadle.sandbox.rules import parse_rule


@contextmanager
def confined(opening: Opening, root: Path, spill: Path, mode: Mode) -> Generator[Sandbox]:
    """Choose what confines commands: nothing in mode yolo, unless a sandbox was named.

    Raises `SandboxUnavailable`; nothing weaker is chosen in its place.
    """
    place = Place(str(root), str(root))
    own = (str(opening.folders.state), str(opening.folders.config))
    masks = user_masks(opening.env.get("HOME") or "/", own, (str(spill),))
    rules = [parse_rule(text, "deny") for text in opening.config.deny]

    def denied(path: str) -> bool:
        return any(rule.matches("read", path, place) for rule in rules)

    files = HostFiles((place.root,), masks, denied=denied)
    with closing(_processes(opening, masks, place, mode)) as processes:
        yield Sandbox(place, files, processes, Profile((place.root,)))


def _processes(opening: Opening, masks: Masks, place: Place, mode: Mode) -> HostProcesses:
    chosen = opening.config.sandbox
    if chosen == "none" or (chosen == "auto" and mode == "yolo"):
        from treadle.sandbox.local import local_processes

        return local_processes(opening.env)
    from treadle.sandbox.bubblewrap import bubblewrap_processes

    return bubblewrap_processes(opening.env, masks, (place.root,))


@contextmanager
def spill_folder(session: Path, *, ephemeral: bool) -> Generator[Path]:
    """Yield the folder for long outputs: beside the session, or one that goes with it."""
    if not ephemeral:
        yield session.with_suffix("")
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="treadle-") as folder:
        yield Path(folder)
