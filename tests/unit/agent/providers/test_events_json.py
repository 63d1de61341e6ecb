"""JSON from providers, read so that it can be kept."""

from __future__ import annotations

import pytest

from treadle.agent.providers.events_json import loads, sound


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\ud83d\ude00b"', "a😀b"),
        (r'"a\ud83db"', "a�b"),
        (r'"a\u0000b"', "a�b"),
        (r'"a\\u0000b"', r"a\u0000b"),
        (r'{"\ud800": [1.5, null]}', {"�": [1.5, None]}),
    ],
)
def test_pairs_of_halves_are_characters_and_what_is_none_is_replaced(text: str, value: object) -> None:
    assert loads(text) == value


def test_what_is_sound_stays_what_it_is() -> None:
    value = {"a": [1, 2.5, True, None, "é  "]}
    assert sound(value) == value


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000])
def test_what_is_no_json_or_nested_beyond_reason_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|nested too deeply"):
        loads(text)
