from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.tools.names import tool_name, tool_names

TAKEN_BY_ALL = re.compile(r"[A-Za-z0-9_-]{1,64}")


def test_a_name_that_every_provider_takes_stays_as_it_is() -> None:
    assert tool_name("github", "create_issue") == "mcp__github__create_issue"
    assert tool_name("a", "_b") == "mcp__a___b"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("docs", "read.page"), ("docs", "read_page")),
        (("docs", "read.page"), ("docs", "read:page")),
        (("a__b", "c"), ("a", "b__c")),
        (("a_", "b"), ("a", "_b")),
        (("", "a"), ("_", "a")),
        (("a", ""), ("a", "_")),
        (("s", "x" * 80 + "1"), ("s", "x" * 80 + "2")),
        (("s", "é"), ("s", "ü")),
        (("s", "\ud800"), ("s", "\udfff")),
    ],
)
def test_44_two_tools_never_share_a_name_and_each_is_found_again(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    names = tool_names([one, other])
    assert list(names.values()) == [one, other]
    assert all(TAKEN_BY_ALL.fullmatch(name) for name in names)


@given(st.lists(st.tuples(st.text(max_size=90), st.text(max_size=90)), max_size=8))
def test_44_whatever_servers_call_their_tools_names_are_taken_by_all_and_lead_back(
    tools: list[tuple[str, str]],
) -> None:
    names = tool_names(tools)
    assert list(names.values()) == list(dict.fromkeys(tools))
    assert all(TAKEN_BY_ALL.fullmatch(name) for name in names)
    assert tool_names(reversed(tools)).keys() == names.keys()


def test_a_tool_made_to_look_like_another_servers_gets_another_name() -> None:
    real = tool_name("a.b", "read")
    assert real.startswith("mcp__a_b__read_")
    forged = real.removeprefix("mcp__a_b__")
    names = tool_names([("a.b", "read"), ("a_b", forged)])
    assert names[real] == ("a.b", "read")
    assert len(names) == 2


def test_a_name_that_another_tool_has_is_not_given_away() -> None:
    (name,) = tool_names([("s", "t")], taken=["mcp__s__t"])
    assert name != "mcp__s__t"
    assert name.startswith("mcp__s__t_")
