from __future__ import annotations

import os
import re
import resource
import signal
import stat
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from treadle.agent.events import MessageAdded, Prefix, SessionOpened, TurnEnded
from treadle.agent.log import LogBusy, LogDamaged, SessionLog, load
from treadle.agent.messages import user
from treadle.agent.sessions import opened

OPENED = SessionOpened(session="s", workspace="/w", model="v/m", prefix=Prefix(system=("S",), tools=()))


def at() -> datetime:
    return datetime(2026, 11, 24, tzinfo=UTC)


def written(path: Path, messages: int = 3) -> bytes:
    """Write a session of this many messages and return the file's bytes."""
    log = SessionLog(path, at)
    log.append(OPENED)
    for number in range(messages):
        log.append(MessageAdded(message=user(f"Message {number} with a line\u2028separator and ü.")))
    log.close()
    return path.read_bytes()


def test_a_session_file_is_for_its_owner_alone_and_one_line_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "treadle" / "sessions" / "here" / "s.jsonl"
    data = written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in list(path.parents)[:3]] == [0o700] * 3
    assert data.count(b"\n") == 4
    assert data.endswith(b"\n")


def test_each_entry_names_the_hash_of_the_line_it_follows(tmp_path: Path) -> None:
    lines = written(tmp_path / "s.jsonl").split(b"\n")[:-1]
    entries = load(tmp_path / "s.jsonl").entries
    assert [entry.prev for entry in entries] == [None, *(sha256(line).hexdigest() for line in lines[:-1])]
    log = SessionLog(tmp_path / "s.jsonl")
    assert log.head_hash == sha256(lines[-1]).hexdigest()


def test_entries_appended_together_are_one_write(tmp_path: Path) -> None:
    log = SessionLog(tmp_path / "s.jsonl", at)
    entries = log.append(OPENED, MessageAdded(message=user("a")), MessageAdded(message=user("b")))
    assert [entry.parent for entry in entries] == [None, "e1", "e2"]
    assert len(load(tmp_path / "s.jsonl").entries) == 3


def test_every_way_of_tearing_the_last_records_loses_only_what_was_torn(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.jsonl")
    lines = whole.split(b"\n")[:-1]
    path = tmp_path / "torn.jsonl"
    last = len(whole) - len(lines[-1])
    for cut in [*range(len(lines[0]) + 1, last, 29), *range(last - 2, len(whole), 5)]:
        path.write_bytes(whole[:cut])
        log = SessionLog(path)
        left = whole[:cut].rpartition(b"\n")[2]
        kept = whole[:cut].count(b"\n")
        assert len(log.branch()) == kept
        assert bool(log.notices) == bool(left)
        log.append(TurnEnded(outcome="done"))
        log.close()
        assert len(load(path).entries) == kept + 1
        for aside in tmp_path.glob("torn.torn-*"):
            assert aside.read_bytes() == left
            assert stat.S_IMODE(aside.stat().st_mode) == 0o600
            aside.unlink()


def test_zero_bytes_after_a_power_loss_are_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(written(path) + b"\0" * 1206)
    log = SessionLog(path)
    assert len(log.branch()) == 4
    assert next(tmp_path.glob("s.torn-*")).read_bytes() == b"\0" * 1206


def test_a_whole_line_that_was_changed_is_damage_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    lines = written(path).split(b"\n")
    for number, bad in ((2, b"{}"), (2, lines[1].replace(b"Message 0", b"Message 9")), (3, lines[3])):
        path.write_bytes(b"\n".join([*lines[: number - 1], bad, *lines[number:]]))
        before = path.read_bytes()
        with pytest.raises(LogDamaged, match="line"):
            SessionLog(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb'"parent":"e2"', rb'"parent":"e9"'),
        (rb'"parent":"e2","prev":"\w+"', rb'"parent":"e9","prev":null'),
        (rb'"parent":"e2","prev":"\w+"', rb'"parent":"","prev":null'),
        (rb'"id":"e3","parent":"e2"', rb'"id":"e2","parent":"e2"'),
    ],
)
def test_a_line_without_its_parent_or_with_the_id_of_another_is_damage(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "s.jsonl"
    changed = re.sub(old, new, written(path))
    path.write_bytes(changed)
    with pytest.raises(LogDamaged, match="line 3 does not follow"):
        SessionLog(path)


def test_a_file_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    data = written(path).replace(b'"version":1,', b'"version":2,"new":1,')
    path.write_bytes(data)
    with pytest.raises(LogDamaged, match="another version"):
        SessionLog(path)
    assert path.read_bytes() == data


def test_a_second_writer_is_kept_out(tmp_path: Path) -> None:
    first = SessionLog(tmp_path / "s.jsonl")
    with pytest.raises(LogBusy):
        SessionLog(tmp_path / "s.jsonl")
    first.close()
    SessionLog(tmp_path / "s.jsonl").close()


def test_going_back_makes_a_branch_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    written(path)
    log = SessionLog(path)
    log.rewind("e2")
    log.append(MessageAdded(message=user("Instead.")))
    assert len(log.conversation.messages) == 2
    log.close()
    again = SessionLog(path)
    assert [entry.id for entry in again.branch()] == ["e1", "e2", "e5", "e6"]
    assert again.conversation.messages == log.conversation.messages
    assert len(again.branch("e4")) == 4
    again.rewind("e4")
    again.close()
    assert len(SessionLog(path).conversation.messages) == 3


def test_a_full_disk_tears_nothing_and_what_waited_is_saved_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    size = len(written(path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = SessionLog(path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
        log.append(MessageAdded(message=user("x" * 200)))
        assert path.stat().st_size == size
        assert log.unsaved > 200
        log.append(MessageAdded(message=user("y")))
        assert len(log.notices) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    log.close()
    assert log.unsaved == 0
    assert len(load(path).entries) == 6


def test_a_log_in_memory_leaves_no_file() -> None:
    log = SessionLog(None)
    log.append(OPENED)
    log.close()
    assert log.head == "e1"
    assert log.unsaved == 0


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        SessionLog(tmp_path / "file" / "s.jsonl")


def test_a_disk_that_fails_otherwise_is_not_hidden(tmp_path: Path) -> None:
    log = SessionLog(tmp_path / "s.jsonl")
    log.append(OPENED)
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and link.readlink() == tmp_path / "s.jsonl":
            os.close(int(link.name))
    with pytest.raises(OSError, match="descriptor"):
        log.append(TurnEnded(outcome="done"))


def test_what_opened_a_session_is_its_first_entry(tmp_path: Path) -> None:
    written(tmp_path / "s.jsonl")
    assert opened(load(tmp_path / "s.jsonl").entries) == OPENED
    with pytest.raises(LogDamaged):
        opened(())


def test_what_a_failing_disk_took_in_half_is_not_there_twice_when_it_works_again(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    log = SessionLog(path, at)
    log.append(OPENED)
    (number,) = [
        int(link.name) for link in Path("/proc/self/fd").iterdir() if os.path.realpath(link) == str(path)
    ]
    kept, unreadable = os.dup(number), os.open(os.devnull, os.O_RDONLY)
    os.dup2(unreadable, number)
    with pytest.raises(OSError, match="descriptor"):
        log.append(MessageAdded(message=user("a")))
    os.dup2(kept, number)
    log.append(MessageAdded(message=user("b")))
    log.close()
    for descriptor in (kept, unreadable):
        os.close(descriptor)
    assert [entry.id for entry in load(path).entries] == ["e1", "e2", "e3"]
