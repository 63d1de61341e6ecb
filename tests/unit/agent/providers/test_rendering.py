from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.agent.messages import Warned
from treadle.agent.providers.rendering import (
    array,
    content_text,
    derived_id,
    dumps,
    encoded,
    file_id,
    holds_strictly,
    inlined,
    media_url,
    members,
    result_text,
    snap_effort,
    snap_ttl,
    sound_name,
)
from treadle.agent.settings import Effort
from treadle.tools.contract import Blob, FileRef, Inline, Media, Text, ToolResult, Url

POINT: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}}}


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)))


@given(
    st.recursive(
        st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
    )
)
def test_what_is_rendered_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(encoded(value)) == value


def test_json_is_compact_and_keeps_order_and_characters() -> None:
    assert dumps({"b": 1, "a": ["é", None, 1.5]}) == '{"b":1,"a":["é",null,1.5]}'


def test_lone_surrogates_and_nul_are_replaced_and_pairs_are_joined() -> None:
    assert dumps("\ud800 \x00 \ud83d\ude00") == '"\ufffd \ufffd \U0001f600"'


def test_the_text_of_an_escape_is_no_escape() -> None:
    assert json.loads(dumps("\\u0000\x00\\")) == "\\u0000\ufffd\\"


def test_json_is_spliced_as_it_is() -> None:
    assert array([b"1", b'{"a":2}']) == b'[1,{"a":2}]'
    assert members(' {"a": 1.50} ') == '"a": 1.50'


def test_a_placeholder_names_what_is_not_shown() -> None:
    notes: list[Warned] = []
    media = Media(kind="image", mime="image/png", source=Inline(data=""), filename="a.png")
    assert content_text(media, notes) == "[image a.png (image/png) not shown]"
    assert [note.code for note in notes] == ["media_dropped"]


def test_a_result_says_where_its_media_are() -> None:
    media = Media(kind="image", mime="image/png", source=Inline(data=""))
    result = ToolResult(call_id="c1", content=(media,))
    assert result_text(result, []) == "(see the attachment in the next message)"
    assert not result_text(result, [], media_note="")
    assert (
        result_text(ToolResult(call_id="c1", content=(Text(text="a"), media, Text(text="b"))), []) == "a\nb"
    )


def test_media_have_a_url_or_an_id_or_neither() -> None:
    def media(source: Any) -> Media:
        return Media(kind="image", mime="image/png", source=source)

    assert media_url(media(Inline(data="AA=="))) == "data:image/png;base64,AA=="
    assert media_url(media(Url(url="https://x"))) == "https://x"
    assert media_url(media(Blob(sha256="0"))) is None
    assert file_id(media(FileRef(vendor="openai", id="f1")), "openai") == "f1"
    assert file_id(media(FileRef(vendor="openai", id="f1")), "gemini") is None


@pytest.mark.parametrize(
    ("wanted", "accepted", "snapped"),
    [
        ("medium", ("low", "medium", "high"), "medium"),
        ("medium", ("low", "high", "max"), "high"),
        ("xhigh", ("high", "low"), "high"),
        ("none", ("low", "high"), "low"),
        ("high", ("none",), "none"),
        ("high", ("turbo",), None),
        ("high", (), None),
    ],
)
def test_effort_snaps_to_the_lowest_that_is_enough(
    wanted: Effort, accepted: tuple[str, ...], snapped: str | None
) -> None:
    assert snap_effort(wanted, accepted) == snapped


@pytest.mark.parametrize("effort", get_args(Effort))
def test_every_effort_snaps_to_itself_where_all_are_taken(effort: Effort) -> None:
    assert snap_effort(effort, get_args(Effort)) == effort


@pytest.mark.parametrize(
    ("wanted", "accepted", "snapped"),
    [
        ("1h", ("5m", "1h"), "1h"),
        ("12h", ("5m", "1h"), "1h"),
        ("5m", ("30m", "12h"), "30m"),
        ("30m", ("5m", "1h"), "5m"),
        ("odd", ("1h", "5m"), "5m"),
        ("1h", (), None),
    ],
)
def test_a_time_snaps_down_or_to_the_shortest(
    wanted: str, accepted: tuple[str, ...], snapped: str | None
) -> None:
    assert snap_ttl(wanted, accepted) == snapped


def test_an_id_is_the_same_for_the_same_seed_alone() -> None:
    assert derived_id("a", 1) == derived_id("a", 1) != derived_id("a", 2)
    assert derived_id("ab", "c") != derived_id("a", "bc")
    assert len(derived_id("\ud800", prefix="", length=9)) == 9


def test_a_name_is_made_sound() -> None:
    assert [sound_name(name) for name in ("read", "functions.read", "", "x" * 70)] == [
        "read",
        "functions_read",
        "unknown",
        "x" * 64,
    ]


def test_a_schema_holds_strictly_when_every_object_is_closed_and_complete() -> None:
    closed = {**POINT, "required": ["x"], "additionalProperties": False}
    assert holds_strictly(closed)
    assert holds_strictly({"anyOf": [closed, {"type": "null"}]})
    assert not holds_strictly({"anyOf": [POINT, {"type": "null"}]})
    assert not holds_strictly({**closed, "required": []})
    assert not holds_strictly({"type": "object"})


def test_definitions_are_put_where_they_are_referred_to() -> None:
    schema: dict[str, Any] = {
        "properties": {"a": {"$ref": "#/$defs/P", "description": "d"}, "b": [{"$ref": "#/$defs/Q"}]},
        "$defs": {"P": POINT, "Q": {"items": {"$ref": "#/$defs/P"}}},
    }
    assert inlined(schema) == {"properties": {"a": {**POINT, "description": "d"}, "b": [{"items": POINT}]}}


def test_a_schema_that_refers_to_itself_stays() -> None:
    schema: dict[str, Any] = {"$ref": "#/$defs/N", "$defs": {"N": {"items": {"$ref": "#/$defs/N"}}}}
    assert inlined(schema) is schema
