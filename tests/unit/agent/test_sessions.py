from __future__ import annotations

import os
import stat
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from treadle.agent.messages import AssistantMessage, MediaPart, Origin, TextPart
from treadle.agent.sessions import MadeFiles, NoSuchSession, SpillFolder, find, folder_of, new_id, newest
from treadle.tools.contract import Artifact, Inline, Media, Url

NOW = datetime(2026, 11, 24, 10, 15, 0, tzinfo=UTC)


def made(*data: bytes, mime: str = "image/png") -> AssistantMessage:
    """Return a reply with pictures."""
    pictures = [
        MediaPart(media=Media(kind="image", mime=mime, source=Inline(data=b64encode(each).decode())))
        for each in data
    ]
    elsewhere = MediaPart(media=Media(kind="image", mime=mime, source=Url(url="https://example.org/a")))
    return AssistantMessage(
        parts=(TextPart(text="Here."), elsewhere, *pictures),
        origin=Origin(wire="w", vendor="v", model="m"),
        stop="end",
    )


def test_what_a_model_made_is_saved_once_for_its_owner_alone(tmp_path: Path) -> None:
    files = MadeFiles(tmp_path / "s")
    artifacts, notes = anyio.run(files.save, made(b"one", b"two", b"one", mime="image/svg+xml"))
    assert notes == ()
    assert len({artifact.path for artifact in artifacts}) == 2
    assert artifacts[0] == artifacts[2] == Artifact(path=artifacts[0].path, mime="image/svg+xml")
    path = Path(artifacts[0].path)
    assert (path.suffix, path.parent, path.read_bytes()) == (".svg", tmp_path / "s", b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert anyio.run(files.save, made()) == ((), ())


def test_what_is_too_much_or_has_no_place_is_told(tmp_path: Path) -> None:
    artifacts, (note,) = anyio.run(MadeFiles(tmp_path).save, made(b"1", bytes(MadeFiles.MOST_BYTES + 1)))
    assert (len(artifacts), "1 of 2 files" in note) == (1, True)
    artifacts, (note,) = anyio.run(MadeFiles(tmp_path).save, made(*[b"%d" % n for n in range(99)]))
    assert (len(artifacts), "67 of 99 files" in note) == (32, True)
    artifacts, (note,) = anyio.run(MadeFiles(None).save, made(b"1"))
    assert (artifacts, "ephemeral" in note) == ((), True)


def keep(sessions: Path, workspace: Path, *ids: str) -> list[Path]:
    """Leave empty session files, each written a second after the one before it."""
    folder = folder_of(sessions, workspace)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.jsonl" for name in ids]
    for second, file in enumerate(files):
        file.touch()
        os.utime(file, (second, second))
    return files


def test_an_id_begins_with_its_time_and_no_two_are_the_same() -> None:
    assert new_id(NOW, lambda: "ab12cd") == "20261124-101500-ab12cd"
    assert len({new_id(NOW) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("workspace", "begins"),
    [
        ("/home/me/my project", "my-project-"),
        ("/", "root-"),
        ("/x/...", "root-"),
        ("/x/" + "a" * 99, "a" * 40 + "-"),
    ],
)
def test_each_workspace_has_a_folder_that_tells_which_it_is(workspace: str, begins: str) -> None:
    folder = folder_of(Path("/s"), Path(workspace))
    assert folder.parent == Path("/s")
    assert folder.name.startswith(begins)
    assert folder != folder_of(Path("/s"), Path(workspace + "2"))


def test_the_newest_session_is_the_one_that_was_written_last(tmp_path: Path) -> None:
    older, newer = keep(tmp_path, Path("/w"), "b", "a")
    assert newest(tmp_path, Path("/w")) == newer
    os.utime(older, (9, 9))
    assert newest(tmp_path, Path("/w")) == older
    with pytest.raises(NoSuchSession, match="no session of /other"):
        newest(tmp_path, Path("/other"))


def test_a_session_is_found_by_its_id_or_by_a_beginning_that_only_it_has(tmp_path: Path) -> None:
    one, two = keep(tmp_path, Path("/w"), "2026-1", "2026-12")
    (three,) = keep(tmp_path, Path("/v"), "2027-1")
    assert find(tmp_path, "2026-1") == one
    assert find(tmp_path, "2026-12") == two
    assert find(tmp_path, "2027") == three


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("2026", "'2026' fits 6 sessions: 2026-0, 2026-1, 2026-2, 2026-3, 2026-4"),
        ("x", "there is no session 'x'; `treadle sessions list`"),
        ("", "there is no session ''"),
        ("../2026-0", "there is no session '../2026-0'"),
    ],
)
def test_a_name_that_fits_no_session_or_several_is_told(tmp_path: Path, name: str, told: str) -> None:
    keep(tmp_path, Path("/w"), *(f"2026-{n}" for n in range(6)))
    with pytest.raises(NoSuchSession) as raised:
        find(tmp_path, name)
    assert told in str(raised.value)


def test_long_outputs_get_a_file_each_in_a_folder_that_is_made_when_first_needed(tmp_path: Path) -> None:
    spill = SpillFolder(tmp_path / "s1")
    assert not (tmp_path / "s1").exists()
    assert spill.path("call_1") == str(tmp_path / "s1/call_1.txt")
    assert stat.S_IMODE((tmp_path / "s1").stat().st_mode) == 0o700
    for hostile in ("../../etc/passwd", "/etc/passwd", "..", "a" * 300, "ü\n"):
        assert Path(spill.path(hostile)).parent == tmp_path / "s1"
        assert len(Path(spill.path(hostile)).name) <= 84
