from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from unit.agent.compaction.talk import NOTE, answered, log_of, replied, steps

from treadle.agent.events import CallFinished, Compacted, HistoryRepaired, MessageAdded
from treadle.agent.log import SessionLog
from treadle.agent.messages import user
from treadle.agent.mock.embeddings import vector
from treadle.agent.providers.contract import Unreachable
from treadle.agent.retrieval.archive import Archive, excerpt
from treadle.agent.retrieval.chunks import Chunk
from treadle.agent.retrieval.shelf import Shelf, Source
from treadle.agent.retrieval.vectors import Meaning, VectorCache, fused
from treadle.tools.contract import Text, ToolResult

pytestmark = pytest.mark.anyio


def archive(log: SessionLog, folder: Path) -> Archive:
    return Archive(log, Shelf(folder / "recall.db"), folder)


def talked() -> SessionLog:
    return log_of(
        MessageAdded(message=replied(90, "read", '{"path": "deploy.md"}')),
        answered(90, "The staging password hint is: heliotrope.\n" + "filler\n" * 900),
        *steps(4),
    )


async def found(searched: Archive, query: str) -> list[tuple[str, str]]:
    return [(hit.id, hit.title) for hit in await searched.search(query, 5)]


async def test_what_a_note_stands_for_is_found_and_what_is_still_sent_is_not(tmp_path: Path) -> None:
    log = talked()
    searched = archive(log, tmp_path)
    assert await found(searched, "heliotrope") == []
    log.append(Compacted(summary=NOTE, keep_from=None, kept=("e2", "e3")))
    ((name, title),) = await found(searched, "Heliotropes")
    assert title.startswith('read {"path": "deploy.md"}, lines 1-')
    assert (await searched.whole(name) or "").startswith("The staging password hint is: heliotrope.")
    assert await found(searched, "stable API") == []


async def test_what_was_cleared_is_found_too(tmp_path: Path) -> None:
    log = talked()
    result = ToolResult(call_id="c90", content=(Text(text="[cleared]"),))
    log.append(HistoryRepaired(reason="cold", replaced={"e5": log.conversation.items[3][1]}))
    assert await found(archive(log, tmp_path), "heliotrope") == []  # it is sent in its place
    log.append(HistoryRepaired(reason="cold", dropped=("e4", "e5")))
    assert len(await found(archive(log, tmp_path), "heliotrope")) == 1
    log.append(CallFinished(result=result))


async def test_what_a_search_found_is_not_found_again(tmp_path: Path) -> None:
    asked = '{"action": "call", "name": "recall", "arguments": {"query": "x"}}'
    log = log_of(
        MessageAdded(message=replied(1, "tools", asked)),
        answered(1, "heliotrope"),
        MessageAdded(message=replied(2, "recall", "{}")),
        answered(2, "heliotrope"),
        Compacted(summary=NOTE, keep_from=None),
    )
    assert await found(archive(log, tmp_path), "heliotrope") == []


async def test_a_branch_that_was_left_is_not_searched(tmp_path: Path) -> None:
    log = talked()
    log.append(Compacted(summary=NOTE, keep_from=None))
    searched = archive(log, tmp_path)
    assert len(await found(searched, "heliotrope")) == 1
    log.rewind("e3")
    log.append(*steps(1), Compacted(summary=NOTE, keep_from=None))
    assert await found(searched, "heliotrope") == []


async def test_long_outputs_beside_the_session_are_searched(tmp_path: Path) -> None:
    (tmp_path / "c9.txt").write_text("one\ntwo heliotrope\n", encoding="utf-8")
    ((name, title),) = await found(archive(log_of(), tmp_path), "heliotrope")
    assert name == "#1"
    assert title == f"output in {tmp_path}/c9.txt, lines 1-3"


async def test_what_no_word_is_is_found_as_it_stands(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "recall.db")
    shelf.put([Source("d", "d.txt", "", [Chunk("東京タワーの高さは333メートル", "", "line 1")])])
    assert [one.chunk.place for one in shelf.search("タワー", 5)] == ["line 1"]
    assert shelf.search("!?", 5) == []


