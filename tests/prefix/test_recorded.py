"""What tests record is held to the prefix property, where no log says why it does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prefix.recorded import unexplained

from treadle.agent.events import Body, Compacted, Prefix, SessionOpened
from treadle.agent.log import SessionLog

PREFIX = Prefix(system=("S",), tools=())


def asked(*said: str, key: str = "s1", status: int = 200) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in said]
    body = json.dumps({"messages": messages, "prompt_cache_key": key})
    return {"path": "/v1/chat/completions", "body": body, "status": status}


def session(folder: Path, *bodies: Body) -> None:
    log = SessionLog(folder / "s1.jsonl")
    log.append(SessionOpened(session="s1", workspace="/w", model="v/m", prefix=PREFIX), *bodies)
    log.close()


def test_a_change_that_no_log_explains_is_told(tmp_path: Path) -> None:
    session(tmp_path)
    assert unexplained([asked("a"), asked("a", "b")], tmp_path) == []
    assert len(unexplained([asked("a"), asked("x", "b")], tmp_path)) == 1
    assert unexplained([asked("a"), asked("x", status=400), asked("a", "b")], tmp_path) == []
    assert unexplained([asked("a", key="s1"), asked("x", key="s2")], tmp_path) == []


def test_a_compaction_explains_one_new_beginning(tmp_path: Path) -> None:
    session(tmp_path, Compacted(summary="A note.", keep_from=None))
    assert unexplained([asked("a"), asked("x"), asked("x", "y")], tmp_path) == []
    assert len(unexplained([asked("a"), asked("x"), asked("z")], tmp_path)) == 1


def test_what_is_asked_for_in_words_comes_last_each_time(tmp_path: Path) -> None:
    session(tmp_path)
    words = "Reply with one JSON value and nothing else: no prose, no code fence."
    assert unexplained([asked("a", words), asked("a", "b", words)], tmp_path) == []
