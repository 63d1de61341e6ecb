"""Tokens are counted by bytes, and each vendor's cache gives back what it was sent before, by its own rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from treadle.agent.mock.anthropic_billing import bill as bill_anthropic
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import Rule, google
from treadle.agent.mock.billing_prompt import Block, Moment, Prompt, cut, stream, tokens, whole
from treadle.agent.mock.jsontext import Json, JsonObject, write
from treadle.agent.mock.openai_billing import bill as bill_openai
from treadle.agent.mock.openai_billing import chat_units, responses_units

RULE = Rule(1024, 600.0)
LONG = "x" * 8000


def at(now: float, ready: float | None = None) -> Moment:
    return Moment(now, now if ready is None else ready, f"r{now}")


def text(said: str, ttl: str | None = None) -> JsonObject:
    block: JsonObject = {"type": "text", "text": said}
    return block if ttl is None else {**block, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def user(*blocks: JsonObject) -> JsonObject:
    return {"role": "user", "content": [*blocks]}


def said(*blocks: JsonObject) -> JsonObject:
    return {"role": "assistant", "content": [*blocks]}


def claude(*messages: JsonObject, model: str = "claude-sonnet-5", **more: Json) -> JsonObject:
    return {"model": model, "messages": [*messages], **more}


def size(*units: Json) -> int:
    return sum(tokens(len(write(unit))) for unit in units)


def test_four_bytes_are_a_token_and_a_rest_is_one_more() -> None:
    assert [tokens(count) for count in (0, 1, 4, 5, 9)] == [0, 1, 1, 2, 3]


def test_a_unit_is_cut_where_it_would_end_with_fewer_parts() -> None:
    parts = [text("one"), text("two"), text("three")]
    ends = [size(user(*parts[:count])) for count in (1, 2, 3)]
    blocks = cut(user(parts[0], text("two", "1h"), parts[2]), "content", "cache_control", lambda _: 9.0)
    assert [sum(block.tokens for block in blocks[: count + 1]) for count in range(3)] == ends
    assert [block.keep for block in blocks] == [0.0, 9.0, 0.0]
    assert b"cache_control" not in b"".join(block.data for block in blocks)


def test_each_unit_begins_with_a_token_of_its_own() -> None:
    assert stream(["abc", 1]) == b'"abc"\0\0\x001\0\0\0'


# Steps


def test_an_automatic_cache_reads_the_common_prefix_in_steps_of_128_tokens() -> None:
    steps = Ledger().steps
    assert steps.bill("k", b"a" * 8000, RULE, at(0)) == Prompt(2000)
    assert steps.bill("k", b"a" * 8000 + b"b" * 400, RULE, at(1)) == Prompt(2100, cached=1920)
    assert steps.bill("k", b"a" * 6000 + b"c" * 2000, RULE, at(2)).cached == 1408


def test_an_automatic_cache_reads_nothing_below_its_minimum() -> None:
    steps = Ledger().steps
    steps.bill("k", b"a" * 4096, RULE, at(0))
    assert steps.bill("k", b"a" * 4095, RULE, at(1)).cached == 0
    assert steps.bill("k", b"a" * 4096, RULE, at(1)).cached == 1024
    assert steps.bill("k", b"a" * 4096, google("gemini-3.8-flash"), at(1)).cached == 0


def test_another_namespace_has_another_cache() -> None:
    steps = Ledger().steps
    steps.bill("k", b"a" * 8000, RULE, at(0))
    assert steps.bill("l", b"a" * 8000, RULE, at(1)).cached == 0


def test_a_step_lives_on_from_its_last_use() -> None:
    steps = Ledger().steps
    seen = [steps.bill("k", b"a" * 8000, RULE, at(now)).cached for now in (0, 600, 1200, 1801)]
    assert seen == [0, 1920, 1920, 0]


def test_what_is_written_can_be_read_when_its_answer_has_begun() -> None:
    steps, marked = Ledger().steps, Ledger().marked
    block = [Block(b"a", 2000, 300.0)]
    moments = [at(now, ready) for now, ready in ((0, 5), (1, 6), (5, 7))]
    assert [steps.bill("k", b"a" * 8000, RULE, moment).cached for moment in moments] == [0, 0, 1920]
    assert [marked.anthropic("k", block, 1024, moment).cached for moment in moments] == [0, 0, 2000]


# DeepSeek's units


def test_a_unit_ends_with_the_input_and_with_the_answer_to_it() -> None:
    units = Ledger().units
    answer = Block(b"assistant", 50, open=True)
    first, second = Block(b"u" * 400, 100), Block(b"v" * 400, 100)
    assert units.bill("k", [first], b"u" * 400, at(0)) == Prompt(100)
    longer = b"u" * 400 + b"a" * 200 + b"v" * 400
    assert units.bill("k", [first, answer, second], longer, at(1)) == Prompt(250, cached=150)
    changed = [first, Block(b"other", 50), second]
    assert units.bill("k", changed, longer, at(2)).cached == 100
    assert units.bill("k", [second, answer, first], longer[::-1], at(3)).cached == 0
    assert units.bill("k", [first], b"u" * 400, at(90_000)).cached == 0


def test_a_unit_also_ends_every_so_many_tokens() -> None:
    units = Ledger().units
    blocks = [Block(b"a" * 12_000, 3000)]
    units.bill("k", blocks, b"a" * 12_000, at(0))
    assert units.bill("k", [Block(b"b", 3000)], b"a" * 9000 + b"b" * 3000, at(1)).cached == 2048


# Anthropic


def test_without_a_breakpoint_nothing_is_written() -> None:
    body = claude(user(text(LONG)))
    assert bill_anthropic(body, Ledger(), at(0)) == Prompt(size(*_units(body)))


def test_a_breakpoint_writes_once_and_is_then_read() -> None:
    ledger = Ledger()
    one, two = user(text(LONG)), said(text("So."))
    first = claude(user(text(LONG, "5m")))
    assert bill_anthropic(first, ledger, at(0)) == Prompt(size(one), written=size(one))
    grown = claude(user(text(LONG, "5m")), two, user(text("y", "5m")))
    new = size(two, user(text("y")))
    assert bill_anthropic(grown, ledger, at(1)) == Prompt(size(one) + new, size(one), new)
    assert bill_anthropic(grown, ledger, at(2)) == Prompt(size(one) + new, size(one) + new)


def test_an_entry_lives_from_the_start_of_the_request_that_last_used_it() -> None:
    ledger = Ledger()
    body = claude(user(text(LONG, "5m")))
    seen = [bill_anthropic(body, ledger, at(now)).cached > 0 for now in (0, 300, 600, 901)]
    assert seen == [False, True, True, False]


def test_what_is_kept_for_an_hour_is_counted_apart() -> None:
    body = claude(user(text(LONG, "1h")), user(text(LONG, "5m")))
    half = size(user(text(LONG)))
    assert bill_anthropic(body, Ledger(), at(0)) == Prompt(2 * half, written=2 * half, written_long=half)


def test_a_tail_for_an_hour_makes_all_before_it_readable_for_an_hour() -> None:
    ledger = Ledger()
    one, two = user(text(LONG)), user(text("two"))
    bill_anthropic(claude(user(text(LONG, "5m"))), ledger, at(0))
    tail = claude(user(text(LONG, "1h")), user(text("two", "1h")))
    added = size(two)
    assert bill_anthropic(tail, ledger, at(1)) == Prompt(size(one) + added, size(one), added, added)
    assert bill_anthropic(tail, ledger, at(3601)).cached == size(one) + added


@pytest.mark.parametrize(("between", "found"), [(18, True), (19, False)])
def test_an_entry_is_found_within_twenty_places_of_a_breakpoint(between: int, *, found: bool) -> None:
    ledger = Ledger()
    bill_anthropic(claude(user(text(LONG, "5m"))), ledger, at(0))
    more = [text(f"{number}") for number in range(between)]
    later = claude(user(text(LONG), *more, text("end", "5m")))
    assert (bill_anthropic(later, ledger, at(1)).cached > 0) is found
    second = claude(user(text(LONG, "5m"), *more, text("end", "5m")))
    assert bill_anthropic(second, ledger, at(2)).cached > 0


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-opus-5-5", 512),
        ("claude-fable-5-1", 512),
        ("claude-opus-5", 512),
        ("claude-haiku-5-5", 512),
        ("claude-sonnet-5-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-opus-4-8", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-5", 4096),
        ("claude-haiku-4-5", 4096),
        ("whatever", 1024),
    ],
)
def test_a_prefix_that_is_too_short_for_the_model_is_silently_not_kept(model: str, least: int) -> None:
    frame = len(write(user(text(""))))
    for length, written in ((least * 4 - frame - 4, 0), (least * 4 - frame, least)):
        body = claude(user(text("x" * length, "5m")), model=model)
        assert bill_anthropic(body, Ledger(), at(0)).written == written


def test_the_automatic_breakpoint_stands_on_the_last_block() -> None:
    ledger = Ledger()
    body = claude(user(text("a"), text(LONG)), cache_control={"type": "ephemeral"})
    assert bill_anthropic(body, ledger, at(0)).written == size(user(text("a"), text(LONG)))
    marked = claude(user(text("a"), text(LONG, "5m")))
    assert bill_anthropic(marked, ledger, at(1)).written == 0


TOOL: JsonObject = {"name": "t", "description": LONG, "input_schema": {"type": "object"}}


def _marked(held: JsonObject) -> JsonObject:
    return {**held, "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"tool_choice": {"type": "auto"}}, "system"),
        ({"thinking": {"type": "adaptive"}}, "system"),
        ({"output_config": {"effort": "low"}}, "system"),
        ({"speed": "fast"}, "tools"),
        ({"model": "claude-sonnet-5-1"}, ""),
        ({"metadata": {"user_id": "u"}}, "messages"),
    ],
)
def test_a_knob_takes_with_it_what_the_vendor_says(change: JsonObject, left: str) -> None:
    ledger = Ledger()
    body = claude(
        user(text("hello", "5m")), tools=[_marked(TOOL)], system=[text("You work.", "5m")], max_tokens=1
    )
    bill_anthropic(body, ledger, at(0))
    kept = {
        "": 0,
        "tools": size(TOOL),
        "system": size(TOOL, text("You work.")),
        "messages": size(TOOL, text("You work."), user(text("hello"))),
    }
    assert bill_anthropic({**body, **change}, ledger, at(1)).cached == kept[left]


def test_the_first_picture_takes_the_messages_with_it() -> None:
    ledger = Ledger()
    system: list[Json] = [text(LONG, "5m")]
    bill_anthropic(claude(user(text("a", "5m")), system=system), ledger, at(0))
    source: JsonObject = {"type": "url", "url": "https://example.org/a.png"}
    shown = claude(user(text("a")), user({"type": "image", "source": source}, text("b", "5m")), system=system)
    assert bill_anthropic(shown, ledger, at(1)).cached == size(text(LONG))


def test_deferred_tools_are_no_part_of_the_prompt() -> None:
    body = claude(user(text("a")), tools=[TOOL, {**TOOL, "name": "d", "defer_loading": True}])
    assert bill_anthropic(body, Ledger(), at(0)).input == size(TOOL, user(text("a")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "claude-opus-5"}, "model_changed"),
        ({"tools": [{**TOOL, "name": "u"}]}, "tools_changed"),
        ({"system": "New."}, "system_changed"),
        ({"messages": [user(text("New."))]}, "messages_changed"),
        ({"messages": [user(text("Hello.")), user(text("More."))]}, None),
        ({"diagnostics": {"previous_message_id": "msg_never"}}, "previous_message_not_found"),
        ({"diagnostics": {"previous_message_id": None}}, None),
    ],
)
def test_a_miss_is_explained_when_that_is_asked_for(change: JsonObject, reason: str | None) -> None:
    ledger = Ledger()
    body = claude(user(text("Hello.")), tools=[TOOL], system="You work.")
    bill_anthropic({**body, "diagnostics": {"previous_message_id": None}}, ledger, at(0))
    asked: JsonObject = {**body, "diagnostics": {"previous_message_id": "msg_r0"}, **change}
    miss = bill_anthropic(asked, ledger, at(1)).miss
    assert (miss.reason if miss else None) == reason
    assert bill_anthropic(body, ledger, at(2)).miss is None


# OpenAI


def part(said: str, ttl: str | None = None, *, marked: bool = False) -> JsonObject:
    mark: JsonObject = {"mode": "explicit", **({"ttl": ttl} if ttl else {})}
    found: JsonObject = {"prompt_cache_breakpoint": mark} if marked or ttl else {}
    return {"type": "input_text", "text": said, **found}


def item(role: str, *parts: JsonObject) -> JsonObject:
    return {"role": role, "content": [*parts]}


def gpt(*items: JsonObject, model: str = "gpt-6-luna", **more: Json) -> JsonObject:
    return {"model": model, "input": [*items], **more}


def billed(body: JsonObject, ledger: Ledger, now: float = 0) -> Prompt:
    return bill_openai(body, responses_units(body), ledger, at(now))


def test_the_implicit_breakpoint_is_found_again_when_the_conversation_has_grown() -> None:
    ledger = Ledger()
    first = [item("developer", part(LONG)), item("user", part("one"))]
    known = size(*first)
    assert billed(gpt(*first), ledger) == Prompt(known, written=known)
    more = [item("assistant", part("So.")), item("user", part("two"))]
    assert billed(gpt(*first, *more), ledger, 1) == Prompt(known + size(*more), known, size(*more))


def test_another_question_over_the_same_start_reads_nothing_unless_the_start_is_marked() -> None:
    for marked, read in ((False, 0), (True, size(item("developer", part(LONG))))):
        ledger = Ledger()
        start = item("developer", part(LONG, marked=marked))
        billed(gpt(start, item("user", part("one"))), ledger)
        assert billed(gpt(start, item("user", part("two"))), ledger, 1).cached == read


def test_four_places_are_written_at_most_the_latest_and_the_implicit_one() -> None:
    marked = [item("developer", part(LONG, marked=True)) for _ in range(5)]
    reads: list[int] = []
    for count in range(1, 6):
        ledger = Ledger()
        billed(gpt(*marked, item("user", part("one"))), ledger)
        reads.append(billed(gpt(*marked[:count]), ledger, 1).cached)
    one = size(item("developer", part(LONG)))
    assert reads == [0, 0, 3 * one, 4 * one, 5 * one]


def test_in_explicit_mode_only_what_is_marked_is_kept() -> None:
    ledger = Ledger()
    options: JsonObject = {"mode": "explicit"}
    body = gpt(item("user", part(LONG)), prompt_cache_options=options)
    assert billed(body, ledger).written == 0
    assert billed(body, ledger, 1).cached == 0
    body = gpt(item("user", part(LONG, marked=True)), prompt_cache_options=options)
    assert billed(body, ledger, 2).written == size(item("user", part(LONG)))


def test_times_are_told_apart_and_a_markers_own_goes_first() -> None:
    ledger = Ledger()
    options: JsonObject = {"ttl": "12h"}
    body = gpt(item("developer", part(LONG, "30m")), item("user", part("one")), prompt_cache_options=options)
    short, long = size(item("developer", part(LONG))), size(item("user", part("one")))
    assert billed(body, ledger) == Prompt(short + long, written=short + long, written_long=long)
    assert billed(gpt(item("developer", part(LONG, "30m"))), ledger, 1801).cached == 0
    assert billed(body, ledger, 43_200).cached == short + long


def test_only_the_latest_eighty_places_are_looked_at() -> None:
    for more, found in ((79, True), (80, False)):
        ledger = Ledger()
        billed(gpt(item("user", part(LONG))), ledger)
        later = [item("user", part(f"{number}")) for number in range(more)]
        assert (billed(gpt(item("user", part(LONG)), *later), ledger, 1).cached > 0) is found


def test_a_prefix_below_1024_tokens_is_not_kept() -> None:
    assert billed(gpt(item("user", part("short"))), Ledger()).written == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "gpt-6-terra"}, "model_changed"),
        ({"prompt_cache_key": "other"}, "prompt_cache_key_changed"),
        ({"tools": [{"type": "function", "name": "t"}]}, "tools_changed"),
        ({"text": {"format": {"type": "json_object"}}}, "text_format_changed"),
        ({"reasoning": {"effort": "high"}}, "reasoning_effort_changed"),
        ({"text": {"verbosity": "low"}}, "verbosity_changed"),
        ({"service_tier": "flex"}, "service_tier_changed"),
        ({"input": [item("user", part("New."))]}, "input_changed"),
        ({}, "cache_hit"),
    ],
)
def test_gpt_loses_all_by_these_changes_and_says_which(change: JsonObject, reason: str) -> None:
    ledger = Ledger()
    body = gpt(item("user", part(LONG)), prompt_cache_key="k")
    billed(body, ledger)
    options: JsonObject = {"comparison_response_id": "resp_r0"}
    prompt = billed({**body, "prompt_cache_options": options, **change}, ledger, 1)
    assert prompt.miss is not None
    assert prompt.miss.reason == reason
    assert (prompt.cached > 0) is (reason == "cache_hit")


def test_an_unknown_response_to_compare_with_is_told() -> None:
    options: JsonObject = {"comparison_response_id": "resp_x"}
    miss = billed(gpt(item("user", part(LONG)), prompt_cache_options=options), Ledger()).miss
    assert miss is not None
    assert (miss.reason, miss.lost) == ("comparison_response_not_found", None)


@pytest.mark.parametrize(
    ("model", "more", "life"),
    [
        ("gpt-5.4", {}, 600),
        ("gpt-5.4", {"prompt_cache_retention": "24h"}, 86_400),
        ("gpt-5.5", {}, 86_400),
        ("mock", {}, 600),
    ],
)
def test_before_breakpoints_writes_are_free_and_steps_live_as_long_as_asked(
    model: str, more: Mapping[str, Json], life: int
) -> None:
    ledger = Ledger()
    body = gpt(item("user", part(LONG)), model=model, **more)
    seen = [billed(body, ledger, now) for now in (0, life, 2 * life + 1)]
    read = size(*body_items(body)) // 128 * 128
    assert [(each.cached, each.written) for each in seen] == [(0, 0), (read, 0), (0, 0)]


def test_another_key_is_another_machine() -> None:
    ledger = Ledger()
    body = gpt(item("user", part(LONG)), model="gpt-5.4", prompt_cache_key="a")
    billed(body, ledger)
    assert billed({**body, "prompt_cache_key": "b"}, ledger, 1).cached == 0
    assert billed(body, ledger, 2).cached > 0


def test_chat_has_the_same_rules_over_its_messages() -> None:
    ledger = Ledger()
    tool: JsonObject = {"type": "function", "function": {"name": "t"}}
    messages: list[Json] = [
        {"role": "system", "content": LONG},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "So.", "tool_calls": [{"id": "c"}]},
        {"role": "tool", "tool_call_id": "c", "content": "two"},
    ]
    whole_: JsonObject = {"model": "gpt-6-luna", "tools": [tool], "messages": messages}
    start: JsonObject = {**whole_, "messages": messages[:2]}
    bill_openai(start, chat_units(start), ledger, at(0))
    prompt = bill_openai(whole_, chat_units(whole_), ledger, at(1))
    assert prompt.cached == size(tool, *messages[:2])
    assert prompt.written == size(*messages[2:])


def body_items(body: JsonObject) -> Sequence[Json]:
    given = body["input"]
    assert isinstance(given, list)
    return given


def _units(body: JsonObject) -> Sequence[Json]:
    given = body["messages"]
    assert isinstance(given, list)
    return given


def test_a_unit_without_parts_is_one_block() -> None:
    assert whole({"a": 1}) == Block(b'{"a":1}', 2)