async def test_there_is_nothing_under_an_id_that_nothing_has(tmp_path: Path) -> None:
    searched = archive(log_of(), tmp_path)
    assert [await searched.whole(name) for name in ("e99", "#1", "else", "e3")][:3] == [None] * 3
    assert (await searched.whole("e3") or "").startswith("Rename Old")


def test_a_source_is_taken_in_once_and_anew_when_it_changed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "recall.db")
    assert (shelf.is_empty, shelf.first_of("d"), shelf.take([1]), shelf.marks()) == (True, None, [], [])
    for digest, text in (("1", "old words"), ("1", "never read"), ("2", "new words")):
        shelf.put([Source("d", "d.txt", digest, [Chunk(text, "", "line 1")])])
        assert len(shelf.search("words", 5)) == 1
    assert [one.chunk.text for one in shelf.search("words", 5)] == ["new words"]


def test_a_file_that_is_no_shelf_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "recall.db").write_bytes(b"something else, and long enough to be no database" * 20)
    with pytest.raises(OSError, match="not a database"):
        Shelf(tmp_path / "recall.db").sources()


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", "start start"), ("needle in haystacks", "needle haystack"), ("absent", "start start")],
)
def test_an_excerpt_is_where_the_words_are(query: str, shown: str) -> None:
    text = "start " * 100 + "needle haystack " + "end " * 200
    found = excerpt(text, query, 100)
    assert shown in found
    assert len(found) <= 102


def test_rankings_are_joined_by_rank() -> None:
    assert fused([1, 2, 3], [3, 4], most=3) == [3, 1, 2]


class Embedding:
    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.fails = False

    async def __call__(
        self, texts: Sequence[str], purpose: Literal["document", "query"]
    ) -> Sequence[Sequence[float]]:
        if self.fails:
            raise Unreachable("no network")
        self.asked.append((len(texts), purpose))
        return [vector(text) for text in texts]


PARTS = [
    Chunk("The automobile needs new tyres.", "", "line 1"),
    Chunk("Bread is baked at dawn.", "", "line 2"),
    Chunk("Ships sail at night.", "", "line 3"),
]


async def test_meaning_finds_what_words_do_not_and_each_content_is_asked_for_once(tmp_path: Path) -> None:
    shelf, embedding = Shelf(tmp_path / "recall.db"), Embedding()
    shelf.put([Source("d", "d.txt", "", PARTS), Source("other", "o.txt", "", PARTS[:1])])
    meaning = Meaning(shelf, VectorCache(tmp_path / "cache.db", "m"), embedding)
    assert await meaning.search("car", 2) == []
    assert await meaning.take_in({"d"}) == 3
    assert await meaning.take_in({"d", "other"}) == 0
    assert (await meaning.search("car", 2))[:2] in ([1, 4], [4, 1])
    assert embedding.asked == [(3, "document"), (1, "query")]
    again = Shelf(tmp_path / "again.db")
    again.put([Source("d", "d.txt", "", PARTS)])
    assert await Meaning(again, VectorCache(tmp_path / "cache.db", "m"), embedding).take_in({"d"}) == 0
    assert await Meaning(again, VectorCache(tmp_path / "cache.db", "n"), embedding).take_in({"d"}) == 0
    searched = Archive(log_of(), shelf, tmp_path, meaning)
    assert (await found(searched, "car bread"))[0][0] in {"#1", "#2", "#4"}
    assert {name for name, _ in await found(searched, "car")} >= {"#1", "#4"}


async def test_words_do_when_vectors_cannot_be_had(tmp_path: Path) -> None:
    shelf, embedding = Shelf(tmp_path / "recall.db"), Embedding()
    shelf.put([Source("d", "d.txt", "", PARTS)])
    meaning = Meaning(shelf, VectorCache(tmp_path / "cache.db", "m"), embedding)
    await meaning.take_in({"d"})
    embedding.fails = True
    assert await found(Archive(log_of(), shelf, tmp_path, meaning), "bread") == [("#2", "d.txt, line 2")]


async def test_the_user_is_quoted_by_entry(tmp_path: Path) -> None:
    log = log_of(
        MessageAdded(message=user("The colour is heliotrope.")),
        *steps(1),
        Compacted(summary=NOTE, keep_from=None),
    )
    assert await found(archive(log, tmp_path), "heliotrope colour") == [("e4", "user, line 1")]
